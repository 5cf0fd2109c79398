//! One connection after CONNACK: spool to socket, socket to spool, until one of the two ends it.
//!
//! A single task with one `select!`, so that the state needs no lock: reading never waits for writing, or two peers with full
//! buffers would wait for each other. Whatever arm wakes it, every round begins by filling the outbox with all that may go:
//! repeats first, then the spool while the window is open, QoS 0 and QoS 1/2 in the order of the spool.
//!
//! PUBREL waits for the disk without holding up anything else: the ack of the server becomes a note for the spool, and what the
//! spool confirms comes back as one more thing to wake up for.
//!
//! On shutdown what the spool still holds is sent within the grace time; the rest is for the next process.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inflight::{Ack, Inflight, Publish, Step};
use super::keepalive::{Due, KeepAlive};
use super::link::{Link, LinkError, Terms};
use super::outbox::Outbox;
use super::throttle::Throttle;
use super::transport::Transport;
use super::wire::{self, EncodeError, Incoming, Outgoing};
use crate::control::counters::Counters;
use crate::message::{Message, QoS};
use crate::spool::{Entry, Fate, Position, Queue};

/// How long a shutdown waits for the spool to empty and for the last acks.
const GRACE: Duration = Duration::from_secs(5);

/// Entries taken from the spool at once: enough for one write, few enough not to hold its mutex long.
const BATCH: usize = 256;

/// One read of the socket: some thousand acks.
const READ_SIZE: usize = 8 * 1024;

/// What outlives a connection.
pub struct Sender {
    pub upstream: String,
    pub queue: Arc<Queue>,
    pub inflight: Inflight,
    pub counters: Arc<Counters>,
    pub refused: Throttle,
    pub oversize: Throttle,
}

pub struct Session<'a> {
    sender: &'a mut Sender,
    reader: ReadHalf<Transport>,
    writer: WriteHalf<Transport>,
    input: BytesMut,
    out: Outbox,
    terms: Terms,
    /// How far the spool has been read on this connection. Begins at its start: what is in flight is passed over, and QoS 0
    /// that was read but not written is met again.
    cursor: Position,
    keep_alive: KeepAlive,
}

// === impl Sender ===

impl Sender {
    /// What the spool has made durable. Returns the PUBRELs that may now go.
    fn hear_spool(&mut self) -> Vec<Ack> {
        let confirmed = self.queue.take_confirmed();
        let doubtful = self.inflight.take_doubtful();
        self.counters.possible_duplicates.add(doubtful);
        self.inflight.confirm(&confirmed)
    }
}

// === impl Session ===

impl<'a> Session<'a> {
    pub fn new(sender: &'a mut Sender, link: Link) -> Self {
        let (reader, writer) = tokio::io::split(link.stream);
        let keep_alive = KeepAlive::new(link.terms.keep_alive, Instant::now());
        let (input, terms, out) = (link.input, link.terms, Outbox::default());
        Self { sender, reader, writer, input, out, terms, cursor: Position::START, keep_alive }
    }

    /// Takes up the exchanges of the session that the server kept: their PUBRELs go first.
    pub fn resume(&mut self) {
        // What has become durable meanwhile is among them.
        self.sender.hear_spool();
        for release in self.sender.inflight.resume(self.terms.receive_maximum) {
            self.write(Outgoing::PubRel(release));
        }
    }

    /// Begins with a new session.
    pub fn restart(&mut self) {
        self.sender.hear_spool();
        self.sender.inflight.restart(self.terms.receive_maximum);
    }

    /// Runs until the connection fails, or until the shutdown is complete.
    pub async fn run(mut self, shutdown: &CancellationToken) -> Result<(), LinkError> {
        let mut grace_ends = None;
        self.receive()?;
        loop {
            self.hear_spool();
            self.fill();
            let stopping = grace_ends.is_some();
            if stopping || self.sender.inflight.is_held_by_disk() {
                self.sender.queue.hurry();
            }
            if stopping && (self.is_drained() || grace_ends <= Some(Instant::now())) {
                self.close().await;
                return Ok(());
            }
            let queue = self.sender.queue.clone();
            let hungry = self.is_hungry();
            let deadline = grace_ends.map_or(self.keep_alive.deadline(), |end| self.keep_alive.deadline().min(end));
            self.input.reserve(READ_SIZE);
            tokio::select! {
                read = self.reader.read_buf(&mut self.input), if !self.out.is_flooded() => self.heard(read?)?,
                pushed = self.out.push(&mut self.writer), if !self.out.is_idle() => self.pushed(pushed)?,
                () = queue.wait_after(self.cursor), if hungry => {}
                () = queue.wait_confirmed() => {}
                () = tokio::time::sleep_until(deadline) => self.check()?,
                () = shutdown.cancelled(), if !stopping => grace_ends = Some(Instant::now() + GRACE),
            }
        }
    }

    /// Puts everything that may go now into the outbox.
    fn fill(&mut self) {
        while self.out.room() > 0
            && let Some(publish) = self.sender.inflight.next_resend()
        {
            self.publish(&publish);
        }
        while self.is_hungry() {
            let most = self.sender.inflight.room().min(BATCH);
            let entries = self.sender.queue.read(self.cursor, most, self.out.room());
            if entries.is_empty() {
                return;
            }
            for entry in entries {
                let kept = entry.message.qos > QoS::AtMostOnce;
                let number = entry.position.number;
                if kept && !self.sender.inflight.contains(number) && !self.sender.inflight.admits(number) {
                    return;
                }
                self.cursor = entry.position;
                if !kept || !self.sender.inflight.contains(number) {
                    self.offer(entry, kept);
                }
            }
        }
    }

    /// `kept` is what the spool thinks of it; this server may take it at a lower QoS.
    fn offer(&mut self, entry: Entry, kept: bool) {
        let Some(message) = entry.message.aged(entry.arrived.elapsed()) else {
            if kept {
                self.sender.inflight.leave_out(entry.position.number);
            }
            return self.sender.queue.complete(entry.position, Fate::Expired);
        };
        let message = self.terms.fit(message);
        if message.qos > QoS::AtMostOnce {
            let begun = self.sender.inflight.publish(entry.position.number, message);
            return begun.into_iter().for_each(|publish| self.publish(&publish));
        }
        let publish = Publish { id: 0, dup: false, message };
        match self.encode(Outgoing::Publish(&publish)) {
            Ok(()) => self.out.mark_end(entry.position),
            Err(error) => self.give_up(entry.position, &publish.message, &error),
        }
    }

    /// PUBRELs that waited for the disk.
    fn hear_spool(&mut self) {
        for release in self.sender.hear_spool() {
            self.write(Outgoing::PubRel(release));
        }
    }

    /// A QoS 1 or 2 PUBLISH, first or repeated.
    fn publish(&mut self, publish: &Publish) {
        if let Err(error) = self.encode(Outgoing::Publish(publish))
            && let Some(number) = self.sender.inflight.abandon(publish.id)
        {
            self.give_up(Position::of(number), &publish.message, &error);
        }
    }

    fn give_up(&mut self, position: Position, message: &Message, error: &EncodeError) {
        self.sender.queue.complete(position, Fate::Oversize);
        if let Some(silent) = self.sender.oversize.pass(Instant::now()) {
            let (upstream, topic) = (&self.sender.upstream, &message.topic);
            tracing::warn!(upstream, %topic, silent, "this message can never be sent: {error}");
        }
    }

    fn heard(&mut self, bytes: usize) -> Result<(), LinkError> {
        if bytes == 0 {
            return Err(LinkError::Closed);
        }
        self.keep_alive.heard(Instant::now());
        self.receive()
    }

    fn pushed(&mut self, result: std::io::Result<()>) -> Result<(), LinkError> {
        result?;
        self.keep_alive.sent(Instant::now());
        while let Some(position) = self.out.next_written() {
            self.sender.queue.complete(position, Fate::Forwarded);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), LinkError> {
        match self.keep_alive.check(Instant::now()) {
            Due::Nothing => {}
            Due::Ping => self.write(Outgoing::PingReq),
            Due::Dead(silence) => return Err(LinkError::Silent(silence)),
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), LinkError> {
        while let Some(packet) = wire::decode(self.terms.protocol, &mut self.input)? {
            match packet {
                Incoming::PubAck(ack) => {
                    let step = self.sender.inflight.on_puback(ack);
                    self.step(step)?;
                }
                Incoming::PubRec(ack) => {
                    let step = self.sender.inflight.on_pubrec(ack);
                    self.step(step)?;
                }
                Incoming::PubComp(ack) => {
                    let step = self.sender.inflight.on_pubcomp(ack);
                    self.step(step)?;
                }
                // Left by an earlier user of this client id: acknowledged by the rules, and ignored.
                Incoming::Publish { qos: QoS::AtMostOnce, .. } | Incoming::PingResp => {}
                Incoming::Publish { qos: QoS::AtLeastOnce, id } => self.write(Outgoing::PubAck(id)),
                Incoming::Publish { qos: QoS::ExactlyOnce, id } => self.write(Outgoing::PubRec(id)),
                Incoming::PubRel(id) => self.write(Outgoing::PubComp(id)),
                Incoming::Disconnect { reason, text } => return Err(LinkError::Disconnected { reason, text }),
                Incoming::ConnAck(_) => return Err(LinkError::OutOfTurn("a second CONNACK")),
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), LinkError> {
        match step {
            Step::Nothing => {}
            Step::Release(ack) => self.write(Outgoing::PubRel(ack)),
            Step::Reset => return Err(LinkError::SessionBroken),
            Step::Receive { number, turn } => self.sender.queue.release(number, turn),
            Step::Done { number, reason, .. } if !reason.is_failure() => {
                self.sender.queue.complete(Position::of(number), Fate::Forwarded);
            }
            Step::Done { number, message, reason } => {
                self.sender.queue.complete(Position::of(number), Fate::Refused);
                if let Some(silent) = self.sender.refused.pass(Instant::now()) {
                    let (upstream, topic) = (&self.sender.upstream, message.map(|message| message.topic));
                    tracing::warn!(upstream, ?topic, silent, "the upstream refused a message: {reason}");
                }
            }
        }
        Ok(())
    }

    /// A packet of a few bytes, which always fits.
    fn write(&mut self, packet: Outgoing<'_>) {
        if let Err(error) = wire::encode(self.terms.protocol, packet, wire::MAX_OUTGOING, &mut self.out.bytes) {
            tracing::error!(upstream = self.sender.upstream, "a control packet could not be written: {error}");
        }
    }

    fn encode(&mut self, packet: Outgoing<'_>) -> Result<(), EncodeError> {
        wire::encode(self.terms.protocol, packet, self.terms.maximum_packet_size, &mut self.out.bytes)
    }

    /// Whether more may be taken from the spool now.
    fn is_hungry(&self) -> bool {
        self.out.room() > 0 && self.sender.inflight.room() > 0
    }

    fn is_drained(&self) -> bool {
        self.out.is_idle() && self.sender.inflight.is_empty() && !self.sender.queue.has_after(self.cursor)
    }

    async fn close(self) {
        let stream = self.reader.unsplit(self.writer);
        Link { stream, input: self.input, session_present: false, terms: self.terms }.close().await;
    }
}
