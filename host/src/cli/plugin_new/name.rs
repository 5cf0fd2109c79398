//! What a plugin may be called: its name is a folder, a crate, a word of Rust with `_` for `-`, and a key of the configuration.

use std::fmt;
use std::str::FromStr;

/// A checked name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a plugin needs a name, such as `in-range`")]
    Empty,
    #[error("a path is no name: change to the folder that it shall be made in, and name the plugin alone")]
    Path,
    #[error("a name begins with a letter from a to z, and has only those, digits, `-` and `_`, such as `in-range`")]
    Characters,
    #[error("a name has at most {LONGEST} characters")]
    Long,
    #[error("is a word of Rust: add to it, such as `{0}-plugin`")]
    Keyword(String),
    #[error("is the name of a crate that every plugin is made with: add to it, such as `my-{0}`")]
    Taken(String),
}

/// crates.io takes no longer ones.
const LONGEST: usize = 64;

/// What no crate can be called in `use`.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "use", "where", "while",
];

/// Rust's own crates, and what the plugin depends on: cargo would not know which of both is meant.
const TAKEN: [&str; 10] = [
    "alloc",
    "core",
    "proc_macro",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "std",
    "test",
    "tidegate_plugin",
    "wit_bindgen",
];

// === impl Name ===

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let word = text.replace('-', "_");
        match text {
            "" => Err(NameError::Empty),
            _ if text.contains(['/', '\\']) => Err(NameError::Path),
            _ if !text.chars().all(allowed) || !text.starts_with(|c: char| c.is_ascii_lowercase()) => {
                Err(NameError::Characters)
            }
            _ if text.len() > LONGEST => Err(NameError::Long),
            _ if KEYWORDS.contains(&word.as_str()) => Err(NameError::Keyword(text.to_owned())),
            _ if TAKEN.contains(&word.as_str()) => Err(NameError::Taken(text.to_owned())),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_taken() {
        for text in ["range", "in-range", "co2_2", "a", "a-", &"a".repeat(64)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        let cases = [
            ("", NameError::Empty),
            ("a/b", NameError::Path),
            ("../a", NameError::Path),
            ("a\\b", NameError::Path),
            ("Range", NameError::Characters),
            ("2nd", NameError::Characters),
            ("-a", NameError::Characters),
            ("größe", NameError::Characters),
            ("a b", NameError::Characters),
            ("a\n", NameError::Characters),
            (".", NameError::Characters),
            (&"a".repeat(65), NameError::Long),
            ("match", NameError::Keyword("match".into())),
            ("serde", NameError::Taken("serde".into())),
            ("tidegate-plugin", NameError::Taken("tidegate-plugin".into())),
            ("test", NameError::Taken("test".into())),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }
}
