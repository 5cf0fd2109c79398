//! What becomes of a message that has no number where a plugin looks for one: the answers that a configuration chooses, in the same words for
//! every plugin.
//!
//! ```toml
//! [plugins.NAME.config]
//! when = { empty = "pass", missing = "drop", null = "drop", text = "read" }
//! ```
//!
//! What is not chosen fails, and the binding's `on_error` decides. A delete is none of these: see [`Plugin::delete`](crate::Plugin::delete).

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Message, Pointer, Result};

/// A plugin's field `when`, with `#[serde(default)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The payload is empty, or blank.
    empty: Answer,
    /// The payload is JSON and has nothing at this place.
    missing: Answer,
    /// There is `null`.
    null: Answer,
    /// There is a number as text, `"21.5"`.
    text: OfText,
    /// There is something else: a word, `true`, a list.
    other: Answer,
    /// The payload is no JSON.
    not_json: Answer,
}

/// What becomes of such a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    #[default]
    Fail,
    Pass,
    Drop,
}

/// The same, or the number is taken out of its quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OfText {
    #[default]
    Fail,
    Pass,
    Drop,
    Read,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A number.
    Number(f64),
    /// None, and the message is to pass as it came.
    Pass,
    /// None, and the message ends here.
    Drop,
}

// === impl When ===

impl When {
    /// The number at a place of the payload, or what is to become of the message. Costs nothing more than [`Message::number`] where there is one.
    ///
    /// ```
    /// # use tidegate_plugin::prelude::*;
    /// # use tidegate_plugin::testing::json;
    /// let when: When = serde_json::from_value(json!({ "null": "drop" }))?;
    /// let celsius = Pointer::parse("/celsius")?;
    /// assert_eq!(when.number(&Message::new("a", r#"{"celsius": 21.5}"#), &celsius)?, Reading::Number(21.5));
    /// assert_eq!(when.number(&Message::new("a", r#"{"celsius": null}"#), &celsius)?, Reading::Drop);
    /// assert!(when.number(&Message::new("a", "{}"), &celsius).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn number(&self, message: &Message, place: &Pointer) -> Result<Reading> {
        match message.number(place) {
            Ok(number) => Ok(Reading::Number(number)),
            Err(error) => self.otherwise(message.payload(), place, error),
        }
    }

    /// Only now is looked at what is there.
    fn otherwise(&self, payload: &[u8], place: &Pointer, error: Error) -> Result<Reading> {
        let answer = match place.read::<Value>(payload) {
            _ if payload.trim_ascii().is_empty() => self.empty,
            Err(_) => self.not_json,
            Ok(None) => self.missing,
            Ok(Some(Value::Null)) => self.null,
            Ok(Some(Value::String(text))) => match as_number(&text) {
                Some(number) => return self.text.answer(number, error),
                None => self.other,
            },
            Ok(Some(_)) => self.other,
        };
        answer.reading(error)
    }
}

/// As JSON writes numbers, and nothing more: `nan`, `inf` and `0x1f` are words.
fn as_number(text: &str) -> Option<f64> {
    serde_json::from_str(text.trim()).ok()
}

// === impl Answer ===

impl Answer {
    fn reading(self, error: Error) -> Result<Reading> {
        match self {
            Self::Fail => Err(error),
            Self::Pass => Ok(Reading::Pass),
            Self::Drop => Ok(Reading::Drop),
        }
    }
}

// === impl OfText ===

impl OfText {
    fn answer(self, number: f64, error: Error) -> Result<Reading> {
        match self {
            Self::Fail => Err(error),
            Self::Pass => Ok(Reading::Pass),
            Self::Drop => Ok(Reading::Drop),
            Self::Read => Ok(Reading::Number(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A payload of each kind, and its key in `when`.
    const KINDS: [(&str, &str); 10] = [
        ("", "empty"),
        (" \n", "empty"),
        ("{}", "missing"),
        (r#"{"v": null}"#, "null"),
        (r#"{"v": "21.5"}"#, "text"),
        (r#"{"v": "ON"}"#, "other"),
        (r#"{"v": "nan"}"#, "other"),
        (r#"{"v": true}"#, "other"),
        (r#"{"v": [1]}"#, "other"),
        ("online", "not_json"),
    ];

    fn when(config: serde_json::Value) -> When {
        serde_json::from_value(config).unwrap()
    }

    fn reading(when: When, payload: &str) -> Result<Reading> {
        when.number(&Message::new("a", payload), &Pointer::parse("/v").unwrap())
    }

    #[test]
    fn each_kind_has_the_answer_that_was_chosen_and_no_other_has() {
        for (payload, key) in KINDS {
            assert!(reading(When::default(), payload).is_err(), "{payload}");
            for (answer, expected) in [("pass", Reading::Pass), ("drop", Reading::Drop)] {
                let chosen = when(json!({ key: answer }));
                assert_eq!(reading(chosen, payload).unwrap(), expected, "{payload}");
                for (other, _) in KINDS.iter().filter(|(_, other)| *other != key) {
                    assert!(reading(chosen, other).is_err(), "{key}: {other}");
                }
            }
        }
    }

    #[test]
    fn a_number_passes_whatever_was_chosen_and_text_is_read_on_request() {
        let all = when(
            json!({ "empty": "drop", "missing": "drop", "null": "drop", "text": "read", "other": "drop", "not_json": "drop" }),
        );
        assert_eq!(reading(all, r#"{"v": -2e1}"#).unwrap(), Reading::Number(-20.0));
        assert_eq!(reading(all, r#"{"v": " 21.5 "}"#).unwrap(), Reading::Number(21.5));
        assert_eq!(reading(all, r#"{"v": "21,5"}"#).unwrap(), Reading::Drop);
    }

    #[test]
    fn words_that_are_none_of_these_are_refused() {
        for config in [json!({ "nul": "pass" }), json!({ "null": "read" }), json!({ "null": "ignore" }), json!("pass")]
        {
            assert!(serde_json::from_value::<When>(config.clone()).is_err(), "{config}");
        }
    }
}
