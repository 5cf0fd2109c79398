//! `[[bindings]]`.

use std::fmt;
use std::time::Duration;

use crate::base::name::Name;
use crate::config::ids::{PluginId, UpstreamId};
use crate::message::QoS;
use crate::topic::{Template, TopicFilter};

use super::faults::{FaultPolicy, OnError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Of everything that it makes.
    pub name: Name,
    /// Whose messages it takes: those that this upstream sends. Without it, those of devices and of this gateway itself.
    pub from: Option<UpstreamId>,
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

#[derive(Clone, Debug, PartialEq, Eq)]
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
