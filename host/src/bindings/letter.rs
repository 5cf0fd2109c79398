//! What a failure leaves in the archive.

use super::route::Inbound;
use super::table::Binding;
use crate::base::clock;
use crate::chain::Failure;
use crate::dead_letter::{DeadLetter, Metadata};

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
