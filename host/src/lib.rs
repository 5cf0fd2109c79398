//! tidegate: a WebAssembly plugin host for MQTT at the edge.

pub mod access;
pub mod app;
pub mod auth;
pub mod base;
pub mod bindings;
pub mod bus;
pub mod chain;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod egress;
pub mod ingress;
pub mod message;
pub mod metrics;
pub mod mqtt;
pub mod operate;
pub mod plugin;
pub mod setup;
#[cfg(test)]
mod sim;
pub mod spool;
pub mod tap;
pub mod tls;
pub mod topic;
