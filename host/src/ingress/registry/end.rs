//! The end of a session: written before the next one of the same client is.

use super::*;
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::ingress::session::Farewell;

/// The session of a device that is away. Its slot stays and says that it ends, until [`Registry::finish`].
pub(super) fn take_to_end(slots: &mut HashMap<Arc<str>, Slot>, client: &str) -> Option<Box<Away>> {
    let slot = slots.get_mut(client)?;
    match std::mem::replace(slot, Slot::Ending) {
        Slot::Away(away) => Some(away),
        other => {
            *slot = other;
            None
        }
    }
}

impl Registry {
    /// Looks again: the device may have come back since the sweep saw it away.
    pub(super) fn expire(&self, client: &str, now: Instant) {
        let mut slots = self.lock();
        let Some(Slot::Away(away)) = slots.get(client) else { return };
        if away.ends_at > now {
            return;
        }
        let away = take_to_end(&mut slots, client);
        drop(slots);
        away.into_iter().for_each(|away| self.finish(*away));
    }

    /// Ends a session whose slot says so, and lets the next one of its client begin.
    pub(super) fn finish(&self, away: Away) {
        let client = away.session.client().clone();
        self.end(away, Receipt::none());
        self.lock().remove(&client);
        self.released.notify_waiters();
    }

    /// The session ends, and with it the delay of its will (MQTT 5, section 3.1.3.2.2). That the will is due is written with the end of
    /// the session, and that it is published with what becomes of it: a crash publishes it neither twice nor never. That may take its
    /// time, in the chain of a binding; the session goes at once, because the next one of this client waits for it.
    pub(super) fn end(&self, away: Away, receipt: Receipt) {
        let Away { mut session, will, .. } = away;
        let mailbox = session.mailbox().clone();
        let Farewell { from_groups, sent, ending, session: mut gone, left_over } = session.farewell();
        session.subscriptions.clear(&self.bus, &mailbox);
        self.bus.counters().shared_dropped.add(sent);
        // Before the session is deleted: a crash in between finds what has not been handed over with it.
        if !fault::is_on(Fault::GroupEndsWithMember) {
            self.wills.journal().hand_over(from_groups, session.client(), ending.as_ref());
        }
        let (client, is_durable) = (session.client(), session.is_durable());
        let will = will.map(|will| match is_durable {
            true => self.wills.take_over(client, will.message, &mut gone),
            false => self.wills.end_with_connection(client, will.message, &mut gone),
        });
        self.wills.journal().change(gone, receipt);
        if let Some(will) = will {
            kill_point::reach(KillPoint::WillDue);
            self.wills.publish(will);
        }
        left_over.chunks(FAREWELL_CHUNK).for_each(|chunk| self.write(chunk.to_vec()));
    }
}
