//! What holds when the file says nothing, each with its reason. Documented for users in `host/examples/gateway.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::checked::{
    Auth, BreakerLimits, BrokerLimits, CompileLimits, DeadLetters, Listener, PluginLimits, Qos0, Retry, Spool, Sync,
    Transport, WhenFull,
};
use crate::mqtt::Mqtt31;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: u64 = 1 << 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The port that IANA gave to MQTT without TLS, and with it.
pub const MQTT_PORT: u16 = 1883;
pub const MQTTS_PORT: u16 = 8883;

/// The state of all plugins together: it is in memory, and in each checkpoint of the spool.
pub const MAX_STATE_TOTAL: usize = 16 << 20;

/// mosquitto's own, which those who draw it have set their dashboards to.
pub const SYS_INTERVAL: Duration = Duration::from_secs(10);

/// Beside the configuration file, so that a first try needs no root.
pub const DATA_DIR: &str = "tidegate-data";

/// Measured: a window of 1000 forwards no faster than 100, and the window bounds duplicates after a crash (promise P2).
pub const MAX_INFLIGHT: u16 = 100;
/// Half of the usual 60 s timeout of mobile networks' address translation.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// TCP, TLS and CONNACK together, on a slow radio link.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A site that is cut off over a long weekend still ends its QoS 2 exchanges exactly once.
pub const SESSION_EXPIRY: Duration = Duration::from_secs(7 * DAY.as_secs());
/// A broker that restarts for good has been up for a minute; one short connection in that time costs it nothing.
pub const FAILBACK: Duration = Duration::from_secs(60);

/// A broker acknowledges within a round trip; one that has not after half a minute will not on this connection.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// A leading `$` keeps dead letters out of the bindings on `#`: a wildcard never matches it [MQTT-4.7.2-1], so a message
/// that fails cannot come back and fail again.
pub const DEAD_LETTER_TOPIC: &str = "$tidegate/dead-letter/{binding}/{topic}";

// === impl Listener ===

impl Listener {
    /// The one listener of a file without listeners: this machine only.
    pub fn local() -> Self {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, MQTT_PORT));
        Self {
            name: "local".into(),
            bind,
            tls: None,
            auth: Auth::None,
            client_ids: None,
            allow_insecure: false,
            transport: Transport::Tcp,
            proxy: None,
            mqtt_3_1: Mqtt31::Refused,
        }
    }
}

// === impl BrokerLimits ===

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            // What the machine gives, less what the gateway itself needs (`setup/descriptors.rs`).
            max_connections: None,
            // These depend on the number of places, and on where a client comes from (`ingress/addresses.rs`).
            max_connections_per_address: None,
            max_new_connections_per_second: None,
            // What is too much for all is held back anyway; what is too much of one, only its plant can say.
            max_messages_per_second: None,
            max_bytes_per_second: None,
            // Half-read packets, wills, filters: nothing of an honest plant comes near, and a Pi has room for it.
            memory: 128 * MIB,
            // Readings are small.
            max_packet_size: 256 * KIB,
            handshake_timeout: Duration::from_secs(10),
            // Together with the packet size: 25 MiB for the worst client. Small devices use 1 to 20.
            receive_maximum: 100,
            // Some minutes of a busy topic for a dashboard that reconnects.
            max_queued_messages: 10_000,
            max_queued_bytes: 8 * MIB,
            // Devices that are all away at once share this, so that the caps above can be generous.
            max_queued_bytes_total: 64 * MIB,
            // A dashboard that subscribes to each of its tiles.
            max_subscriptions_per_client: 1_000,
            // As many as connections at most, when nothing is said of these: each device may be away once. A smaller `max_state_bytes` makes it fewer.
            max_sessions: 8_192,
            // A device that sleeps over a long weekend finds its session.
            max_session_expiry: Duration::from_secs(7 * DAY.as_secs()),
            max_retained_messages: 10_000,
            max_retained_bytes: 64 * MIB,
            // What a device may say by the specification is forwarded; an upstream that does not take it is another matter.
            strict_utf8: false,
        }
    }
}

// === impl Spool ===

impl Default for Spool {
    fn default() -> Self {
        Self {
            // A hundred devices at one reading per second: half a day without upstream.
            max_bytes: GIB,
            // The caps below `broker.limits` and of plugins, as they are by default, with room to double one of them.
            max_state_bytes: 256 * MIB as u64,
            // For logs, updates, and whatever else lives on the gateway.
            free_floor: 64 * MIB as u64,
            // Nobody waits for these; a minute of them shows what just happened.
            max_qos0_messages: 10_000,
            sync: Sync::Group,
            // What is too old to be wanted is for the operator to say.
            max_age: None,
            when_full: WhenFull::BackPressure,
            qos0: Qos0::Memory,
        }
    }
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Beside its message in a dead letter: who sent it, and what the plugin or the upstream said about it.
    const FACTS: u64 = 128 << 10;
    /// A segment of the archive is a quarter of it at most.
    const LARGEST_SHARE: u64 = 4;

    /// The least that a segment of the archive is, for the letter of a message of this size to have room in it.
    pub fn least_segment(max_message_bytes: u64) -> u64 {
        max_message_bytes.saturating_add(Self::FACTS)
    }

    /// The least `max_bytes` with which it has.
    pub fn least_bytes(max_message_bytes: u64) -> u64 {
        Self::least_segment(max_message_bytes).saturating_mul(Self::LARGEST_SHARE)
    }
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            // A hundred thousand readings, each with what there is to know about it.
            max_bytes: 64 * MIB as u64,
            // Somebody looks once a month, or never.
            max_age: 30 * DAY,
            max_message_bytes: BrokerLimits::default().max_packet_size as u64,
        }
    }
}

// === impl PluginLimits ===

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            // A Rust plugin needs about 1.2 MiB; one in Python needs more and says so.
            memory: 16 * MIB,
            // A call takes microseconds; this is long enough for a loaded gateway to be innocent.
            deadline: Duration::from_millis(100),
            // A plugin may build tables there, once; but a restart in the middle of the stream waits for it too.
            start_deadline: Duration::from_secs(2),
            // Splitting a frame of a gateway's readings makes tens of messages; thousands are a mistake.
            max_outputs: 100,
            // Four of the largest packets.
            max_output_bytes: MIB,
            // A hundred bytes about each of some thousand topics.
            state: MIB,
            // Forty thousand changes of a hundred bytes: more than a plugin handles. A disk that writes this all the time has room for others.
            state_per_second: 4 * MIB,
            // The largest packet of a device.
            max_item_bytes: 256 * KIB,
            // A plugin in Rust has some hundreds, an interpreter some ten thousand.
            max_table_entries: 100_000,
            // A log that a device can fill by sending bad messages is a way to fill the disk.
            log_per_second: 10,
            max_log_bytes: KIB,
        }
    }
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        // The lane waits meanwhile: 0.3 s in all, which devices hardly notice.
        Self { attempts: 3, backoff: Duration::from_millis(100) }
    }
}

// === impl BreakerLimits ===

impl Default for BreakerLimits {
    fn default() -> Self {
        // One bad message is no reason; a plugin that fails every second is.
        Self { faults: 5, within: Duration::from_secs(10), open_for: Duration::from_secs(30) }
    }
}

// === impl CompileLimits ===

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            // Rust plugins with `serde_json` have 140 KiB, an embedded Python interpreter 35 MiB.
            component_size: 64 * MIB,
            // Those have 500 and 20,000.
            functions: 50_000,
            // Register allocation takes more than its share of time for one enormous function; the largest that compilers
            // make of honest source, an interpreter's loop, have some 100 KiB.
            function_size: MIB,
            // Address space. Measured: a Rust plugin of 200 KiB takes 250 MiB, because inlining holds all of its functions at once
            // (31 MiB without). Four of those; a component that brings a language's runtime along needs more, and is told so.
            // Thirty-two plugins that use all they may; most use a tenth.
            memory_total: 512 * MIB,
            memory: 1024 * MIB,
            // A Python interpreter compiles in some ten seconds; small gateways are five times slower.
            time: Duration::from_secs(60),
        }
    }
}
