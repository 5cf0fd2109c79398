//! Report by exception: forwards a reading only when it has moved. The lesson: state is a field.
//!
//! A reading is compared with the last one *forwarded* of its topic, so a slow drift is seen as soon as it has left the band.

#![forbid(unsafe_code)]

mod memory;

use std::time::Duration;

use tidegate_plugin::prelude::*;

use memory::Memory;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deadband {
    /// Where in the payload the number is; without it the payload is the number.
    #[serde(default)]
    field: Pointer,
    /// What becomes of a message that has no number there.
    #[serde(default)]
    when: When,
    /// Half the width of the band, in the unit of the reading.
    absolute: Option<f64>,
    /// Half the width of the band, in percent of the last reading forwarded.
    percent: Option<f64>,
    /// Seconds after which a reading is forwarded even when it has not moved.
    max_silence: Option<f64>,
    /// How many topics are remembered at most.
    #[serde(default = "ten_thousand")]
    max_topics: usize,
    /// How many bytes their names and what is known of them may have together.
    #[serde(default = "four_mebibytes")]
    max_bytes: usize,
    #[serde(skip)]
    forwarded: Memory<Report>,
}

/// Two topics of 65,535 bytes, and what is known of them.
const LEAST_BYTES: usize = 132_000;

/// What was last forwarded of a topic.
#[derive(Clone, Copy, Debug)]
struct Report {
    reading: f64,
    arrived: Duration,
}

impl Plugin for Deadband {
    fn init(&mut self) -> Result<()> {
        if self.absolute.is_none() && self.percent.is_none() {
            bail!("a deadband needs `absolute`, `percent` or both");
        }
        let positive = [("absolute", self.absolute), ("percent", self.percent), ("max_silence", self.max_silence)];
        for (name, value) in positive {
            if value.is_some_and(|value| value < 0.0) {
                bail!("`{name}` must not be negative");
            }
        }
        if self.max_topics < 2 {
            bail!("`max_topics` must be at least 2");
        }
        if self.max_bytes < LEAST_BYTES {
            bail!("`max_bytes` must be at least {LEAST_BYTES}: two topics of the longest that there are");
        }
        self.forwarded = Memory::of(self.max_topics, self.max_bytes);
        Ok(())
    }

    fn filter(&mut self, message: &Message) -> Result<bool> {
        let reading = match self.when.number(message, &self.field)? {
            Reading::Number(reading) => reading,
            Reading::Pass => return Ok(true),
            Reading::Drop => return Ok(false),
        };
        // The clock costs a call to the host: asked for only when silence counts.
        let arrived = self.max_silence.map_or(Duration::ZERO, |_| message.arrived());
        if self.forwarded.get(message.topic()).is_some_and(|last| !self.tells_news(&last, reading, arrived)) {
            return Ok(false);
        }
        self.forwarded.put(message.topic(), Report { reading, arrived });
        Ok(true)
    }

    /// Nobody knows a reading of this topic any more: the next one is news.
    fn delete(&mut self, message: &Message) -> Result<Outputs> {
        self.forwarded.forget(message.topic());
        Ok(Outputs::same())
    }
}

// === impl Deadband ===

impl Deadband {
    fn tells_news(&self, last: &Report, reading: f64, arrived: Duration) -> bool {
        let moved = (reading - last.reading).abs();
        let left = |band: Option<f64>| band.is_some_and(|band| moved > band);
        let percent = self.percent.map(|percent| last.reading.abs() * percent / 100.0);
        // In both directions: when the clock has been set back since, it would be silent until it is where it was.
        let apart = arrived.abs_diff(last.arrived).as_secs_f64();
        left(self.absolute) || left(percent) || self.max_silence.is_some_and(|longest| apart >= longest)
    }
}

fn ten_thousand() -> usize {
    10_000
}

/// Ten thousand topics of 280 bytes each; a quarter of the memory that a plugin has by default.
fn four_mebibytes() -> usize {
    4 << 20
}

export!(Deadband);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    fn forwarded(deadband: &mut Tester<Deadband>, topic: &str, readings: &[f64]) -> Vec<f64> {
        let passes = |reading: &&f64| !deadband.send(topic, reading.to_string()).unwrap().is_empty();
        readings.iter().filter(passes).copied().collect()
    }

    #[test]
    fn a_reading_passes_when_it_has_left_the_band_around_the_last_forwarded() {
        let mut deadband = Tester::configured(json!({ "absolute": 0.5 })).unwrap();
        let readings = [20.0, 20.5, 20.4, 20.6, 20.2, 20.0];
        assert_eq!(forwarded(&mut deadband, "a", &readings), [20.0, 20.6, 20.0]);
    }

    #[test]
    fn a_percent_band_is_of_the_last_forwarded() {
        let mut deadband = Tester::configured(json!({ "percent": 10 })).unwrap();
        assert_eq!(
            forwarded(&mut deadband, "a", &[-100.0, -109.0, -111.0, -122.0, 0.0, 0.1]),
            [-100.0, -111.0, 0.0, 0.1]
        );
    }

    #[test]
    fn leaving_either_band_is_enough() {
        let mut deadband = Tester::configured(json!({ "absolute": 5, "percent": 10 })).unwrap();
        assert_eq!(forwarded(&mut deadband, "a", &[10.0, 12.0, 500.0, 506.0]), [10.0, 12.0, 500.0, 506.0]);
    }

    #[test]
    fn each_topic_has_its_own_band() {
        let mut deadband = Tester::configured(json!({ "absolute": 1 })).unwrap();
        assert_eq!(forwarded(&mut deadband, "a", &[1.0]), [1.0]);
        assert_eq!(forwarded(&mut deadband, "b", &[1.0, 1.5]), [1.0]);
    }

    #[test]
    fn silence_ends_after_its_time() {
        let mut deadband = Tester::<Deadband>::configured(json!({ "absolute": 1, "max_silence": 60 })).unwrap();
        let set_back = [(200, false), (10, true), (69, false), (70, true)];
        for (second, passes) in
            [(100, true), (159, false), (160, true), (161, false), (220, true)].into_iter().chain(set_back)
        {
            let out = deadband.at(Duration::from_secs(second)).send("a", "7").unwrap();
            assert_eq!(!out.is_empty(), passes, "at {second} s");
        }
    }

    #[test]
    fn what_is_no_reading_moves_no_band() {
        let mut deadband =
            Tester::<Deadband>::configured(json!({ "absolute": 1, "when": { "not_json": "pass" } })).unwrap();
        assert_eq!(deadband.send("a", "7").unwrap().len(), 1);
        assert_eq!(deadband.send("a", "offline").unwrap(), [Message::new("a", "offline")]);
        assert_eq!(deadband.send("a", "7").unwrap(), []);
    }

    #[test]
    fn after_a_delete_the_next_reading_is_news() {
        let mut deadband = Tester::configured(json!({ "absolute": 1 })).unwrap();
        assert_eq!(forwarded(&mut deadband, "a", &[7.0, 7.0]), [7.0]);
        let delete = Message::new("a", "").with_retain(true);
        assert_eq!(deadband.handle(&delete).unwrap(), [delete]);
        assert_eq!(forwarded(&mut deadband, "a", &[7.0, 7.0]), [7.0]);
    }

    #[test]
    fn a_topic_forgotten_is_forwarded_again_and_never_lost() {
        let mut deadband = Tester::configured(json!({ "absolute": 1, "max_topics": 2 })).unwrap();
        for topic in ["a", "b", "c", "a"] {
            assert_eq!(forwarded(&mut deadband, topic, &[1.0]), [1.0], "{topic}");
        }
    }

    #[test]
    fn long_topics_take_the_place_of_several_and_are_forwarded_all_the_same() {
        let mut deadband = Tester::configured(json!({ "absolute": 1, "max_bytes": 132_000 })).unwrap();
        let long = |n: usize| format!("{n}/{}", "x".repeat(65_000));
        for n in 0..100 {
            assert_eq!(forwarded(&mut deadband, &long(n), &[1.0, 1.0]), [1.0], "{n}");
        }
        assert!(forwarded(&mut deadband, &long(98), &[1.0]).is_empty(), "the last two are remembered");
        assert_eq!(forwarded(&mut deadband, &long(97), &[1.0]), [1.0]);
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused() {
        let cases = [
            (json!({}), "a deadband needs `absolute`, `percent` or both"),
            (json!({ "absolute": -1 }), "`absolute` must not be negative"),
            (json!({ "percent": 1, "max_silence": -1 }), "`max_silence` must not be negative"),
            (json!({ "percent": 1, "max_topics": 1 }), "`max_topics` must be at least 2"),
            (
                json!({ "percent": 1, "max_bytes": 131_999 }),
                "`max_bytes` must be at least 132000: two topics of the longest that there are",
            ),
        ];
        for (config, reason) in cases {
            assert_eq!(Tester::<Deadband>::configured(config).unwrap_err().to_string(), reason);
        }
    }
}
