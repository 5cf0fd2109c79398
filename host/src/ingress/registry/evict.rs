//! What gives way when there are as many sessions as there may be.
//!
//! A session whose device is away and to whom nothing is owed: no message waits or is unfinished in either direction, and no
//! will. Those without subscriptions first, then those that have been away longest. When something is owed to all of them, the
//! new device is refused, and the operator decides (`tidegate sessions drop`).

use super::*;
use crate::base::excerpt::brief;

impl Registry {
    /// Takes such a session. The caller ends it, when nothing is locked.
    pub(super) fn evict(slots: &mut HashMap<Arc<str>, Slot>) -> Option<Box<Away>> {
        let candidate = |(client, slot): (&Arc<str>, &Slot)| match slot {
            Slot::Away(away) if !away.is_owed_something() => {
                Some((away.session.mailbox().subscriptions() > 0, away.since, client.clone()))
            }
            _ => None,
        };
        let (_, _, client) = slots.iter().filter_map(candidate).min()?;
        take_to_end(slots, &client)
    }

    pub(super) fn end_evicted(&self, away: Away) {
        self.bus.counters().sessions_evicted.increment();
        if let Some(suppressed) = self.warnings.permit() {
            let (client, away_for) = (away.session.client(), away.since.elapsed());
            tracing::warn!(
                client = ?brief(&client),
                ?away_for,
                suppressed,
                "a session that is away ends early, nothing waits for it: broker.limits.max_sessions is reached and another device needs one"
            );
        }
        self.finish(away);
    }
}

impl Away {
    fn is_owed_something(&self) -> bool {
        self.will.is_some() || self.session.owes()
    }
}
