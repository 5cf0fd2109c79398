//! What the gateway does not take, under the limits that a plugin has unless its `limits` say otherwise: in a test with the same words,
//! and not first in the plant. The gateway's own tests compare the numbers.

use crate::bindings::tidegate::plugin::types as wit;
use crate::{Error, Message, Result, bail};

const MAX_OUTPUTS: usize = 100;
const MAX_OUTPUT_BYTES: usize = 1_048_576;
const MAX_ITEM_BYTES: usize = 262_144;

/// A UTF-8 string or binary data of MQTT has a length of two bytes (section 1.5.4).
const MAX_FIELD_BYTES: usize = 65_535;
const MAX_TOPIC_LEVELS: usize = 200;

/// What the topics begin with that only the gateway publishes on.
const GATEWAYS_OWN: [&str; 2] = ["$SYS/", "$tidegate/"];

/// What one call may still give.
struct Allowance {
    bytes_left: usize,
}

/// Whether a device could have published it.
pub fn takes_from_a_device(message: &Message) -> Result<()> {
    check_topic(message.topic()).map_err(|error| error.context("no device can publish this message"))
}

/// Whether it takes what a plugin has made of a message.
pub fn takes_verdict(verdict: &wit::Verdict) -> Result<()> {
    match verdict {
        wit::Verdict::Drop | wit::Verdict::Forward => Ok(()),
        wit::Verdict::Replace(payload) => Allowance::of_a_call().spend(payload.len()),
        wit::Verdict::Emit(messages) => takes_messages(messages),
    }
}

/// Whether it takes these messages of one call.
pub fn takes_messages(messages: &[wit::Message]) -> Result<()> {
    if messages.len() > MAX_OUTPUTS {
        bail!("{} messages from one, its limit is {MAX_OUTPUTS} (`limits.max_outputs`)", messages.len());
    }
    let mut allowance = Allowance::of_a_call();
    messages.iter().try_for_each(|message| check_output(message, &mut allowance))
}

fn check_output(message: &wit::Message, allowance: &mut Allowance) -> Result<()> {
    let wit::Message { topic, payload, properties, .. } = message;
    allowance.spend(topic.len())?;
    allowance.spend(payload.len())?;
    check_topic(topic).map_err(|error| error.context("the topic of an output"))?;
    if GATEWAYS_OWN.iter().any(|own| topic.starts_with(own)) {
        bail!("the topic of an output is the gateway's own: only the gateway publishes there");
    }
    check_properties(properties.as_ref(), payload, allowance)
}

fn check_properties(given: Option<&wit::Properties>, payload: &[u8], allowance: &mut Allowance) -> Result<()> {
    let Some(given) = given else { return Ok(()) };
    if given.payload_is_utf8 && std::str::from_utf8(payload).is_err() {
        bail!("a payload that is said to be UTF-8 is not");
    }
    let user = given.user.iter().flat_map(|(name, value)| [name, value]);
    for text in user.chain(&given.content_type) {
        allowance.spend(text.len())?;
        check_text(text)?;
    }
    if let Some(topic) = &given.response_topic {
        allowance.spend(topic.len())?;
        check_topic(topic).map_err(|error| error.context("the response topic of an output"))?;
    }
    let correlation = given.correlation_data.as_ref().map_or(0, Vec::len);
    allowance.spend(correlation)?;
    if correlation > MAX_FIELD_BYTES {
        bail!("correlation data of {correlation} bytes, MQTT has {MAX_FIELD_BYTES}");
    }
    Ok(())
}

fn check_text(text: &str) -> Result<()> {
    if text.len() > MAX_FIELD_BYTES {
        bail!("a property of {} bytes, MQTT has {MAX_FIELD_BYTES}", text.len());
    }
    if text.contains('\0') {
        bail!("a property with the character U+0000");
    }
    Ok(())
}

/// A topic name (MQTT 5, section 4.7).
fn check_topic(topic: &str) -> Result<()> {
    if topic.is_empty() {
        bail!("a topic name must have at least one character");
    }
    if topic.len() > MAX_FIELD_BYTES {
        bail!("a topic name has at most {MAX_FIELD_BYTES} bytes");
    }
    match topic.chars().find(|c| matches!(c, '+' | '#' | '\0')) {
        Some('\0') => bail!("a topic name must not contain the character U+0000"),
        Some(wildcard) => bail!("a topic name must not contain the wildcard `{wildcard}`"),
        None if topic.split('/').count() > MAX_TOPIC_LEVELS => {
            bail!("a topic name has at most {MAX_TOPIC_LEVELS} levels here")
        }
        None => Ok(()),
    }
}

// === impl Allowance ===

impl Allowance {
    fn of_a_call() -> Self {
        Self { bytes_left: MAX_OUTPUT_BYTES }
    }

    /// For one payload or text.
    fn spend(&mut self, bytes: usize) -> Result<()> {
        if bytes > MAX_ITEM_BYTES {
            bail!("a payload or text of {bytes} bytes, its limit is {MAX_ITEM_BYTES} (`limits.max_item_bytes`)");
        }
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or_else(|| {
            Error::new(format!(
                "more than {MAX_OUTPUT_BYTES} bytes from one call, which is its limit (`limits.max_output_bytes`)"
            ))
        })?;
        Ok(())
    }
}
