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
//! retain and properties. What the gateway would not take is an error here too: a topic with a wildcard, the gateway's own topics, more
//! than the limits that a plugin has by default; the name of a metric that is none panics. The clock stands still until [`Tester::at`] moves it, and [`Tester::tick`] is the gateway's interval.
//! [`Tester::restart`] is a gateway that was killed: fields are lost, [`state`](crate::state) is not.

mod gateway;

use std::fmt;
use std::time::Duration;

pub use serde_json::json;

use crate::bindings::tidegate::plugin::types as wit;
use crate::state::fake::Table;
use crate::{Message, Plugin, Result, guest, metrics, state};

/// A plugin, configured, and the world around it.
pub struct Tester<P> {
    plugin: P,
    config: String,
    state: Table,
    now: Duration,
}

// === impl Tester ===

impl<P: Plugin> Tester<P> {
    /// Configures the plugin as the gateway would. The error is what an operator would read.
    pub fn configured(config: serde_json::Value) -> Result<Self> {
        let config = config.to_string();
        Ok(Self { plugin: guest::configure(&config)?, config, state: Table::new(), now: Duration::ZERO })
    }

    /// Begins again with what is durable.
    pub fn restart(&mut self) -> Result<&mut Self> {
        self.plugin = guest::configure(&self.config)?;
        Ok(self)
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
        gateway::takes_from_a_device(message)?;
        let plugin = &mut self.plugin;
        let decide = || {
            let verdict = guest::decide(plugin, message)?;
            gateway::takes_verdict(&verdict).map(|()| verdict)
        };
        Ok(match state::fake::during(&mut self.state, decide)? {
            wit::Verdict::Drop => vec![],
            wit::Verdict::Forward => vec![message.keep()],
            wit::Verdict::Replace(payload) => vec![message.keep().with_payload(payload)],
            wit::Verdict::Emit(messages) => messages.into_iter().map(Message::from).collect(),
        })
    }

    /// The clock's turn, at the time that [`Tester::at`] has set; returns what comes out.
    pub fn tick(&mut self) -> Result<Vec<Message<'static>>> {
        let (plugin, now) = (&mut self.plugin, self.now);
        let tick = || {
            let made = guest::tick(plugin, now)?;
            gateway::takes_messages(&made).map(|()| made)
        };
        let made = state::fake::during(&mut self.state, tick)?;
        Ok(made.into_iter().map(Message::from).collect())
    }

    /// A number that the plugin has counted or set, over all of this thread's testers.
    pub fn metric(&self, name: &str) -> Option<f64> {
        metrics::fake::get(name)
    }

    /// The plugin, to look at its fields.
    pub fn plugin(&mut self) -> &mut P {
        &mut self.plugin
    }

    /// What was logged since the last look, by this test.
    pub fn log(&self) -> Vec<(crate::log::Level, String)> {
        crate::log::fake::take()
    }
}

/// Without the configuration, in which there may be secrets.
impl<P: fmt::Debug> fmt::Debug for Tester<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tester").field("plugin", &self.plugin).field("now", &self.now).finish_non_exhaustive()
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

    /// Puts out what the payload asks for.
    #[derive(Deserialize)]
    struct Careless {}

    impl Plugin for Careless {
        fn transform(&mut self, message: &Message) -> Result<Outputs> {
            let text = |bytes: usize| "x".repeat(bytes);
            state::set("last", &message.text()?)?;
            Ok(match message.text()? {
                "many" => (0..101).map(|number| Output::new().topic(format!("t/{number}"))).collect(),
                "large" => Outputs::payload(text(262_145)),
                "much" => (0..5).map(|_| Output::new().topic("t").payload(text(262_000))).collect(),
                "property" => {
                    let user = vec![("name".to_owned(), "a\0".to_owned())];
                    Output::new().properties(Properties { user, ..Properties::default() }).into()
                }
                "metric" => {
                    metrics::count("Seen", 1);
                    Outputs::same()
                }
                topic => Output::new().topic(topic).into(),
            })
        }

        fn tick(&mut self, _: Duration) -> Result<Vec<Message<'static>>> {
            Ok(vec![Message::new("a/+", "")])
        }
    }

    #[test]
    fn what_the_gateway_does_not_take_is_an_error_with_its_words() {
        let mut careless = Tester::<Careless>::configured(json!({})).unwrap();
        let cases = [
            ("many", "101 messages from one, its limit is 100 (`limits.max_outputs`)"),
            ("large", "a payload or text of 262145 bytes, its limit is 262144 (`limits.max_item_bytes`)"),
            ("much", "more than 1048576 bytes from one call, which is its limit (`limits.max_output_bytes`)"),
            ("property", "a property with the character U+0000"),
            ("a/#", "the topic of an output: a topic name must not contain the wildcard `#`"),
            ("", "the topic of an output: a topic name must have at least one character"),
            ("$SYS/a", "the topic of an output is the gateway's own: only the gateway publishes there"),
        ];
        for (payload, reason) in cases {
            assert_eq!(careless.send("in", payload).unwrap_err().to_string(), reason);
        }
        assert_eq!(careless.send("in", "out").unwrap(), [Message::new("out", "out")]);
        assert!(careless.tick().unwrap_err().to_string().contains("wildcard `+`"));
    }

    #[test]
    fn what_was_refused_has_changed_no_state() {
        let mut careless = Tester::<Careless>::configured(json!({})).unwrap();
        careless.send("in", "out").unwrap();
        careless.send("in", "a/#").unwrap_err();
        assert_eq!(careless.state.get("last").unwrap(), br#""out""#);
    }

    #[test]
    fn a_message_that_no_device_can_publish_is_refused() {
        let mut echo = Tester::<Echo>::configured(json!({})).unwrap();
        let error = echo.send("a/+", "1").unwrap_err().to_string();
        assert_eq!(error, "no device can publish this message: a topic name must not contain the wildcard `+`");
    }

    #[test]
    #[should_panic = "the gateway keeps no metric `Seen`"]
    fn a_metric_that_the_gateway_does_not_keep_ends_the_test() {
        let mut careless = Tester::<Careless>::configured(json!({})).unwrap();
        let _ = careless.send("in", "metric");
    }

    #[test]
    fn the_state_of_a_plugin_can_be_looked_at() {
        let mut echo = Tester::<Echo>::configured(json!({})).unwrap();
        echo.send("a", "1").unwrap();
        assert_eq!(echo.plugin().last, Some(Message::new("a", "1")));
    }
}
