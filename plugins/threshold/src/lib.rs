//! Forwards readings inside a range and drops the rest. The lesson: a filter is one function.

#![forbid(unsafe_code)]

use tidegate_plugin::prelude::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    /// Where in the payload the number is; without it the payload is the number.
    #[serde(default)]
    field: Pointer,
    /// What becomes of a message that has no number there.
    #[serde(default)]
    when: When,
    min: Option<f64>,
    max: Option<f64>,
    /// Forward what is outside the range instead.
    #[serde(default)]
    invert: bool,
}

impl Plugin for Threshold {
    fn init(&mut self) -> Result<()> {
        match (self.min, self.max) {
            (None, None) => bail!("a threshold needs `min`, `max` or both"),
            (Some(min), Some(max)) if min > max => {
                bail!("`min` = {min} is above `max` = {max}: nothing would be inside")
            }
            _ => Ok(()),
        }
    }

    fn filter(&mut self, message: &Message) -> Result<bool> {
        let reading = match self.when.number(message, &self.field)? {
            Reading::Number(reading) => reading,
            Reading::Pass => return Ok(true),
            Reading::Drop => return Ok(false),
        };
        Ok(self.contains(reading) != self.invert)
    }
}

// === impl Threshold ===

impl Threshold {
    /// Both ends are inside.
    fn contains(&self, reading: f64) -> bool {
        self.min.is_none_or(|min| reading >= min) && self.max.is_none_or(|max| reading <= max)
    }
}

export!(Threshold);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    #[test]
    fn both_ends_of_the_range_are_inside() {
        let mut threshold = Tester::<Threshold>::configured(json!({ "min": 0, "max": 40 })).unwrap();
        for (payload, passes) in [("-0.1", false), ("0", true), (" 21.5\n", true), ("40.0", true), ("4.1e1", false)] {
            assert_eq!(threshold.send("cellar", payload).unwrap().len(), usize::from(passes), "{payload}");
        }
    }

    #[test]
    fn one_end_may_be_open() {
        let mut warm = Tester::<Threshold>::configured(json!({ "min": 30 })).unwrap();
        assert_eq!(warm.send("oven", "1e9").unwrap(), [Message::new("oven", "1e9")]);
        assert_eq!(warm.send("oven", "29.9").unwrap(), []);
    }

    #[test]
    fn inverted_it_forwards_what_is_outside() {
        let config = json!({ "field": "/value", "min": 0, "max": 40, "invert": true });
        let mut alarm = Tester::<Threshold>::configured(config).unwrap();
        assert_eq!(alarm.send("oven", r#"{"value": 20}"#).unwrap(), []);
        assert_eq!(alarm.send("oven", r#"{"value": 41}"#).unwrap().len(), 1);
    }

    #[test]
    fn a_message_without_the_number_fails_and_says_why() {
        let mut threshold = Tester::<Threshold>::configured(json!({ "field": "/value", "min": 0 })).unwrap();
        let cases = [
            ("warm", "the payload is not JSON: "),
            (r#"{"val": 1}"#, "the payload has nothing at `/value`"),
            (r#"{"value": "1"}"#, "the payload is not the JSON expected: expected f64"),
        ];
        for (payload, reason) in cases {
            let error = threshold.send("cellar", payload).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn a_message_without_the_number_passes_or_ends_as_configured() {
        let when = json!({ "missing": "pass", "null": "drop", "text": "read" });
        let config = json!({ "field": "/value", "min": 0, "when": when });
        let mut threshold = Tester::<Threshold>::configured(config).unwrap();
        for (payload, passes) in
            [("{}", true), (r#"{"value":null}"#, false), (r#"{"value":"1"}"#, true), (r#"{"value":"-1"}"#, false)]
        {
            assert_eq!(threshold.send("cellar", payload).unwrap().len(), usize::from(passes), "{payload}");
        }
        assert!(threshold.send("cellar", "warm").is_err());
    }

    #[test]
    fn a_delete_passes_whatever_the_range() {
        let mut threshold = Tester::<Threshold>::configured(json!({ "min": 0 })).unwrap();
        let delete = Message::new("cellar", "").with_retain(true);
        assert_eq!(threshold.handle(&delete).unwrap(), [delete]);
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused() {
        let cases = [
            (json!({}), "a threshold needs `min`, `max` or both"),
            (json!({ "min": 2, "max": 1 }), "`min` = 2 is above `max` = 1: nothing would be inside"),
            (json!({ "mni": 2 }), "unknown field `mni`, expected one of `field`, `when`, `min`, `max`, `invert`"),
            (json!({ "field": "value", "min": 2 }), "`field`: `value` is no JSON pointer: write `/value`"),
        ];
        for (config, reason) in cases {
            assert_eq!(Tester::<Threshold>::configured(config).unwrap_err().to_string(), reason);
        }
    }
}
