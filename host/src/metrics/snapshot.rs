//! The gateway at one moment, for whoever looks at it from outside: the admin socket and `tidegate status`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Family;

#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    pub pid: u32,
    /// Messages in the spool.
    pub waiting: usize,
    /// Why devices are held back by the spool, and what to do; empty when they are not.
    #[serde(default)]
    pub held: Vec<HeldSnapshot>,
    /// Bindings whose plugins are being compiled or started for the first time: their messages wait.
    #[serde(default)]
    pub starting: Vec<String>,
    /// Bindings whose plugins do not start; empty when all do.
    #[serde(default)]
    pub stopped: Vec<StoppedSnapshot>,
    /// In the archive.
    pub dead_letters: u64,
    /// Of the gateway's log: nobody read them, or they could not be written.
    #[serde(default)]
    pub log_lines_lost: u64,
    /// Of listeners that have it.
    #[serde(default)]
    pub tls: Vec<TlsSnapshot>,
    pub upstreams: Vec<UpstreamSnapshot>,
    pub plugins: BTreeMap<String, PluginSnapshot>,
    /// Sums over the gateway: the terms of its message accounting, and more.
    pub counters: BTreeMap<String, u64>,
    /// What each part counts, with its labels.
    #[serde(default)]
    pub metrics: Vec<Family>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct HeldSnapshot {
    /// Whose share of the spool is full; none when all of it is.
    pub upstream: Option<String>,
    pub reason: String,
    pub advice: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TlsSnapshot {
    pub listener: String,
    /// The subject of its certificate.
    pub certificate: Option<String>,
    /// When the first certificate of its chain ends, and the first revocation list is to be replaced: seconds since the Unix epoch.
    pub not_after: Option<u64>,
    pub list_next_update: Option<u64>,
    /// What has ended, or soon will, and what to do.
    pub warnings: Vec<String>,
    /// Why files that have changed since are not in use.
    pub not_in_use: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct StoppedSnapshot {
    pub binding: String,
    pub plugin: String,
    /// And what to do.
    pub reason: String,
    /// What becomes of its messages.
    pub meanwhile: String,
    pub attempts: u32,
    /// None when it is not tried again before the next start.
    pub next_attempt_seconds: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PluginSnapshot {
    pub messages: u64,
    pub faults: u64,
    pub retries: u64,
    /// Binding to "closed", "open" (the plugin is not asked there) or "half-open" (it is being tried again).
    pub breakers: BTreeMap<String, String>,
    /// What the plugin counts itself.
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct UpstreamSnapshot {
    pub name: String,
    pub connected: bool,
    /// The address in use.
    pub url: Option<String>,
    pub attempts: u64,
    /// How often another client with our client id has taken the session over.
    #[serde(default)]
    pub taken_over: u64,
    pub last_error: Option<String>,
    /// Why files of TLS that have changed are not used.
    #[serde(default)]
    pub files_error: Option<String>,
    /// What is next for it, or is sent and not acknowledged.
    pub oldest: Option<OldestSnapshot>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct OldestSnapshot {
    pub number: u64,
    pub topic: String,
    pub age_seconds: u64,
    /// Connections that ended with it unacknowledged, and refusals.
    pub attempts: u32,
    /// Messages are sent one by one to find out whether the upstream ends the connection on this one.
    pub suspect: bool,
}
