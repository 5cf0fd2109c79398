//! The sender's half of QoS 1 and 2 (MQTT 5, sections 4.3, 4.4, 4.9), for both protocol versions, without I/O.
//!
//! ```text
//!            PUBLISH            PUBACK           durable
//!  QoS 1  ────────▶ Published ───────────────▶ Done ─────▶ (forgotten)
//!            PUBLISH            PUBREC             durable ▷ PUBREL           PUBCOMP        durable
//!  QoS 2  ────────▶ Published ────────▶ Received ─────────────────▶ Released ─────────▶ Done ─────▶ (forgotten)
//! ```
//!
//! - **The packet id follows from the number** that the spool gave the message, so that a repeat has the same one, also by
//!   another process after a crash. It is unique while the open numbers span less than all ids, and the window sees to that
//!   [MQTT-2.2.1-3].
//! - **The window** is the lesser of our limit and the server's Receive Maximum [MQTT-3.3.4-7]. It counts every open
//!   exchange of this connection, recovered ones too: never more than the quota of section 4.9 allows. An exchange leaves
//!   it when its end is *durable*: so a crash repeats a window's worth at most, whatever the disk was late with.
//! - **QoS 2 has a window of its own** for servers that have a limit and no words for it (`link::EXACTLY_ONCE_V311`).
//! - **Received is durable before PUBREL**, or the next process would publish again what the server is free to take as new.
//! - **A new connection with the session**: a PUBREL for each released exchange, then every unacknowledged PUBLISH with
//!   its own id and DUP = 1 [MQTT-4.4.0-1, MQTT-3.3.1-1], each in its original order [MQTT-4.6.0-1], before anything new.
//!   A server that takes less than before, QoS or retain, is sent less; with PUBREC only PUBREL is left, whatever it takes.
//! - **A new process with the session**: the same. Which messages had been published is not written down; those within the
//!   window of the oldest may have been, and are published with DUP = 1.
//! - **Without the session** everything open is forgotten; the spool still has the messages and they begin again. QoS 2 may
//!   then arrive twice, and that is counted.
//! - **A failure reason** in PUBACK or PUBREC ends the exchange (section 4.3.3). What becomes of the message is decided elsewhere
//!   (`refusals`); one that is sent again begins anew, under its own packet id and with DUP = 0.
//! - **The wrong ack** is an ack: PUBACK for QoS 2 ends the exchange at QoS 1, PUBREC for QoS 1 goes on as QoS 2. To wait for the
//!   right one would be to wait for ever.
//! - **Acks that fit nothing** (duplicates, strangers) change nothing. A strange PUBREC is answered with PUBREL 0x92, so
//!   that the server can close its side.
//! - Once received, only PUBREL is ever sent [MQTT-4.3.3-6]. Message expiry is no longer applied to what was sent
//!   [MQTT-4.3.3-7].
//!
//! Not here: the codec, the clock, the spool. Numbers of the spool name exchanges, and their order is the sending order.

mod abandoned;
mod acks;
mod awaited;
mod passing;
mod step;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use self::abandoned::Abandoned;
use self::acks::success;
pub use self::awaited::{AckKind, Awaited, Standing};
pub use self::step::{Repeat, Step, Window};
use crate::base::fault::{self, Fault};
use crate::message::{Message, QoS};
use crate::mqtt::Ack;
use crate::mqtt::client::Publish;
use crate::spool::Recovered;

/// Packet ids are 1 to this.
const IDS: u64 = 65_535;

pub struct Inflight {
    /// Open exchanges by number, which is the order of their first sending.
    exchanges: BTreeMap<u64, Exchange>,
    by_id: HashMap<u16, u64>,
    /// Published on an earlier connection and not yet repeated on this one.
    resend: VecDeque<u64>,
    /// Our own limit, and what this connection allows.
    limit: u16,
    window: Window,
    /// QoS 2 exchanges that are not over.
    exactly_once: usize,
    releases: u64,
    /// By packet id.
    abandoned: BTreeMap<u16, Abandoned>,
    /// Done, and not known to be durable.
    closing: usize,
    /// QoS 0 that the spool keeps, on its way into the socket of this connection.
    passing: BTreeSet<u64>,
    /// Messages below may have been sent in this session, by an earlier process.
    sent_below: u64,
    /// Messages below may have been sent in a session that was lost.
    doubtful_below: u64,
    doubtful: u64,
    /// How often the server said in a row that an id is in use.
    resets: u32,
    /// QoS 1 that the server answered as QoS 2.
    raised: u64,
    /// One may begin before what waits to be repeated.
    passes: bool,
    /// The next message would have the id of an open exchange: none may begin until one has ended.
    blocked: bool,
}

struct Exchange {
    /// None for one that is past needing it.
    message: Option<Message>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Published,
    /// The server refused it; it is published anew when it has its message again.
    Refused,
    /// PUBREC has come, and is on its way to the disk.
    Received {
        turn: u64,
    },
    /// PUBRELs are repeated in the order of their PUBRECs [MQTT-4.6.0-4].
    Released {
        turn: u64,
    },
    /// Over, but for the disk. Holds its place in the window and its packet id.
    Done,
}

/// The packet id of the message with this number.
pub fn packet_id(number: u64) -> u16 {
    (number % IDS) as u16 + 1
}

// === impl Inflight ===

impl Inflight {
    /// No exchange can be begun before the first [`Inflight::resume`] or [`Inflight::restart`].
    pub fn new(limit: u16, recovered: &Recovered) -> Self {
        let mut inflight = Self {
            exchanges: BTreeMap::new(),
            by_id: HashMap::new(),
            resend: VecDeque::new(),
            limit: limit.max(1),
            window: Window { all: 0, exactly_once: 0 },
            exactly_once: 0,
            releases: 0,
            abandoned: BTreeMap::new(),
            closing: 0,
            passing: BTreeSet::new(),
            sent_below: recovered.sent_below,
            doubtful_below: 0,
            doubtful: 0,
            resets: 0,
            raised: 0,
            passes: false,
            blocked: false,
        };
        for &(number, turn) in &recovered.released {
            inflight.releases = inflight.releases.max(turn);
            inflight.open(number, Exchange { message: None, state: State::Released { turn } });
        }
        inflight
    }

    /// A new connection that kept the session: the PUBRELs to send first. [`Inflight::next_resend`] has the rest.
    pub fn resume(&mut self, window: Window) -> Vec<Ack> {
        self.connect(window);
        self.tell_abandoned_again();
        self.resend.clear();
        let mut released = Vec::new();
        for (number, exchange) in &self.exchanges {
            match exchange.state {
                State::Published => self.resend.push_back(*number),
                State::Refused if exchange.message.is_some() => self.resend.push_back(*number),
                State::Released { turn } => released.push((turn, *number)),
                State::Received { .. } | State::Refused | State::Done => {}
            }
        }
        released.sort_unstable();
        released.into_iter().map(|(_, number)| success(number)).collect()
    }

    /// A new session: nothing is open any more, but what is over and waits for the disk.
    pub fn restart(&mut self, window: Window) {
        self.connect(window);
        self.exactly_once = 0;
        let sent_below = self.exchanges.keys().next_back().map_or(0, |last| last + 1).max(self.sent_below);
        self.doubtful_below = self.doubtful_below.max(sent_below);
        self.sent_below = 0;
        self.blocked = false;
        self.abandoned.clear();
        self.resend.clear();
        self.exchanges.retain(|_, exchange| exchange.state == State::Done);
        self.by_id.retain(|_, number| self.exchanges.contains_key(number));
    }

    /// QoS 2 messages that were sent again after a lost session, since the last time: they may arrive twice.
    pub fn take_doubtful(&mut self) -> u64 {
        std::mem::take(&mut self.doubtful)
    }

    /// QoS 1 messages that the server answered with PUBREC, since the last time.
    pub fn take_raised(&mut self) -> u64 {
        std::mem::take(&mut self.raised)
    }

    /// The next PUBLISH to repeat, when the window has room for it, as `fit` makes it for this server.
    pub fn next_resend(&mut self, fit: impl FnOnce(Message) -> Message) -> Option<Repeat> {
        if self.active() >= usize::from(self.window.all) {
            return None;
        }
        self.repeat(*self.resend.front()?, fit)
    }

    /// One of those that wait to be repeated, out of turn. From then on it is an exchange of the QoS that it has got: a QoS 2 PUBLISH whose
    /// PUBREC is missing may arrive twice when it goes on at less.
    pub fn repeat(&mut self, number: u64, fit: impl FnOnce(Message) -> Message) -> Option<Repeat> {
        let place = self.resend.binary_search(&number).ok()?;
        self.resend.remove(place);
        let exchange = self.exchanges.get_mut(&number)?;
        let (sent, was_exactly_once) = (exchange.message.clone()?, exchange.is_exactly_once());
        // After a refusal the exchange is a new one.
        let dup = std::mem::replace(&mut exchange.state, State::Published) == State::Published;
        let message = if fault::is_on(Fault::ResendsNotFitted) { sent } else { fit(sent) };
        exchange.message = Some(message.clone());
        if was_exactly_once && !exchange.is_exactly_once() {
            self.exactly_once -= 1;
            self.doubtful += u64::from(dup);
        }
        if message.qos == QoS::AtMostOnce {
            // No ack will come: it is over when it is written.
            self.exchanges.remove(&number);
            self.by_id.remove(&packet_id(number));
            return Some(Repeat { number, publish: Publish { packet_id: 0, dup: false, message } });
        }
        Some(Repeat { number, publish: Publish { packet_id: packet_id(number), dup, message } })
    }

    /// How many new exchanges may begin now, whatever their QoS. None while something old waits to be repeated.
    pub fn room(&self) -> usize {
        if self.passes {
            let sent = self.exchanges.len() - self.resend.len();
            return usize::from(!self.blocked && sent < usize::from(self.limit));
        }
        if self.blocked || !self.resend.is_empty() {
            return 0;
        }
        let all = usize::from(self.window.all).saturating_sub(self.active());
        let exactly_once = usize::from(self.window.exactly_once).saturating_sub(self.exactly_once);
        all.min(exactly_once)
    }

    /// The next may begin although others wait to be repeated, and nothing else is sent: one at a time.
    pub fn let_pass(&mut self, passes: bool) {
        self.passes = passes;
    }

    /// Whether nothing waits for an answer of the server.
    pub fn is_quiet(&self) -> bool {
        let waits = |(number, exchange): (&u64, &Exchange)| match exchange.state {
            State::Published => self.resend.binary_search(number).is_err(),
            State::Received { .. } | State::Released { .. } => true,
            State::Refused | State::Done => false,
        };
        self.passing.is_empty() && !self.exchanges.iter().any(waits)
    }

    /// What waits to be repeated on this connection, in order.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &Message)> {
        self.resend.iter().filter_map(|number| Some((*number, self.exchanges.get(number)?.message.as_ref()?)))
    }

    /// The newest exchange that is not over.
    pub fn newest(&self) -> u64 {
        let open = self.exchanges.iter().rev().find(|(_, exchange)| exchange.state != State::Done);
        open.map_or(0, |(number, _)| *number)
    }

    /// Whether much of the window is held by what waits for the disk alone.
    pub fn is_held_by_disk(&self) -> bool {
        self.closing > 0 && self.closing * 2 >= usize::from(self.window.all)
    }

    /// Begins an exchange that [`Inflight::admits`]. `None` when it does not.
    pub fn publish(&mut self, number: u64, message: Message) -> Option<Publish> {
        if !self.admits(number) {
            return None;
        }
        let dup = number < self.sent_below;
        self.doubtful += u64::from(number < self.doubtful_below && message.qos == QoS::ExactlyOnce);
        // It is this one's from now on: a PUBREL would end the wrong exchange.
        self.abandoned.remove(&packet_id(number));
        self.open(number, Exchange { message: Some(message.clone()), state: State::Published });
        Some(Publish { packet_id: packet_id(number), dup, message })
    }

    /// Whether an exchange with this number can begin now: there is room, it has not begun, and its id is free.
    pub fn admits(&mut self, number: u64) -> bool {
        self.blocked |= self.exchanges.keys().next().is_some_and(|oldest| number.saturating_sub(*oldest) >= IDS);
        self.room() > 0 && !self.contains(number)
    }

    /// Whether it has begun here, with an exchange or without.
    pub fn contains(&self, number: u64) -> bool {
        self.exchanges.contains_key(&number) || self.passing.contains(&number)
    }

    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Whether a QoS 2 exchange is open.
    pub fn has_exactly_once(&self) -> bool {
        self.exactly_once > 0
    }

    /// Ends an exchange whose PUBLISH cannot be written to this server. Returns its number.
    pub fn abandon(&mut self, id: u16) -> Option<u64> {
        let number = *self.by_id.get(&id)?;
        self.end(number)?;
        Some(number)
    }

    /// The server has refused this one, which is to be sent again: it keeps its place until then.
    pub fn postpone(&mut self, number: u64) {
        if let Some(exchange) = self.exchanges.get_mut(&number).filter(|exchange| exchange.state == State::Done) {
            exchange.state = State::Refused;
            self.closing -= 1;
        }
    }

    /// It begins anew.
    pub fn again(&mut self, number: u64, message: Message) {
        let waits = |exchange: &&mut Exchange| exchange.state == State::Refused && exchange.message.is_none();
        let Some(exchange) = self.exchanges.get_mut(&number).filter(waits) else { return };
        exchange.message = Some(message);
        self.exactly_once += usize::from(exchange.is_exactly_once());
        let place = self.resend.partition_point(|other| *other < number);
        self.resend.insert(place, number);
    }

    /// Ends an exchange that waits to begin anew. `false` when it does not.
    pub fn give_up(&mut self, number: u64) -> bool {
        let waits = self.exchanges.get(&number).is_some_and(|exchange| exchange.state == State::Refused);
        waits && self.end(number).is_some()
    }

    /// Exchanges that are open on this connection.
    fn active(&self) -> usize {
        self.exchanges.len() - self.resend.len() + self.passing.len()
    }

    fn connect(&mut self, window: Window) {
        self.passing.clear();
        self.window = Window { all: self.limit.min(window.all), ..window };
    }

    fn open(&mut self, number: u64, exchange: Exchange) {
        self.exactly_once += usize::from(exchange.is_exactly_once());
        self.by_id.insert(packet_id(number), number);
        self.exchanges.insert(number, exchange);
    }
}

// === impl Exchange ===

impl Exchange {
    /// Open, and of QoS 2.
    fn is_exactly_once(&self) -> bool {
        match self.state {
            State::Published | State::Refused => {
                self.message.as_ref().is_some_and(|message| message.qos == QoS::ExactlyOnce)
            }
            State::Received { .. } | State::Released { .. } => true,
            State::Done => false,
        }
    }
}

#[cfg(test)]
mod tests;
