//! `[spool]` and `[dead_letters]`: what is kept on disk, and when it goes.

use std::time::Duration;

/// What the gateway keeps for upstreams that are away.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What is kept of messages that plugins failed on: whole oldest segments go when there is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    pub max_bytes: u64,
    pub max_age: Duration,
    /// The largest message that devices may bring: not configured here, and what the archive has room for.
    pub max_message_bytes: u64,
}
