//! Why a message, or a configuration, could not be handled.

use std::error::Error as StdError;
use std::fmt;

/// A failure in one sentence. `?` makes one of any standard error, [`bail!`](crate::bail) of a text.
///
/// It goes into the gateway's log and into dead letters, so it says what is wrong and where, and never a value of the payload:
/// that may be what must not leave the site. What the SDK itself says keeps to this, also of an error of `serde_json`.
///
/// It is no `std::error::Error` itself: Rust then allows `?` on every type that is, as `anyhow` does.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    transient: bool,
    detail: String,
}

/// The result of everything a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives up on this message with a sentence, formatted as by `format!`.
///
/// ```
/// # use tidegate_plugin::prelude::*;
/// fn positive(what: &str, value: f64) -> Result<f64> {
///     if value < 0.0 {
///         bail!("{what} is negative");
///     }
///     Ok(value)
/// }
/// assert_eq!(positive("the level", -1.0).unwrap_err().to_string(), "the level is negative");
/// ```
#[macro_export]
macro_rules! bail {
    ($($sentence:tt)*) => { return ::core::result::Result::Err($crate::Error::new(::std::format!($($sentence)*))) };
}

// === impl Error ===

impl Error {
    /// This message is bad and stays bad.
    pub fn new(detail: impl fmt::Display) -> Self {
        Self { transient: false, detail: detail.to_string() }
    }

    /// The same message may succeed later.
    pub fn transient(detail: impl fmt::Display) -> Self {
        Self { transient: true, detail: detail.to_string() }
    }

    /// May the same message succeed later?
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Says what was being done: `reading the battery: invalid type: ...`.
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { detail: format!("{doing}: {}", self.detail), ..self }
    }

    /// Tells "this is not JSON" from "this is not the JSON that was expected".
    pub(crate) fn unexpected_json(error: serde_json::Error) -> Self {
        let wrong = if error.is_data() { "is not the JSON expected" } else { "is not JSON" };
        Self::new(format!("the payload {wrong}: {}", without_values(&error)))
    }
}

impl<E: StdError + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut detail = words(&error);
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {}", words(error));
            cause = error.source();
        }
        Self::new(detail)
    }
}

fn words(error: &(dyn StdError + 'static)) -> String {
    error.downcast_ref().map_or_else(|| error.to_string(), without_values)
}

/// What serde says about data of the wrong form begins with the data, and an author's `TryFrom` may say anything. What was expected
/// is the author's type, and stays.
fn without_values(error: &serde_json::Error) -> String {
    const OF_DATA: [&str; 5] =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown field ", "unknown variant "];
    const OF_THE_TYPE: [&str; 2] = ["missing field ", "duplicate field "];
    let text = error.to_string();
    let begins = |words: &&str| text.starts_with(*words);
    if !error.is_data() || OF_THE_TYPE.iter().any(&begins) {
        return text;
    }
    // The last one: what a value has of these words does not count.
    match text.rsplit_once(", expected ").filter(|_| OF_DATA.iter().any(begins)) {
        Some((_, expected)) => format!("expected {expected}"),
        None => format!("what is at line {} column {} does not fit", error.line(), error.column()),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transient = if self.transient { "transient: " } else { "" };
        write!(f, "{transient}{}", self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<i32> {
        Ok(text.parse()?)
    }

    #[test]
    fn a_standard_error_becomes_a_lasting_failure_with_its_own_words() {
        let error = parse("seven").unwrap_err();
        assert_eq!(error.to_string(), "invalid digit found in string");
        assert!(!error.is_transient());
    }

    #[test]
    fn no_value_of_the_payload_is_in_what_serde_says() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "read by serde only")]
        struct Strict {
            level: f64,
            kind: Kind,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(try_from = "String")]
        struct Kind;
        impl TryFrom<String> for Kind {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Err(format!("no kind is called {text}"))
            }
        }
        let cases = [
            (r#"{"level": "secret"}"#, "expected f64 at line 1 column 18"),
            (r#"{"level": "a, expected secret"}"#, "expected f64 at line 1 column 30"),
            (r#"{"secret": 1}"#, "expected `level` or `kind` at line 1 column 9"),
            (r#"{"kind": "secret"}"#, "what is at line 1 column 18 does not fit"),
            (r#"{}"#, "missing field `level` at line 1 column 2"),
        ];
        for (payload, told) in cases {
            let parsed = |payload: &str| -> Result<Strict> { Ok(serde_json::from_str(payload)?) };
            let error = parsed(payload).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
            assert_eq!(error, told);
            let message = crate::Message::new("a", payload);
            assert!(!message.json::<Strict>().unwrap_err().to_string().contains("secret"));
        }
    }

    #[test]
    fn context_keeps_what_the_error_was() {
        let error = Error::transient("no key yet").context("hashing");
        assert_eq!((error.to_string().as_str(), error.is_transient()), ("hashing: no key yet", true));
    }
}
