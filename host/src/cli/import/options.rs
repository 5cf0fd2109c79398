//! Every keyword of a mosquitto.conf (2.0, and what 2.1 adds): what it is about, and what we have for it.
//!
//! Most keywords that are not taken over have one answer, which stands here and not in code. Those that have a setting of ours
//! are [`Offer::Asked`]: `convert` asks for them.

mod bridge;
mod broker;
mod listener;

use super::line::Line;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Broker,
    /// Of the broker, or with `per_listener_settings` of the listener.
    Access,
    Listener,
    Bridge,
}

#[derive(Clone, Copy, Debug)]
pub enum Offer {
    Asked,
    /// Nothing has to be done for it here.
    Needless(&'static str),
    /// There is nothing like it. Where its first word is one of these, nothing has to be done for it.
    Missing {
        but: &'static [&'static str],
        then: &'static str,
        why: &'static str,
        todo: &'static str,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    pub name: &'static str,
    pub scope: Scope,
    pub offer: Offer,
}

const SAME: &str = "it is so here anyway";
const PREFIXES: [&str; 2] = ["auth_opt_", "plugin_opt_"];
const PLUGIN_OPTION: Keyword = Keyword { name: "plugin_opt_", scope: Scope::Access, offer: Offer::Asked };

pub fn all() -> impl Iterator<Item = &'static Keyword> {
    broker::KEYWORDS.iter().chain(listener::KEYWORDS).chain(bridge::KEYWORDS)
}

pub fn find(name: &str) -> Option<&'static Keyword> {
    if PREFIXES.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty())) {
        return Some(&PLUGIN_OPTION);
    }
    all().find(|keyword| keyword.name == name)
}

/// Says what becomes of a line when that is known without looking at others.
pub fn settle(keyword: &Keyword, line: &Line) {
    match keyword.offer {
        Offer::Asked => {}
        Offer::Needless(why) => line.needless(why),
        Offer::Missing { but, then, why, todo } => {
            let is_so_here = line.words().next().is_some_and(|word| but.contains(&word));
            if is_so_here { line.needless(then) } else { line.leave(why, todo) }
        }
    }
}

const fn asked(name: &'static str, scope: Scope) -> Keyword {
    Keyword { name, scope, offer: Offer::Asked }
}

const fn needless(name: &'static str, scope: Scope, why: &'static str) -> Keyword {
    Keyword { name, scope, offer: Offer::Needless(why) }
}

const fn missing(
    name: &'static str,
    scope: Scope,
    but: &'static [&'static str],
    why: &'static str,
    todo: &'static str,
) -> Keyword {
    Keyword { name, scope, offer: Offer::Missing { but, then: SAME, why, todo } }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_keyword_stands_twice() {
        let names: Vec<&str> = all().map(|keyword| keyword.name).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(names.len() > 120, "{}", names.len());
    }

    #[test]
    fn options_of_plugins_are_known_by_their_beginning() {
        assert!(find("auth_opt_pg_host").is_some() && find("plugin_opt_config_file").is_some());
        assert!(find("auth_opt_").is_none() && find("Listener").is_none());
    }
}
