//! tidegate: a WebAssembly plugin host for MQTT at the edge.

pub mod chain;
pub mod cli;
pub mod control;
pub mod ingress;
pub mod message;
pub mod spool;
pub mod topic;
