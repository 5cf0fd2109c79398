//! A connection from the first byte to CONNACK, and the terms that the server sets in it.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::keepalive::Pace;
use super::link_error::LinkError;
use super::prepare::{Endpoint, Prepared};
use super::transport::{Dial, Transport};
use crate::base::fault::{self, Fault};
use crate::config::{Address, Upstream};
use crate::message::hops::GATEWAY;
use crate::message::{Message, QoS};
use crate::mqtt::Reason;
use crate::mqtt::client::{self, Incoming, Outgoing};
use crate::mqtt::sender::Window;
use crate::mqtt::{ConnAck, Connect, Foreign, Password, Version};

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// QoS 2 messages in flight towards a server of 3.1.1, which has a limit but no Receive Maximum to tell it. Mosquitto's
/// `max_inflight_messages` is 20 when nothing is configured, and beyond it mosquitto 2.0.11 completes the exchange and loses
/// the message: of 20,000 sent with a window of 100, 8,794 arrived; with 20, all. QoS 1 is not affected.
const EXACTLY_ONCE_V311: u16 = 20;

/// A server that takes less than this is not worth being connected to: with a topic of a few levels, no message has room, and
/// what has no room for good becomes a dead letter.
const SMALLEST_PACKET: u32 = 48;

/// A connection that the server has accepted.
pub struct Link {
    pub stream: Transport,
    /// Bytes that came after CONNACK.
    pub input: BytesMut,
    pub session_present: bool,
    pub terms: Terms,
}

/// What this server allows on this connection (MQTT 5, section 3.2.2.3); 3.1.1 has the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub protocol: Version,
    pub window: Window,
    pub maximum_qos: QoS,
    pub retain_available: bool,
    pub maximum_packet_size: usize,
    pub keep_alive: Pace,
}

/// Who is asking: the gateway itself, or `tidegate check` under another name.
pub struct Identity<'a> {
    pub client_id: &'a str,
    pub clean_start: bool,
    pub session_expiry: Duration,
}

// === impl Link ===

impl Link {
    /// Dials, sends CONNECT and waits for CONNACK, all within the connect timeout.
    pub async fn open(
        dial: &impl Dial,
        upstream: &Prepared,
        endpoint: &Endpoint,
        identity: Identity<'_>,
    ) -> Result<Self, LinkError> {
        let limit = upstream.spec.connect_timeout;
        let (deadline, tls) = (Instant::now() + limit, endpoint.tls.is_some());
        let has_certificate = upstream.spec.tls.as_ref().is_some_and(|tls| tls.cert.is_some());
        let dialled = timeout_at(deadline, dial.dial(endpoint)).await;
        let stream = dialled
            .map_err(|_| LinkError::Timeout { after: limit, tls })?
            .map_err(|source| unreachable(&endpoint.address, source).with_tls(has_certificate))?;
        let greeted = timeout_at(deadline, Self::greet(stream, upstream, &identity, tls)).await;
        let greeted = greeted.unwrap_or(Err(LinkError::NoConnAck { after: limit, protocol: upstream.spec.protocol }));
        greeted.map_err(|error| error.with_tls(has_certificate))
    }

    /// CONNECT and CONNACK.
    async fn greet(
        mut stream: Transport,
        upstream: &Prepared,
        identity: &Identity<'_>,
        tls: bool,
    ) -> Result<Self, LinkError> {
        let protocol = upstream.spec.protocol;
        let connect = connect(upstream, identity)?;
        // Who does not read it may have said why: in TLS 1.3 that is how a server refuses our certificate.
        let _ = async {
            stream.write_all(&connect).await?;
            stream.flush().await
        }
        .await;
        let mut input = BytesMut::new();
        let ack = read_connack(protocol, &mut stream, &mut input).await.map_err(|error| match error {
            LinkError::Closed => LinkError::NotGreeted { protocol, tls },
            // Closed before it had read all of our CONNECT, or without a goodbye of TLS.
            LinkError::Io(error) if error.get_ref().is_none_or(|why| !why.is::<rustls::Error>()) => {
                match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                        LinkError::NotGreeted { protocol, tls }
                    }
                    _ => error.into(),
                }
            }
            other => other,
        })?;
        if ack.reason != Reason::SUCCESS {
            let (text, server) = (ack.reason_string, ack.server_reference);
            return Err(LinkError::Refused { reason: ack.reason, text, server });
        }
        let terms = Terms::new(&upstream.spec, &ack)?;
        Ok(Self { stream, input, session_present: ack.session_present, terms })
    }

    /// Says nothing for so long and keeps what comes. An end of the connection is due to another client then, unless the server says
    /// that it has another reason.
    pub async fn listen(&mut self, quiet: Duration) -> Result<(), LinkError> {
        let until = Instant::now() + quiet;
        while self.input.len() < client::MAX_INCOMING {
            match timeout_at(until, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(bytes)) if bytes > 0 => {}
                Ok(Ok(_)) => return Err(self.why_closed()),
                // A server that lets another client in closes in good order. A line that breaks does not.
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn why_closed(&mut self) -> LinkError {
        loop {
            match client::decode(self.terms.protocol, &mut self.input) {
                Ok(Some(Incoming::Disconnect { reason, text, server })) => {
                    return LinkError::Disconnected { reason, text, server };
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return LinkError::Contested,
            }
        }
    }

    /// Says goodbye: the server keeps the session and does not take us for dead.
    pub async fn close(mut self) {
        let mut goodbye = BytesMut::new();
        let encoded = client::encode(
            self.terms.protocol,
            Outgoing::Disconnect(Reason::SUCCESS),
            client::MAX_OUTGOING,
            &mut goodbye,
        );
        let closing = async {
            self.stream.write_all(&goodbye).await?;
            self.stream.shutdown().await
        };
        // Whether it hears us or not, the connection is over.
        if encoded.is_ok() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
        }
    }
}

// === impl Terms ===

impl Terms {
    /// Refuses what cannot be worked with: an address with such terms is as good as none.
    fn new(spec: &Upstream, ack: &ConnAck) -> Result<Self, LinkError> {
        let maximum_packet_size = maximum_packet_size(ack)?;
        let keep_alive = ack.server_keep_alive.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(Self {
            protocol: spec.protocol,
            window: window(spec.protocol, ack)?,
            maximum_qos: ack.maximum_qos.unwrap_or(QoS::ExactlyOnce),
            retain_available: ack.retain_available.unwrap_or(true),
            maximum_packet_size,
            keep_alive: Pace::new(Duration::from_secs(keep_alive_seconds(spec).into()), keep_alive),
        })
    }

    /// The message as this server takes it: no more QoS [MQTT-3.2.2-11] and no retain flag [MQTT-3.2.2-14] than it allows.
    /// The road not taken is to refuse such messages: then nothing at all would reach this upstream.
    pub fn fit(&self, mut message: Message) -> Message {
        message.qos = message.qos.min(self.maximum_qos);
        message.retain &= self.retain_available;
        message
    }

    /// What an operator should know about this server.
    pub fn warn(&self, upstream: &str) {
        if self.maximum_qos < QoS::ExactlyOnce {
            let maximum = self.maximum_qos as u8;
            tracing::warn!(
                upstream,
                "this server takes QoS {maximum} at most: messages of a higher QoS are lowered to it"
            );
        }
        if !self.retain_available {
            tracing::warn!(upstream, "this server does not retain: the retain flag is taken off");
        }
    }
}

fn window(protocol: Version, ack: &ConnAck) -> Result<Window, LinkError> {
    let all = ack.receive_maximum.unwrap_or(u16::MAX);
    if all == 0 {
        return Err(LinkError::Terms(
            "a Receive Maximum of 0, which is a protocol error (MQTT 5, section 3.2.2.3.3)".into(),
        ));
    }
    let exactly_once = if protocol == Version::V311 { EXACTLY_ONCE_V311 } else { all };
    Ok(Window { all, exactly_once })
}

fn maximum_packet_size(ack: &ConnAck) -> Result<usize, LinkError> {
    match ack.maximum_packet_size {
        None => Ok(client::MAX_OUTGOING),
        Some(size) if fault::is_on(Fault::AnyPacketSizeTaken) => Ok(size as usize),
        Some(0) => Err(LinkError::Terms(
            "a Maximum Packet Size of 0, which is a protocol error (MQTT 5, section 3.2.2.3.6)".into(),
        )),
        Some(size) if size < SMALLEST_PACKET => {
            Err(LinkError::Terms(format!("a Maximum Packet Size of {size} bytes, in which hardly a message has room")))
        }
        Some(size) => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
    }
}

fn connect(upstream: &Prepared, identity: &Identity<'_>) -> Result<BytesMut, LinkError> {
    let spec = &upstream.spec;
    let connect = Connect {
        clean_start: identity.clean_start,
        keep_alive: keep_alive_seconds(spec),
        username: spec.username.clone(),
        password: upstream.password.as_ref().map(|secret| Password(secret.expose())),
        session_expiry: Some(u32::try_from(identity.session_expiry.as_secs()).unwrap_or(u32::MAX)),
        // As many of its messages as of ours.
        receive_maximum: (!spec.subscribe.is_empty()).then_some(spec.max_inflight),
        maximum_packet_size: u32::try_from(upstream.max_incoming).ok(),
        // So that another gateway counts what comes from here (`message::hops`).
        user_properties: vec![(GATEWAY.into(), env!("CARGO_PKG_VERSION").into())],
        ..Connect::new(spec.protocol, identity.client_id)
    };
    let mut bytes = BytesMut::new();
    client::encode(spec.protocol, Outgoing::Connect(&connect), client::MAX_OUTGOING, &mut bytes)?;
    Ok(bytes)
}

/// In whole seconds. A fraction is rounded up, because zero would switch it off.
fn keep_alive_seconds(spec: &Upstream) -> u16 {
    let seconds = spec.keep_alive.as_secs() + u64::from(spec.keep_alive.subsec_nanos() > 0);
    u16::try_from(seconds).unwrap_or(u16::MAX)
}

/// The server's first packet is CONNACK [MQTT-3.2.0-1].
async fn read_connack(protocol: Version, stream: &mut Transport, input: &mut BytesMut) -> Result<ConnAck, LinkError> {
    loop {
        if let Some(foreign) = Foreign::recognise(input) {
            return Err(LinkError::Foreign(foreign));
        }
        match client::decode(protocol, input)? {
            Some(Incoming::ConnAck(ack)) => return Ok(*ack),
            Some(Incoming::Disconnect { reason, text, server }) => {
                return Err(LinkError::Disconnected { reason, text, server });
            }
            Some(_) => return Err(LinkError::OutOfTurn("a packet before CONNACK")),
            None if stream.read_buf(input).await? == 0 => return Err(LinkError::Closed),
            None => {}
        }
    }
}

fn unreachable(address: &Address, source: io::Error) -> LinkError {
    LinkError::Unreachable { address: format!("{}:{}", address.host, address.port), source }
}
