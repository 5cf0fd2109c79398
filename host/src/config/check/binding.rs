//! `[[bindings]]`: topic filters, the chain, and the way out.

use std::ops::Range;
use std::time::Duration;

use super::{destination, faults, name, policies, sources};
use crate::config::checked::{Binding, Destination, FaultPolicy, OnError, OnFailure, OnStartFailure, OrderOf, Target};
use crate::config::defaults::DEAD_LETTER_TOPIC;
use crate::config::ids::PluginId;
use crate::config::problem::Problem;
use crate::config::raw::{Kind, Placed, Table};
use crate::config::similar::did_you_mean;
use crate::topic::{SharedFilter, Template, TopicFilter};

/// A call costs microseconds; more often than this is polling, and messages do not wait for ticks.
const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// The interval counts from the gateway's start: what is longer would hardly ever come.
const LONGEST_TICK: Duration = Duration::from_secs(24 * 60 * 60);

/// What bindings may refer to, in the order of the file: an index here is an index into `Config`.
pub struct Names<'a> {
    pub upstreams: Vec<Placed<&'a str>>,
    pub plugins: Vec<Placed<&'a str>>,
}

/// A binding, and the places of its ways back into the local broker.
pub struct Read {
    pub binding: Binding,
    pub exits: Vec<Exit>,
    /// The place of `from`.
    pub source: Option<Range<usize>>,
}

/// A topic that the binding publishes locally, or at an upstream.
pub struct Exit {
    pub span: Range<usize>,
    pub to: Target,
    pub topic: Template,
    /// Whether the plugins had their hands on the topic that fills `{topic}`.
    pub after_plugins: bool,
    pub dead_letter: bool,
}

pub fn check_all(root: &Table<'_>, names: &Names<'_>) -> Vec<Read> {
    let mut seen: Vec<Placed<&str>> = Vec::new();
    let mut bindings = Vec::new();
    for table in root.tables("bindings", Kind::Tables).map_or_else(Vec::new, |(tables, _)| tables) {
        let name = binding_name(&table, &seen);
        bindings.extend(check(&table, name.as_ref(), names));
        table.finish();
        seen.extend(name);
    }
    bindings
}

fn check(table: &Table<'_>, name: Option<&Placed<&str>>, names: &Names<'_>) -> Option<Read> {
    let (from, source) = sources::read(table, names).unzip();
    let filters = filters(table);
    let plugins = plugins(table, names);
    let tick = tick(table, &plugins);
    let (on_error, dead_letters) = on_error(table);
    let on_failure = policies::check(table, names, &plugins, on_error.of_plugins());
    let faults = FaultPolicy { on_failure, ..faults::check(table) };
    let order = order(table);
    let on_start_failure = start_failure(table, &plugins);
    let destinations = destinations(table, names);
    // An empty chain never fails.
    let dead_letters = dead_letters.filter(|_| !plugins.is_empty());
    let exits = exits(&destinations, !plugins.is_empty()).chain(dead_letters).collect();
    let to = destinations.into_iter().map(|(to, _)| to).collect();
    let name = (*name?.get_ref()).into();
    Some(Read {
        binding: Binding { name, from, filters, plugins, tick, on_error, faults, order, on_start_failure, to },
        exits,
        source,
    })
}

fn binding_name<'a>(table: &Table<'a>, seen: &[Placed<&str>]) -> Option<Placed<&'a str>> {
    let Some(name) = table.text("name") else {
        if table.value("name").is_none() {
            table.missing("name", "give the binding a name; it appears in logs and metrics");
        }
        return None;
    };
    name::check(table, &name);
    if let Some(first) = seen.iter().find(|seen| seen.get_ref() == name.get_ref()) {
        let sentence = format!("there are two bindings `{}`", name.get_ref());
        let problem = Problem::error(name.span(), sentence).also(first.span(), "the first one");
        table.add(problem.advice("give each its own name"));
    }
    Some(name)
}

fn filters(table: &Table<'_>) -> Vec<TopicFilter> {
    let typed = table.texts("topic");
    if table.value("topic").is_none() {
        table.missing("topic", "say which messages it takes: `topic = \"sensors/+/temperature\"`");
    }
    if let (Some([]), Some((_, span))) = (typed.as_deref(), table.value("topic")) {
        let sentence = "a binding without a topic never runs";
        table.add(Problem::error(span, sentence).advice("write at least one filter, such as \"sensors/#\""));
    }
    typed.into_iter().flatten().filter_map(|filter| one_filter(table, &filter)).collect()
}

fn one_filter(table: &Table<'_>, typed: &Placed<&str>) -> Option<TopicFilter> {
    let (sentence, advice) = match SharedFilter::parse(typed.get_ref()) {
        Ok(SharedFilter { group: None, filter }) => return Some(filter),
        Ok(shared) => {
            let advice = format!("a binding sees every message itself; write \"{}\"", shared.filter);
            ("a binding cannot share a subscription".to_owned(), advice)
        }
        Err(error) => (format!("\"{}\" is no topic filter", typed.get_ref()), error.to_string()),
    };
    table.add(Problem::error(typed.span(), sentence).advice(advice));
    None
}

fn plugins(table: &Table<'_>, names: &Names<'_>) -> Vec<PluginId> {
    let known: Vec<&str> = names.plugins.iter().map(|name| *name.get_ref()).collect();
    let index = |typed: Placed<&str>| {
        let found = known.iter().position(|known| known == typed.get_ref());
        if found.is_none() {
            let advice = did_you_mean(typed.get_ref(), &known, "this file has no `[plugins.NAME]` table yet");
            let sentence = format!("there is no plugin `{}`", typed.get_ref());
            table.add(Problem::error(typed.span(), sentence).advice(advice));
        }
        found.map(PluginId)
    };
    table.words("plugins").into_iter().filter_map(index).collect()
}

/// Whether one of the plugins exports `timer` is known when they are loaded.
fn tick(table: &Table<'_>, plugins: &[PluginId]) -> Option<Duration> {
    let tick = table.duration("tick", SHORTEST_TICK..=LONGEST_TICK);
    if let (Some((_, span)), []) = (table.value("tick"), plugins) {
        let problem = Problem::error(span, "`tick` has no effect in a binding without plugins");
        table.add(problem.advice("name a plugin that exports `timer`, or remove it"));
    }
    tick
}

fn order(table: &Table<'_>) -> OrderOf {
    const CHOICES: [&str; 2] = ["topic", "client"];
    let Some(typed) = table.text("order") else { return OrderOf::default() };
    match *typed.get_ref() {
        "topic" => OrderOf::Topic,
        "client" => OrderOf::Client,
        other => {
            let sentence = format!("`order` cannot be \"{other}\"");
            table.add(Problem::error(typed.span(), sentence).advice(did_you_mean(other, &CHOICES, "")));
            OrderOf::default()
        }
    }
}

fn start_failure(table: &Table<'_>, plugins: &[PluginId]) -> OnStartFailure {
    const CHOICES: [&str; 3] = ["hold", "dead-letter", "strict"];
    let Some(typed) = table.text("on_start_failure") else { return OnStartFailure::default() };
    if plugins.is_empty() {
        let problem = Problem::error(typed.span(), "`on_start_failure` has no effect in a binding without plugins");
        table.add(problem.advice("name a plugin, or remove it"));
    }
    match *typed.get_ref() {
        "hold" => OnStartFailure::Hold,
        "dead-letter" => OnStartFailure::DeadLetter,
        "strict" => OnStartFailure::Strict,
        other => {
            let sentence = format!("`on_start_failure` cannot be \"{other}\"");
            table.add(Problem::error(typed.span(), sentence).advice(did_you_mean(other, &CHOICES, "")));
            OnStartFailure::default()
        }
    }
}

/// The policy, and the exit that it opens.
fn on_error(table: &Table<'_>) -> (OnError, Option<Exit>) {
    let (typed, topic) = (table.text("on_error"), destination::template(table, "dead_letter_topic"));
    let choice = typed.as_ref().map_or("dead-letter", |typed| typed.get_ref());
    let place = table.value("dead_letter_topic").map(|(_, span)| span);
    if let (Some(place), "drop" | "pass") = (&place, choice) {
        let sentence = format!("`dead_letter_topic` has no effect with `on_error = \"{choice}\"`");
        table.add(Problem::error(place.clone(), sentence).advice("remove it, or write `on_error = \"dead-letter\"`"));
    }
    let read = typed.as_ref().map_or(Some(OnFailure::DeadLetter), |typed| policies::read(table, "on_error", typed));
    match read {
        Some(OnFailure::Drop) | None => (OnError::Drop, None),
        Some(OnFailure::Pass) => (OnError::Pass, None),
        Some(OnFailure::DeadLetter) => {
            let span = place.or(typed.map(|typed| typed.span())).unwrap_or_else(|| table.span());
            let topic = topic.or_else(|| Template::parse(DEAD_LETTER_TOPIC).ok()).unwrap_or_else(Template::identity);
            let (to, topic_of_exit) = (Target::Local, topic.clone());
            let exit = Exit { span, to, topic: topic_of_exit, after_plugins: false, dead_letter: true };
            (OnError::DeadLetter { topic }, Some(exit))
        }
    }
}

/// Each destination with the place that decides its topic.
fn destinations(table: &Table<'_>, names: &Names<'_>) -> Vec<(Destination, Range<usize>)> {
    let advice = "say where its outputs go: `to = [{ upstream = \"cloud\" }]`";
    let Some((tables, span)) = table.tables("to", Kind::InlineTables) else {
        if table.value("to").is_none() {
            table.missing("to", advice);
        }
        return Vec::new();
    };
    if tables.is_empty() {
        table.add(Problem::error(span, "what leaves this binding would go nowhere").advice(advice));
    }
    let place = |to: &Table<'_>| to.value("topic").map_or_else(|| to.span(), |(_, span)| span);
    tables.iter().filter_map(|to| Some((destination::check(to, names)?, place(to)))).collect()
}

fn exits(destinations: &[(Destination, Range<usize>)], after_plugins: bool) -> impl Iterator<Item = Exit> {
    let exit = move |(to, span): &(Destination, Range<usize>)| {
        let (span, topic) = (span.clone(), to.topic.clone());
        Exit { span, to: to.target, topic, after_plugins, dead_letter: false }
    };
    destinations.iter().map(exit)
}
