//! What can be asked, and what is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::letters::Filter;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Status,
    /// Dead letters go through their binding again.
    Requeue {
        filter: Filter,
    },
    PurgeLetters {
        filter: Filter,
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
    /// Binding to "closed", "open" (the plugin rests there) or "half-open" (it is being tried again).
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
    pub last_error: Option<String>,
}
