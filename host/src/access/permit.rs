//! The rules that hold now, and what a client holds of them.
//!
//! A permit is asked for each message, so it has the answer for its client at hand, and looks at one number to see whether the rules have
//! changed since. Where there are none it has nothing to ask, until some come with a reload.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::acl_file::AclFile;
use super::decision::{Action, Decision, Ground};
use super::granted::Granted;
use super::identity::Identity;
use super::memo::Memo;
use super::rules::Rules;
use super::source::Source;
use crate::topic::{TopicFilter, TopicName};

/// What becomes of a client of MQTT 3.1.1 that publishes what it may not: that version has no word for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeniedPublish {
    /// Its message is acknowledged, and goes nowhere.
    #[default]
    Drop,
    Disconnect,
}

/// What holds for all clients at a time.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub rules: Arc<Rules>,
    /// Without rules: the listeners that are open to who reaches them.
    pub open: Vec<String>,
    /// Of these, the ones that the network reaches: `$SYS` is not for everybody there.
    pub exposed: Vec<String>,
    pub denied_publish: DeniedPublish,
}

/// Of the whole gateway.
#[derive(Debug, Default)]
pub struct Access {
    policy: RwLock<Arc<Policy>>,
    /// Rises with each change of it.
    version: AtomicU64,
}

/// Of one client. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Permit {
    identity: Arc<Identity>,
    /// None where there is nothing to ask, now and ever.
    access: Option<Arc<Access>>,
    /// Of the access rules that `asked` is made of.
    version: u64,
    /// None where everything is allowed.
    asked: Option<Asked>,
    /// It is of a session that came through an open listener, before a restart: without rules it may do everything.
    was_open: bool,
}

#[derive(Clone, Debug)]
struct Asked {
    granted: Arc<Granted>,
    denied_publish: DeniedPublish,
    published: Memo,
    received: Memo,
}

// === impl Access ===

impl Access {
    pub fn new(policy: Policy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)), version: AtomicU64::new(0) }
    }

    /// From now on this holds, for those who are connected as well.
    pub fn replace(&self, policy: Policy) {
        self.change(|held| *held = policy);
    }

    /// The same for the ACL file alone, unless somebody else has the word by then.
    pub fn replace_acl(&self, acl: AclFile, is_still_wanted: impl FnOnce() -> bool) {
        self.change(|held| {
            if is_still_wanted() {
                held.rules = Arc::new(Rules { rules: held.rules.rules.clone(), acl: Some(acl) });
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Policy)) {
        let mut held = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut held));
        drop(held);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn rules(&self) -> Arc<Rules> {
        self.policy().rules.clone()
    }

    /// Of a session that is found after a restart. Its identity was written where there were rules; without any, and without one, it came
    /// through a listener that was open.
    pub fn permit_of_stored(self: &Arc<Self>, client: &Arc<str>, identity: Option<Identity>) -> Permit {
        let was_open = identity.is_none();
        Permit::new(self, Identity { client: client.clone(), ..identity.unwrap_or_default() }, was_open)
    }

    pub fn permit(self: &Arc<Self>, identity: Identity) -> Permit {
        Permit::new(self, identity, false)
    }

    pub fn of(&self, identity: &Identity) -> Granted {
        self.policy().of(identity)
    }
}

// === impl Policy ===

impl Policy {
    fn of(&self, identity: &Identity) -> Granted {
        let is_among = |listeners: &[String]| listeners.iter().any(|listener| **listener == *identity.listener);
        match self.rules.is_empty() {
            false => self.rules.of(identity),
            true if is_among(&self.exposed) => Granted::everything_but_sys(),
            true if is_among(&self.open) => Granted::everything(),
            true => Granted::nothing(Ground::Closed),
        }
    }
}

// === impl Permit ===

impl Permit {
    fn new(access: &Arc<Access>, identity: Identity, was_open: bool) -> Self {
        let access = Some(access.clone());
        let mut permit = Self { identity: Arc::new(identity), access, version: 0, asked: None, was_open };
        permit.renew();
        permit
    }

    /// What a restart has to know of it, if anything.
    pub fn stored(&self) -> Option<Arc<Identity>> {
        (self.asked.is_some() || self.identity.user.is_some()).then(|| self.identity.clone())
    }

    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// For what is kept of its messages.
    pub fn source(&self) -> Option<Arc<Source>> {
        let known = self.asked.as_ref().map(|asked| (self.version, asked.granted.clone()));
        self.stored().map(|identity| Arc::new(Source::knowing(identity, known)))
    }

    pub fn may_publish(&mut self, topic: &TopicName) -> bool {
        self.asked().is_none_or(|asked| ask(&asked.granted, &mut asked.published, Action::Publish, topic))
    }

    pub fn may_receive(&mut self, topic: &TopicName) -> bool {
        self.asked().is_none_or(|asked| ask(&asked.granted, &mut asked.received, Action::Subscribe, topic))
    }

    /// Of a message that is kept there: whether who has published it may do so still, as well.
    pub fn may_receive_retained(&mut self, topic: &TopicName, source: Option<&Source>) -> bool {
        let still_may = |(source, access): (&Source, &Access)| source.may_publish(access, topic);
        self.may_receive(topic) && source.zip(self.access.as_deref()).is_none_or(still_may)
    }

    pub fn may_subscribe(&mut self, filter: &TopicFilter) -> bool {
        self.asked().is_none_or(|asked| asked.granted.allows_filter(filter))
    }

    /// Whether a client of MQTT 3.1.1 is disconnected for what it may not publish.
    pub fn disconnects(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.denied_publish == DeniedPublish::Disconnect)
    }

    /// Why, for who reads the log.
    pub fn decide(&mut self, action: Action, topic: &TopicName) -> Decision {
        let open = || Decision { is_allowed: true, ground: Ground::Open };
        self.asked().map_or_else(open, |asked| asked.granted.decide(action, topic))
    }

    fn asked(&mut self) -> Option<&mut Asked> {
        let now = self.access.as_ref()?.version();
        if self.version != now {
            self.renew();
        }
        self.asked.as_mut()
    }

    fn renew(&mut self) {
        let Some(access) = &self.access else { return };
        // Before what it is the version of: what changes in between is seen the next time.
        self.version = access.version();
        let policy = access.policy();
        let granted = match self.was_open && policy.rules.is_empty() {
            true => Granted::everything(),
            false => policy.of(&self.identity),
        };
        self.asked = (!granted.is_open || granted.hides_sys).then(|| Asked {
            granted: Arc::new(granted),
            denied_publish: policy.denied_publish,
            published: Memo::default(),
            received: Memo::default(),
        });
    }
}

fn ask(granted: &Granted, memo: &mut Memo, action: Action, topic: &TopicName) -> bool {
    if let Some(answer) = memo.answer(topic) {
        return answer;
    }
    let answer = granted.allows(action, topic);
    memo.keep(topic, answer);
    answer
}
