//! What a minute was like: count, mean, lowest and highest reading of each topic, instead of the readings. The lesson: durable
//! state, and a clock.
//!
//! Each reading goes into what is remembered of its topic, and is dropped; the binding's `tick` puts out one summary for each
//! topic that had readings, and forgets them. Both are as durable as the messages: a reading that was acknowledged is in a summary.
//!
//! A topic keeps its place for two windows after its last reading. So a device that makes up topics takes the places that are free,
//! and not those of sensors that are known.

#![forbid(unsafe_code)]

mod summary;

use std::time::Duration;

use tidegate_plugin::prelude::*;

use summary::{Place, Summary};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    /// Where in the payload the number is; without it the payload is the number.
    #[serde(default)]
    field: Pointer,
    /// What becomes of a message that has no number there.
    #[serde(default)]
    when: When,
    /// What is put behind the topic of the readings.
    #[serde(default = "window")]
    suffix: String,
    /// The quality of service of the summaries.
    #[serde(default = "one")]
    qos: u8,
    /// How many topics may have a place.
    #[serde(default = "hundred")]
    max_topics: usize,
}

impl Plugin for Window {
    fn init(&mut self) -> Result<()> {
        if self.suffix.is_empty() || self.suffix.contains(['#', '+', '\0']) {
            bail!("`suffix` is put behind topics: it must not be empty, nor have `#` or `+` in it");
        }
        if self.qos > 2 {
            bail!("`qos` is 0, 1 or 2");
        }
        Ok(())
    }

    fn filter(&mut self, message: &Message) -> Result<bool> {
        let reading = match self.when.number(message, &self.field)? {
            Reading::Number(reading) => reading,
            Reading::Pass => return Ok(true),
            Reading::Drop => return Ok(false),
        };
        let topic = message.topic();
        let place = match state::get::<Place>(topic)? {
            Some(place) => place.with(reading, message.arrived()),
            None => self.first(reading, message.arrived())?,
        };
        state::set(topic, &place)?;
        Ok(false)
    }

    /// The topic has no place any more. What was read until now is reported first: it was acknowledged.
    fn delete(&mut self, message: &Message) -> Result<Outputs> {
        let Some(place) = state::get::<Place>(message.topic())? else { return Ok(Outputs::same()) };
        state::delete(message.topic());
        let report = self.report(message.topic(), &place, message.arrived())?;
        Ok(report.iter().map(Output::of).chain([Output::new()]).collect())
    }

    fn tick(&mut self, now: Duration) -> Result<Vec<Message<'static>>> {
        let (mut reports, mut places) = (Vec::new(), 0);
        for topic in state::keys("") {
            let Some(place) = state::get::<Place>(&topic)? else { continue };
            reports.extend(self.report(&topic, &place, now)?);
            match place.after_window() {
                Some(empty) => state::set(&topic, &empty)?,
                None => state::delete(&topic),
            }
            places += 1;
        }
        metrics::gauge("topics", f64::from(places));
        metrics::count("windows", 1);
        Ok(reports)
    }
}

// === impl Window ===

impl Window {
    fn first(&self, reading: f64, arrived: Duration) -> Result<Place> {
        if state::keys("").len() >= self.max_topics {
            bail!("more than {} topics: raise `max_topics`, and `limits.max_outputs` with it", self.max_topics);
        }
        Ok(Place::of(Summary::of(reading, arrived)))
    }

    /// None, when there was no reading.
    fn report(&self, topic: &str, place: &Place, now: Duration) -> Result<Option<Message<'static>>> {
        let Some(summary) = place.summary() else { return Ok(None) };
        let payload = summary.report(now)?;
        Ok(Some(Message::new(format!("{topic}/{}", self.suffix), payload).with_qos(self.qos())))
    }

    fn qos(&self) -> QoS {
        match self.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }
}

fn window() -> String {
    "window".to_owned()
}

fn one() -> u8 {
    1
}

fn hundred() -> usize {
    100
}

export!(Window, tick);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    /// Topic and payload of each summary.
    fn tick(window: &mut Tester<Window>, second: u64) -> Vec<(String, serde_json::Value)> {
        let told = |message: &Message| {
            let payload = serde_json::from_slice(message.payload()).unwrap();
            (message.topic().to_owned(), payload)
        };
        window.at(at(second)).tick().unwrap().iter().map(told).collect()
    }

    #[test]
    fn each_topic_has_its_summary_and_then_begins_again() {
        let mut window = Tester::configured(json!({})).unwrap();
        for (second, topic, reading) in [(1, "a", "1"), (2, "b", "-5"), (3, "a", "3"), (4, "a", "2")] {
            assert_eq!(window.at(at(second)).send(topic, reading).unwrap(), []);
        }
        let a = json!({ "count": 3, "mean": 2.0, "min": 1.0, "max": 3.0, "from_ms": 1_000, "to_ms": 10_000 });
        let b = json!({ "count": 1, "mean": -5.0, "min": -5.0, "max": -5.0, "from_ms": 2_000, "to_ms": 10_000 });
        assert_eq!(tick(&mut window, 10), [("a/window".to_owned(), a), ("b/window".to_owned(), b)]);
        assert_eq!(tick(&mut window, 20), []);
        window.at(at(21)).send("b", "7").unwrap();
        assert_eq!(tick(&mut window, 30)[0].1["count"], 1);
        assert!(window.metric("windows") >= Some(3.0));
    }

    #[test]
    fn a_restart_in_the_middle_of_a_window_loses_no_reading() {
        let mut window = Tester::configured(json!({})).unwrap();
        window.send("a", "1").unwrap();
        window.restart().unwrap().send("a", "2").unwrap();
        assert_eq!(tick(&mut window, 10)[0].1["count"], 2);
    }

    #[test]
    fn field_suffix_and_qos_are_as_configured() {
        let config = json!({ "field": "/celsius", "suffix": "minute", "qos": 2 });
        let mut window = Tester::<Window>::configured(config).unwrap();
        window.send("a", r#"{"celsius": 20.5}"#).unwrap();
        let summaries = window.tick().unwrap();
        assert_eq!((summaries[0].topic(), summaries[0].qos()), ("a/minute", QoS::ExactlyOnce));
        assert!(window.send("a", r#"{"fahrenheit": 70}"#).is_err());
        assert_eq!(window.tick().unwrap(), [], "what failed is not counted");
    }

    #[test]
    fn what_is_no_reading_is_in_no_summary() {
        let mut window =
            Tester::<Window>::configured(json!({ "when": { "not_json": "pass", "null": "drop" } })).unwrap();
        window.send("a", "1").unwrap();
        assert_eq!(window.send("a", "offline").unwrap(), [Message::new("a", "offline")]);
        assert_eq!(window.send("a", "null").unwrap(), []);
        assert_eq!(tick(&mut window, 10)[0].1["count"], 1);
    }

    #[test]
    fn a_topic_too_many_is_refused_with_what_to_raise() {
        let mut window = Tester::<Window>::configured(json!({ "max_topics": 1 })).unwrap();
        window.send("a", "1").unwrap();
        let error = window.send("b", "1").unwrap_err().to_string();
        assert!(error.contains("`max_topics`") && error.contains("`limits.max_outputs`"), "{error}");
        window.send("a", "2").unwrap();
    }

    #[test]
    fn known_topics_keep_their_places_for_two_windows_while_others_ask_for_them() {
        let mut window = Tester::<Window>::configured(json!({ "max_topics": 3 })).unwrap();
        window.send("sensor", "1").unwrap();
        for second in 1..=2 {
            tick(&mut window, second);
            let taken = (0..9).filter(|n| window.send(&format!("made-up/{second}/{n}"), "1").is_ok()).count();
            assert!(taken <= 2, "in window {second}");
        }
        window.send("sensor", "1").unwrap();
        (3..=6).for_each(|second| drop(tick(&mut window, second)));
        (0..3).for_each(|n| drop(window.send(&format!("new/{n}"), "1").unwrap()));
    }

    #[test]
    fn a_delete_reports_what_was_read_gives_the_place_back_and_passes() {
        let mut window = Tester::<Window>::configured(json!({ "max_topics": 1 })).unwrap();
        window.send("a", "1").unwrap();
        let delete = |topic| Message::new(topic, "").with_retain(true);
        let out = window.at(at(5)).handle(&delete("a")).unwrap();
        assert_eq!(out.iter().map(Message::topic).collect::<Vec<_>>(), ["a/window", "a"]);
        assert_eq!(out[1], delete("a"));
        window.send("b", "1").unwrap();
        assert_eq!(window.handle(&delete("c")).unwrap(), [delete("c")], "of a topic that nobody knows");
        assert_eq!(tick(&mut window, 10).len(), 1);
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused() {
        for config in [json!({ "suffix": "" }), json!({ "suffix": "a/#" }), json!({ "qos": 3 }), json!({ "feild": "" })]
        {
            assert!(Tester::<Window>::configured(config.clone()).is_err(), "{config}");
        }
    }
}
