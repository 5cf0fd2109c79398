//! What of an upstream is MQTT alone, and would be another folder for another kind of sink.

mod state;

pub use state::{Granted, UpstreamSession, recovered};
