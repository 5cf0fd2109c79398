//! From the first byte to CONNACK, under one deadline.

use std::sync::atomic::AtomicBool;

use super::farewell::FAREWELL_TIMEOUT;
use super::*;
use crate::base::excerpt::brief;
use crate::config::BrokerLimits;
use crate::ingress::handshake::{LARGEST_PACKET, Refusal, Terms, negotiate};
use crate::ingress::identities::{Credentials, Identities, Proof};
use crate::ingress::registry::Opened;
use crate::ingress::strict_utf8;
use crate::message::hops::GATEWAY;
use crate::mqtt::{ConnAck, Connect, DecodeError, Foreign};

/// `None` when the connection is over before it began; the device has been told why, where it could be.
pub(super) async fn greet<R, W>(
    wire: Wire<R, W>,
    peer: &mut Peer,
    context: &Arc<Context>,
    shutdown: Shutdown,
) -> Option<Connection<R, W>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut wire, mut connect) = hear(wire, peer, context, &shutdown).await?;
    let said = Credentials::take(&mut connect);
    if said.name().is_some() && peer.name.is_none() && !context.identities.asks_for_passwords() {
        tell_unchecked_credentials(peer);
    }
    let largest = connect.maximum_packet_size.map_or(LARGEST_PACKET, |size| size as usize);
    let is_gateway = connect.user_properties.iter().any(|(name, _)| name == GATEWAY);
    let assigned = || context.identities.assign(peer, &said, new_client_id());
    let mut terms = match examine(&mut wire, connect, &context.limits, assigned) {
        Ok(terms) => terms,
        Err(refusal) => return refuse(wire, peer, context, refusal, largest).await,
    };
    let identified = identify(&mut terms, peer, said, &context.identities);
    if let Err((refusal, user)) = shutdown.run_until_cancelled(identified).await? {
        context.metrics.logins_refused.increment();
        complain(peer, context, refusal, user.as_deref());
        return answer(wire, refusal, largest).await;
    }
    tell_denied_will(&terms, peer, context);
    permission::grant(&mut terms, peer, context);
    match shutdown.run_until_cancelled(open(&terms, peer, context)).await? {
        Ok(opened) => {
            let connection = welcome(wire, terms, opened, (peer, context), shutdown);
            Some(Connection { is_gateway, ..connection })
        }
        Err(refusal) => refuse(wire, peer, context, refusal, largest).await,
    }
}

/// CONNECT, in time.
async fn hear<R, W>(
    mut wire: Wire<R, W>,
    peer: &Peer,
    context: &Context,
    shutdown: &Shutdown,
) -> Option<(Wire<R, W>, Connect)>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let greeting = tokio::time::timeout_at(peer.deadline, read_connect(&mut wire));
    match shutdown.run_until_cancelled(greeting).await? {
        Ok(Ok(connect)) => Some((wire, connect?)),
        Ok(Err(DecodeError { reason, detail })) => {
            let largest = wire.codec.peer_maximum_packet_size().map_or(LARGEST_PACKET, |size| size as usize);
            complain(peer, context, (reason, detail), peer.name.as_deref());
            answer(wire, (reason, detail), largest).await
        }
        Err(_) => {
            context.metrics.connections_refused.increment();
            tracing::info!(%peer, "connection ended: no CONNECT within broker.limits.handshake_timeout");
            None
        }
    }
}

/// Its session, if that is its own, and it is still who it was when its password was looked at.
async fn open(terms: &Terms, peer: &Peer, context: &Context) -> Result<Opened, Refusal> {
    match context.registry.open(terms, peer.deadline).await {
        Ok(opened) if !context.identities.still_has(terms.login.as_deref()) => {
            let ending = Ending { will: None, session_expiry: terms.session_expiry };
            context.registry.close(opened.session, ending);
            Err((Reason::NOT_AUTHORIZED, "its password was changed while it connected"))
        }
        Ok(opened) => Ok(opened),
        Err(reason) => {
            if reason == Reason::NOT_AUTHORIZED {
                context.metrics.logins_refused.increment();
            }
            Err((reason, no_session(reason)))
        }
    }
}

/// Who it is, and whether its client identifier is its own. With what may be logged of a user who is not let in.
async fn identify(
    terms: &mut Terms,
    peer: &mut Peer,
    said: Credentials,
    identities: &Identities,
) -> Result<(), (Refusal, Option<String>)> {
    let Proof { user, login } = identities.prove(peer, &said).await?;
    (peer.name, terms.login) = (user, login);
    let user = peer.name.as_deref();
    identities.check_client_id(user, &terms.client_id).map_err(|refusal| (refusal, user.map(str::to_owned)))
}

/// What is known without a session.
fn examine<R, W>(
    wire: &mut Wire<R, W>,
    connect: Connect,
    limits: &BrokerLimits,
    assigned: impl FnOnce() -> String,
) -> Result<Terms, Refusal> {
    if limits.strict_utf8
        && let Some(refusal) = strict_utf8::violated_by(&connect)
    {
        return Err(refusal);
    }
    let terms = negotiate(connect, limits, assigned)?;
    let connack = Packet::ConnAck(Box::new(terms.connack(false, limits)));
    if wire.codec.size(&connack) > terms.peer_maximum_packet_size {
        return Err((Reason::PACKET_TOO_LARGE, "the device's Maximum Packet Size has no room for CONNACK"));
    }
    wire.begin_anew();
    if !wire.has_memory(terms.will.as_ref().map_or(0, |will| will.message.weight())) {
        return Err((Reason::QUOTA_EXCEEDED, NO_MEMORY));
    }
    Ok(terms)
}

fn tell_denied_will(terms: &Terms, peer: &Peer, context: &Context) {
    if let Some(topic) = &terms.denied_will
        && let Some(suppressed) = context.complaints.permit()
    {
        let client = &terms.client_id;
        tracing::info!(%peer, client = ?brief(&client), ?topic, suppressed, "the will of this client is never published: the topic belongs to the gateway");
    }
}

/// Why, and what to do next.
fn no_session(reason: Reason) -> &'static str {
    match reason {
        Reason::NOT_AUTHORIZED => "this client identifier has a session of another user, for as long as that lasts",
        Reason::QUOTA_EXCEEDED => {
            "broker.limits.max_sessions is reached, and each of them is in use or has messages waiting"
        }
        _ => {
            "the session was not written or not handed over within broker.limits.handshake_timeout: the disk is full or slow, or the earlier connection hangs"
        }
    }
}

fn welcome<R, W>(
    mut wire: Wire<R, W>,
    terms: Terms,
    opened: Opened,
    (peer, context): (&Peer, &Arc<Context>),
    shutdown: Shutdown,
) -> Connection<R, W> {
    let Opened { session, present, releases, kicked } = opened;
    wire.send(&Packet::ConnAck(Box::new(terms.connack(present, &context.limits))));
    for packet in &releases {
        wire.send(packet);
    }
    let parked = Parked::new(context.dispatcher.clone(), context.parked_bytes.clone())
        .behind(context.drains.barrier(session.client()));
    let now = Instant::now();
    let (client, principal, source) = (session.client().clone(), peer.name.clone(), terms.permit.source());
    let origin = Origin { client, arrived_ms: unix_ms(), hops: 0, principal, source, trace: None };
    Connection {
        origin: Arc::new(origin),
        wire,
        session,
        context: context.clone(),
        parked,
        throttle: Throttle::new(&context.limits, now),
        kicked,
        shutdown,
        version: terms.version,
        is_gateway: false,
        peer_maximum_packet_size: terms.peer_maximum_packet_size,
        silence_allowed: terms.silence_allowed(),
        heard_at: now,
        wrote_at: now,
        ending: Ending { will: terms.will, session_expiry: terms.session_expiry },
        max_expiry: context.limits.max_session_expiry,
        waits_for_room: false,
    }
}

/// `None` when the device leaves without a word.
async fn read_connect<R, W>(wire: &mut Wire<R, W>) -> Result<Option<Connect>, DecodeError>
where
    R: AsyncRead + Unpin,
{
    loop {
        if let Some(foreign) = Foreign::recognise(&wire.incoming) {
            return Err(DecodeError { reason: Reason::PROTOCOL_ERROR, detail: other_protocol(foreign) });
        }
        if let Some(packet) = wire.next_packet()? {
            let Packet::Connect(connect) = packet else {
                let detail = "the first packet is not CONNECT [MQTT-3.1.0-1]";
                return Err(DecodeError { reason: Reason::PROTOCOL_ERROR, detail });
            };
            wire.traffic.connect();
            return Ok(Some(*connect));
        }
        wire.prepare();
        if !wire.has_memory(0) {
            wire.codec.learn_version(&wire.incoming);
            return Err(DecodeError { reason: Reason::QUOTA_EXCEEDED, detail: NO_MEMORY });
        }
        match wire.reader.read_buf(&mut wire.incoming).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// In words for who owns the device.
fn other_protocol(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Tls => "the device speaks TLS, and this listener is for MQTT without it: use `mqtt://` there",
        Foreign::Http => {
            "the device speaks HTTP or WebSocket, and this listener is for MQTT without it: use a port and a url for MQTT there, or give it a listener with `transport = \"websocket\"`"
        }
        Foreign::Proxy => {
            "a load balancer sends a PROXY protocol header, and this listener expects none: set `proxy_protocol = true` for the listener, or do not send it"
        }
    }
}

/// Once: each device of a plant may do so.
fn tell_unchecked_credentials(peer: &Peer) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, std::sync::atomic::Ordering::Relaxed) {
        tracing::warn!(
            %peer,
            "a device sends a user name, and nobody checks it or its password: whoever reaches a listener may connect; this is told once"
        );
    }
}

/// CONNACK with the reason, when the first bytes told which version to say it in, and that version has a word for it.
async fn refuse<R, W>(
    wire: Wire<R, W>,
    peer: &Peer,
    context: &Context,
    refusal: Refusal,
    largest: usize,
) -> Option<Connection<R, W>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    complain(peer, context, refusal, peer.name.as_deref());
    answer(wire, refusal, largest).await
}

fn complain(peer: &Peer, context: &Context, (reason, detail): Refusal, user: Option<&str>) {
    context.metrics.connections_refused.increment();
    if let Some(suppressed) = context.complaints.permit() {
        let user = user.map(|user| tracing::field::debug(brief(user)));
        tracing::warn!(%peer, user, suppressed, "connection refused: {reason}: {detail}");
    }
}

/// Gives nothing, in the type of who asks.
async fn answer<R, W, T>(mut wire: Wire<R, W>, (reason, detail): Refusal, largest: usize) -> Option<T>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if wire.codec.version().is_some() {
        let without = ConnAck { reason, ..ConnAck::default() };
        let with_words = ConnAck { reason_string: Some(detail.to_owned()), ..without.clone() };
        wire.send_smaller(&Packet::ConnAck(Box::new(with_words)), &Packet::ConnAck(Box::new(without)), largest);
        let answer = async {
            let _ = wire.writer.write_all_buf(&mut wire.outgoing).await;
            let _ = wire.writer.shutdown().await;
            if reason == Reason::QUOTA_EXCEEDED {
                wire.hear_out().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, answer).await;
    }
    None
}

/// Unique on this gateway, which is all that an assigned identifier has to be [MQTT-3.1.3-6].
fn new_client_id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("auto-{:x}-{number}", unix_ms())
}
