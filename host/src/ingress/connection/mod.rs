//! One device, one task: greets, then carries packets between socket, session and pipeline until either side leaves.
//!
//! The session decides, this file carries out. Reading pauses when the lanes are full or the device does not read what it
//! is sent; acks and deliveries go on meanwhile. Whatever is ready leaves in one write.

mod deadlines;
mod drains;
mod farewell;
mod greeting;
mod incoming;
mod mail;
mod permission;
mod takeover;
mod throttle;
mod traffic;
mod wire;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

pub use drains::Drains;
use throttle::Throttle;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use wire::Wire;

use super::Shutdown;
use super::addresses::Addresses;
use super::identities::Identities;
use super::peer::Peer;
use super::registry::{Ending, Kick, Registry};
use super::session::{Action, Session, Violation, WRONG_ACK};
use crate::access::Access;
use crate::base::clock::unix_ms;
use crate::base::excerpt::brief;
use crate::base::kill_point::{self, KillPoint};
use crate::base::rate_limit::RateLimit;
use crate::bindings::{Dispatcher, Inbound, Parked};
use crate::bus::Bus;
use crate::config::BrokerLimits;
use crate::message::{Message, Origin};
use crate::metrics::ListenerMetrics;
use crate::mqtt::{Codec, Disconnect, Mqtt31, Packet, Reason, ReasonList, Version};

/// Bytes that are read of a connection whose packets wait.
const READ_AHEAD: usize = 64 * 1024;

/// The account is the gateway's: whoever grows when it is used up has to go.
const NO_MEMORY: &str = "broker.limits.memory is used up";

/// What every connection of a listener shares.
pub struct Context {
    pub access: Arc<Access>,
    pub limits: BrokerLimits,
    pub identities: Identities,
    pub mqtt_3_1: Mqtt31,
    pub bus: Arc<Bus>,
    pub dispatcher: Arc<Dispatcher>,
    pub registry: Arc<Registry>,
    pub metrics: Arc<ListenerMetrics>,
    pub parked_bytes: Arc<AtomicUsize>,
    pub drains: Arc<Drains>,
    pub complaints: Arc<RateLimit>,
    pub addresses: Arc<Addresses>,
}

struct Connection<R, W> {
    wire: Wire<R, W>,
    session: Session,
    context: Arc<Context>,
    parked: Parked,
    /// None without limits.
    throttle: Option<Box<Throttle>>,
    kicked: Arc<Kick>,
    shutdown: Shutdown,
    version: Version,
    /// What comes from it has crossed one more gateway.
    is_gateway: bool,
    peer_maximum_packet_size: usize,
    silence_allowed: Option<Duration>,
    heard_at: Instant,
    wrote_at: Instant,
    /// What the device left behind, should it vanish.
    ending: Ending,
    max_expiry: Duration,
    /// What its subscriptions change, and is not written, is as much as one client may have.
    waits_for_room: bool,
    /// Of the last message.
    origin: Arc<Origin>,
}

enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Done(u64),
    Started,
    /// It may send again.
    Resumed,
    MailReady,
    /// What waits to be written has become less.
    Room,
    Tick,
    Kicked,
    Shutdown,
}

/// Why the loop ended.
enum End {
    /// The device has closed it in the middle of things, or the socket broke.
    Gone,
    /// The device said good-bye; or it takes nothing, and we end it without a word.
    Left,
    /// We end it, and say why where the protocol can.
    Because(Violation),
}

/// Serves one device from its first byte to its last. Returns when the connection is over.
pub async fn serve<R, W>(reader: R, writer: W, peer: Peer, context: Arc<Context>, shutdown: Shutdown)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut peer, charge) = (peer, context.registry.ledger().charge());
    let codec = Codec::new(context.limits.max_packet_size).with_mqtt_3_1(context.mqtt_3_1);
    let wire = Wire::new(reader, writer, codec, charge, context.metrics.clone());
    let Some(mut connection) = greeting::greet(wire, &mut peer, &context, shutdown).await else { return };
    let client = connection.session.client().clone();
    let user = peer.name.as_deref().map(brief).map(tracing::field::debug);
    tracing::debug!(%peer, client = ?brief(&client), user, version = ?connection.version, "connected");
    let end = connection.run().await;
    if let End::Because(violation) = &end {
        connection.complain(&peer, &client, violation);
        connection.say_goodbye(violation).await;
    }
    if end.is_by_the_device() {
        connection.blame();
    }
    let Connection { session, ending, context, wire, parked, .. } = connection;
    // Before the session can be had again: its next connection has to find the barrier.
    context.drains.leave(client.clone(), parked);
    context.registry.close(session, ending);
    let mut wire = wire;
    wire.close().await;
    // Who breaks off and sees the socket close finds all of that done.
    drop(wire);
    tracing::debug!(%peer, client = ?brief(&client), "disconnected");
}

impl End {
    /// Whether it may have been a delivery that ended it.
    fn is_by_the_device(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::Left => false,
            Self::Because(violation) => violation.detail == WRONG_ACK,
        }
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    async fn run(&mut self) -> End {
        let timer = tokio::time::sleep_until(self.deadline());
        tokio::pin!(timer);
        loop {
            if let Err(end) = self.process_incoming().and_then(|()| self.send_acks()) {
                return end;
            }
            self.replay();
            if let Err(end) = self.deliver_mail() {
                return end;
            }
            self.session.flush(self.context.dispatcher.journal());
            self.wire.prepare();
            if !self.has_memory() {
                return because(Reason::QUOTA_EXCEEDED, NO_MEMORY);
            }
            let event = self.next_event(timer.as_mut()).await;
            if let Event::Kicked = event {
                return self.hand_over().await;
            }
            if let Err(end) = self.handle(event) {
                return end;
            }
            if timer.is_elapsed() {
                timer.as_mut().reset(self.deadline());
            }
        }
    }

    async fn next_event(&mut self, timer: std::pin::Pin<&mut tokio::time::Sleep>) -> Event {
        let (reads, replays) = (self.reads(), self.session.wants_replay());
        let (writes, wants_mail) = (self.wire.has_unsent(), self.wants_mail());
        let mailbox = self.session.mailbox().clone();
        let (in_flight, waits_for_room) = (self.context.dispatcher.journal().in_flight(), self.waits_for_room);
        let Wire { reader, writer, incoming, outgoing, is_held, .. } = &mut self.wire;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Event::Shutdown,
            () = self.kicked.notified() => Event::Kicked,
            wrote = poll_fn(|cx| wire::write(writer, outgoing, is_held, cx)), if writes => Event::Wrote(wrote),
            ticket = self.session.next_done() => Event::Done(ticket),
            _ = self.parked.started() => Event::Started,
            read = reader.read_buf(incoming), if reads => Event::Read(read),
            () = Throttle::resumed(&mut self.throttle) => Event::Resumed,
            () = in_flight.own_room(mailbox.client()), if waits_for_room => Event::Room,
            () = mailbox.ready(), if wants_mail => Event::MailReady,
            // Others have their turn first.
            () = tokio::task::yield_now(), if replays => Event::MailReady,
            () = timer => Event::Tick,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Read(Ok(0) | Err(_)) => return Err(self.last_words()),
            Event::Wrote(Err(_)) => return Err(End::Gone),
            Event::Read(Ok(read)) => {
                kill_point::reach(KillPoint::SocketRead);
                self.heard_at = Instant::now();
                self.throttle.iter_mut().for_each(|throttle| throttle.read(read));
            }
            // It has spoken, and we did not listen.
            Event::Resumed => self.heard_at = Instant::now(),
            Event::Wrote(Ok(_)) => {
                kill_point::happened(KillPoint::Acked);
                self.wrote_at = Instant::now();
            }
            Event::Done(ticket) => return self.acknowledge(ticket),
            // The next turn of the loop looks at what these changed; `run` sees to a takeover.
            Event::Started | Event::MailReady | Event::Kicked => {}
            Event::Room => self.waits_for_room = false,
            Event::Tick => return self.check_deadlines(),
            Event::Shutdown => return Err(End::Because(self.shutdown.violation())),
        }
        Ok(())
    }
}

impl<R, W> Connection<R, W> {
    /// With its will and its aliases.
    fn has_memory(&mut self) -> bool {
        let will = self.ending.will.as_ref().map_or(0, |will| will.message.weight());
        self.wire.has_memory(will + self.session.alias_bytes())
    }

    /// Whether packets should wait: for the lanes, for what is being written, or for the device to read what it was sent. Reading goes on for a while,
    /// so that the end of a connection is noticed.
    fn is_paused(&self) -> bool {
        self.waits_for_room || self.parked.is_full() || self.wire.is_congested() || self.session.holds_too_much()
    }

    /// Nothing is read ahead of one that sends more than it may.
    fn reads(&self) -> bool {
        let is_held_back = self.throttle.as_ref().is_some_and(|throttle| throttle.pauses());
        !is_held_back && (!self.is_paused() || self.wire.incoming.len() < READ_AHEAD)
    }

    /// Whether it has sent more than it may, so that the next packet waits.
    fn is_throttled(&mut self) -> bool {
        self.throttle.as_mut().is_some_and(|throttle| throttle.begins_pause(Instant::now()))
    }
}

fn because(reason: Reason, detail: &'static str) -> End {
    End::Because(Violation { reason, detail })
}
