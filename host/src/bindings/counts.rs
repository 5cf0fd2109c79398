//! What a routing is counted as, by whoever does what it says.

use crate::metrics::{BindingMetrics, Counter};

/// Each has the name of its counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inputs: u32,
    pub outputs: u32,
    pub forwarded: u32,
    pub tick_outputs: u32,
    pub filtered: u32,
    pub failed: u32,
    pub failed_dropped: u32,
    pub failed_passed: u32,
    pub dead_letters_limited: u32,
    pub dead_lettered: u32,
    pub fan_out: u32,
    pub local_outputs: u32,
    pub unroutable: u32,
    pub hop_limit_exceeded: u32,
}

impl Counts {
    pub fn count(&self, metrics: &BindingMetrics) {
        // Most are 0, and an addition to an atomic costs more than a look.
        let add = |counter: &Counter, count: u32| {
            if count > 0 {
                counter.add(count.into());
            }
        };
        add(&metrics.inputs, self.inputs);
        add(&metrics.outputs, self.outputs);
        add(&metrics.forwarded, self.forwarded);
        add(&metrics.tick_outputs, self.tick_outputs);
        add(&metrics.filtered, self.filtered);
        add(&metrics.failed, self.failed);
        add(&metrics.failed_dropped, self.failed_dropped);
        add(&metrics.failed_passed, self.failed_passed);
        add(&metrics.dead_letters_limited, self.dead_letters_limited);
        add(&metrics.dead_lettered, self.dead_lettered);
        add(&metrics.fan_out, self.fan_out);
        add(&metrics.local_outputs, self.local_outputs);
        add(&metrics.unroutable, self.unroutable);
        add(&metrics.hop_limit_exceeded, self.hop_limit_exceeded);
    }
}
