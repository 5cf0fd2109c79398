//! An ACL file of mosquitto, read as mosquitto reads it.
//!
//! ```text
//! # of clients without a user name, before the first `user`
//! topic read news/#
//! user ann
//! topic [read|write|readwrite|deny] TOPIC
//! pattern [read|write|readwrite|deny] sensors/%u/%c/#        of everybody, wherever it stands
//! ```
//!
//! - A comment begins with `#` in the first column. Words are separated by spaces, and a TOPIC may contain some when the word before it says
//!   what may be done.
//! - Of a user the lines that deny are asked first, the last one before the others; then those that allow, in their order. Then the same
//!   of all patterns. The first that names the topic and says something of what is asked decides.
//! - Several sections of one user are one.

use std::collections::HashMap;
use std::sync::Arc;

use super::decision::Place;
use super::layer::{Entry, Grant, Layer};
use super::pattern::{Pattern, Places};

#[derive(Clone, Debug, Default)]
pub struct AclFile {
    /// By the user name, none for those who have none.
    users: HashMap<Option<Arc<str>>, Arc<Layer>>,
    patterns: Arc<Layer>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    pub place: Place,
    pub sentence: String,
}

/// Lines as they are collected.
#[derive(Default)]
struct Lines {
    /// In the order in which they are asked.
    users: HashMap<Option<Arc<str>>, Vec<Entry>>,
    patterns: Vec<Entry>,
    user: Option<Arc<str>>,
}

// === impl AclFile ===

impl AclFile {
    /// All that is wrong, not the first of it.
    pub fn parse(text: &str, file: &Arc<str>) -> Result<Self, Vec<LineError>> {
        let (mut lines, mut errors) = (Lines::default(), Vec::new());
        // Some editors put a mark of the encoding in front, which nobody sees. mosquitto refuses the file then.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.split('\n').enumerate() {
            let place = Place { file: file.clone(), line: index + 1 };
            if let Err(sentence) = lines.take(line.trim_end_matches(is_space), &place) {
                errors.push(LineError { place, sentence });
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let users = lines.users.into_iter().map(|(user, entries)| (user, Arc::new(Layer::new(entries)))).collect();
        Ok(Self { users, patterns: Arc::new(Layer::new(lines.patterns)) })
    }

    pub(super) fn of(&self, user: Option<&str>) -> Option<&Arc<Layer>> {
        self.users.get(&user.map(Arc::from))
    }

    /// Whether it says the same, wherever its lines stand.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let has_like = |(user, layer): (&Option<Arc<str>>, &Arc<Layer>)| {
            other.users.get(user).is_some_and(|others| layer.is_like(others))
        };
        let is_same_size = self.users.len() == other.users.len();
        is_same_size && self.users.iter().all(has_like) && self.patterns.is_like(&other.patterns)
    }

    pub(super) fn patterns(&self) -> &Arc<Layer> {
        &self.patterns
    }

    /// Whether any of it is about user names.
    pub fn has_users(&self) -> bool {
        let is_used = |entry: &Entry| entry.pattern.has_user();
        self.users.keys().any(Option::is_some) || self.patterns.entries().iter().any(is_used)
    }

    /// Whether it gives nobody anything.
    pub fn is_empty(&self) -> bool {
        let allows = |layer: &Arc<Layer>| layer.entries().iter().any(|entry| entry.grant != Grant::Deny);
        !self.users.values().any(allows) && !allows(&self.patterns)
    }
}

// === impl Lines ===

impl Lines {
    fn take(&mut self, line: &str, place: &Place) -> Result<(), String> {
        if line.starts_with('#') {
            return Ok(());
        }
        let line = line.trim_start_matches(' ');
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "user" => self.user = Some(user(rest)?),
            "topic" => {
                let entry = entry(line, rest, Places::Without, place)?;
                file(self.users.entry(self.user.clone()).or_default(), entry);
            }
            "pattern" => file(&mut self.patterns, entry(line, rest, Places::Percent, place)?),
            _ if word.contains('\t') => return Err("the words of a line are separated by spaces, not by tabs".into()),
            _ => return Err("a line begins with `user`, `topic` or `pattern`, and a comment with `#`".into()),
        }
        Ok(())
    }
}

/// Those that deny in front, as mosquitto puts them.
fn file(entries: &mut Vec<Entry>, entry: Entry) {
    let at = if entry.grant == Grant::Deny { 0 } else { entries.len() };
    entries.insert(at, entry);
}

fn user(rest: &str) -> Result<Arc<str>, String> {
    match rest.trim_matches(is_space) {
        "" => Err("`user` needs a name: `user ann`".into()),
        name => Ok(name.into()),
    }
}

fn entry(line: &str, rest: &str, places: Places, place: &Place) -> Result<Entry, String> {
    let rest = rest.trim_start_matches(' ');
    let (first, topic) = rest.split_once(' ').unwrap_or((rest, ""));
    let (grant, topic) = match (first, topic.trim_matches(is_space)) {
        ("", _) => return Err("the topic is missing".into()),
        (topic, "") => (Grant::Both, topic),
        ("read", topic) => (Grant::Subscribe, topic),
        ("write", topic) => (Grant::Publish, topic),
        ("readwrite", topic) => (Grant::Both, topic),
        ("deny", topic) => (Grant::Deny, topic),
        (other, _) => return Err(format!("`{other}` is none of `read`, `write`, `readwrite` and `deny`")),
    };
    let pattern = Pattern::parse(topic, places).map_err(|error| format!("`{topic}`: {error}"))?;
    Ok(Entry { pattern, grant, place: place.clone(), text: line.into() })
}

/// What C calls so.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AclFile, Vec<String>> {
        AclFile::parse(text, &"acl".into())
            .map_err(|errors| errors.into_iter().map(|error| format!("{}: {}", error.place, error.sentence)).collect())
    }

    fn lines(layer: &Layer) -> Vec<(usize, Grant, &str)> {
        layer.entries().iter().map(|entry| (entry.place.line, entry.grant, entry.pattern.text())).collect()
    }

    #[test]
    fn lines_are_filed_as_mosquitto_asks_them() {
        let text = "# news\ntopic read news/#\n\nuser ann b \r\n  topic  write  with space \ntopic deny x\npattern %u\ntopic plain\nuser bob\ntopic b\nuser ann b\ntopic deny y";
        let acl = parse(text).unwrap();
        assert_eq!(lines(acl.of(None).unwrap()), [(2, Grant::Subscribe, "news/#")]);
        assert_eq!(
            lines(acl.of(Some("ann b")).unwrap()),
            [
                (12, Grant::Deny, "y"),
                (6, Grant::Deny, "x"),
                (5, Grant::Publish, "with space"),
                (8, Grant::Both, "plain")
            ]
        );
        assert_eq!(lines(acl.patterns()), [(7, Grant::Both, "%u")]);
        assert!(acl.of(Some("ann")).is_none());
    }

    #[test]
    fn each_bad_line_is_named() {
        let text = "user\ntopic\ntopics a\ntopic rw a\ntopic read a/#/b\npattern %u+\ntopic\tread a\n # x";
        let errors = parse(text).unwrap_err();
        let numbers: Vec<&str> = errors.iter().filter_map(|error| error.split(':').nth(1)).collect();
        assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8"]);
        assert!(errors[3].contains("`rw` is none of") && errors[6].contains("tabs"), "{errors:?}");
    }

    #[test]
    fn a_mark_of_the_encoding_in_front_belongs_to_no_line() {
        for (text, line) in [("# x\r\ntopic a\r\n", 2), ("topic a", 1)] {
            let acl = parse(&format!("\u{feff}{text}")).unwrap();
            assert_eq!(lines(acl.of(None).unwrap()), [(line, Grant::Both, "a")]);
        }
        assert!(parse("topic a\n\u{feff}topic b").is_err(), "anywhere else it is in the way");
    }

    #[test]
    fn a_word_alone_is_a_topic() {
        let acl = parse("topic read\n").unwrap();
        assert_eq!(lines(acl.of(None).unwrap()), [(1, Grant::Both, "read")]);
        assert!(!acl.is_empty() && parse("topic deny a").unwrap().is_empty() && parse("").unwrap().is_empty());
    }
}
