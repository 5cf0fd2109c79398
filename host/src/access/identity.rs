//! Who asks, and which of its names may stand in a topic.

use std::sync::Arc;

/// A client as the rules know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// What a password or a certificate has proved. None where nobody asks for one.
    pub user: Option<Arc<str>>,
    pub client: Arc<str>,
    /// The name of the listener that it came through.
    pub listener: Arc<str>,
}

/// The names that fill the places of patterns.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub user: Option<Arc<str>>,
    pub client: Option<Arc<str>>,
}

// === impl Identity ===

impl Identity {
    /// With only those names that are one level of a topic.
    pub(super) fn names(&self) -> Names {
        let usable = |name: &Arc<str>| is_one_level(name).then(|| name.clone());
        Names { user: self.user.as_ref().and_then(usable), client: usable(&self.client) }
    }

    /// mosquitto gives nothing by a pattern to who has such a name, whether the pattern uses it or not: it was chosen to be read as a
    /// wildcard.
    pub(super) fn has_wildcards(&self) -> bool {
        let is_wild = |name: &str| name.contains(['+', '#', '\0']);
        is_wild(&self.client) || self.user.as_deref().is_some_and(is_wild)
    }
}

fn is_one_level(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '/', '\0'])
}
