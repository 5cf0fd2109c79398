//! What is meant: a configuration with nothing left to parse and every name resolved. A file for each table.

mod access;
mod binding;
mod broker;
mod faults;
mod listener;
mod log;
mod operate;
mod plugin;
mod spool;
mod upstream;

pub use access::{Access, AclSource};
pub use binding::{Binding, Destination, OnStartFailure, OrderOf, Target};
pub use broker::{Broker, BrokerLimits};
pub use faults::{BreakerLimits, FaultPolicy, OnError, OnFailure, Retry};
pub use listener::{Auth, Identity, Listener, ListenerTls, Proxy, Transport};
pub use log::{Log, LogFormat};
pub use operate::{Http, Operate};
pub use plugin::{Backend, CompileLimits, Engine, Grants, Plugin, PluginLimits, Trust, TrustedKey};
pub use spool::{DeadLetters, Qos0, Spool, Sync, WhenFull};
pub use upstream::{Address, Refused, Subscription, Tls, Upstream};

use std::path::PathBuf;

use super::problem::Problems;

#[derive(Clone, Debug)]
pub struct Config {
    pub gateway: Gateway,
    pub broker: Broker,
    pub access: Access,
    pub upstreams: Vec<Upstream>,
    pub spool: Spool,
    pub engine: Engine,
    pub trust: Trust,
    pub dead_letters: DeadLetters,
    pub plugins: Vec<Plugin>,
    /// In file order, which is the order of their outputs.
    pub bindings: Vec<Binding>,
    pub operate: Operate,
    pub log: Log,
    /// What works but was probably not meant: to be shown, once.
    pub warnings: Problems,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub id: String,
    pub data_dir: PathBuf,
}
