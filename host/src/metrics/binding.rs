//! Of one binding: counted where its inputs start, where its outcomes are routed, and by its clock.

use super::define::metrics;

metrics! {
    /// What became of the inputs of one binding.
    BindingMetrics, "tidegate_binding" {
        /// Messages that match it: inputs of its chain.
        inputs: Counter,
        /// Inputs that came out of its chain as one message or more.
        forwarded: Counter,
        /// Messages that its chain put out, before destinations.
        outputs: Counter,
        /// What one input became beyond one message: a second binding, a second output, a second destination.
        fan_out: Counter,
        /// Outputs for local topics.
        local_outputs: Counter,
        /// Inputs that a plugin dropped.
        filtered: Counter,
        /// Inputs that failed, whatever `on_error` then did.
        failed: Counter,
        /// Of the failed: kept as dead letters, and published to the dead-letter topic where one can be made.
        dead_lettered: Counter,
        /// Of the failed: dropped, by `on_error = "drop"`, or because there are too many dead letters of QoS 0 or of one input.
        failed_dropped: Counter,
        /// Of the failed and dropped: QoS 0, and more dead letters than its client or its binding may make; or caused by an input that is a
        /// dead letter itself.
        dead_letters_limited: Counter,
        /// Of the failed: went on without the plugin that failed, by `on_error = "pass"`. They are among the forwarded or filtered, too.
        failed_passed: Counter,
        /// Of the failed: the topic of an output could not be made by its destination's template.
        unroutable: Counter,
        /// Of the failed: an output for a local topic beyond the hop limit.
        hop_limit_exceeded: Counter,
        /// Ticks of its timer.
        ticks: Counter,
        /// Messages that plugins made in a tick.
        tick_outputs: Counter,
        /// Plugins that failed in a tick.
        ticks_failed: Counter,
        /// Ticks left out because the one before had not finished.
        ticks_skipped: Counter,
    }
}
