//! Wills that wait: for their delay, or for a device that was connected when the gateway died.
//!
//! The will of a connected device is written when it comes (MQTT 5, section 3.1.2.5: after a failure of the server its will is published by
//! the next process). The devices of a gateway that is started again come back within seconds, and then there is nothing to tell; so each
//! has [`BACK`] for it, whatever its will says of a delay.

use super::*;
use crate::access::Action;
use crate::base::excerpt::brief;
use crate::base::kill_point::{self, KillPoint};
use crate::ingress::stored::StoredWill;

/// How long a device that was connected when the gateway died has to come back.
pub(super) const BACK: Duration = Duration::from_secs(10);

/// A will whose device is away.
#[derive(Clone, Debug)]
pub(super) struct WaitingWill {
    pub left: LeftWill,
    pub delay: Duration,
    pub due: Instant,
    /// Its device did not leave: the gateway died.
    pub is_of_crash: bool,
}

/// By client: of those without a session that is kept.
#[derive(Debug, Default)]
pub(super) struct Orphans(Mutex<HashMap<Arc<str>, WaitingWill>>);

// === impl WaitingWill ===

impl WaitingWill {
    /// From now on.
    pub fn of(Will { message, delay }: Will, permit: Permit, now: Instant, ledger: &Arc<Ledger>) -> Self {
        let delay = Duration::from_secs(delay.into());
        Self { left: LeftWill::new(message, permit, ledger), delay, due: now + delay, is_of_crash: false }
    }

    pub fn restored(stored: StoredWill, permit: Permit, now: Instant, ledger: &Arc<Ledger>) -> Self {
        let (due, is_of_crash) = (now + stored.due_in(BACK), stored.due_ms.is_none());
        Self { left: LeftWill::new(stored.message, permit, ledger), delay: stored.delay, due, is_of_crash }
    }

    /// What is written of it, with the receipt for it.
    pub fn written(&self, client: &Arc<str>) -> (Change, Receipt) {
        let LeftWill { message, permit, .. } = self.left.clone();
        let (due_ms, identity) = (Some(timeline::ms_of(self.due)), permit.stored());
        let put = Change::put(will_of(client), StoredWill { due_ms, delay: self.delay, message, identity }.encode());
        (put, self.left.receipt())
    }
}

// === impl Orphans ===

impl Orphans {
    pub fn add(&self, client: Arc<str>, will: WaitingWill) {
        self.lock().insert(client, will);
    }

    /// Its device is back.
    fn remove(&self, client: &str) -> bool {
        self.lock().remove(client).is_some()
    }

    pub fn take_due(&self, now: Instant) -> Vec<(Arc<str>, WaitingWill)> {
        self.lock().extract_if(|_, will| will.due <= now).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, WaitingWill>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Registry ===

impl Registry {
    /// A device has come: its will in the place of what is written there, with the receipt for it; and the place of its will among those that
    /// are kept.
    pub(super) fn replaced_will(
        &self,
        client: &Arc<str>,
        away: Option<&Away>,
        (will, permit): (Option<&Will>, &Permit),
    ) -> (Option<(Change, Receipt)>, Option<HeldPart>) {
        let is_orphan = self.orphans.remove(client);
        let has_one = is_orphan || away.is_some_and(|away| away.will.is_some());
        match will.and_then(|will| self.wills.kept(client, will, permit)) {
            Some((put, receipt, place)) => (Some((put, receipt)), Some(place)),
            None => (has_one.then(|| (Change::delete(will_of(client)), Receipt::none())), None),
        }
    }

    /// That it is due, in the place of what is written of it, and then published.
    pub(super) fn publish_written(&self, client: &Arc<str>, will: LeftWill) {
        let Some(will) = self.permitted(client, will) else {
            return self.write_of(client, vec![Change::delete(will_of(client))]);
        };
        let mut changes = Vec::new();
        let will = self.wills.take_over(client, will, &mut changes);
        self.write_of(client, changes);
        kill_point::reach(KillPoint::WillDue);
        self.wills.publish(will);
    }

    /// If the access rules still allow it; counted, if they do not.
    pub(super) fn permitted(&self, client: &Arc<str>, mut will: LeftWill) -> Option<LeftWill> {
        let topic = &will.message.topic;
        if will.permit.may_publish(topic) {
            return Some(will);
        }
        let counters = self.bus.counters();
        counters.internal.increment();
        counters.listeners.of(&will.permit.identity().listener).acl_denied.increment();
        if let Some(suppressed) = self.warnings.permit() {
            let why = will.permit.decide(Action::Publish, topic).ground;
            tracing::warn!(client = ?brief(client), ?topic, suppressed, "the will of this client is not published: {why}");
        }
        None
    }

    /// The same with the end of a connection.
    pub(super) fn publish_at_end(&self, client: &Arc<str>, will: LeftWill) {
        let Some(will) = self.permitted(client, will) else {
            return self.write_of(client, vec![Change::delete(will_of(client))]);
        };
        let mut changes = Vec::new();
        let will = self.wills.end_with_connection(client, will, &mut changes);
        self.write_of(client, changes);
        kill_point::reach(KillPoint::WillDue);
        self.wills.publish(will);
    }
}

// === impl Away ===

impl Away {
    /// Its device is back and wants another session: with the last one its will is due, unless the device never left.
    pub(super) fn of_returned(mut self: Box<Self>) -> Self {
        self.will.take_if(|will| will.is_of_crash);
        *self
    }
}
