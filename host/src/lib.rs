//! tidegate: a WebAssembly plugin host for MQTT at the edge.

pub mod app;
pub mod bindings;
pub mod bus;
pub mod chain;
pub mod cli;
pub mod control;
pub mod egress;
pub mod ingress;
pub mod letters;
pub mod message;
pub mod mqtt;
pub mod plugin;
pub mod setup;
#[cfg(test)]
mod sim;
pub mod spool;
pub mod topic;
