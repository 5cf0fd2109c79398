//! `context`: where the messages of the present call come from.

use std::sync::Arc;

use crate::message::Origin;
use crate::plugin::contract::context;

/// The origins of the present call, by position. The list is reused from call to call, and an `Arc` per message at most is all that
/// a plugin costs that never asks.
#[derive(Default)]
pub struct Origins {
    /// One for messages in a row that share it, as those of one read do, and where they end.
    runs: Vec<(usize, Arc<Origin>)>,
}

#[derive(Debug, thiserror::Error)]
#[error("asked for the origin of message {index} in a call with {count}")]
struct NoSuchMessage {
    index: u32,
    count: usize,
}

// === impl Origins ===

impl Origins {
    pub fn set<'a>(&mut self, origins: impl IntoIterator<Item = &'a Arc<Origin>>) {
        self.runs.clear();
        for (index, origin) in origins.into_iter().enumerate() {
            match self.runs.last_mut() {
                Some((end, last)) if Arc::ptr_eq(last, origin) => *end = index + 1,
                _ => self.runs.push((index + 1, kept(origin))),
            }
        }
    }

    /// The time of the present call.
    pub fn last_arrival(&self) -> Option<u64> {
        self.runs.last().map(|(_, origin)| origin.arrived_ms)
    }
}

/// As it may be kept beyond the call. Who follows the message hears of its end when the last that holds its trace lets go.
fn kept(origin: &Arc<Origin>) -> Arc<Origin> {
    match &origin.trace {
        None => origin.clone(),
        Some(_) => Arc::new(Origin { trace: None, ..(**origin).clone() }),
    }
}

impl context::Host for Origins {
    fn origin_of(&mut self, index: u32) -> wasmtime::Result<context::Origin> {
        let run = self.runs.partition_point(|(end, _)| *end <= index as usize);
        let count = self.runs.last().map_or(0, |(end, _)| *end);
        let (_, origin) = self.runs.get(run).ok_or(NoSuchMessage { index, count })?;
        Ok(context::Origin { client: origin.client.to_string(), arrived_ms: origin.arrived_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use context::Host;

    #[test]
    fn each_message_has_its_own_origin_and_one_that_is_not_there_is_an_error() {
        let origin = |client: &str| {
            Arc::new(Origin {
                client: client.into(),
                arrived_ms: 7,
                hops: 0,
                principal: None,
                source: None,
                trace: None,
            })
        };
        let mut origins = Origins::default();
        let shared = origin("b");
        origins.set([&origin("a"), &shared, &shared, &origin("c")]);
        let clients = [0, 1, 2, 3].map(|index| origins.origin_of(index).unwrap().client);
        assert_eq!(clients, ["a", "b", "b", "c"]);
        assert!(origins.origin_of(4).is_err());
    }
}
