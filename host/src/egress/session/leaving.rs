//! The end of a connection that works: nothing new is sent, and what is in flight comes to its end.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;

/// How long a shutdown waits for the spool to empty and for the last acks. Short: whoever stops the gateway lets the upstreams take
/// what waits *before* it stops them.
const GRACE: Duration = Duration::from_secs(1);

/// Why a connection that works is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Shutdown,
    /// The first address answers again.
    Failback,
    /// This address takes what is too large here.
    Elsewhere(usize),
    /// The server may hold packet ids in this session that nothing can free.
    Renew,
}

#[derive(Clone, Copy)]
pub(super) struct Leaving {
    pub why: End,
    pub until: Instant,
}

/// How it stands with it.
pub(super) enum Departure {
    Now(End),
    Later,
    /// Exchanges did not end within the grace time. To leave now would be to send them again elsewhere.
    GivenUp,
}

// === impl Session ===

impl Session<'_> {
    pub(super) fn leave(&mut self, why: End) {
        self.leaving = Some(Leaving { why, until: Instant::now() + GRACE });
    }

    /// What waits in the spool waits for the next connection, unless there is none.
    pub(super) fn is_drained(&self) -> bool {
        let waits = self.sender.queue.has_after(self.cursor) && !self.is_going_back();
        self.out.is_idle() && self.sender.inflight.is_settled() && !waits
    }

    /// Between the last message here and the first at another address.
    pub(super) fn is_going_back(&self) -> bool {
        self.leaving.is_some_and(|leaving| leaving.why != End::Shutdown)
    }

    pub(super) fn departure(&mut self) -> Departure {
        let Some(Leaving { why, until }) = self.leaving else { return Departure::Later };
        let is_late = until <= Instant::now();
        if self.is_drained() || (is_late && why == End::Shutdown) {
            return Departure::Now(why);
        }
        if !is_late {
            return Departure::Later;
        }
        self.leaving = None;
        self.stays();
        Departure::GivenUp
    }

    /// A message under a packet id that the server holds would be taken for a repetition, and be lost. Its turn comes 65,535 messages later.
    /// What an earlier process may have sent is completed before: in another session it would be new, and arrive twice.
    pub(super) fn renew_when_due(&mut self) {
        let sender = &self.sender;
        let is_due = sender.inflight.has_unreleased()
            && !sender.isolation.is_alone()
            && !(sender.inflight.may_have_sent_behind(self.cursor.number) && sender.queue.has_after(self.cursor));
        if is_due && self.leaving.is_none() && self.leave_again.is_none() {
            self.leave(End::Renew);
        }
    }
}
