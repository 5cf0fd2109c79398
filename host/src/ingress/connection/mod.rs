//! One device, one task: greets, then carries packets between socket, session and pipeline until either side leaves.
//!
//! The session decides, this file carries out. Reading pauses when the lanes are full or the device does not read what it
//! is sent; acks and deliveries go on meanwhile. Whatever is ready leaves in one write.

mod greeting;
mod parked;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use parked::Parked;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::Wire;

use super::codec::{Disconnect, Packet, Reason, ReasonList, Version};
use super::registry::{Ending, Registry};
use super::session::{Action, Session, Violation};
use crate::bindings::{Dispatcher, Inbound};
use crate::bus::Bus;
use crate::control::clock::unix_ms;
use crate::control::config::BrokerLimits;
use crate::control::counters::Counters;
use crate::control::rate_limit::RateLimit;
use crate::message::{Message, Origin};
use crate::spool::Receipt;

/// A device that takes nothing of what it is sent for so long is gone, whatever its keep-alive says.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// For the last words on a connection that ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The clock is not looked at more often than this.
const SHORTEST_TICK: Duration = Duration::from_millis(100);

/// Payloads smaller than this are copied out of the read buffer.
const COPY_BELOW: usize = 2 * 1024;

/// What every connection shares.
pub struct Context {
    pub limits: BrokerLimits,
    pub bus: Arc<Bus>,
    pub dispatcher: Arc<Dispatcher>,
    pub registry: Registry,
    pub counters: Arc<Counters>,
    pub parked_bytes: Arc<AtomicUsize>,
    pub complaints: RateLimit,
}

struct Connection<R, W> {
    wire: Wire<R, W>,
    session: Session,
    context: Arc<Context>,
    parked: Parked,
    kicked: Arc<Notify>,
    shutdown: CancellationToken,
    version: Version,
    peer_maximum_packet_size: usize,
    silence_allowed: Option<Duration>,
    heard_at: Instant,
    wrote_at: Instant,
    /// What the device left behind, should it vanish.
    ending: Ending,
    max_expiry: Duration,
}

enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Done(u64),
    Started,
    MailReady,
    Tick,
    Kicked,
    Shutdown,
}

/// Why the loop ended.
enum End {
    /// The device said good-bye, or the socket broke.
    Gone,
    /// We end it, and say why where the protocol can.
    Because(Violation),
}

/// Serves one device from its first byte to its last. Returns when the connection is over.
pub async fn serve<R, W>(reader: R, writer: W, peer: SocketAddr, context: Arc<Context>, shutdown: CancellationToken)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let wire = Wire::new(reader, writer, context.limits.max_packet_size);
    let Some(mut connection) = greeting::greet(wire, peer, &context, shutdown).await else { return };
    let client = connection.session.client().clone();
    tracing::debug!(%peer, %client, version = ?connection.version, "connected");
    let end = connection.run().await;
    if let End::Because(violation) = &end {
        connection.complain(peer, &client, violation);
        connection.say_goodbye(violation).await;
    }
    let Connection { session, ending, context, wire, .. } = connection;
    drop(wire);
    context.registry.close(session, ending);
    tracing::debug!(%peer, %client, "disconnected");
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    async fn run(&mut self) -> End {
        let timer = tokio::time::sleep_until(self.deadline());
        tokio::pin!(timer);
        loop {
            if let Err(end) = self.process_incoming() {
                return end;
            }
            self.send_acks();
            self.deliver_mail();
            self.wire.prepare();
            let event = self.next_event(timer.as_mut()).await;
            if let Err(end) = self.handle(event) {
                return end;
            }
            if timer.is_elapsed() {
                timer.as_mut().reset(self.deadline());
            }
        }
    }

    async fn next_event(&mut self, timer: std::pin::Pin<&mut tokio::time::Sleep>) -> Event {
        let reads = !self.is_paused();
        let (writes, wants_mail) = (!self.wire.outgoing.is_empty(), self.wants_mail());
        let mailbox = self.session.mailbox().clone();
        let Wire { reader, writer, incoming, outgoing, .. } = &mut self.wire;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Event::Shutdown,
            () = self.kicked.notified() => Event::Kicked,
            wrote = writer.write_buf(outgoing), if writes => Event::Wrote(wrote),
            Some(ticket) = self.session.next_done() => Event::Done(ticket),
            _ = self.parked.started() => Event::Started,
            read = reader.read_buf(incoming), if reads => Event::Read(read),
            () = mailbox.ready(), if wants_mail => Event::MailReady,
            () = timer => Event::Tick,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Read(Ok(0) | Err(_)) | Event::Wrote(Err(_)) => return Err(End::Gone),
            Event::Read(Ok(_)) => self.heard_at = Instant::now(),
            Event::Wrote(Ok(_)) => self.wrote_at = Instant::now(),
            Event::Done(ticket) => self.acknowledge(ticket),
            // The next turn of the loop looks at what these changed.
            Event::Started | Event::MailReady => {}
            Event::Tick => return self.check_deadlines(),
            Event::Kicked => return Err(because(Reason::SESSION_TAKEN_OVER, "the same client connected again")),
            Event::Shutdown => return Err(because(Reason::SERVER_SHUTTING_DOWN, "the gateway stops")),
        }
        Ok(())
    }

    /// Everything that has been read, until the pipeline is full.
    fn process_incoming(&mut self) -> Result<(), End> {
        while !self.is_paused() {
            let packet = self.wire.next_packet().map_err(|error| because(error.reason, error.detail))?;
            let Some(packet) = packet else { return Ok(()) };
            for action in self.session.receive(packet).map_err(End::Because)? {
                self.carry_out(action)?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) -> Result<(), End> {
        match action {
            Action::Send(packet) => self.wire.send(&packet),
            Action::Accept { message, receipt } => self.accept(message, receipt),
            Action::Denied(topic) => {
                self.context.counters.received.increment();
                self.context.counters.acl_denied.increment();
                tracing::debug!(client = %self.session.client(), %topic, "denied: the topic belongs to the gateway");
            }
            Action::Subscribe(packet) => {
                let (mailbox, max) = (self.session.mailbox().clone(), self.context.limits.max_subscriptions_per_client);
                let reasons = self.session.subscriptions.subscribe(&self.context.bus, &mailbox, &packet, max);
                self.wire.send(&Packet::SubAck(ReasonList { packet_id: packet.packet_id, reasons }));
            }
            Action::Unsubscribe(packet) => {
                let mailbox = self.session.mailbox().clone();
                let reasons = self.session.subscriptions.unsubscribe(&self.context.bus, &mailbox, &packet);
                self.wire.send(&Packet::UnsubAck(ReasonList { packet_id: packet.packet_id, reasons }));
            }
            Action::Leave { with_will, session_expiry } => return Err(self.leave(with_will, session_expiry)),
        }
        Ok(())
    }

    fn accept(&mut self, mut message: Message, receipt: Receipt) {
        unpin(&mut message);
        let origin = Arc::new(Origin { client: self.session.client().clone(), arrived_ms: unix_ms(), hops: 0 });
        let inbound = Inbound { message, origin, arrived: std::time::Instant::now(), receipt };
        if let Some(pending) = self.context.dispatcher.receive(inbound) {
            self.parked.submit(pending);
        }
    }

    fn leave(&mut self, with_will: bool, session_expiry: Option<u32>) -> End {
        if !with_will {
            self.ending.will = None;
        }
        if let Some(seconds) = session_expiry {
            if self.ending.session_expiry.is_zero() && seconds > 0 {
                return because(
                    Reason::PROTOCOL_ERROR,
                    "a session expiry after CONNECT asked for none [MQTT-3.14.2-2]",
                );
            }
            self.ending.session_expiry = Duration::from_secs(seconds.into()).min(self.max_expiry);
        }
        End::Gone
    }

    fn send_acks(&mut self) {
        while let Some(ticket) = self.session.try_next_done() {
            self.acknowledge(ticket);
        }
    }

    fn acknowledge(&mut self, ticket: u64) {
        for packet in self.session.acknowledge(ticket) {
            self.wire.send(&packet);
        }
    }

    /// As much as the device's window and its socket take.
    fn deliver_mail(&mut self) {
        while self.wants_mail() {
            let Some(delivery) = self.session.mailbox().take() else { return };
            let Some(message) = delivery.message.aged(delivery.arrived.elapsed()) else {
                self.context.counters.subscriber_expired.increment();
                continue;
            };
            drop(message);
            let packet = self.session.deliver(delivery);
            if self.wire.codec.size(&packet) > self.peer_maximum_packet_size {
                self.context.counters.subscriber_dropped.increment();
                self.session.abandon(&packet);
                continue;
            }
            self.wire.send(&packet);
        }
    }

    fn wants_mail(&self) -> bool {
        self.session.wants_delivery() && !self.wire.is_congested()
    }

    fn is_paused(&self) -> bool {
        self.session.is_saturated() || self.parked.is_full() || self.wire.is_congested()
    }

    /// When to look at the clock again.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let write = now + WRITE_TIMEOUT;
        let silence = self.silence_allowed.map_or(write, |allowed| self.heard_at + allowed);
        silence.min(write).max(now + SHORTEST_TICK)
    }

    fn check_deadlines(&mut self) -> Result<(), End> {
        if !self.wire.outgoing.is_empty() && self.wrote_at.elapsed() >= WRITE_TIMEOUT {
            return Err(End::Gone);
        }
        if self.is_paused() {
            // The device may have spoken; it is us who do not listen.
            self.heard_at = Instant::now();
        }
        match self.silence_allowed {
            Some(allowed) if self.heard_at.elapsed() >= allowed => {
                Err(because(Reason::KEEP_ALIVE_TIMEOUT, "nothing heard for one and a half keep-alives"))
            }
            _ => Ok(()),
        }
    }

    fn complain(&self, peer: SocketAddr, client: &str, violation: &Violation) {
        let expected = [Reason::SESSION_TAKEN_OVER, Reason::SERVER_SHUTTING_DOWN, Reason::KEEP_ALIVE_TIMEOUT];
        if expected.contains(&violation.reason) {
            return tracing::info!(%peer, client, "connection ended: {violation}");
        }
        self.context.counters.connections_refused.increment();
        if let Some(suppressed) = self.context.complaints.permit() {
            tracing::warn!(%peer, client, suppressed, "connection ended: {violation}");
        }
    }

    /// DISCONNECT with the reason; MQTT 3.1.1 has no such packet from the server and just sees the end.
    async fn say_goodbye(&mut self, violation: &Violation) {
        if self.version == Version::V5 {
            let reason_string = Some(violation.detail.to_owned());
            let packet =
                Packet::Disconnect(Disconnect { reason: violation.reason, session_expiry: None, reason_string });
            self.wire.send(&packet);
        }
        let last_words = async {
            let _ = self.wire.writer.write_all_buf(&mut self.wire.outgoing).await;
            let _ = self.wire.writer.shutdown().await;
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, last_words).await;
    }
}

/// A payload is a slice of the read buffer: kept for a day, a reading of 20 bytes would keep 4 KiB. What is small is copied,
/// which also lets the buffer be used again for the next read.
fn unpin(message: &mut Message) {
    if message.payload.len() < COPY_BELOW {
        message.payload = Bytes::copy_from_slice(&message.payload);
    }
    if let Some(properties) = message.properties.as_mut().and_then(Arc::get_mut)
        && let Some(correlation) = &mut properties.correlation_data
    {
        *correlation = Bytes::copy_from_slice(correlation);
    }
}

fn because(reason: Reason, detail: &'static str) -> End {
    End::Because(Violation { reason, detail })
}
