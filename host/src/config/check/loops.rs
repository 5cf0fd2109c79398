//! A message that comes back to the binding that it left would never end: refused where it can be seen here.
//!
//! Each binding is a point. From one with a local exit (a `local` destination, or its dead letters) an arrow goes to
//! each binding whose filters may match what the exit publishes. A circle of arrows is refused, with its way named.
//!
//! Seen conservatively: `{client}` may be anything; `{topic}` may be what the filters let in, or anything once plugins
//! had their hands on it. So a chain that renames must publish below a fixed level that no filter on its way matches.
//! A chain of republishings that is merely long is stopped at run time by the hop count. Two gateways that feed each other
//! cannot be seen from either; their messages count how many gateways they have crossed (decision 0034).

use std::collections::VecDeque;

use super::binding::{Exit, Read};
use super::glob::Glob;
use crate::config::problem::Problem;
use crate::config::raw::Table;
use crate::topic::TemplateValues;

pub fn check(root: &Table<'_>, gateway: &str, bindings: &[Read]) {
    let arrows: Vec<Vec<Vec<usize>>> = bindings.iter().map(|read| arrows(read, gateway, bindings)).collect();
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
fn arrows(read: &Read, gateway: &str, bindings: &[Read]) -> Vec<Vec<usize>> {
    let reached = |exit: &Exit| {
        let published = possible_topics(read, exit, gateway);
        let matched = |other: &Read| {
            let mut filters = other.binding.filters.iter().map(|filter| Glob::new(filter.as_str()));
            filters.any(|filter| published.iter().any(|topic| topic.meets(&filter)))
        };
        (0..).zip(bindings).filter(|(_, other)| matched(other)).map(|(index, _)| index).collect()
    };
    read.exits.iter().map(reached).collect()
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
        true => "choose a topic below `$tidegate/`, which no leading wildcard matches, or `on_error = \"drop\"`",
        false => "publish below a fixed first level that none of these bindings matches, such as \"clean/{topic}\"",
    };
    Problem::error(exit.span.clone(), sentence).advice(advice)
}
