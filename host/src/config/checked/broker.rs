//! `[broker]`: the listeners, and what devices may make the gateway hold.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Listener;

#[derive(Clone, Debug)]
pub struct Broker {
    pub listeners: Vec<Listener>,
    pub limits: BrokerLimits,
    /// How often what has changed is published below `$SYS/broker`. None: never.
    pub sys_interval: Option<Duration>,
}

/// Caps on what devices can make the gateway hold. Hitting one sheds load with a reason; it never ends the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// None: as many as there are descriptors for.
    pub max_connections: Option<usize>,
    /// Of these, how many from one address, or from one IPv6 network of 64 bits. None: half of them, and any number from this machine.
    pub max_connections_per_address: Option<usize>,
    /// From one address; ten times as many at once. None: a hundred, and any number from this machine.
    pub max_new_connections_per_second: Option<u32>,
    /// PUBLISH, SUBSCRIBE, UNSUBSCRIBE and PINGREQ packets that are read of one connection. None: any number.
    pub max_messages_per_second: Option<NonZeroU32>,
    /// Bytes that are read of one connection.
    pub max_bytes_per_second: Option<NonZeroU32>,
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
