//! Where a message came from, asked of the host only when the plugin asks.

use std::cell::OnceCell;
use std::time::Duration;

/// The origin of one message: known, or to be asked for by its position in the present call.
#[derive(Debug)]
pub(crate) struct Origin {
    index: u32,
    known: OnceCell<Known>,
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub client: String,
    /// Since the Unix epoch.
    pub arrived: Duration,
}

// === impl Origin ===

impl Origin {
    /// Of the message at this position of the present call.
    pub fn at(index: u32) -> Self {
        Self { index, known: OnceCell::new() }
    }

    pub fn get(&self) -> &Known {
        self.known.get_or_init(|| ask(self.index))
    }
}

impl From<Known> for Origin {
    fn from(known: Known) -> Self {
        Self { index: 0, known: known.into() }
    }
}

#[cfg(target_arch = "wasm32")]
fn ask(index: u32) -> Known {
    let origin = crate::bindings::tidegate::plugin::context::origin_of(index);
    Known { client: origin.client, arrived: Duration::from_millis(origin.arrived_ms) }
}

/// Native tests set the origin with the message; one made without is from nobody, at the epoch.
#[cfg(not(target_arch = "wasm32"))]
fn ask(_: u32) -> Known {
    Known { client: String::new(), arrived: Duration::ZERO }
}
