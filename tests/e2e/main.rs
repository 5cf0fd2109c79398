//! One promise a file; the tests are sentences that can be false.

mod acknowledged;
mod bindings;
mod circuit_breaker;
mod clocks;
mod config_errors;
mod dead_letters;
mod disk_faults;
mod hostile_plugins;
mod identity;
mod interop;
mod kills;
mod malformed;
mod plugin_state;
mod process_edges;
mod qos_kept;
mod restart;
mod retained_deletes;
mod rumqttd;
mod sandbox;
mod sessions;
mod specification_rules;
mod spool_commands;
mod spool_room;
mod trust;
mod upstream_faults;
mod upstream_outage;
