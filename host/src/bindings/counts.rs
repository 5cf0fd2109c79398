//! What a routing is counted as, by whoever does what it says.

use crate::metrics::Counters;

/// Each has the name of its counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub chain_inputs: u64,
    pub chain_outputs: u64,
    pub chain_forwarded: u64,
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
    pub fn count(&self, counters: &Counters) {
        let counted = [
            (&counters.chain_inputs, self.chain_inputs),
            (&counters.chain_outputs, self.chain_outputs),
            (&counters.chain_forwarded, self.chain_forwarded),
            (&counters.tick_outputs, self.tick_outputs),
            (&counters.filtered, self.filtered),
            (&counters.failed, self.failed),
            (&counters.failed_dropped, self.failed_dropped),
            (&counters.failed_passed, self.failed_passed),
            (&counters.dead_lettered, self.dead_lettered),
            (&counters.fan_out, self.fan_out),
            (&counters.local_outputs, self.local_outputs),
            (&counters.unroutable, self.unroutable),
            (&counters.hop_limit_exceeded, self.hop_limit_exceeded),
        ];
        // Most are 0, and an addition to an atomic costs more than a look.
        counted.into_iter().filter(|(_, count)| *count > 0).for_each(|(counter, count)| counter.add(count));
    }
}
