//! Names that many things bear, and that cost nothing to pass on.
//!
//! What a message bears goes from the thread that makes it to those that write, send and forget it. Counting who shares a name, as `Arc` does,
//! moves a line of cache between them for each message. There are few names, of the configuration and of the log, and they live as long as
//! the process: so each is kept once and never given back.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, PoisonError};

#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct Name(&'static str);

/// All that there are.
static KNOWN: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

// === impl Name ===

impl Name {
    /// Not for what a device may choose: it is never forgotten.
    pub fn of(text: &str) -> Self {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(text) {
            return Self(name);
        }
        let name: &'static str = Box::leak(text.into());
        known.insert(name);
        Self(name)
    }

    /// None for a text without characters.
    pub fn of_some(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::of(text))
    }
}

/// There is one of each.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let again: String = ["name ", "of a test"].concat();
        let (one, same, other) = (Name::of("name of a test"), Name::of(&again), Name::of("another"));
        assert_eq!((one, one == other, &*same), (same, false, "name of a test"));
        assert!(std::ptr::eq(&*one, &*same));
        assert_eq!((Name::of_some("name of a test"), Name::of_some("")), (Some(one), None));
    }
}
