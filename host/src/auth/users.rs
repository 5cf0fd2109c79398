//! The users of a password file, and who stands in for those who are not there.
//!
//! ```text
//! # a comment
//! NAME:HASH
//! ```
//!
//! Stricter than mosquitto, which leaves out what it does not understand: a line that is wrong makes the file wrong, so that nobody finds
//! out by being locked out, or by being let in. The mark of the encoding that some editors put in front is left out: it would be a part of
//! the first name, and nobody would see it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};

use super::hash::{Hash, HashError};

/// Of a user name. Certificate names and UUIDs fit; it is kept with each session.
pub const MAX_NAME_BYTES: usize = 1_024;

/// Of the problems of one file, so many are told.
const TOLD: usize = 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub struct Users {
    by_name: HashMap<Arc<str>, Arc<User>>,
    /// In the order of the file, which decides who stands in for whom.
    in_order: Vec<Arc<User>>,
    /// Chosen anew with each process, so that nobody outside can work out who stands in for a name.
    stand_ins: RandomState,
}

pub struct User {
    pub name: Arc<str>,
    pub hash: Hash,
    /// The keyed digest of the password that was found to be right (`auth/proven.rs`).
    pub proven: OnceLock<[u8; 32]>,
}

/// Whose hash a password is checked against.
pub enum Found {
    User(Arc<User>),
    /// Somebody else's, for a name that is not there: its check takes as long, and its result is thrown away.
    StandIn(Arc<User>),
    /// The file has no user at all. There is nothing that the time could tell.
    Nobody,
}

#[derive(Debug, PartialEq, Eq)]
pub struct FileError {
    problems: Vec<(usize, LineError)>,
    more: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("there is no `:` between a user name and a hash")]
    NoColon,
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("the same user stands in line {0}: which of the two is right?")]
    Twice(usize),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("it is no UTF-8, and no MQTT client can send such a user name")]
    NotUtf8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the user name is empty")]
    Empty,
    #[error("the user name is longer than 1,024 bytes")]
    TooLong,
    #[error("the user name has a control character")]
    Control,
    #[error("a user name cannot have `:`, which ends it in the file")]
    Colon,
    #[error("a user name cannot begin with `#`, which begins a comment in the file, nor begin or end with a space")]
    Edge,
}

// === impl Users ===

impl Users {
    pub fn parse(file: &[u8]) -> Result<Self, FileError> {
        let (mut in_order, mut lines, mut problems) = (Vec::new(), HashMap::new(), Vec::new());
        for (index, line) in without_mark(file).split(|byte| *byte == b'\n').enumerate() {
            match parse_line(line) {
                Ok(None) => {}
                Ok(Some(user)) => match lines.insert(user.name.clone(), index + 1) {
                    Some(first) => problems.push((index + 1, LineError::Twice(first))),
                    None => in_order.push(Arc::new(user)),
                },
                Err(error) => problems.push((index + 1, error)),
            }
        }
        match problems.is_empty() {
            true => Ok(Self::new(in_order)),
            false => {
                let more = problems.len().saturating_sub(TOLD);
                problems.truncate(TOLD);
                Err(FileError { problems, more })
            }
        }
    }

    fn new(in_order: Vec<Arc<User>>) -> Self {
        let by_name = in_order.iter().map(|user| (user.name.clone(), user.clone())).collect();
        Self { by_name, in_order, stand_ins: RandomState::new() }
    }

    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// A name that is not there has always the same stand-in, as one that is there has always the same hash; and names have stand-ins of
    /// each kind as often as there are users of it.
    pub fn find(&self, name: &str) -> Found {
        if let Some(user) = self.by_name.get(name) {
            return Found::User(user.clone());
        }
        let chosen = self.stand_ins.hash_one(name).checked_rem(self.in_order.len() as u64);
        let stand_in = chosen.and_then(|index| self.in_order.get(usize::try_from(index).ok()?));
        stand_in.map_or(Found::Nobody, |user| Found::StandIn(user.clone()))
    }

    /// Whether this user is there still, with the same password.
    pub fn has(&self, user: &User) -> bool {
        self.by_name.get(&user.name).is_some_and(|now| now.hash == user.hash)
    }

    /// The users of a new file. Who has not changed stays the same one, with what was proved; who stands in for whom stays, too, for the
    /// names whose stand-in does.
    pub fn replaced_by(&self, new: Self) -> Self {
        let kept = |user: Arc<User>| match self.by_name.get(&user.name) {
            Some(old) if old.hash == user.hash => old.clone(),
            _ => user,
        };
        let users = Self::new(new.in_order.into_iter().map(kept).collect());
        Self { stand_ins: self.stand_ins.clone(), ..users }
    }

    /// Those of this file who are not in another one, or have another password there.
    pub fn ended_in<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = &'a Arc<User>> {
        self.in_order.iter().filter(|user| !new.has(user))
    }
}

pub(super) fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file)
}

fn parse_line(line: &[u8]) -> Result<Option<User>, LineError> {
    let line = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, hash) = line.split_once(':').ok_or(LineError::NoColon)?;
    check_name(name)?;
    Ok(Some(User { name: name.into(), hash: Hash::parse(hash.trim_start())?, proven: OnceLock::new() }))
}

/// What can be a user name in a password file.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if name.contains(':') {
        return Err(NameError::Colon);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    if name.starts_with('#') || name.trim() != name {
        return Err(NameError::Edge);
    }
    Ok(())
}

// === impl User ===

/// A hash can be guessed from.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl FileError ===

/// By lines; what stands in them is not repeated.
impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, problem)) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}line {line}: {problem}")?;
        }
        if self.more > 0 { write!(f, "; and {} lines more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for FileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hash::Method;

    const SIX: &str =
        "$6$FZD1LQn+7EoEaEtm$F1eZS1vv4cZp4Zm1ZSTBD2todY7pntjIiCDaOucJuQmebgc74/BZvWVZ6YPZ7+sn/vkXtbkQnCfW0AHSLSncjw==";
    const SEVEN: &str = "$7$101$sWWLTZH57aaG2M4a$O6pItTyN+wu9sEd+TtIOR5KwvKL7/iwL6XCZBsk/8JV9OVoRkW8Ho1CpoEnt3hvctiLfkVtJFxrBubOIaAWpdg==";

    fn users(file: &str) -> Users {
        Users::parse(file.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(file: &[u8]) -> String {
        Users::parse(file).map_or_else(|error| error.to_string(), |_| "good".to_owned())
    }

    #[test]
    fn lines_of_mosquitto_are_read_whatever_ends_them() {
        let users = users(&format!("# devices\r\n\r\na:{SIX}\r\nb+/#*:{SEVEN}  \n  \nä b:{SEVEN}"));
        assert_eq!(users.len(), 3);
        for name in ["a", "b+/#*", "ä b"] {
            assert!(matches!(users.find(name), Found::User(user) if &*user.name == name));
        }
    }

    #[test]
    fn a_mark_of_the_encoding_is_no_part_of_the_first_name() {
        let users = users(&format!("\u{feff}a:{SIX}\r\nb:{SIX}"));
        assert!(matches!(users.find("a"), Found::User(_)) && users.len() == 2);
        assert!(refused("\u{feff}# devices\nx".as_bytes()).starts_with("line 2: there is no `:`"));
    }

    #[test]
    fn a_wrong_line_is_named_and_not_repeated() {
        let cases: [(&[u8], &str); 8] = [
            (b"\nsecretuser\n", "line 2: there is no `:`"),
            (b"a:geheim", "line 1: the password is not hashed"),
            (b":$6$", "line 1: the user name is empty"),
            (b"a\x07:$6$", "line 1: the user name has a control"),
            (b" a:$6$", "line 1: a user name cannot begin"),
            (b"\xff:$6$", "line 1: it is no UTF-8"),
            (b"a:$2y$10$abc", "line 1: a hash of the kind `$2y$`"),
            (b"a:$6$AAAA$geheim", "line 1: the hash is damaged"),
        ];
        for (file, words) in cases {
            let said = refused(file);
            assert!(said.starts_with(words) && !said.contains("geheim") && !said.contains("secret"), "{said}");
        }
        assert_eq!(
            refused(format!("a:{SIX}\n\na:{SEVEN}").as_bytes()),
            "line 3: the same user stands in line 1: which of the two is right?"
        );
        assert!(refused("x\n".repeat(5_000).as_bytes()).ends_with("and 4990 lines more"));
    }

    #[test]
    fn who_is_not_there_has_a_stand_in_that_stays_and_of_each_kind_as_often_as_there_are_users_of_it() {
        let file: String =
            (0..40).map(|number| format!("u{number}:{}\n", if number % 4 == 0 { SIX } else { SEVEN })).collect();
        let users = users(&file);
        let method = |name: &str| match users.find(name) {
            Found::StandIn(user) => user.hash.method(),
            _ => panic!("{name} is no user"),
        };
        let unknown: Vec<String> = (0..2_000).map(|number| format!("unknown{number}")).collect();
        let of_six = unknown.iter().filter(|name| method(name) == Method::Sha512).count();
        assert!((350..650).contains(&of_six), "{of_six} of 2,000, and a quarter of the users");
        assert!(unknown.iter().all(|name| method(name) == method(name)));
    }

    #[test]
    fn a_file_without_users_lets_nobody_in() {
        assert!(matches!(users("# none\n").find("a"), Found::Nobody));
    }

    #[test]
    fn a_new_file_keeps_who_has_not_changed_and_ends_who_has() {
        let old = users(&format!("kept:{SIX}\nchanged:{SIX}\ngone:{SIX}"));
        let Found::User(kept) = old.find("kept") else { panic!() };
        kept.proven.set([7; 32]).unwrap();
        let new = old.replaced_by(users(&format!("new:{SEVEN}\nchanged:{SEVEN}\nkept:{SIX}")));
        let ended: Vec<&str> = old.ended_in(&new).map(|user| &*user.name).collect();
        assert_eq!(ended, ["changed", "gone"]);
        assert!(new.has(&kept) && matches!(new.find("kept"), Found::User(user) if user.proven.get() == Some(&[7; 32])));
    }
}
