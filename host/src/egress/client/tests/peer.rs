//! A scripted upstream at the other end of a pipe: what the client says in a few words, and raw answers.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::bindings::{Binding, Dispatcher, Table};
use crate::bus::{Bus, RetainedLimits};
use crate::config::{self, UpstreamId};
use crate::dead_letter::Filed;
use crate::egress::transport::Transport;
use crate::egress::undelivered::Undelivered;
use crate::message::{Message, QoS};
use crate::mqtt::Version;
use crate::spool::log::sim::SimDisk;
use crate::spool::{Key, Output, Record, Spool, Value};
use crate::topic::{Template, TopicFilter, TopicName};

pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
pub const ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// What the client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Connect {
        clean: bool,
    },
    Publish {
        id: u16,
        dup: bool,
        qos: u8,
        retain: bool,
        text: String,
        expiry: Option<u32>,
    },
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    Subscribe(u16, String),
    Unsubscribe(u16, String),
    PingReq,
    Disconnect,
    /// The client has closed.
    Gone,
}

/// One accepted connection. Dropping it cuts the line.
pub struct Peer {
    /// What was dialled.
    pub host: String,
    protocol: Version,
    stream: DuplexStream,
    input: BytesMut,
}

/// A running client with its spool, and the connections that it opens.
pub struct Bench {
    pub spool: Spool,
    pub counters: Arc<Counters>,
    pub letters: Letters,
    pub operator: Operator,
    pub status: watch::Receiver<UpstreamStatus>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    spec: config::Upstream,
    capacity: usize,
    disk: SimDisk,
    down: Down,
    connections: mpsc::Receiver<(String, DuplexStream)>,
}

/// Keeps letters in memory.
#[derive(Clone, Default)]
pub struct Letters {
    kept: Arc<Mutex<Vec<Undelivered>>>,
    /// How long the disk takes.
    takes: Arc<Mutex<Duration>>,
}

impl DeadLetters for Letters {
    fn keep(&self, letters: Vec<Undelivered>) -> Pin<Box<dyn Future<Output = Result<Filed, String>> + Send>> {
        let (filed, takes) = (Filed::all(letters.len()), *self.takes.lock().unwrap());
        self.kept.lock().unwrap().extend(letters);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Ok(filed)
        })
    }
}

impl Letters {
    pub fn take(&self, takes: Duration) {
        *self.takes.lock().unwrap() = takes;
    }

    pub fn all(&self) -> Vec<Undelivered> {
        self.kept.lock().unwrap().clone()
    }

    /// The payloads.
    pub fn texts(&self) -> Vec<String> {
        let text = |letter: Undelivered| String::from_utf8_lossy(&letter.message.payload).into_owned();
        self.all().into_iter().map(text).collect()
    }
}

/// Hosts that refuse connections.
type Down = Arc<Mutex<HashSet<String>>>;

struct Pipes {
    /// With the host that was dialled.
    far_ends: mpsc::Sender<(String, DuplexStream)>,
    capacity: usize,
    down: Down,
}

// === impl Pipes ===

impl Dial for Pipes {
    async fn dial(&self, endpoint: &Endpoint) -> std::io::Result<Transport> {
        let host = endpoint.address.host.clone();
        if self.down.lock().unwrap().contains(&host) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(self.capacity);
        self.far_ends.send((host, far)).await.map_err(std::io::Error::other)?;
        Ok(Box::new(near))
    }
}

// === impl Bench ===

impl Bench {
    pub fn new(protocol: Version) -> Self {
        Self::with(spec(protocol))
    }

    pub fn with(spec: config::Upstream) -> Self {
        Self::over_pipes(spec, 64 * 1024)
    }

    /// Over pipes that hold so many bytes in each direction.
    pub fn over_pipes(spec: config::Upstream, capacity: usize) -> Self {
        Self::start(spec, capacity, SimDisk::default(), None)
    }

    /// With a spool in which messages become too old.
    pub fn aging(max_age: Duration) -> Self {
        Self::start(spec(Version::V5), 64 * 1024, SimDisk::default(), Some(max_age))
    }

    fn start(spec: config::Upstream, capacity: usize, disk: SimDisk, max_age: Option<Duration>) -> Self {
        let counters = Arc::new(Counters::default());
        let limits = config::Spool { max_qos0_messages: 1000, max_age, ..config::Spool::default() };
        let opened = Spool::manually_driven(disk.clone(), &["cloud"], &limits, counters.clone());
        let (spool, restored) = opened.unwrap_or_else(|error| panic!("{error}"));
        let (far_ends, connections) = mpsc::channel(1);
        let shutdown = CancellationToken::new();
        let down = Down::default();
        let dial = Pipes { far_ends, capacity, down: down.clone() };
        let prepared = crate::egress::prepare(&spec).unwrap();
        let letters = Letters::default();
        let kept = Arc::new(letters.clone());
        let queue = spool.queue(UpstreamId(0));
        let inbox = Some(inbox(&spool, &restored.state, &counters));
        let started = start_with(dial, prepared, queue, kept, inbox, counters.clone(), shutdown.clone());
        let Running { task, status, operator } = started;
        Self { operator, spool, counters, letters, status, shutdown, task, spec, capacity, disk, connections, down }
    }

    /// Whether connections to this host are refused.
    pub fn set_down(&self, host: &str, down: bool) {
        let mut hosts = self.down.lock().unwrap();
        if down {
            hosts.insert(host.into())
        } else {
            hosts.remove(host)
        };
    }

    /// The process is killed, and another one starts with this client id.
    pub async fn crash(self, client_id: &str) -> Self {
        let Self { spool, task, disk, spec, capacity, .. } = self;
        task.abort();
        let _ = task.await;
        drop(spool);
        disk.kill();
        Self::start(config::Upstream { client_id: client_id.into(), ..spec }, capacity, disk, None)
    }

    pub fn commit(&self, qos: QoS, text: &str) {
        self.commit_message(Message::new(TopicName::parse("t").unwrap(), text.to_string(), qos));
    }

    pub fn commit_message(&self, message: Message) {
        let output = Output { upstream: UpstreamId(0), binding: None, message, arrived: Instant::now().into_std() };
        self.spool.commit(Record { outputs: vec![output], ..Record::default() });
    }

    /// The next connection, before its CONNECT is read.
    pub async fn accept(&mut self) -> Peer {
        let (host, stream) = self.connections.recv().await.expect("the client runs");
        Peer { host, protocol: self.spec.protocol, stream, input: BytesMut::new() }
    }

    /// The next connection with its CONNECT answered by success. Says whether it asked for a clean start.
    pub async fn welcome(&mut self, session_present: bool) -> (Peer, bool) {
        let mut peer = self.accept().await;
        let Heard::Connect { clean } = peer.hear().await else { panic!("CONNECT comes first") };
        peer.connack(session_present).await;
        (peer, clean)
    }

    /// Waits until everything that was committed has met its fate.
    pub async fn drained(&self) {
        while self.spool.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Of a gateway in which one binding takes what comes below `c`, for local subscribers.
fn inbox(spool: &Spool, state: &[(Key, Value)], counters: &Arc<Counters>) -> Inbox {
    let bus = Arc::new(Bus::new(RetainedLimits { max_messages: 10, max_bytes: 1_000 }, counters.clone()));
    let table = Table::new(vec![Binding::new(below_c(), None)]);
    let dispatcher = Dispatcher::new("gw".into(), table, bus, spool.clone(), counters.clone());
    let (id, max_packet_size, state) = (UpstreamId(0), 1_000, Inbox::state_of(state, "cloud"));
    Inbox { id, dispatcher, max_packet_size, parked_bytes: Arc::default(), closing: CancellationToken::new(), state }
}

fn below_c() -> config::Binding {
    let topic = Template::parse("local/{topic}").unwrap();
    config::Binding {
        name: "down".into(),
        from: Some(UpstreamId(0)),
        filters: vec![TopicFilter::parse("c/#").unwrap()],
        plugins: vec![],
        tick: None,
        on_error: config::OnError::Drop,
        faults: config::FaultPolicy::default(),
        order: Default::default(),
        on_start_failure: Default::default(),
        to: vec![config::Destination { target: config::Target::Local, topic, qos: None, retain: None }],
    }
}

pub fn spec(protocol: Version) -> config::Upstream {
    config::Upstream {
        name: "cloud".into(),
        addresses: vec![address("first")],
        tls: None,
        protocol,
        client_id: "gw".into(),
        is_client_id_ours: false,
        username: None,
        password_file: None,
        max_inflight: 10,
        keep_alive: KEEP_ALIVE,
        connect_timeout: Duration::from_secs(10),
        session_expiry: Duration::from_secs(3600),
        failback: Duration::from_secs(60),
        ack_timeout: ACK_TIMEOUT,
        refused: config::Refused::DeadLetter,
        subscribe: Vec::new(),
    }
}

pub fn address(host: &str) -> config::Address {
    config::Address { host: host.into(), port: 1883, tls: false }
}

// === impl Peer ===

impl Peer {
    pub async fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.parse() {
                return heard;
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return Heard::Gone;
            }
        }
    }

    /// The next packet, which must be a PUBLISH: its id, DUP flag and text.
    pub async fn publish(&mut self) -> (u16, bool, String) {
        match self.hear().await {
            Heard::Publish { id, dup, text, .. } => (id, dup, text),
            other => panic!("expected PUBLISH, heard {other:?}"),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // A client that is gone hears nothing; the script finds out when it listens.
        let _ = self.stream.write_all(bytes).await;
    }

    pub async fn connack(&mut self, session_present: bool) {
        self.connack_with(session_present, &[]).await;
    }

    /// `false` when the client is gone.
    pub async fn send_all(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Past all that it says before it goes.
    pub async fn hear_the_end(&mut self) -> Heard {
        loop {
            if self.hear().await == Heard::Gone {
                return Heard::Gone;
            }
        }
    }

    /// `properties` are of MQTT 5, as bytes.
    pub async fn connack_with(&mut self, session_present: bool, properties: &[u8]) {
        let mut bytes = vec![0x20, 2, session_present.into(), 0];
        if self.protocol == Version::V5 {
            bytes[1] += 1 + properties.len() as u8;
            bytes.push(properties.len() as u8);
            bytes.extend(properties);
        }
        self.send(&bytes).await;
    }

    pub async fn puback(&mut self, id: u16) {
        self.ack(0x40, id).await;
    }

    pub async fn pubrec(&mut self, id: u16) {
        self.ack(0x50, id).await;
    }

    pub async fn pubcomp(&mut self, id: u16) {
        self.ack(0x70, id).await;
    }

    async fn ack(&mut self, first: u8, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.send(&[first, 2, high, low]).await;
    }

    fn parse(&mut self) -> Option<Heard> {
        match self.protocol {
            Version::V311 => v4::Packet::read(&mut self.input, usize::MAX).ok().map(of_v311),
            // rumqttc reads no short form.
            Version::V5 if self.input.starts_with(&[0xE0]) => {
                let size = 2 + usize::from(*self.input.get(1)?);
                (self.input.len() >= size).then(|| {
                    let _ = self.input.split_to(size);
                    Heard::Disconnect
                })
            }
            Version::V5 => v5::Packet::read(&mut self.input, None).ok().map(of_v5),
        }
    }
}

fn of_v311(packet: v4::Packet) -> Heard {
    match packet {
        v4::Packet::Connect(connect) => Heard::Connect { clean: connect.clean_session },
        v4::Packet::Publish(p) => {
            let text = String::from_utf8_lossy(&p.payload).into_owned();
            Heard::Publish { id: p.pkid, dup: p.dup, qos: p.qos as u8, retain: p.retain, text, expiry: None }
        }
        v4::Packet::PubAck(ack) => Heard::PubAck(ack.pkid),
        v4::Packet::PubRec(ack) => Heard::PubRec(ack.pkid),
        v4::Packet::PubRel(ack) => Heard::PubRel(ack.pkid),
        v4::Packet::PubComp(ack) => Heard::PubComp(ack.pkid),
        v4::Packet::Subscribe(one) => Heard::Subscribe(one.pkid, one.filters[0].path.clone()),
        v4::Packet::Unsubscribe(one) => Heard::Unsubscribe(one.pkid, one.topics[0].clone()),
        v4::Packet::PingReq => Heard::PingReq,
        v4::Packet::Disconnect => Heard::Disconnect,
        other => panic!("a client does not send {other:?}"),
    }
}

fn of_v5(packet: v5::Packet) -> Heard {
    match packet {
        v5::Packet::Connect(connect, ..) => Heard::Connect { clean: connect.clean_start },
        v5::Packet::Publish(p) => {
            let text = String::from_utf8_lossy(&p.payload).into_owned();
            let expiry = p.properties.and_then(|properties| properties.message_expiry_interval);
            Heard::Publish { id: p.pkid, dup: p.dup, qos: p.qos as u8, retain: p.retain, text, expiry }
        }
        v5::Packet::PubAck(ack) => Heard::PubAck(ack.pkid),
        v5::Packet::PubRec(ack) => Heard::PubRec(ack.pkid),
        v5::Packet::PubRel(ack) => Heard::PubRel(ack.pkid),
        v5::Packet::PubComp(ack) => Heard::PubComp(ack.pkid),
        v5::Packet::Subscribe(one) => Heard::Subscribe(one.pkid, one.filters[0].path.clone()),
        v5::Packet::Unsubscribe(one) => Heard::Unsubscribe(one.pkid, one.filters[0].clone()),
        v5::Packet::PingReq(_) => Heard::PingReq,
        other => panic!("a client without subscriptions does not send {other:?}"),
    }
}
