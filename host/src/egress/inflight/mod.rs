//! The sender's half of QoS 1 and 2 (MQTT 5, sections 4.3, 4.4, 4.9), for both protocol versions, without I/O.
//!
//! ```text
//!            PUBLISH            PUBACK
//!  QoS 1  ────────▶ Published ────────▶ done
//!            PUBLISH            PUBREC ▷ PUBREL         PUBCOMP
//!  QoS 2  ────────▶ Published ─────────────▶ Released ─────────▶ done
//! ```
//!
//! - **Packet ids are ours** and never reused while their exchange is open [MQTT-2.2.1-3].
//! - **The window** is the lesser of our limit and the server's Receive Maximum [MQTT-3.3.4-7]. It counts every open
//!   exchange of this connection, recovered ones too: never more than the quota of section 4.9 allows.
//! - **QoS 2 has a window of its own** for servers that have a limit and no words for it (`link::EXACTLY_ONCE_V311`).
//! - **A new connection with the session**: a PUBREL for each released exchange, then every unacknowledged PUBLISH with
//!   its own id and DUP = 1 [MQTT-4.4.0-1, MQTT-3.3.1-1], each in its original order [MQTT-4.6.0-1], before anything new.
//! - **Without the session** everything is forgotten, because ids mean nothing to that server any more; the spool still
//!   has the messages and they begin again. QoS 2 may then arrive twice, and that is counted.
//! - **A failure reason** in PUBACK or PUBREC ends the exchange; the message is not sent again (section 4.3.3).
//! - **Acks that fit nothing** (duplicates, strangers) change nothing. A strange PUBREC is answered with PUBREL 0x92, so
//!   that the server can close its side.
//! - Once released, only PUBREL is ever sent [MQTT-4.3.3-6]. Message expiry is no longer applied to what was sent
//!   [MQTT-4.3.3-7].
//!
//! Not here: the codec, the clock, the spool. Positions of the spool name exchanges, and their order is the sending order.

mod step;

use std::collections::{BTreeMap, HashMap, VecDeque};

pub use self::step::{Ack, Publish, Step, Window};

use crate::ingress::codec::Reason;
use crate::message::{Message, QoS};
use crate::spool::Position;

pub struct Inflight {
    /// Open exchanges in the order of their first sending.
    exchanges: BTreeMap<Position, Exchange>,
    by_id: HashMap<u16, Position>,
    /// Published on an earlier connection and not yet repeated on this one.
    resend: VecDeque<Position>,
    next_id: u16,
    /// Our own limit, and what this connection allows.
    limit: u16,
    window: Window,
    /// Open exchanges of QoS 2.
    exactly_once: usize,
    releases: u64,
}

struct Exchange {
    id: u16,
    message: Message,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Published,
    /// PUBREC has come; PUBRELs are repeated in the order of their PUBRECs [MQTT-4.6.0-4].
    Released {
        turn: u64,
    },
}

// === impl Inflight ===

impl Inflight {
    /// No exchange is open, and none can be begun before the first [`Inflight::resume`].
    pub fn new(limit: u16) -> Self {
        Self {
            exchanges: BTreeMap::new(),
            by_id: HashMap::new(),
            resend: VecDeque::new(),
            next_id: 1,
            limit: limit.max(1),
            window: Window { all: 0, exactly_once: 0 },
            exactly_once: 0,
            releases: 0,
        }
    }

    /// A new connection that kept the session: the PUBRELs to send first. [`Inflight::next_resend`] has the rest.
    pub fn resume(&mut self, window: Window) -> Vec<Ack> {
        self.open(window);
        self.resend.clear();
        let mut released = Vec::new();
        for (position, exchange) in &self.exchanges {
            match exchange.state {
                State::Published => self.resend.push_back(*position),
                State::Released { turn } => released.push((turn, exchange.id)),
            }
        }
        released.sort_unstable();
        released.into_iter().map(|(_, id)| Ack { id, reason: Reason::SUCCESS }).collect()
    }

    /// A new session: nothing is open any more. Returns how many QoS 2 messages may now arrive twice.
    pub fn restart(&mut self, window: Window) -> usize {
        let doubtful = self.exactly_once;
        *self = Self::new(self.limit);
        self.open(window);
        doubtful
    }

    /// The next PUBLISH to repeat, when the window has room for it.
    pub fn next_resend(&mut self) -> Option<Publish> {
        if self.active() >= usize::from(self.window.all) {
            return None;
        }
        let exchange = self.exchanges.get(&self.resend.pop_front()?)?;
        Some(Publish { id: exchange.id, dup: true, message: exchange.message.clone() })
    }

    /// How many new exchanges may begin now, whatever their QoS. None while something old waits to be repeated.
    pub fn room(&self) -> usize {
        if !self.resend.is_empty() {
            return 0;
        }
        let all = usize::from(self.window.all).saturating_sub(self.active());
        let exactly_once = usize::from(self.window.exactly_once).saturating_sub(self.exactly_once);
        all.min(exactly_once)
    }

    /// Begins an exchange. `None` when there is no room, or this position is in flight already.
    pub fn publish(&mut self, position: Position, message: Message) -> Option<Publish> {
        if self.room() == 0 || self.contains(position) {
            return None;
        }
        let id = self.allocate();
        self.exactly_once += usize::from(message.qos == QoS::ExactlyOnce);
        self.by_id.insert(id, position);
        self.exchanges.insert(position, Exchange { id, message: message.clone(), state: State::Published });
        Some(Publish { id, dup: false, message })
    }

    pub fn contains(&self, position: Position) -> bool {
        self.exchanges.contains_key(&position)
    }

    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Ends an exchange whose PUBLISH cannot be written to this server. Returns its place in the spool.
    pub fn abandon(&mut self, id: u16) -> Option<Position> {
        let position = *self.by_id.get(&id)?;
        self.end(position);
        Some(position)
    }

    pub fn on_puback(&mut self, ack: Ack) -> Step {
        match self.find(ack.id) {
            Some((position, QoS::AtLeastOnce, _)) => self.finish(position, ack.reason),
            _ => Step::Nothing,
        }
    }

    pub fn on_pubrec(&mut self, ack: Ack) -> Step {
        match self.find(ack.id) {
            Some((position, QoS::ExactlyOnce, State::Published)) if ack.reason.is_failure() => {
                self.finish(position, ack.reason)
            }
            Some((position, QoS::ExactlyOnce, State::Published)) => self.release(position, ack.id),
            Some((_, QoS::ExactlyOnce, State::Released { .. })) => release(ack.id, Reason::SUCCESS),
            // A failure has closed the server's side already.
            _ if ack.reason.is_failure() => Step::Nothing,
            _ => release(ack.id, Reason::PACKET_IDENTIFIER_NOT_FOUND),
        }
    }

    /// Any reason ends the exchange: 0x92 says that the server had finished before, its PUBCOMP was lost.
    pub fn on_pubcomp(&mut self, ack: Ack) -> Step {
        match self.find(ack.id) {
            Some((position, QoS::ExactlyOnce, State::Released { .. })) => self.finish(position, Reason::SUCCESS),
            _ => Step::Nothing,
        }
    }

    fn open(&mut self, window: Window) {
        self.window = Window { all: self.limit.min(window.all), ..window };
    }

    /// Exchanges that are open on this connection.
    fn active(&self) -> usize {
        self.exchanges.len() - self.resend.len()
    }

    /// The window is at most 65,535 and there is room in it, so that a free id exists.
    fn allocate(&mut self) -> u16 {
        while self.next_id == 0 || self.by_id.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    fn find(&self, id: u16) -> Option<(Position, QoS, State)> {
        let position = *self.by_id.get(&id)?;
        let exchange = self.exchanges.get(&position)?;
        Some((position, exchange.message.qos, exchange.state))
    }

    fn release(&mut self, position: Position, id: u16) -> Step {
        self.releases += 1;
        let turn = self.releases;
        if let Some(exchange) = self.exchanges.get_mut(&position) {
            exchange.state = State::Released { turn };
        }
        self.resend.retain(|waiting| *waiting != position);
        release(id, Reason::SUCCESS)
    }

    fn finish(&mut self, position: Position, reason: Reason) -> Step {
        if reason == Reason::PACKET_IDENTIFIER_IN_USE {
            return Step::Reset;
        }
        match self.end(position) {
            Some(exchange) => Step::Done { position, message: exchange.message, reason },
            None => Step::Nothing,
        }
    }

    fn end(&mut self, position: Position) -> Option<Exchange> {
        let exchange = self.exchanges.remove(&position)?;
        self.by_id.remove(&exchange.id);
        self.exactly_once -= usize::from(exchange.message.qos == QoS::ExactlyOnce);
        if !self.resend.is_empty() {
            self.resend.retain(|waiting| *waiting != position);
        }
        Some(exchange)
    }
}

fn release(id: u16, reason: Reason) -> Step {
    Step::Release(Ack { id, reason })
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
