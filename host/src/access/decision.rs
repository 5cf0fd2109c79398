//! What was decided, and by which line.

use std::fmt;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Publish,
    Subscribe,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub is_allowed: bool,
    pub ground: Ground,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// There are no rules, and who reaches the listener may do everything.
    Open,
    /// There are no rules, and the network reaches the listener.
    Closed,
    /// The same, and it is open, but not for what the gateway says of itself.
    Sys,
    /// This line names the topic, in these words.
    Line(Place, Arc<str>),
    /// This rule is for the client, and does not name the topic.
    NotNamed(Place),
    /// A wildcard or NUL in the name of the user or the client: patterns give nothing.
    Name,
    /// No rule is for the client, or none of the ACL file names the topic.
    Nobody,
}

// === impl Action ===

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        })
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

// === impl Ground ===

impl Ground {
    /// The line that decided, if there is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Line(place, _) | Self::NotNamed(place) => Some(place),
            Self::Open | Self::Closed | Self::Sys | Self::Name | Self::Nobody => None,
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("there are no access rules, and this listener is open to who reaches it"),
            Self::Closed => f.write_str(
                "there are no access rules, and this listener is not on loopback: write `[[access.rules]]` or `acl_file`",
            ),
            Self::Sys => f.write_str(
                "at a listener that is not on loopback, `$SYS` is for those whom an access rule allows it: write `[[access.rules]]` or `acl_file`",
            ),
            Self::Line(place, text) => write!(f, "{place}: {text}"),
            Self::NotNamed(place) => {
                write!(f, "{place}: this rule is the first that fits the client, and does not name the topic")
            }
            Self::Name => {
                f.write_str("the name of the user or the client contains `+`, `#` or NUL, and no pattern holds for it")
            }
            Self::Nobody => f.write_str("no rule allows it, and what no rule allows is denied"),
        }
    }
}
