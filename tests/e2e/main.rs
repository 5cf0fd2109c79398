//! One promise a file; the tests are sentences that can be false.

mod bindings;
mod config_errors;
mod hostile_plugins;
mod interop;
mod malformed;
mod qos_kept;
mod resting_plugins;
mod rumqttd_faults;
mod sandbox;
mod sessions;
mod upstream_outage;
