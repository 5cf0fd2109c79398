//! Why devices are held back, for people: in the log, in `status`, in its JSON.

use super::log::Shortage;

/// One reason why records wait, and what would end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose share is full; none when the whole spool is.
    pub upstream: Option<String>,
    pub reason: String,
    pub advice: String,
}

// === impl Held ===

impl Held {
    pub(super) fn by_shortage(shortage: Shortage) -> Self {
        let advice = match shortage {
            Shortage::Limit { .. } => {
                "an upstream has to take what waits (`tidegate status` says which are away), or raise `max_bytes` of [spool]"
            }
            Shortage::Floor { .. } => "free space on the file system of `data_dir`, or lower `free_floor` of [spool]",
            Shortage::Disk => "free space on the file system of `data_dir`",
        };
        Self { upstream: None, reason: format!("the spool is full: {shortage}"), advice: advice.to_owned() }
    }

    pub(super) fn by_share(upstream: &str, share: u64) -> Self {
        Self {
            upstream: Some(upstream.to_owned()),
            reason: format!("the share of upstream {upstream} in the spool, {share} bytes, is full"),
            advice: format!(
                "it has to take what waits for it, or raise `max_bytes` of [spool], or give up what waits with `tidegate spool purge \
                 --upstream {upstream}`"
            ),
        }
    }

    pub(super) fn by_part(upstream: &str, binding: &str) -> Self {
        Self {
            upstream: Some(upstream.to_owned()),
            reason: format!(
                "binding {binding} has more than its part of what upstream {upstream} may have in the spool"
            ),
            advice: format!(
                "the upstream has to take what waits for it, or the plugins of the binding put out less; other bindings go on. What waits is \
                 given up with `tidegate spool purge --upstream {upstream}`"
            ),
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.reason, self.advice)
    }
}
