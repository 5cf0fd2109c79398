//! The rules that hold now, and what a client holds of them.
//!
//! A permit is asked for each message, so it has the answer for its client at hand, and looks at one number to see whether the rules have
//! changed since. Where there are none it has nothing to ask.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

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

/// Of the whole gateway.
#[derive(Debug, Default)]
pub struct Access {
    rules: RwLock<Arc<Rules>>,
    /// Rises with each change of them.
    version: AtomicU64,
    /// Without rules: the listeners that are open to who reaches them.
    open: Vec<String>,
    /// Of these, the ones that the network reaches: `$SYS` is not for everybody there.
    exposed: Vec<String>,
    denied_publish: DeniedPublish,
}

/// Of one client. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Permit {
    identity: Arc<Identity>,
    /// None where nothing is asked.
    asked: Option<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    access: Arc<Access>,
    version: u64,
    granted: Arc<Granted>,
    published: Memo,
    received: Memo,
}

// === impl Access ===

impl Access {
    pub fn new(rules: Arc<Rules>, open: Vec<String>, denied_publish: DeniedPublish) -> Self {
        Self { rules: RwLock::new(rules), version: AtomicU64::new(0), open, exposed: Vec::new(), denied_publish }
    }

    /// Those of the open listeners that the network reaches.
    pub fn exposing(self, listeners: Vec<String>) -> Self {
        Self { exposed: listeners, ..self }
    }

    /// From now on these hold, for those who are connected as well.
    pub fn replace(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of a session that is found after a restart. Its identity was written where there were rules; without any, and without one, it came
    /// through a listener that was open.
    pub fn permit_of_stored(self: &Arc<Self>, client: &Arc<str>, identity: Option<Identity>) -> Permit {
        match identity {
            None if self.rules().is_empty() => Permit::open(Identity { client: client.clone(), ..Identity::default() }),
            identity => self.permit(Identity { client: client.clone(), ..identity.unwrap_or_default() }),
        }
    }

    pub fn permit(self: &Arc<Self>, identity: Identity) -> Permit {
        let version = self.version();
        let granted = self.of(&identity);
        // Rules do not come to a gateway that was started without any, and so nothing has to be asked again.
        let asked = (!granted.is_open || granted.hides_sys).then(|| Asked {
            access: self.clone(),
            version,
            granted: Arc::new(granted),
            published: Memo::default(),
            received: Memo::default(),
        });
        Permit { identity: Arc::new(identity), asked }
    }

    pub fn of(&self, identity: &Identity) -> Granted {
        let rules = self.rules();
        let is_among = |listeners: &[String]| listeners.iter().any(|listener| **listener == *identity.listener);
        match rules.is_empty() {
            false => rules.of(identity),
            true if is_among(&self.exposed) => Granted::everything_but_sys(),
            true if is_among(&self.open) => Granted::everything(),
            true => Granted::nothing(Ground::Closed),
        }
    }
}

// === impl Permit ===

impl Permit {
    fn open(identity: Identity) -> Self {
        Self { identity: Arc::new(identity), asked: None }
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
        let known = self.asked.as_ref().map(|asked| (asked.version, asked.granted.clone()));
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
        self.asked().is_none_or(|asked| {
            ask(&asked.granted, &mut asked.received, Action::Subscribe, topic)
                && source.is_none_or(|source| source.may_publish(&asked.access, topic))
        })
    }

    pub fn may_subscribe(&mut self, filter: &TopicFilter) -> bool {
        self.asked().is_none_or(|asked| asked.granted.allows_filter(filter))
    }

    /// Whether a client of MQTT 3.1.1 is disconnected for what it may not publish.
    pub fn disconnects(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.access.denied_publish == DeniedPublish::Disconnect)
    }

    /// Why, for who reads the log.
    pub fn decide(&mut self, action: Action, topic: &TopicName) -> Decision {
        let open = || Decision { is_allowed: true, ground: Ground::Open };
        self.asked().map_or_else(open, |asked| asked.granted.decide(action, topic))
    }

    fn asked(&mut self) -> Option<&mut Asked> {
        let asked = self.asked.as_mut()?;
        let version = asked.access.version();
        if asked.version != version {
            asked.granted = Arc::new(asked.access.of(&self.identity));
            (asked.published, asked.received) = Default::default();
            asked.version = version;
        }
        Some(asked)
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
