//! One connection after CONNACK: spool to socket, socket to spool, until one of the two ends it.
//!
//! A single task with one `select!`, so that the state needs no lock: reading never waits for writing, or two peers with full
//! buffers would wait for each other. Whatever arm wakes it, every round begins by filling the outbox with all that may go:
//! repeats first, then the spool while the window is open, QoS 0 and QoS 1/2 in the order of the spool.
//!
//! PUBREL waits for the disk without holding up anything else: the ack of the server becomes a note for the spool, and what the
//! spool confirms comes back as one more thing to wake up for.
//!
//! Before we go to another address nothing new is sent, and what is in flight comes to its end: so nothing is in doubt at the other address.
//! When it does not end within the grace time, we stay.
//!
//! A server that takes QoS 0 at most gives no acks: what is lowered for it is over when a PINGREQ behind it is answered (`proof`).
//!
//! An ack that does not come ends the connection after the `ack_timeout` of the upstream (`ack_watch`): only on a new one may the
//! message be sent again (MQTT 5, section 4.4).
//!
//! On shutdown what the spool still holds is sent within the grace time; the rest is for the next process.

mod alone;
mod closing;
mod ended;
mod incoming;
mod leaving;
mod outgoing;
mod proof;
mod receiving;
mod refused;
mod sender;
mod skip;
mod too_large;
mod turns;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::alone::Alone;
pub use self::leaving::End;
use self::leaving::{Departure, Leaving};
use self::proof::Proofs;
pub use self::sender::{Acks, Inflight, Sender};
pub use self::too_large::Elsewhere;
use self::turns::{Event, Turn};
use super::ack_watch::AckWatch;
use super::failback::Failback;
use super::keepalive::{Due, KeepAlive};
use super::link::{Link, Terms};
use super::link_error::LinkError;
use super::outbox::Outbox;
use super::transport::{Dial, Transport};
use super::unasked::Patience;
use crate::base::kill_point::{self, KillPoint};
use crate::base::wake::batch_wakes;
use crate::message::QoS;
use crate::mqtt::client::{self, Decoder, Outgoing};
use crate::spool::{Fate, Position};

/// One read of the socket: some thousand acks.
const READ_SIZE: usize = 8 * 1024;

pub struct Session<'a> {
    sender: &'a mut Sender,
    reader: ReadHalf<Transport>,
    writer: WriteHalf<Transport>,
    input: BytesMut,
    decoder: Decoder,
    out: Outbox,
    terms: Terms,
    /// How far the spool has been read on this connection. Begins at its start: what is in flight is passed over, and QoS 0
    /// that was read but not written is met again.
    cursor: Position,
    /// QoS 0 up to this sequence is sent, in order or past what waits before it.
    passed: u64,
    keep_alive: KeepAlive,
    ack_watch: AckWatch,
    proofs: Proofs,
    alone: Alone,
    patience: Patience,
    /// Bytes of the packet that was just read.
    size: usize,
    leaving: Option<Leaving>,
    /// When it is tried again to go to an address that takes what is too large here.
    leave_again: Option<Instant>,
    turn: Turn,
}

// === impl Session ===

impl<'a> Session<'a> {
    pub fn new(sender: &'a mut Sender, link: Link) -> Self {
        let (reader, writer) = tokio::io::split(link.stream);
        let now = Instant::now();
        let (keep_alive, ack_watch) =
            (KeepAlive::new(link.terms.keep_alive, now), AckWatch::new(sender.ack_timeout, now));
        let (input, terms, out) = (link.input, link.terms, Outbox::default());
        sender.acks.progress = false;
        sender.isolation.begin();
        let (cursor, alone) = (Position::START, Alone::default());
        let max_packet_size = sender.subscriber.as_ref().map_or(client::MAX_INCOMING, |one| one.max_packet_size);
        let decoder = Decoder::new(terms.protocol, max_packet_size);
        Self {
            sender,
            reader,
            writer,
            input,
            decoder,
            out,
            terms,
            cursor,
            passed: 0,
            keep_alive,
            ack_watch,
            proofs: Proofs::default(),
            alone,
            patience: Patience::new(now),
            size: 0,
            leaving: None,
            leave_again: None,
            turn: Turn::default(),
        }
    }

    /// Takes up the exchanges of the session that the server kept: their PUBRELs go first, or alone.
    pub fn resume(&mut self) {
        // What has become durable meanwhile is among them.
        self.sender.hear_spool();
        if self.sender.acks.lowered {
            self.lower();
        }
        let releases = self.sender.inflight.resume(self.terms.window);
        if self.sender.isolation.is_alone() {
            self.sender.inflight.withhold_releases();
        } else {
            releases.into_iter().for_each(|release| self.write(Outgoing::PubRel(release)));
        }
        self.sender.review_held();
        self.send_held();
        self.subscribe();
    }

    /// Begins with a new session.
    pub fn restart(&mut self) {
        self.sender.hear_spool();
        self.sender.acks.lowered = false;
        self.sender.inflight.restart(self.terms.window);
        self.sender.forget_held();
        self.subscribe();
    }

    /// Runs until the connection fails, or until it is ended in good order.
    pub async fn run(
        mut self,
        shutdown: &CancellationToken,
        failback: &Failback<'_, impl Dial>,
    ) -> Result<End, LinkError> {
        let end = self.serve(shutdown, failback).await;
        match &end {
            Ok(_) => self.close().await,
            Err(error) => self.say_why(error).await,
        }
        end
    }

    async fn serve(
        &mut self,
        shutdown: &CancellationToken,
        failback: &Failback<'_, impl Dial>,
    ) -> Result<End, LinkError> {
        let mut found = std::pin::pin!(failback.found());
        self.receive()?;
        loop {
            self.hear_spool();
            self.release_abandoned();
            self.renew_when_due();
            self.fill();
            let alone = self.sender.isolation.is_alone();
            if self.leaving.is_some() || alone || self.sender.inflight.is_held_by_disk() {
                self.sender.queue.hurry();
            }
            match self.departure() {
                Departure::Now(why) => return Ok(why),
                Departure::GivenUp => {
                    found.set(failback.found());
                    continue;
                }
                Departure::Later => {}
            }
            let stopping = self.leaving.is_some_and(|leaving| leaving.why == End::Shutdown);
            let queue = self.sender.queue.clone();
            let (hungry, passes) = (self.is_hungry() && !alone, self.lets_qos0_pass());
            let deadline = self.deadline();
            self.input.reserve(READ_SIZE);
            let (reads, writes) = (!self.out.is_flooded(), !self.out.is_idle());
            let read = reads.then(|| self.reader.read_buf(&mut self.input));
            let pushed = writes.then(|| self.out.push(&mut self.writer));
            let event = turns::next(&mut self.turn, read, pushed, tokio::time::sleep_until(deadline));
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !stopping => self.leave(End::Shutdown),
                Some(skip) = self.sender.skips.recv() => self.sender.skip(skip),
                kept = self.sender.filing.kept() => self.sender.filed(kept),
                // Before reading, which makes more of it: one that sends without end does not wait for acks.
                event = receiving::event(&mut self.sender.subscriber) => self.happened(event),
                event = event => match event {
                    Event::Read(read) => self.heard(read?)?,
                    Event::Wrote(Ok(())) => self.pushed(),
                    Event::Wrote(Err(error)) => return Err(self.last_words(error).await),
                    Event::Due => self.check()?,
                },
                // What these tell of is looked at before anything is waited for.
                () = queue.wait_confirmed() => {}
                () = queue.wait_after(self.cursor), if hungry => {}
                () = queue.wait_qos0_after(self.passed), if passes && !hungry => {}
                () = &mut found, if self.leaving.is_none() => self.leave(End::Failback),
            }
        }
    }

    /// PUBRELs that waited for the disk.
    fn hear_spool(&mut self) {
        for release in self.sender.hear_spool() {
            kill_point::reach(KillPoint::ReceivedSynced);
            kill_point::expect(KillPoint::Released);
            self.write(Outgoing::PubRel(release));
        }
    }

    /// Before anything new is sent: the id may be given to another message as soon as the end of this one is durable.
    fn release_abandoned(&mut self) {
        if self.terms.maximum_qos < QoS::ExactlyOnce {
            return;
        }
        for release in self.sender.inflight.take_abandoned() {
            self.write(Outgoing::PubRel(release));
        }
    }

    fn heard(&mut self, bytes: usize) -> Result<(), LinkError> {
        if bytes == 0 {
            return Err(LinkError::Closed);
        }
        self.keep_alive.heard(Instant::now());
        self.receive()
    }

    fn pushed(&mut self) {
        kill_point::happened(KillPoint::Published);
        kill_point::happened(KillPoint::Released);
        kill_point::happened(KillPoint::MessageAcked);
        self.keep_alive.sent(Instant::now());
        if self.sender.isolation.is_alone() && self.out.sent().written > self.alone.from() {
            self.sender.isolation.written();
        }
        let _turn = batch_wakes();
        while let Some(position) = self.out.next_written() {
            if position.sequence == 0 {
                self.sender.inflight.passed(position.number);
            }
            self.sender.queue.complete(position, Fate::Forwarded);
        }
    }

    fn deadline(&self) -> Instant {
        let ack = Some(self.ack_watch.next_look()).filter(|_| !self.sender.inflight.is_empty());
        let leaving = self.leaving.map(|leaving| leaving.until);
        let others = [ack, leaving, self.sender.refusals.next_due(), self.leave_again, self.answer_due()];
        others.into_iter().flatten().fold(self.keep_alive.deadline(), Instant::min)
    }

    fn check(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        self.leave_when_due(now);
        self.check_subscriptions(now)?;
        match self.keep_alive.check(now) {
            Due::Nothing => {}
            Due::Ping => self.ping(),
            Due::Dead(silence) => return Err(LinkError::Silent(silence)),
        }
        if now >= self.ack_watch.next_look() {
            let (awaited, sent) = (self.sender.inflight.oldest_awaited(), self.out.sent());
            return self
                .ack_watch
                .look(now, awaited, sent)
                .map_or(Ok(()), |late| Err(self.sender.not_acknowledged(late)));
        }
        Ok(())
    }

    /// A packet of a few bytes, which always fits.
    fn write(&mut self, packet: Outgoing<'_>) {
        if let Err(error) = client::encode(self.terms.protocol, packet, client::MAX_OUTGOING, &mut self.out.bytes) {
            tracing::error!(upstream = self.sender.upstream, "a control packet could not be written: {error}");
        }
    }
}
