//! What is meant: a configuration with nothing left to parse and every name resolved.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ids::{PluginId, UpstreamId};
use super::problem::Problems;
use super::public_key::PublicKey;
use crate::message::QoS;
use crate::mqtt::Version;
use crate::topic::{Template, TopicFilter};

#[derive(Clone, Debug)]
pub struct Config {
    pub gateway: Gateway,
    pub broker: Broker,
    pub upstreams: Vec<Upstream>,
    pub spool: Spool,
    pub engine: Engine,
    pub trust: Trust,
    pub dead_letters: DeadLetters,
    pub plugins: Vec<Plugin>,
    /// In file order, which is the order of their outputs.
    pub bindings: Vec<Binding>,
    /// What works but was probably not meant: to be shown, once.
    pub warnings: Problems,
}

#[derive(Clone, Debug)]
pub struct Gateway {
    pub id: String,
    pub data_dir: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Broker {
    pub listeners: Vec<Listener>,
    pub limits: BrokerLimits,
}

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub bind: SocketAddr,
    /// An address other than loopback, without TLS and authentication, must be asked for in these words.
    pub allow_insecure: bool,
}

/// Caps on what devices can make the gateway hold. Hitting one sheds load with a reason; it never ends the process.
#[derive(Clone, Debug)]
pub struct BrokerLimits {
    pub max_connections: usize,
    /// Bytes of what clients make the gateway hold beside queues and retained messages.
    pub memory: usize,
    /// Largest control packet in bytes, header included.
    pub max_packet_size: usize,
    /// From accept to a valid CONNECT.
    pub handshake_timeout: Duration,
    /// Unacknowledged QoS 1 and 2 messages of one client, in each direction (MQTT 5 Receive Maximum).
    pub receive_maximum: u16,
    /// Messages and bytes that wait for one subscriber.
    pub max_queued_messages: usize,
    pub max_queued_bytes: usize,
    /// Bytes that wait for all subscribers together.
    pub max_queued_bytes_total: usize,
    pub max_subscriptions_per_client: usize,
    /// Sessions that outlive their connection, present or away.
    pub max_sessions: usize,
    /// The longest a session outlives its connection, whatever the client asks.
    pub max_session_expiry: Duration,
    pub max_retained_messages: usize,
    pub max_retained_bytes: usize,
    /// Ends connections on text that MQTT discourages.
    pub strict_utf8: bool,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: String,
    /// In the order of preference; never empty, and all with or all without TLS.
    pub addresses: Vec<Address>,
    pub tls: Option<Tls>,
    pub protocol: Version,
    pub client_id: String,
    /// It is not in the file, so that a part of the installation's id may be added.
    pub is_client_id_ours: bool,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub max_inflight: u16,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    /// How long the upstream is asked to keep our session (MQTT 5 Session Expiry Interval).
    pub session_expiry: Duration,
    /// How often the first address is looked for while another one is in use.
    pub failback: Duration,
    /// How long the oldest unacknowledged message waits for its ack on a connection that works.
    pub ack_timeout: Duration,
    pub refused: Refused,
}

/// What becomes of a message that an upstream answers with a failure reason code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// Kept as a dead letter; after some attempts, when the reason may pass.
    #[default]
    DeadLetter,
    Drop,
    /// Sent again until it is taken, or older than `max_age` of the spool.
    Retry,
}

/// Where a broker is. Drawn as a url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// TLS towards an upstream. Without a CA file the system's roots are used.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// What the gateway keeps for upstreams that are away.
#[derive(Clone, Debug)]
pub struct Spool {
    /// Of the whole log on disk: full means back-pressure to the devices.
    pub max_bytes: u64,
    /// What the state may take that is kept beside the log: retained and queued messages, sessions, what plugins remember.
    pub max_state_bytes: u64,
    /// What stays free on the file system: reached means full, too.
    pub free_floor: u64,
    /// QoS 0 messages per upstream, in memory: full means the oldest goes, counted.
    pub max_qos0_messages: usize,
    /// When a message counts as safe, and so what an acknowledgement is worth.
    pub sync: Sync,
    /// Older messages are dropped; none: never.
    pub max_age: Option<Duration>,
    pub when_full: WhenFull,
    pub qos0: Qos0,
}

/// What a crash can cost, in the order of safety.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// `append` returns after `fdatasync`: nothing is lost, by a crash of the process, the kernel or the power.
    Group,
    /// The caller calls `sync_now` this often: a crash of the process loses nothing, a power cut loses this much.
    /// Readers see a frame after the sync, as with `Group`.
    Interval(Duration),
    /// When the kernel pleases (and at each roll): a crash of the process loses nothing, a power cut about 30 s. Readers
    /// see a frame at once.
    Os,
}

/// What happens to QoS 1 and 2 when an upstream has no room left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// New ones wait, with their devices.
    #[default]
    BackPressure,
    /// The oldest go, whole segments of them.
    DropOldest,
    /// QoS 0 that is in the spool goes; then new ones wait.
    DropQos0First,
}

/// Where QoS 0 waits for its upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos0 {
    /// In memory: over an outage of seconds, not over a restart.
    #[default]
    Memory,
    /// In the log with the others: in order with them and over a restart. Nobody waits for the disk.
    Spool,
}

/// How plugins become native code.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    pub backend: Backend,
    pub limits: CompileLimits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Compiled to the machine's own instructions.
    #[default]
    Cranelift,
    /// Compiled to bytecode that is interpreted: for machines that Cranelift has no instructions for.
    Pulley,
}

/// What a component may ask of the compiler.
#[derive(Clone, Debug)]
pub struct CompileLimits {
    pub component_size: usize,
    pub functions: usize,
    pub function_size: usize,
    /// Of all instances together, when they run.
    pub memory_total: usize,
    /// Of the process that compiles.
    pub memory: usize,
    /// Wall time and processor time of the process that compiles.
    pub time: Duration,
}

/// Whose plugins may run.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    pub keys: Vec<TrustedKey>,
    pub require_signature: bool,
}

#[derive(Clone, Debug)]
pub struct TrustedKey {
    pub name: String,
    pub key: PublicKey,
}

/// What is kept of messages that plugins failed on: whole oldest segments go when there is more.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    pub max_bytes: u64,
    pub max_age: Duration,
    /// The largest message that devices may bring: not configured here, and what the archive has room for.
    pub max_message_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub component: PathBuf,
    /// Hex digest that the component must have.
    pub sha256: Option<String>,
    /// The one older version, or `unsigned`, that may take the place of what ran here before.
    pub downgrade_to: Option<String>,
    pub limits: PluginLimits,
    pub grants: Grants,
    /// The plugin's own table, as JSON: handed to `configure` once.
    pub config_json: String,
}

#[derive(Clone, Debug)]
pub struct PluginLimits {
    pub memory: usize,
    /// CPU time of one call; by the wall it may take ten times as long (`plugin/deadline.rs`).
    pub deadline: Duration,
    /// The same, from the start of an instance to the answer of `configure`.
    pub start_deadline: Duration,
    /// Messages out of one message in.
    pub max_outputs: usize,
    /// Bytes out of one call.
    pub max_output_bytes: usize,
    /// Bytes that it may remember in one binding.
    pub state: usize,
    /// Bytes of it that it may change in a second, in all of its bindings.
    pub state_per_second: usize,
    /// Bytes of one payload or text that comes out.
    pub max_item_bytes: usize,
    /// Function pointers, over all tables of an instance.
    pub max_table_entries: usize,
    /// Lines of log per second, and five times as many at once.
    pub log_per_second: u32,
    /// Bytes of one line of log.
    pub max_log_bytes: usize,
}

/// What one plugin may use beyond what every plugin may. Nothing, unless its table says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Clocks that run. Without it they stand at the arrival of the message.
    pub clock: bool,
    /// Random numbers fit for identifiers. Without it there is a seed for hash maps only.
    pub random: bool,
}

#[derive(Clone, Debug)]
pub struct Binding {
    /// Shared with everything that it makes.
    pub name: Arc<str>,
    pub filters: Vec<TopicFilter>,
    /// In order; may be empty.
    pub plugins: Vec<PluginId>,
    /// How often its plugins with a clock are called.
    pub tick: Option<Duration>,
    pub on_error: OnError,
    /// What is tried before `on_error`.
    pub faults: FaultPolicy,
    pub order: OrderOf,
    pub on_start_failure: OnStartFailure,
    pub to: Vec<Destination>,
}

/// Which messages of a client leave in the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderOf {
    /// Those of one topic.
    #[default]
    Topic,
    /// All that meet bindings with this order.
    Client,
}

/// What becomes of a binding one of whose plugins does not load, or does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStartFailure {
    /// Its messages wait, and with them the devices that sent them.
    #[default]
    Hold,
    /// They are dead letters.
    DeadLetter,
    /// The gateway does not start.
    Strict,
}

/// What a chain does about faults by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPolicy {
    /// For each plugin, in order, what becomes of a message that it fails. What is missing is as the binding says.
    pub on_failure: Vec<OnFailure>,
    pub retry: Retry,
    pub breaker: BreakerLimits,
}

/// For failures that a plugin calls transient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// With the first one: 1 means that nothing is tried again.
    pub attempts: u32,
    /// Before the second attempt; doubles with each.
    pub backoff: Duration,
}

/// So many faults in so much time, and the plugin is not asked in this binding for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    pub faults: usize,
    pub within: Duration,
    pub open_for: Duration,
}

#[derive(Clone, Debug)]
pub enum OnError {
    /// Publish the original to this local topic, with the reason as user properties.
    DeadLetter {
        topic: Template,
    },
    Drop,
    /// Go on without the plugin that failed.
    Pass,
}

/// What becomes of a message that a plugin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    DeadLetter,
    Drop,
    /// This plugin is left out for this message, which goes on as it came there.
    Pass,
}

#[derive(Clone, Debug)]
pub struct Destination {
    pub target: Target,
    pub topic: Template,
    /// `None` preserves what the device or the plugin chose.
    pub qos: Option<QoS>,
    pub retain: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Upstream(UpstreamId),
    /// The embedded broker itself; bindings match the message again, one hop further.
    Local,
}

// === impl OnStartFailure ===

/// What it does meanwhile, for people.
impl fmt::Display for OnStartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold => "its messages are held back with their devices",
            Self::DeadLetter => "its messages are dead letters",
            Self::Strict => "the gateway does not start",
        })
    }
}

// === impl FaultPolicy ===

impl FaultPolicy {
    /// Each message for itself: nothing is tried again and no breaker opens. For rehearsals, where no time passes.
    pub const NONE: Self = Self {
        on_failure: Vec::new(),
        retry: Retry { attempts: 1, backoff: Duration::ZERO },
        breaker: BreakerLimits { faults: usize::MAX, within: Duration::ZERO, open_for: Duration::ZERO },
    };
}

// === impl OnError ===

impl OnError {
    /// For a plugin that has no choice of its own.
    pub fn of_plugins(&self) -> OnFailure {
        match self {
            Self::DeadLetter { .. } => OnFailure::DeadLetter,
            Self::Drop => OnFailure::Drop,
            Self::Pass => OnFailure::Pass,
        }
    }

    /// Where dead letters are published, beside the archive.
    pub fn topic(&self) -> Option<&Template> {
        match self {
            Self::DeadLetter { topic } => Some(topic),
            Self::Drop | Self::Pass => None,
        }
    }
}

// === impl Upstream ===

/// Its addresses as urls, for tables.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        f.write_str(&urls.join(", then "))
    }
}

// === impl Address ===

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}
