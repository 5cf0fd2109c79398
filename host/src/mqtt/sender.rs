//! The sender's half of QoS 1 and 2 (MQTT 5, sections 4.3, 4.4, 4.9), for both protocol versions and both directions, without I/O.
//!
//! ```text
//!            PUBLISH            PUBACK           durable
//!  QoS 1  ────────▶ Published ───────────────▶ Done ─────▶ (forgotten)
//!            PUBLISH            PUBREC             durable ▷ PUBREL           PUBCOMP        durable
//!  QoS 2  ────────▶ Published ────────▶ Received ─────────────────▶ Released ─────────▶ Done ─────▶ (forgotten)
//! ```
//!
//! # How it is driven
//! 1. [`Sender::resume`] or [`Sender::restart`] at the beginning of each connection. Before the first of them no exchange can begin.
//! 2. [`Sender::next_resend`] until it has nothing more, then [`Sender::publish`] while there is [`Sender::room`].
//! 3. Each ack of the receiver goes into [`Sender::hear`], and what it leads to comes out as a [`Step`].
//! 4. What has become durable goes into [`Sender::confirm`], and the PUBRELs that may now be sent come out.
//!
//! The numbers that the caller gives name exchanges, and their order is the sending order.
//!
//! # What it keeps to
//! - **A packet id is not given twice**: while an exchange has it, none begins that would get the same [MQTT-2.2.1-3, MQTT-2.2.1-4].
//!   Where messages have numbers that survive a crash the id follows from the number ([`packet_id`]), so that a repeat has the same
//!   one, also by another process.
//! - **The window** is the lesser of our limit and the peer's Receive Maximum [MQTT-3.3.4-7]. It counts every open exchange of this
//!   connection, recovered ones too: never more than the quota of section 4.9 allows.
//! - **QoS 2 has a window of its own** for servers that have a limit and no words for it.
//! - **Received is durable before PUBREL**, or the next process would publish again what the receiver is free to take as new.
//! - **A new connection with the session**: a PUBREL for each released exchange in the order of the PUBRECs [MQTT-4.6.0-4], then every
//!   unacknowledged PUBLISH with its own id and DUP = 1 [MQTT-4.4.0-1, MQTT-3.3.1-1], each in its original order [MQTT-4.6.0-1], before
//!   anything new. A peer that takes less than before, QoS or retain, is sent less; with PUBREC only PUBREL is left, whatever it takes.
//! - **A new process with the session**: the same. Which messages had been published is not written down; those within the window of the
//!   oldest may have been, and are published with DUP = 1.
//! - **Without the session** everything open is forgotten; the caller still has the messages and they begin again. QoS 2 may then arrive
//!   twice, and that is counted.
//! - **QoS 0 to a server that takes no more** has no ack. What was acknowledged by us at more is over when the server has answered a
//!   packet that was sent behind it ([`Passing`]), and until then it is sent again on the next connection.
//! - **A failure reason** in PUBACK or PUBREC ends the exchange (section 4.3.3). What becomes of the message is the caller's to decide;
//!   one that is sent again begins anew, under its own packet id and with DUP = 0.
//! - **Acks that fit nothing** (duplicates, strangers) change nothing. A strange PUBREC is answered with PUBREL 0x92, so that the
//!   receiver can close its side.
//! - Once received, only PUBREL is ever sent [MQTT-4.3.3-6].
//!
//! Where a client and a server differ are [`Rules`]. Not here: the codec, the clock, the disk, message expiry.

mod abandoned;
mod acks;
mod awaited;
mod by_id;
mod open;
mod passing;
mod postponed;
mod resend;
mod rules;
mod step;
mod withheld;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::abandoned::Abandoned;
pub use self::awaited::{AckKind, Awaited, Progress};
use self::by_id::ById;
pub use self::open::{First, packet_id};
pub use self::passing::Passing;
pub use self::resend::{Again, Repeat};
pub use self::rules::{Rules, WrongAck};
pub use self::step::{Released, Reply, Step, Window};
use super::Ack;
use crate::message::{Message, QoS};

/// What a sender sends.
pub trait Outgoing {
    fn qos(&self) -> QoS;

    /// The receiver has it, and only PUBREL is left to be sent: what is not needed for that may go.
    fn received(&mut self) {}
}

/// See the head of this file.
#[derive(Debug)]
pub struct Sender<M> {
    rules: Rules,
    /// Open exchanges by number, which is the order of their first sending.
    exchanges: BTreeMap<u64, Exchange<M>>,
    by_id: ById,
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
    /// Packet ids that the receiver may hold for good: it has the message, and was never told that its id is free.
    unreleased: BTreeSet<u16>,
    /// Released, and the PUBREL is not sent on this connection. In the order of their PUBRECs.
    withheld: VecDeque<u64>,
    /// Done, and not known to be durable.
    closing: usize,
    /// QoS 0 that must not be forgotten, on its way on this connection.
    passing: BTreeMap<u64, Passing>,
    /// Of those of earlier connections, the ones that may have arrived. Bounded by the window, in which each had its place.
    unanswered: BTreeSet<u64>,
    /// Messages below may have been sent in this session, by an earlier process.
    sent_below: u64,
    /// Messages below may have been sent in a session that was lost.
    doubtful_below: u64,
    doubtful: u64,
    /// How often the receiver said in a row that an id is in use.
    resets: u32,
    /// QoS 1 that was answered as QoS 2.
    raised: u64,
    /// One may begin before what waits to be repeated.
    passes: bool,
    /// The next message would have the id of an open exchange: none may begin until one has ended.
    blocked: bool,
}

#[derive(Debug)]
struct Exchange<M> {
    packet_id: u16,
    /// None for one that is past needing it.
    message: Option<M>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Published,
    /// It was refused; it is published anew when it has its message again.
    Refused,
    /// PUBREC has come, and is on its way to the disk.
    Received {
        sequence: u64,
    },
    /// PUBRELs are repeated in the order of their PUBRECs [MQTT-4.6.0-4].
    Released {
        sequence: u64,
    },
    /// Over, but for the disk. Holds its place in the window and its packet id.
    Done,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// `sent_below`: messages with lower numbers may have been sent in this session, by an earlier process.
    pub fn new(rules: Rules, limit: u16, sent_below: u64) -> Self {
        Self {
            rules,
            exchanges: BTreeMap::new(),
            by_id: ById::default(),
            resend: VecDeque::new(),
            limit: limit.max(1),
            window: Window { all: 0, exactly_once: 0 },
            exactly_once: 0,
            releases: 0,
            abandoned: BTreeMap::new(),
            unreleased: BTreeSet::new(),
            withheld: VecDeque::new(),
            closing: 0,
            passing: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            sent_below,
            doubtful_below: 0,
            doubtful: 0,
            resets: 0,
            raised: 0,
            passes: false,
            blocked: false,
        }
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
        self.unreleased.clear();
        self.resend.clear();
        let by_id = &mut self.by_id;
        self.exchanges.retain(|_, exchange| {
            let stays = exchange.state == State::Done;
            if !stays {
                by_id.remove(exchange.packet_id);
            }
            stays
        });
    }

    /// QoS 2 messages that were sent again after a lost session, since the last time: they may arrive twice.
    pub fn take_doubtful(&mut self) -> u64 {
        std::mem::take(&mut self.doubtful)
    }

    /// QoS 1 messages that were answered with PUBREC, since the last time.
    pub fn take_raised(&mut self) -> u64 {
        std::mem::take(&mut self.raised)
    }

    /// Whether a QoS 2 exchange is open.
    pub fn has_exactly_once(&self) -> bool {
        self.exactly_once > 0
    }

    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.passing.is_empty()
    }

    /// Whether nothing is in doubt, at either side: what is left was refused, and begins anew.
    pub fn is_settled(&self) -> bool {
        self.passing.is_empty() && self.exchanges.values().all(|exchange| exchange.state == State::Refused)
    }

    /// Whether messages behind this number may have been sent in this session by an earlier process.
    pub fn may_have_sent_behind(&self, number: u64) -> bool {
        number.saturating_add(1) < self.sent_below
    }

    /// The session is over on our side, too: all messages of open exchanges, in their order.
    pub fn drain(&mut self) -> impl Iterator<Item = M> {
        self.resend.clear();
        self.by_id.clear();
        (self.exactly_once, self.closing, self.blocked) = (0, 0, false);
        std::mem::take(&mut self.exchanges).into_values().filter_map(|exchange| exchange.message)
    }

    fn connect(&mut self, window: Window) {
        self.disconnected();
        self.withheld.clear();
        self.window = Window { all: self.limit.min(window.all), ..window };
    }
}

// === impl Exchange ===

impl<M: Outgoing> Exchange<M> {
    /// Open, and of QoS 2.
    fn is_exactly_once(&self) -> bool {
        match self.state {
            State::Published | State::Refused => {
                self.message.as_ref().is_some_and(|message| message.qos() == QoS::ExactlyOnce)
            }
            State::Received { .. } | State::Released { .. } => true,
            State::Done => false,
        }
    }
}

// === impl Message ===

impl Outgoing for Message {
    fn qos(&self) -> QoS {
        self.qos
    }
}

#[cfg(test)]
mod tests;
