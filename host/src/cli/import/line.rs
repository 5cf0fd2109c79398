//! One line of a mosquitto.conf, and what became of it.
//!
//! A line that is not a comment is taken over or named; nobody has to remember to name it, because one of which nothing became is named, too.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

pub struct Line {
    pub place: Place,
    /// Files that are included count from 1: each begins without a listener and without a connection.
    pub scope: usize,
    pub keyword: String,
    /// What stands behind it, without the blanks around.
    pub value: String,
    fate: RefCell<Fate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Rc<str>,
    pub number: usize,
}

/// What became of a line. From the weakest to the strongest: a line of which a part was left is not one that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has asked for it.
    #[default]
    Unasked,
    /// A setting of ours stands for it.
    Taken,
    /// It is so here anyway, or has no meaning here.
    Needless(String),
    /// Something will be otherwise than it was.
    Left { why: String, todo: String },
}

/// What a line says, with the line.
pub struct Said<'a, T> {
    pub value: T,
    pub line: &'a Line,
}

/// Of these only the keyword is shown, in the output and in what is said about it.
const SECRETS: [&str; 5] = ["password", "remote_password", "local_password", "bridge_psk", "tls_engine_kpass_sha1"];
/// Options of plugins have passwords of databases among them.
const SECRET_PREFIXES: [&str; 2] = ["auth_opt_", "plugin_opt_"];

// === impl Line ===

impl Line {
    /// Nothing for a comment and for an empty line.
    pub fn read(text: &str, place: Place, scope: usize) -> Option<Self> {
        // mosquitto's strings end there.
        let text = text.split('\0').next().unwrap_or_default();
        let blank = |c: char| c == ' ' || c == '\t' || c == '\r';
        let text = text.trim_matches(blank);
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let (keyword, value) = text.split_once(blank).unwrap_or((text, ""));
        let (keyword, value) = (keyword.to_owned(), value.trim_matches(blank).to_owned());
        Some(Self { place, scope, keyword, value, fate: RefCell::default() })
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.value.split([' ', '\t']).filter(|word| !word.is_empty())
    }

    pub fn take(&self) {
        self.settle(Fate::Taken);
    }

    pub fn needless(&self, why: impl Into<String>) {
        self.settle(Fate::Needless(why.into()));
    }

    pub fn leave(&self, why: impl Into<String>, todo: impl Into<String>) {
        self.settle(Fate::Left { why: why.into(), todo: todo.into() });
    }

    /// The first word of the strongest kind stays.
    fn settle(&self, fate: Fate) {
        let mut settled = self.fate.borrow_mut();
        if rank(&fate) > rank(&settled) {
            *settled = fate;
        }
    }

    pub fn fate(&self) -> Fate {
        match self.fate.borrow().clone() {
            Fate::Unasked => Fate::Left {
                why: "it has no effect where it stands".to_owned(),
                todo: "remove it, or put it below the `listener` or `connection` that it is for".to_owned(),
            },
            settled => settled,
        }
    }
}

fn rank(fate: &Fate) -> u8 {
    match fate {
        Fate::Unasked => 0,
        Fate::Taken => 1,
        Fate::Needless(_) => 2,
        Fate::Left { .. } => 3,
    }
}

/// As it stands in the file, without what must not be told.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, keyword, value, .. } = self;
        let is_secret = SECRETS.contains(&keyword.as_str()) || SECRET_PREFIXES.iter().any(|it| keyword.starts_with(it));
        match (value.as_str(), is_secret) {
            ("", _) => write!(f, "{place}: {keyword}"),
            (_, true) => write!(f, "{place}: {keyword} (not shown)"),
            (value, false) => write!(f, "{place}: {keyword} {value}"),
        }
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<Line> {
        Line::read(text, Place { file: "m.conf".into(), number: 7 }, 0)
    }

    #[test]
    fn a_line_is_a_keyword_and_what_is_behind_it() {
        for (text, keyword, value) in [
            ("listener 1883", "listener", "1883"),
            ("  topic   # out 1 \"\" x/ \r", "topic", "# out 1 \"\" x/"),
            ("persistence", "persistence", ""),
            ("clientid\ta b", "clientid", "a b"),
            ("user x\0y", "user", "x"),
        ] {
            let line = line(text).unwrap();
            assert_eq!((line.keyword.as_str(), line.value.as_str()), (keyword, value), "{text:?}");
        }
        for nothing in ["", "   ", "# listener 1", "\t#x", "\0listener 1"] {
            assert!(line(nothing).is_none(), "{nothing:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for text in ["remote_password geheim", "auth_opt_pg_pass geheim", "bridge_psk geheim"] {
            let shown = line(text).unwrap().to_string();
            assert!(!shown.contains("geheim") && shown.contains("m.conf:7"), "{shown}");
        }
    }

    #[test]
    fn what_was_left_once_is_not_taken_later() {
        let line = line("allow_anonymous true").unwrap();
        assert!(matches!(line.fate(), Fate::Left { .. }), "nobody asked");
        line.take();
        line.leave("a", "b");
        line.take();
        line.leave("c", "d");
        assert_eq!(line.fate(), Fate::Left { why: "a".into(), todo: "b".into() });
    }
}
