//! What a failure leaves in the archive.

use super::caused::MAX_LETTERS;
use super::route::Inbound;
use super::table::Binding;
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::chain::Failure;
use crate::dead_letter::{DeadLetter, Metadata};

/// Of an input, of which too much has failed; the last one is told.
pub(super) fn of_input(failure: &Failure, last: &Inbound) -> Failure {
    let topic = brief(last.message.topic.as_str());
    let detail = format!(
        "of what it caused, more than {MAX_LETTERS} messages have failed: they are in this letter, and the others have none of their own; the last, \
         on {topic:?}: {}",
        failure.detail
    );
    Failure { detail, ..failure.clone() }
}

pub(super) fn dead_letter(binding: &Binding, inbound: &Inbound, failure: &Failure) -> DeadLetter {
    let metadata = Metadata {
        client: inbound.origin.client.to_string(),
        binding: binding.spec.name.to_string(),
        plugin: failure.plugin.clone(),
        upstream: String::new(),
        subscriber: String::new(),
        sha256: binding.digest_of(&failure.plugin).to_owned(),
        reason: failure.kind.to_string(),
        detail: failure.detail.clone(),
        attempts: inbound.attempts.saturating_add(failure.attempts),
        arrived_ms: inbound.origin.arrived_ms,
        failed_ms: clock::unix_ms(),
    };
    DeadLetter { message: inbound.message.clone(), metadata }
}
