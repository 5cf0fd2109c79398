//! Who has published a retained message. Whether it may still is asked when the message is delivered, as mosquitto does with
//! `check_retain_source`: from whom a right has been taken does not speak on through what is kept of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::decision::Action;
use super::granted::Granted;
use super::identity::Identity;
use super::permit::Access;
use crate::topic::TopicName;

/// Of one connection, shared by all that is kept of it.
pub struct Source {
    identity: Arc<Identity>,
    /// What it may do under the rules of this version: one replay asks for thousands of topics.
    granted: Mutex<Option<Known>>,
}

pub(super) type Known = (u64, Arc<Granted>);

// === impl Source ===

impl Source {
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity, granted: Mutex::default() }
    }

    pub(super) fn knowing(identity: Arc<Identity>, known: Option<Known>) -> Self {
        Self { identity, granted: Mutex::new(known) }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Bytes that it keeps in memory.
    pub fn weight(&self) -> usize {
        const BOOKKEEPING: usize = 192;
        let Identity { user, client, listener } = &*self.identity;
        BOOKKEEPING + user.as_ref().map_or(0, |user| user.len()) + client.len() + listener.len()
    }

    /// Where there are no rules any more, nobody has lost a right.
    pub(super) fn may_publish(&self, access: &Access, topic: &TopicName) -> bool {
        self.granted(access).is_none_or(|granted| granted.allows(Action::Publish, topic))
    }

    fn granted(&self, access: &Access) -> Option<Arc<Granted>> {
        let version = access.version();
        let mut known = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, granted)) = &*known
            && *of == version
        {
            return Some(granted.clone());
        }
        let rules = access.rules();
        if rules.is_empty() {
            return None;
        }
        let granted = Arc::new(rules.of(&self.identity));
        *known = Some((version, granted.clone()));
        Some(granted)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AclFile, Policy, Rules};

    fn policy(acl: Option<&str>) -> Policy {
        let acl = acl.map(|text| AclFile::parse(text, &"acl".into()).unwrap());
        Policy { rules: Arc::new(Rules { rules: Vec::new(), acl }), open: vec!["l".into()], ..Policy::default() }
    }

    fn identity(client: &str) -> Identity {
        Identity { user: None, client: client.into(), listener: "l".into() }
    }

    #[test]
    fn it_is_asked_for_under_the_rules_that_hold_then_and_without_any_by_nobody() {
        let topic = TopicName::parse("all/x").unwrap();
        let access = Arc::new(Access::new(policy(Some("topic readwrite all/#\n"))));
        let (source, mut subscriber) = (access.permit(identity("dev")).source(), access.permit(identity("new")));
        let stored = Source::new(Arc::new(identity("dev")));
        let mut is_told = |is: bool| {
            for source in [source.as_deref(), Some(&stored)] {
                assert_eq!(subscriber.may_receive_retained(&topic, source), is, "{:?}", access.rules());
            }
            assert!(subscriber.may_receive(&topic) && subscriber.may_receive_retained(&topic, None));
        };
        is_told(true);
        access.replace(policy(Some("topic read #\n")));
        is_told(false);
        access.replace(policy(None));
        is_told(true);
        access.replace(policy(Some("topic deny all/x\ntopic read #\npattern read all/#")));
        assert!(!access.permit(identity("new")).may_receive(&topic));
    }

    #[test]
    fn where_nothing_is_asked_it_is_kept_of_nobody_until_rules_come() {
        let access = Arc::new(Access::new(policy(None)));
        let mut permit = access.permit(identity("dev"));
        assert!(permit.source().is_none());
        access.replace(policy(Some("topic readwrite #\n")));
        assert!(permit.may_publish(&TopicName::parse("a").unwrap()));
        assert_eq!(permit.source().map(|source| source.identity().clone()), Some(identity("dev")));
    }
}
