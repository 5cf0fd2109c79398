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

/// Of a session that ends, in records that have room in any segment. Each says that the session is gone: without it, what is left of it
/// means nothing, and the next session of its client, which changes the same, is written after all of them.
fn in_parts(gone: Vec<Change>) -> Vec<Vec<Change>> {
    let mut gone = gone.into_iter();
    let Some(session) = gone.next() else { return Vec::new() };
    let mut parts: Vec<Vec<Change>> = by_weight(gone.collect()).collect();
    parts.iter_mut().for_each(|part| part.insert(0, session.clone()));
    if parts.is_empty() { vec![vec![session]] } else { parts }
}

/// Each part small, and of one change at least.
pub(super) fn by_weight(changes: Vec<Change>) -> impl Iterator<Item = Vec<Change>> {
    let mut changes = changes.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut part = vec![changes.next()?];
        let mut bytes = part.iter().map(Change::weight).sum::<usize>();
        while let Some(next) = changes.next_if(|next| bytes + next.weight() <= FAREWELL_BYTES) {
            bytes += next.weight();
            part.push(next);
        }
        Some(part)
    })
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
        self.bus.counters().sessions_expired.add(away.is_some().into());
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
    pub(super) fn end(&self, away: Away, mut receipt: Receipt) {
        let Away { mut session, will, .. } = away;
        let mailbox = session.mailbox().clone();
        let Farewell { from_groups, sent, ending, session: gone, left_over } = session.farewell();
        let mut parts = in_parts(gone).into_iter();
        let mut first = parts.next().unwrap_or_default();
        session.subscriptions.clear(&self.bus, &mailbox);
        self.bus.counters().shared_dropped.add(sent);
        // Before the session is deleted: a crash in between finds what has not been handed over with it.
        if !fault::is_on(Fault::GroupEndsWithMember) {
            self.wills.journal().hand_over(from_groups, session.client(), ending.as_ref());
        }
        let (client, is_durable) = (session.client(), session.is_durable());
        let had_will = will.is_some();
        let will = will.and_then(|will| self.permitted(client, will.left)).map(|will| match is_durable {
            true => self.wills.take_over(client, will, &mut first),
            false => self.wills.end_with_connection(client, will, &mut first),
        });
        if had_will && will.is_none() {
            first.push(Change::delete(will_of(client)));
        }
        self.wills.journal().change_session(client, first, receipt.split());
        parts.for_each(|part| self.wills.journal().change_session(client, part, receipt.split()));
        receipt.nothing_to_keep();
        if let Some(will) = will {
            kill_point::reach(KillPoint::WillDue);
            self.wills.publish(will);
        }
        by_weight(left_over).for_each(|part| self.write_of(client, part));
    }
}
