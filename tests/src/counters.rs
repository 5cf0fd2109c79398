//! The counters that a gateway logs when it stops, and the equations that they must satisfy (promise P5).

use std::collections::BTreeMap;
use std::ops::Index;

/// Where a message may be, or how it may have ended: each is at one of these (promise P5).
const FATES: [&str; 17] = [
    "waiting",
    "in_flight",
    "forwarded",
    "unmatched",
    "local_outputs",
    "filtered",
    "dead_lettered",
    "failed_dropped",
    "acl_denied",
    "expired",
    "upstream_refused",
    "undelivered",
    "skipped",
    "dropped_full",
    "oversize",
    "acknowledged_lost",
    "unfinished",
];

#[derive(Clone, Debug, Default)]
pub struct Counters(BTreeMap<String, u64>);

// === impl Counters ===

impl Counters {
    /// From a log line with `name=number` words behind `counters`.
    pub fn parse(line: &str) -> Option<Self> {
        let (_, words) = line.split_once("stopped; counters ")?;
        let pair = |word: &str| {
            let (name, number) = word.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Some(Self(words.split_whitespace().filter_map(pair).collect()))
    }

    /// Nothing vanished: what went into each stage came out of it under one name.
    pub fn assert_conserved(&self) {
        let sum = |names: &[&str]| names.iter().map(|name| self[name]).sum::<u64>();
        let equations = [
            // What was given up in a chain may have had more bindings than one. What went on without a plugin that failed has come out, too.
            (
                "chains",
                sum(&["chain_inputs", "failed_passed"]) == sum(&["chain_forwarded", "filtered", "failed"])
                    || self["unfinished"] > 0,
            ),
            ("failures", self["failed"] == sum(&["dead_lettered", "failed_dropped", "failed_passed"])),
            (
                "the gateway",
                sum(&["received", "internal", "requeued", "tick_outputs", "recovered", "dead_letters_lost", "fan_out"])
                    == sum(&FATES),
            ),
        ];
        for (stage, holds) in equations {
            assert!(holds, "not conserved at {stage}: {self:#?}");
        }
    }
}

impl Index<&str> for Counters {
    type Output = u64;

    /// A name that the gateway does not log is a mistake of the test.
    fn index(&self, name: &str) -> &u64 {
        self.0.get(name).unwrap_or_else(|| panic!("no counter `{name}` in {:?}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_the_last_line() {
        let counters = Counters::parse("INFO app: stopped; counters received=3 committed=2 waiting=1").unwrap();
        assert_eq!((counters["received"], counters["waiting"]), (3, 1));
        assert!(Counters::parse("INFO listening address=1").is_none());
    }
}
