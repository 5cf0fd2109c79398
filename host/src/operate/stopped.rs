//! What is seen of a binding whose plugins do not start.

use crate::base::clock;
use crate::chain::Standing;
use crate::metrics::{Families, StoppedSnapshot};

/// None while it works, or is being started for the first time.
pub fn snapshot(standing: &Standing) -> Option<StoppedSnapshot> {
    let stopped = standing.stopped()?;
    let wait = stopped.next.map(|next| next.saturating_duration_since(clock::now()).as_secs());
    Some(StoppedSnapshot {
        binding: standing.binding().to_string(),
        plugin: stopped.why.plugin,
        reason: stopped.why.reason,
        meanwhile: standing.policy().to_string(),
        attempts: stopped.attempts,
        next_attempt_seconds: wait,
    })
}

/// Both, while it is one or the other.
pub fn measure(standing: &Standing, to: &mut Families) {
    let of = [("binding", &**standing.binding())];
    let help = "1 while the plugins of the binding are being compiled or started for the first time.";
    to.gauge("tidegate_binding_starting", help, &of, u8::from(standing.is_starting()).into());
    let stopped = standing.stopped();
    let plugin = stopped.as_ref().map(|stopped| ("plugin", stopped.why.plugin.as_str()));
    let labels: Vec<_> = of.into_iter().chain(plugin).collect();
    let help = "1 while the binding is stopped, because this plugin does not start.";
    to.gauge("tidegate_binding_stopped", help, &labels, u8::from(stopped.is_some()).into());
}
