//! `from` of a binding, and the subscriptions of its upstream: each needs the other.

use std::ops::Range;

use super::binding::{Names, Read};
use super::glob::Glob;
use super::upstream;
use crate::config::checked::Upstream;
use crate::config::ids::UpstreamId;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// The upstream whose messages a binding takes, and where that is written. None: those of devices.
pub fn read(table: &Table<'_>, names: &Names<'_>) -> Option<(UpstreamId, Range<usize>)> {
    let typed = table.text("from")?;
    let id = upstream::find(table, &typed, &names.upstreams)?;
    Some((id, typed.span()))
}

/// A binding that can never have a message is a mistake.
pub fn check(root: &Table<'_>, upstreams: &[Upstream], bindings: &[Read]) {
    for read in bindings {
        let Some((id, span)) = read.binding.from.zip(read.source.clone()) else { continue };
        // One that has a problem of its own is not among them.
        let Some(upstream) = id.of(upstreams) else { continue };
        if upstream.subscribe.is_empty() {
            let sentence = format!("the upstream `{}` is asked for nothing", upstream.name);
            let advice =
                "say what it is to send: `subscribe = [{ filter = \"plants/{gateway}/commands/#\", qos = 2 }]` there";
            root.add(Problem::error(span, sentence).advice(advice));
        } else if !meets(upstream, read) {
            let sentence = format!("nothing that the upstream `{}` is asked for matches `topic` here", upstream.name);
            let advice = format!("write filters that meet those of its `subscribe`: {}", words(upstream));
            root.add(Problem::error(span, sentence).advice(advice));
        }
    }
}

/// A subscription that no binding takes anything of.
pub fn doubts(root: &Table<'_>, names: &[Placed<&str>], upstreams: &[Upstream], bindings: &[Read]) {
    for (index, upstream) in upstreams.iter().enumerate() {
        let takes = |read: &&Read| read.binding.from == Some(UpstreamId(index));
        let wanted: Vec<Glob> = bindings.iter().filter(takes).flat_map(globs).collect();
        let is_taken = |filter: Glob| wanted.iter().any(|glob| glob.meets(&filter));
        let unused = upstream.subscribe.iter().find(|one| !is_taken(Glob::new(one.filter.filter.as_str())));
        let (Some(unused), Some(name)) = (unused, names.get(index)) else { continue };
        let sentence = format!("no binding takes what the upstream `{}` sends for `{}`", upstream.name, unused.text);
        let advice = format!("write a binding with `from = \"{}\"`, or remove the filter", upstream.name);
        root.add(Problem::warning(name.span(), sentence).advice(advice));
    }
}

fn meets(upstream: &Upstream, read: &Read) -> bool {
    let subscribed = upstream.subscribe.iter().map(|one| Glob::new(one.filter.filter.as_str()));
    let filters: Vec<Glob> = globs(read).collect();
    subscribed.into_iter().any(|subscribed| filters.iter().any(|filter| filter.meets(&subscribed)))
}

fn globs(read: &Read) -> impl Iterator<Item = Glob> {
    read.binding.filters.iter().map(|filter| Glob::new(filter.as_str()))
}

fn words(upstream: &Upstream) -> String {
    let quoted: Vec<String> = upstream.subscribe.iter().map(|one| format!("\"{}\"", one.filter.filter)).collect();
    quoted.join(", ")
}
