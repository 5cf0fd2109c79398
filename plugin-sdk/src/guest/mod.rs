//! The guest's side of the crossing: from the contract's types to the author's functions and back.
//!
//! One and many messages go through the same [`decide`], and tests do too.

mod batch;
mod columns;

use std::cell::RefCell;
use std::time::Duration;

use crate::bindings::exports::tidegate::plugin::batched::{Batch, BatchResult};
use crate::bindings::exports::tidegate::plugin::manifest::Traits;
use crate::bindings::tidegate::plugin::types as wit;
use crate::{Error, Message, Plugin, Result};

/// Where the one plugin of a component lives. The host never calls into a call, so the cell is free whenever it is used.
pub struct Slot<P>(RefCell<Option<P>>);

// === impl Slot ===

impl<P: Plugin> Slot<P> {
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    pub fn configure(&self, config_json: &str) -> Result<(), String> {
        let plugin = configure(config_json).map_err(|error| error.to_string())?;
        self.0.replace(Some(plugin));
        Ok(())
    }

    pub fn process(&self, message: &wit::Message) -> Result<wit::Verdict, wit::Failure> {
        let seen = Message::borrowed(&message.topic, &message.payload, message.qos, message.retain, 0)
            .with_borrowed_properties(message.properties.as_ref());
        match &mut *self.0.borrow_mut() {
            Some(plugin) => decide(plugin, &seen).map_err(wit::Failure::from),
            None => Err(not_configured().into()),
        }
    }

    pub fn tick(&self, now_ms: u64) -> Result<Vec<wit::Message>, wit::Failure> {
        match &mut *self.0.borrow_mut() {
            Some(plugin) => tick(plugin, Duration::from_millis(now_ms)).map_err(wit::Failure::from),
            None => Err(not_configured().into()),
        }
    }

    pub fn process_batch(&self, batch: &Batch) -> BatchResult {
        match &mut *self.0.borrow_mut() {
            Some(plugin) => batch::process(plugin, batch),
            None => batch::fail_all(batch, &not_configured()),
        }
    }
}

/// A plugin from the JSON of its table, checked.
pub fn configure<P: Plugin>(config_json: &str) -> Result<P> {
    // By way of a value: a line and a column would be those of JSON that nobody has written.
    let config: serde_json::Value = serde_json::from_str(config_json)?;
    let mut plugin: P = serde_path_to_error::deserialize(config).map_err(placed)?;
    plugin.init()?;
    Ok(plugin)
}

/// Says where in the table the error is: "`fields[2].from`: unknown unit".
fn placed(error: serde_path_to_error::Error<serde_json::Error>) -> Error {
    // With the value: it is the operator's own, in the operator's own file.
    let (path, reason) = (error.path().to_string(), Error::new(error.into_inner()));
    let place = match reason.to_string().starts_with("unknown field") {
        // That sentence names the last step itself.
        true => path.rsplit_once('.').map_or(".", |(place, _)| place),
        false => &path,
    };
    if place == "." { reason } else { reason.context(format!("`{place}`")) }
}

/// What the host may know before the first message.
pub fn describe<P: Plugin>() -> Traits {
    Traits { takes_deletes: true, must_run: P::MUST_RUN }
}

/// What the plugin makes of one message.
pub fn decide<P: Plugin>(plugin: &mut P, message: &Message) -> Result<wit::Verdict> {
    if message.is_delete() {
        return Ok(plugin.delete(message)?.verdict(message));
    }
    if !plugin.filter(message)? {
        return Ok(wit::Verdict::Drop);
    }
    Ok(plugin.transform(message)?.verdict(message))
}

/// What the plugin makes of the time.
pub fn tick<P: Plugin>(plugin: &mut P, now: Duration) -> Result<Vec<wit::Message>> {
    Ok(plugin.tick(now)?.into_iter().map(wit::Message::from).collect())
}

fn not_configured() -> Error {
    Error::new("the plugin was not configured before its first message")
}

impl From<Error> for wit::Failure {
    fn from(error: Error) -> Self {
        Self { transient: error.is_transient(), detail: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Levels {
        #[expect(dead_code, reason = "read by serde only")]
        levels: Vec<f64>,
    }

    impl Plugin for Levels {}

    #[test]
    fn a_configuration_error_names_the_place_and_no_line_of_json() {
        let cases = [
            (r#"{"levels": [1, "two"]}"#, "`levels[1]`: invalid type: string \"two\", expected f64"),
            (r#"{"level": []}"#, "unknown field `level`, expected `levels`"),
            (r#"{}"#, "missing field `levels`"),
        ];
        for (config, error) in cases {
            assert_eq!(configure::<Levels>(config).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn a_message_before_the_configuration_is_refused() {
        let message = wit::Message {
            topic: "a".into(),
            payload: vec![],
            qos: wit::Qos::AtMostOnce,
            retain: false,
            properties: None,
        };
        assert!(Slot::<Levels>::empty().process(&message).is_err());
    }
}
