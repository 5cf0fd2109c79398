//! Tests of a plugin on the developer's machine: no wasm, no gateway.
//!
//! ```
//! # use tidegate_plugin::prelude::*;
//! # #[derive(Deserialize)]
//! # struct Range { min: f64, max: f64 }
//! # impl Plugin for Range {
//! #     fn filter(&mut self, message: &Message) -> Result<bool> {
//! #         Ok((self.min..=self.max).contains(&message.json()?))
//! #     }
//! # }
//! use tidegate_plugin::testing::{Tester, json};
//!
//! let mut range = Tester::<Range>::configured(json!({ "min": 0, "max": 40 }))?;
//! assert_eq!(range.send("cellar", "21.5")?, [Message::new("cellar", "21.5")]);
//! assert_eq!(range.send("oven", "180")?, []);
//! assert!(range.send("door", "open").is_err());
//! # Ok::<(), Error>(())
//! ```
//!
//! A message passes through the same code as in the gateway, so what comes back is what would leave, with topic, QoS,
//! retain and properties. The clock stands still until [`Tester::at`] moves it.

use std::time::Duration;

pub use serde_json::json;

use crate::bindings::tidegate::plugin::types as wit;
use crate::{Message, Plugin, Result, guest};

/// A plugin, configured, and the world around it.
#[derive(Debug)]
pub struct Tester<P> {
    plugin: P,
    now: Duration,
}

// === impl Tester ===

impl<P: Plugin> Tester<P> {
    /// Configures the plugin as the gateway would. The error is what an operator would read.
    pub fn configured(config: serde_json::Value) -> Result<Self> {
        let plugin = guest::configure(&config.to_string())?;
        Ok(Self { plugin, now: Duration::ZERO })
    }

    /// Sets the arrival time of what is sent from now on.
    pub fn at(&mut self, now: Duration) -> &mut Self {
        self.now = now;
        self
    }

    /// Sends a plain message, QoS 0; returns what comes out.
    pub fn send(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Result<Vec<Message<'static>>> {
        let message = Message::new(topic, payload).arrived_at(self.now);
        self.handle(&message)
    }

    /// Sends any message; returns what comes out.
    pub fn handle(&mut self, message: &Message) -> Result<Vec<Message<'static>>> {
        Ok(match guest::decide(&mut self.plugin, message)? {
            wit::Verdict::Drop => vec![],
            wit::Verdict::Forward => vec![message.keep()],
            wit::Verdict::Replace(payload) => vec![message.keep().with_payload(payload)],
            wit::Verdict::Emit(messages) => messages.into_iter().map(Message::from).collect(),
        })
    }

    /// The plugin, to look at its state.
    pub fn plugin(&mut self) -> &mut P {
        &mut self.plugin
    }

    /// What was logged since the last look, by this test.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn log(&self) -> Vec<(crate::log::Level, String)> {
        crate::log::fake::take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;
    use crate::prelude::*;

    /// Puts the message before this one behind it, to say where that came from.
    #[derive(Deserialize)]
    struct Echo {
        #[serde(skip)]
        last: Option<Message<'static>>,
    }

    impl Plugin for Echo {
        fn transform(&mut self, message: &Message) -> Result<Outputs> {
            log::info(format!("{} at {:?}", message.client(), message.arrived()));
            let echo = self.last.replace(message.keep());
            let echo = echo.map(|last| Output::of(&last).topic(format!("echo/{}", last.client())));
            Ok([Output::new()].into_iter().chain(echo).collect())
        }
    }

    #[test]
    fn a_kept_message_remembers_its_origin() {
        let mut echo = Tester::<Echo>::configured(json!({})).unwrap();
        let first = Message::new("a", "1").from_client("dev-1").with_retain(true);
        assert_eq!(echo.handle(&first).unwrap(), [first.keep()]);
        let behind = Message::new("echo/dev-1", "1").with_retain(true);
        assert_eq!(echo.send("b", "2").unwrap(), [Message::new("b", "2"), behind]);
    }

    #[test]
    fn the_log_holds_what_was_said_since_the_last_look() {
        let mut echo = Tester::<Echo>::configured(json!({})).unwrap();
        let message = Message::new("a", "1").from_client("dev-1").arrived_at(Duration::from_secs(5));
        echo.handle(&message).unwrap();
        assert_eq!(echo.log(), [(Level::Info, "dev-1 at 5s".to_owned())]);
        assert_eq!(echo.log(), []);
    }

    #[test]
    fn the_state_of_a_plugin_can_be_looked_at() {
        let mut echo = Tester::<Echo>::configured(json!({})).unwrap();
        echo.send("a", "1").unwrap();
        assert_eq!(echo.plugin().last, Some(Message::new("a", "1")));
    }
}
