//! The kinds of values that a key can have, and how a person is told about them.

use std::fmt::Display;
use std::time::Duration;

use bytesize::ByteSize;
use toml::de::DeValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Flag,
    Number,
    Duration,
    Size,
    List,
    Texts,
    Table,
    /// Of tables, each under a name of its own.
    Named,
    Tables,
    InlineTables,
}

/// A value with a smallest and a largest, and the way it is written in the file.
pub trait Limit: PartialOrd + Copy {
    fn shown(&self) -> String;
}

// === impl Kind ===

impl Kind {
    /// What was expected, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Duration => "a duration",
            Self::Size => "a size",
            Self::List => "a list",
            Self::Texts => "a string or a list of strings",
            Self::Table | Self::Named => "a table",
            Self::Tables | Self::InlineTables => "a list of tables",
        }
    }

    /// How to write `key` with a value of this kind.
    pub fn example(self, key: &str) -> String {
        match self {
            Self::Text => format!("`{key} = \"...\"`"),
            Self::Flag => format!("`{key} = true`"),
            Self::Number => format!("`{key} = 100`"),
            Self::Duration => format!("`{key} = \"5s\"`; units are ms, s, m, h, days"),
            Self::Size => format!("`{key} = \"16MiB\"`; units are B, KiB, MiB, GiB"),
            Self::List | Self::Texts => format!("`{key} = [\"...\"]`"),
            Self::Table => format!("`[{key}]`"),
            Self::Named => format!("`[{key}.NAME]`"),
            Self::Tables => format!("`[[{key}]]`"),
            Self::InlineTables => format!("`{key} = [{{ ... }}]`"),
        }
    }

    /// What stands there instead, with its article.
    pub fn found(value: &DeValue<'_>) -> &'static str {
        match value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

// === impl Limit ===

macro_rules! numbers {
    ($($number:ty),*) => { $(impl Limit for $number {
        fn shown(&self) -> String { plain(self) }
    })* };
}
numbers!(u16, u32, usize, i64);

fn plain(number: impl Display) -> String {
    number.to_string()
}

impl Limit for Duration {
    fn shown(&self) -> String {
        format!("\"{}\"", humantime::format_duration(*self))
    }
}

impl Limit for ByteSize {
    fn shown(&self) -> String {
        format!("\"{}\"", self.to_string().replace(' ', "").replace(".0", ""))
    }
}
