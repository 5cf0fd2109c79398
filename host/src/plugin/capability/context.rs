//! `context`: where the messages of the present call come from.

use std::sync::Arc;

use crate::message::Origin;
use crate::plugin::contract::context;

/// The origins of the present call, by position. The list is reused from call to call, and an `Arc` per message is all that
/// a plugin costs that never asks.
#[derive(Default)]
pub struct Origins(Vec<Arc<Origin>>);

#[derive(Debug, thiserror::Error)]
#[error("asked for the origin of message {index} in a call with {count}")]
struct NoSuchMessage {
    index: u32,
    count: usize,
}

// === impl Origins ===

impl Origins {
    pub fn set<'a>(&mut self, origins: impl IntoIterator<Item = &'a Arc<Origin>>) {
        self.0.clear();
        self.0.extend(origins.into_iter().map(Arc::clone));
    }

    /// The time of the present call.
    pub fn last_arrival(&self) -> Option<u64> {
        self.0.last().map(|origin| origin.arrived_ms)
    }
}

impl context::Host for Origins {
    fn origin_of(&mut self, index: u32) -> wasmtime::Result<context::Origin> {
        let origin = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        let origin = origin.ok_or(NoSuchMessage { index, count: self.0.len() })?;
        Ok(context::Origin { client: origin.client.to_string(), arrived_ms: origin.arrived_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use context::Host;

    #[test]
    fn each_message_has_its_own_origin_and_one_that_is_not_there_is_an_error() {
        let origin = |client: &str| Arc::new(Origin { client: client.into(), arrived_ms: 7, hops: 0 });
        let mut origins = Origins::default();
        origins.set([&origin("a"), &origin("b")]);
        assert_eq!(origins.origin_of(1).unwrap().client, "b");
        assert!(origins.origin_of(2).is_err());
    }
}
