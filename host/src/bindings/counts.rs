//! What a routing is counted as, by whoever does what it says.

use crate::metrics::BindingMetrics;

/// Each has the name of its counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inputs: u64,
    pub outputs: u64,
    pub forwarded: u64,
    pub tick_outputs: u64,
    pub filtered: u64,
    pub failed: u64,
    pub failed_dropped: u64,
    pub failed_passed: u64,
    pub dead_lettered: u64,
    pub fan_out: u64,
    pub local_outputs: u64,
    pub unroutable: u64,
    pub hop_limit_exceeded: u64,
}

impl Counts {
    pub fn count(&self, metrics: &BindingMetrics) {
        let counted = [
            (&metrics.inputs, self.inputs),
            (&metrics.outputs, self.outputs),
            (&metrics.forwarded, self.forwarded),
            (&metrics.tick_outputs, self.tick_outputs),
            (&metrics.filtered, self.filtered),
            (&metrics.failed, self.failed),
            (&metrics.failed_dropped, self.failed_dropped),
            (&metrics.failed_passed, self.failed_passed),
            (&metrics.dead_lettered, self.dead_lettered),
            (&metrics.fan_out, self.fan_out),
            (&metrics.local_outputs, self.local_outputs),
            (&metrics.unroutable, self.unroutable),
            (&metrics.hop_limit_exceeded, self.hop_limit_exceeded),
        ];
        // Most are 0, and an addition to an atomic costs more than a look.
        counted.into_iter().filter(|(_, count)| *count > 0).for_each(|(counter, count)| counter.add(count));
    }
}
