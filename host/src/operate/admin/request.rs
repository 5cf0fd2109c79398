//! What can be asked, and what is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dead_letter::Filter;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Status,
    /// Dead letters go through their binding again.
    Requeue {
        filter: Filter,
    },
    #[serde(alias = "purge-letters")]
    PurgeDeadLetters {
        filter: Filter,
    },
    /// One message for an upstream is left out: the oldest, or the one with this number.
    Skip {
        upstream: String,
        number: Option<u64>,
        /// Not even kept as a dead letter.
        drop: bool,
    },
    Sessions,
    /// The session of this client ends.
    DropSession {
        client: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    Ok(serde_json::Value),
    Error(String),
}

/// The gateway at a glance.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub waiting: usize,
    /// Why devices are held back by the spool, and what to do; empty when they are not.
    #[serde(default)]
    pub held: Vec<HeldState>,
    pub dead_letters: u64,
    /// Of the gateway's log: nobody read them, or they could not be written.
    #[serde(default)]
    pub log_lines_lost: u64,
    pub upstreams: Vec<UpstreamState>,
    pub plugins: BTreeMap<String, PluginState>,
    pub counters: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct HeldState {
    /// Whose share of the spool is full; none when all of it is.
    pub upstream: Option<String>,
    pub reason: String,
    pub advice: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PluginState {
    pub messages: u64,
    pub faults: u64,
    pub retries: u64,
    /// Binding to "closed", "open" (the plugin is not asked there) or "half-open" (it is being tried again).
    pub breakers: BTreeMap<String, String>,
    /// What the plugin counts itself.
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct UpstreamState {
    pub name: String,
    pub connected: bool,
    /// The address in use.
    pub url: Option<String>,
    pub attempts: u64,
    /// How often another client with our client id has taken the session over.
    #[serde(default)]
    pub taken_over: u64,
    pub last_error: Option<String>,
    /// What is next for it, or is sent and not acknowledged.
    pub oldest: Option<OldestState>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct OldestState {
    pub number: u64,
    pub topic: String,
    pub age_seconds: u64,
    /// Connections that ended with it unacknowledged, and refusals.
    pub attempts: u32,
    /// Messages are sent one by one to find out whether the upstream ends the connection on this one.
    pub suspect: bool,
}
