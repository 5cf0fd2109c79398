//! Whose a session is.
//!
//! A session belongs to the user that has proved to be its own, for as long as it lasts: another user with the same client identifier gets
//! neither what waits in it nor its place, and does not end its connection either. One that nobody has proved anything for belongs to
//! whoever comes next, as before: so devices keep their sessions when passwords are asked for the first time.

use std::collections::HashSet;

use super::*;

impl Slot {
    /// Whether this client may have what is here, or take its place.
    pub(super) fn is_for(&self, terms: &Terms) -> bool {
        let owner = match self {
            Self::Connected { user, .. } => user.as_ref(),
            // It has ended, and the next sweep says so.
            Self::Away(away) if away.ends_at <= clock::now() => None,
            Self::Away(away) => away.session.owner(),
            Self::Ending => None,
        };
        owner.is_none() || owner == terms.user()
    }

    pub(super) fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::Connected { user, .. } => user.as_ref(),
            Self::Away(away) => away.session.owner(),
            Self::Ending => None,
        }
    }
}

impl Registry {
    /// Ends the connections that were let in by these lines of the password file. Their sessions stay, for who comes back. How many there
    /// were.
    pub fn revoke(&self, ended: &[Arc<User>]) -> usize {
        let ended: HashSet<*const User> = ended.iter().map(Arc::as_ptr).collect();
        let kick_out = |slot: &Slot| match slot {
            Slot::Connected { kick, login: Some(login), .. } if ended.contains(&Arc::as_ptr(login)) => {
                kick.revoke();
                true
            }
            _ => false,
        };
        self.lock().values().filter(|slot| kick_out(slot)).count()
    }
}
