//! A message that comes back to the binding that it left would never end: refused where it can be seen here.
//!
//! Each binding is a point. From one with a local exit (a `local` destination, or its dead letters) an arrow goes to
//! each binding whose filters may match what the exit publishes; from one that sends to an upstream, to each binding that takes what the
//! subscriptions of an upstream at that address send back. A circle of arrows is refused, with its way named.
//!
//! Seen conservatively: `{client}` may be anything; `{topic}` may be what the filters let in, or anything once plugins
//! had their hands on it. So a chain that renames must publish below a fixed level that no filter on its way matches.
//! A chain of republishings that is merely long is stopped at run time by the hop count. Two gateways that feed each other
//! cannot be seen from either; their messages count how many gateways they have crossed (decision 0034).

use std::collections::VecDeque;

use super::addresses;
use super::binding::{Exit, Read};
use super::glob::Glob;
use crate::config::checked::{Subscription, Target, Upstream};
use crate::config::ids::UpstreamId;
use crate::config::problem::Problem;
use crate::config::raw::Table;
use crate::topic::TemplateValues;

pub fn check(root: &Table<'_>, gateway: &str, upstreams: &[Upstream], bindings: &[Read]) {
    let arrows: Vec<Vec<Vec<usize>>> = bindings.iter().map(|read| arrows(read, gateway, upstreams, bindings)).collect();
    let onward: Vec<Vec<usize>> = arrows.iter().map(|exits| exits.concat()).collect();
    for ((from, read), exits) in bindings.iter().enumerate().zip(&arrows) {
        for (exit, targets) in read.exits.iter().zip(exits) {
            let Some(way) = way_back(from, targets, &onward) else { continue };
            // One circle is one mistake: its first binding reports it for all. Of connected circles, at least the one
            // that begins at the first binding of them all is reported, so none is accepted.
            if way.iter().all(|on_the_way| *on_the_way >= from) {
                root.add(problem(exit, &way, bindings));
            }
        }
    }
}

/// For each exit of a binding, the bindings that its messages may reach.
fn arrows(read: &Read, gateway: &str, upstreams: &[Upstream], bindings: &[Read]) -> Vec<Vec<usize>> {
    let reached = |exit: &Exit| {
        let published = possible_topics(read, exit, gateway);
        let matched = |other: &Read| {
            let mut filters = other.binding.filters.iter().map(|filter| Glob::new(filter.as_str()));
            let back = ways_back(exit.to, other.binding.from, upstreams);
            filters.any(|filter| published.iter().any(|topic| topic.meets(&filter) && back.lets_through(topic)))
        };
        (0..).zip(bindings).filter(|(_, other)| matched(other)).map(|(index, _)| index).collect()
    };
    read.exits.iter().map(reached).collect()
}

/// How what was published comes back to a binding.
enum Back {
    Always,
    /// By one of these subscriptions.
    By(Vec<Glob>),
}

impl Back {
    fn lets_through(&self, topic: &Glob) -> bool {
        match self {
            Self::Always => true,
            Self::By(filters) => filters.iter().any(|filter| filter.meets(topic)),
        }
    }
}

/// From where an exit leads to where a binding takes its messages. What the upstream sends back to others, it does not send to the client that
/// published it, with `no_local`; two upstreams at one address are two clients.
fn ways_back(to: Target, from: Option<UpstreamId>, upstreams: &[Upstream]) -> Back {
    match (to, from) {
        (Target::Local, None) => Back::Always,
        (Target::Upstream(to), Some(from)) => {
            let Some((there, here)) = to.of(upstreams).zip(from.of(upstreams)) else { return Back::By(Vec::new()) };
            let is_same_broker = there.addresses.iter().any(|address| addresses::contain(&here.addresses, address));
            let comes = |one: &&Subscription| is_same_broker && !(to == from && one.options.no_local);
            let filters = here.subscribe.iter().filter(comes).map(|one| Glob::new(one.filter.filter.as_str()));
            Back::By(filters.collect())
        }
        _ => Back::By(Vec::new()),
    }
}

/// What an exit may publish: its template with wildcards in the places that are not known yet.
fn possible_topics(read: &Read, exit: &Exit, gateway: &str) -> Vec<Glob> {
    let binding = &*read.binding.name;
    let fill = |topic| Glob::new(&exit.topic.fill(&TemplateValues { topic, gateway, binding, client: "#" }));
    match exit.after_plugins {
        true => vec![fill("#")],
        false => read.binding.filters.iter().map(|filter| fill(filter.as_str())).collect(),
    }
}

/// The shortest way from the targets of an exit back to its binding, which is the last on it.
fn way_back(home: usize, targets: &[usize], onward: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; onward.len()];
    let mut seen = vec![false; onward.len()];
    let mut open: VecDeque<(usize, Option<usize>)> = targets.iter().map(|target| (*target, None)).collect();
    while let Some((here, before)) = open.pop_front() {
        if std::mem::replace(seen.get_mut(here)?, true) {
            continue;
        }
        came_from[here] = before;
        if here == home {
            let mut way: Vec<usize> = std::iter::successors(Some(home), |at| came_from[*at]).collect();
            way.reverse();
            return Some(way);
        }
        open.extend(onward[here].iter().map(|next| (*next, Some(here))));
    }
    None
}

fn problem(exit: &Exit, way: &[usize], bindings: &[Read]) -> Problem {
    let name = |index: &usize| bindings.get(*index).map_or("", |read| &*read.binding.name);
    let home = way.last().map_or("", name);
    let stops: Vec<String> = way.iter().map(|index| format!("`{}`", name(index))).collect();
    let sentence = format!("what is published here may go round for ever: `{home}` -> {}", stops.join(" -> "));
    let advice = match exit.dead_letter {
        _ if exit.to != Target::Local => {
            "publish at a topic that no `subscribe` of this broker matches, or subscribe with `no_local = true` (MQTT 5, not with `$share/`)"
        }
        true => "choose a topic below `$tidegate/`, which no leading wildcard matches, or `on_error = \"drop\"`",
        false => "publish below a fixed first level that none of these bindings matches, such as \"clean/{topic}\"",
    };
    Problem::error(exit.span.clone(), sentence).advice(advice)
}
