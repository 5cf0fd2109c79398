//! What an author writes.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{Message, Outputs, Result};

/// A plugin: its fields are its configuration, its methods what it does with a message. Write the method you need.
///
/// # Configuration
/// The gateway reads the plugin's table with serde, once, before the first message. `#[serde(deny_unknown_fields)]` turns a
/// misspelt key into an error that names it; [`Plugin::init`] checks what types cannot.
///
/// # State
/// A field that serde skips begins with its default, and stays while the instance lives:
///
/// ```
/// # use tidegate_plugin::prelude::*;
/// /// Forwards every n-th message.
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct EveryNth {
///     n: u64,
///     #[serde(skip)]
///     seen: u64,
/// }
///
/// impl Plugin for EveryNth {
///     fn init(&mut self) -> Result<()> {
///         if self.n == 0 {
///             bail!("`n` must be at least 1");
///         }
///         Ok(())
///     }
///
///     fn filter(&mut self, _: &Message) -> Result<bool> {
///         self.seen += 1;
///         Ok(self.seen % self.n == 0)
///     }
/// }
/// ```
///
/// Such a field is memory: bound it, and expect to lose it when the gateway restarts or the plugin panics. What must not be lost goes
/// into [`state`](crate::state).
///
/// # Mistakes
/// rustc finds the classic ones. A plugin that cannot be configured:
///
/// ```compile_fail,E0277
/// # use tidegate_plugin::prelude::*;
/// struct Forgetful { min: f64 } // no #[derive(Deserialize)]
/// impl Plugin for Forgetful {}
/// ```
///
/// A message that is kept beyond the call, without [`Message::keep`]:
///
/// ```compile_fail
/// # use tidegate_plugin::prelude::*;
/// # #[derive(Deserialize)]
/// struct Last { #[serde(skip)] last: Option<Message<'static>> }
/// impl Plugin for Last {
///     fn filter(&mut self, message: &Message) -> Result<bool> {
///         self.last = Some(message);
///         Ok(true)
///     }
/// }
/// ```
pub trait Plugin: DeserializeOwned + 'static {
    /// Whether no message may go around this plugin, because it removes what must not leave the site or decides who may say what.
    /// The gateway then refuses `on_error = "pass"` for it.
    const MUST_RUN: bool = false;

    /// Checks the configuration and prepares. The error is a sentence for the person who wrote it; the gateway then does
    /// not start the plugin.
    fn init(&mut self) -> Result<()> {
        Ok(())
    }

    /// Keep the message? Called first.
    fn filter(&mut self, message: &Message) -> Result<bool> {
        let _ = message;
        Ok(true)
    }

    /// What to make of a message that was kept.
    fn transform(&mut self, message: &Message) -> Result<Outputs> {
        let _ = message;
        Ok(Outputs::same())
    }

    /// What to make of a delete, a retained message without a payload that removes what is retained on its topic
    /// ([`Message::is_delete`]). `filter` and `transform` do not see it: there is nothing in it to read. As it came is right
    /// for what looks at payloads; what rewrites topics or leaves out properties does so here as well, and what remembers
    /// something about the topic may forget it.
    fn delete(&mut self, message: &Message) -> Result<Outputs> {
        let _ = message;
        Ok(Outputs::same())
    }

    /// What to make of the time: called on the interval `tick` of the binding, when the plugin is exported with
    /// `export!(Window, tick)`. `now` is the gateway's clock since the Unix epoch, as in [`Message::arrived`]. The messages go on
    /// through the rest of the chain. A tick that was missed is not made up for.
    fn tick(&mut self, now: Duration) -> Result<Vec<Message<'static>>> {
        let _ = now;
        Ok(Vec::new())
    }
}
