//! What is counted, and the equation that says whether every message was counted.
//!
//! Each thing owns its numbers: a listener, a binding, an upstream (with its line of the spool and its sender), the spool, a plugin
//! (`plugin/stats.rs`). [`Counters`] has those that belong to the gateway as a whole, and knows where the others are. [`Snapshot`] is
//! what all of them are at one moment; whoever shows numbers takes one, and nothing else.

mod binding;
mod by_name;
mod counters;
mod define;
mod families;
mod labels;
mod listener;
mod number;
mod snapshot;
mod spool;
mod times;
mod totals;
mod upstream;

pub use binding::BindingMetrics;
pub use by_name::{ByName, Named};
pub use counters::Counters;
pub use define::Reading;
pub use families::{Families, Family, Kind, Ranges, Sample};
pub use labels::Labels;
pub use listener::{ListenerMetrics, OpenConnection};
pub use number::{Counter, Gauge};
pub use snapshot::{
    HeldSnapshot, OldestSnapshot, PluginSnapshot, Snapshot, StoppedSnapshot, TlsSnapshot, UpstreamSnapshot,
};
pub use spool::SpoolMetrics;
pub use times::Times;
pub use totals::{Balance, Totals};
pub use upstream::UpstreamMetrics;
