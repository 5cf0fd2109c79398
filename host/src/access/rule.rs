//! One of `[[access.rules]]`: for whom, and what these may do.

use std::sync::Arc;

use super::decision::Place;
use super::glob::Glob;
use super::identity::Identity;
use super::layer::Layer;

#[derive(Clone, Debug)]
pub struct Rule {
    pub who: Who,
    /// Of the table: what its lists do not name is denied by it.
    pub place: Place,
    pub layer: Arc<Layer>,
}

/// What is not written fits everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Fits only who has proved a name.
    pub user: Option<Glob>,
    pub client: Option<Glob>,
    pub listener: Option<Glob>,
}

// === impl Rule ===

impl Rule {
    /// Whether it says the same, wherever it stands.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.who == other.who && self.layer.is_like(&other.layer)
    }
}

// === impl Who ===

impl Who {
    pub fn fits(&self, identity: &Identity) -> bool {
        let is = |glob: &Option<Glob>, name: Option<&str>| {
            glob.as_ref().is_none_or(|glob| name.is_some_and(|name| glob.matches(name)))
        };
        is(&self.user, identity.user.as_deref())
            && is(&self.client, Some(&identity.client))
            && is(&self.listener, Some(&identity.listener))
    }

    /// Whether it fits everybody whom the other one fits.
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |wide: &Option<Glob>, narrow: &Option<Glob>| match (wide, narrow) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.covers(narrow),
        };
        covers(&self.user, &other.user)
            && covers(&self.client, &other.client)
            && covers(&self.listener, &other.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: Option<&str>, client: Option<&str>) -> Who {
        Who { user: user.map(Glob::new), client: client.map(Glob::new), listener: None }
    }

    #[test]
    fn a_user_that_is_named_has_to_be_proved() {
        let anonymous = Identity { user: None, client: "ann".into(), listener: "l".into() };
        assert!(!who(Some("*"), None).fits(&anonymous) && who(None, Some("a*")).fits(&anonymous));
        let ann = Identity { user: Some("ann".into()), ..anonymous };
        assert!(who(Some("*"), None).fits(&ann) && !who(Some("bob"), None).fits(&ann));
    }

    #[test]
    fn one_that_fits_fewer_is_covered() {
        assert!(
            who(None, None).covers(&who(Some("a"), None)) && who(Some("*"), None).covers(&who(Some("a*"), Some("c")))
        );
        assert!(!who(Some("*"), None).covers(&who(None, None)) && !who(None, Some("c")).covers(&who(None, None)));
    }
}
