//! How a plugin of the configuration was found at the last attempt to load it.

use std::sync::Arc;

use crate::plugin::{LoadError, LoadedPlugin};

#[derive(Clone)]
pub enum Found {
    Loaded(Box<LoadedPlugin>),
    /// Nothing speaks against it, and its code is to come.
    Uncompiled {
        is_stateful: bool,
    },
    Refused(Arc<LoadError>),
}

// === impl Found ===

impl Found {
    pub fn loaded(&self) -> Option<&LoadedPlugin> {
        if let Self::Loaded(plugin) = self { Some(plugin) } else { None }
    }

    pub fn refused(&self) -> Option<&LoadError> {
        if let Self::Refused(error) = self { Some(error) } else { None }
    }

    pub fn is_uncompiled(&self) -> bool {
        matches!(self, Self::Uncompiled { .. })
    }

    /// It is not there, and may be at another attempt.
    pub fn may_pass(&self) -> bool {
        self.refused().is_some_and(|error| error.problem.may_pass())
    }
}
