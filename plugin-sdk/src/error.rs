//! Why a message, or a configuration, could not be handled.

use std::error::Error as StdError;
use std::fmt;

/// A failure in one sentence. `?` makes one of any standard error, [`bail!`](crate::bail) of a text.
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
/// fn positive(value: f64) -> Result<f64> {
///     if value < 0.0 {
///         bail!("{value} is negative");
///     }
///     Ok(value)
/// }
/// assert_eq!(positive(-1.0).unwrap_err().to_string(), "-1 is negative");
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
        Self::new(format!("the payload {wrong}: {error}"))
    }
}

impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        Self::new(detail)
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
    fn context_keeps_what_the_error_was() {
        let error = Error::transient("no key yet").context("hashing");
        assert_eq!((error.to_string().as_str(), error.is_transient()), ("hashing: no key yet", true));
    }
}
