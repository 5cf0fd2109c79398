//! A connection from the first byte to CONNACK, and the terms that the server sets in it.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::inflight::Window;
use super::link_error::LinkError;
use super::prepare::{Endpoint, Prepared};
use super::secret::Secret;
use super::transport::{Dial, Transport};
use crate::config::{Address, Upstream};
use crate::message::{Message, QoS};
use crate::mqtt::Reason;
use crate::mqtt::client::{self, Incoming, Outgoing};
use crate::mqtt::{ConnAck, Connect, Version};

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// QoS 2 messages in flight towards a server of 3.1.1, which has a limit but no Receive Maximum to tell it. Mosquitto's
/// `max_inflight_messages` is 20 when nothing is configured, and beyond it mosquitto 2.0.11 completes the exchange and loses
/// the message: of 20,000 sent with a window of 100, 8,794 arrived; with 20, all. QoS 1 is not affected.
const EXACTLY_ONCE_V311: u16 = 20;

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
    /// Zero: the server does not watch.
    pub keep_alive: Duration,
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
        let opening = async {
            let mut stream = dial.dial(endpoint).await.map_err(|source| unreachable(&endpoint.address, source))?;
            stream.write_all(&connect(upstream, &identity)?).await?;
            stream.flush().await?;
            let mut input = BytesMut::new();
            let ack = read_connack(upstream.spec.protocol, &mut stream, &mut input).await?;
            if ack.reason != Reason::SUCCESS {
                return Err(LinkError::Refused { reason: ack.reason, text: ack.reason_string });
            }
            let terms = Terms::new(&upstream.spec, &ack);
            Ok(Self { stream, input, session_present: ack.session_present, terms })
        };
        tokio::time::timeout(limit, opening).await.unwrap_or(Err(LinkError::Timeout(limit)))
    }

    /// Says goodbye: the server keeps the session and does not take us for dead.
    pub async fn close(mut self) {
        let mut goodbye = BytesMut::new();
        let encoded = client::encode(self.terms.protocol, Outgoing::Disconnect, client::MAX_OUTGOING, &mut goodbye);
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
    fn new(spec: &Upstream, ack: &ConnAck) -> Self {
        let keep_alive = ack.server_keep_alive.unwrap_or_else(|| keep_alive(spec));
        let size = ack.maximum_packet_size.and_then(|size| usize::try_from(size).ok());
        Self {
            protocol: spec.protocol,
            window: window(spec.protocol, ack),
            maximum_qos: ack.maximum_qos.unwrap_or(QoS::ExactlyOnce),
            retain_available: ack.retain_available.unwrap_or(true),
            maximum_packet_size: size.unwrap_or(client::MAX_OUTGOING),
            keep_alive: Duration::from_secs(keep_alive.into()),
        }
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

fn window(protocol: Version, ack: &ConnAck) -> Window {
    // Zero would be a protocol error of the server (section 3.2.2.3.3); one is the least that can work.
    let all = ack.receive_maximum.unwrap_or(u16::MAX).max(1);
    let exactly_once = if protocol == Version::V311 { EXACTLY_ONCE_V311 } else { all };
    Window { all, exactly_once }
}

fn connect(upstream: &Prepared, identity: &Identity<'_>) -> Result<BytesMut, LinkError> {
    let spec = &upstream.spec;
    let connect = Connect {
        clean_start: identity.clean_start,
        keep_alive: keep_alive(spec),
        username: spec.username.clone(),
        password: upstream.password.as_ref().map(Secret::expose),
        session_expiry: Some(u32::try_from(identity.session_expiry.as_secs()).unwrap_or(u32::MAX)),
        maximum_packet_size: u32::try_from(client::MAX_INCOMING).ok(),
        ..Connect::new(spec.protocol, identity.client_id)
    };
    let mut bytes = BytesMut::new();
    client::encode(spec.protocol, Outgoing::Connect(&connect), client::MAX_OUTGOING, &mut bytes)?;
    Ok(bytes)
}

/// In whole seconds. A fraction is rounded up, because zero would switch it off.
fn keep_alive(spec: &Upstream) -> u16 {
    let seconds = spec.keep_alive.as_secs() + u64::from(spec.keep_alive.subsec_nanos() > 0);
    u16::try_from(seconds).unwrap_or(u16::MAX)
}

/// The server's first packet is CONNACK [MQTT-3.2.0-1].
async fn read_connack(protocol: Version, stream: &mut Transport, input: &mut BytesMut) -> Result<ConnAck, LinkError> {
    loop {
        match client::decode(protocol, input)? {
            Some(Incoming::ConnAck(ack)) => return Ok(*ack),
            Some(Incoming::Disconnect { reason, text }) => return Err(LinkError::Disconnected { reason, text }),
            Some(_) => return Err(LinkError::OutOfTurn("a packet before CONNACK")),
            None if stream.read_buf(input).await? == 0 => return Err(LinkError::Closed),
            None => {}
        }
    }
}

fn unreachable(address: &Address, source: io::Error) -> LinkError {
    LinkError::Unreachable { address: format!("{}:{}", address.host, address.port), source }
}
