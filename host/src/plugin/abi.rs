//! A message on its way into a guest and back: our types to the contract's, and checked ones from what a guest gives.
//!
//! In, nothing is copied but into the guest's memory. Out, nothing is believed: topics are parsed, text that MQTT cannot
//! carry is refused, counts and bytes are held against the plugin's limits. What is said about it shows nothing of it: it is made of
//! a device's payload, and goes into logs.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::PluginLimits;
use crate::message::{Message, Properties, QoS};
use crate::plugin::{FailureKind, Verdict};
use crate::topic::TopicName;

use super::contract::types;
use super::faults::Fault;

/// One message's answer. `Err` is about this message; the instance is well.
pub type Answer = Result<Verdict, Fault>;

/// A UTF-8 string or binary data of MQTT has a length of two bytes (section 1.5.4).
const MAX_FIELD_BYTES: usize = 65_535;

/// What one call may still give.
pub struct Allowance {
    max_outputs: usize,
    max_bytes: usize,
    max_item_bytes: usize,
    bytes_left: usize,
}

// === in ===

/// `user` is where the borrowed pairs live for the call.
pub fn lower<'a>(message: &'a Message, user: &'a [(&'a str, &'a str)]) -> types::MessageParam<'a> {
    types::MessageParam {
        topic: message.topic.as_str(),
        payload: &message.payload,
        qos: match message.qos {
            QoS::AtMostOnce => types::Qos::AtMostOnce,
            QoS::AtLeastOnce => types::Qos::AtLeastOnce,
            QoS::ExactlyOnce => types::Qos::ExactlyOnce,
        },
        retain: message.retain,
        properties: message.properties.as_ref().map(|properties| types::PropertiesParam {
            payload_is_utf8: properties.payload_is_utf8 == Some(true),
            expiry: properties.expiry,
            content_type: properties.content_type.as_deref(),
            response_topic: properties.response_topic.as_deref(),
            correlation_data: properties.correlation_data.as_deref(),
            user,
        }),
    }
}

pub fn user_pairs(message: &Message) -> Vec<(&str, &str)> {
    let Some(properties) = &message.properties else { return Vec::new() };
    properties.user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

// === out ===

impl Allowance {
    pub fn new(limits: &PluginLimits) -> Self {
        Self {
            max_outputs: limits.max_outputs,
            max_bytes: limits.max_output_bytes,
            max_item_bytes: limits.max_item_bytes,
            bytes_left: limits.max_output_bytes,
        }
    }

    pub fn answer(&mut self, answer: Result<types::Verdict, types::Failure>) -> Answer {
        match answer.map_err(|failure| refused(&failure))? {
            types::Verdict::Drop => Ok(Verdict::Drop),
            types::Verdict::Forward => Ok(Verdict::Forward),
            types::Verdict::Replace(payload) => {
                self.spend(payload.len())?;
                Ok(Verdict::Replace(payload.into()))
            }
            types::Verdict::Emit(messages) => self.emitted(messages),
        }
    }

    pub fn emitted(&mut self, messages: Vec<types::MessageResult>) -> Answer {
        self.messages(messages).map(Verdict::Emit)
    }

    pub fn messages(&mut self, messages: Vec<types::MessageResult>) -> Result<Vec<Message>, Fault> {
        if messages.len() > self.max_outputs {
            let limit = self.max_outputs;
            return Err(Fault::invalid(format!(
                "{} messages from one, its limit is {limit} (`limits.max_outputs`)",
                messages.len()
            )));
        }
        messages.into_iter().map(|message| self.lift(message)).collect()
    }

    /// For one payload or text.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.max_item_bytes {
            let limit = self.max_item_bytes;
            return Err(Fault::invalid(format!(
                "a payload or text of {bytes} bytes, its limit is {limit} (`limits.max_item_bytes`)"
            )));
        }
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or_else(|| {
            Fault::invalid(format!(
                "more than {} bytes from one call, which is its limit (`limits.max_output_bytes`)",
                self.max_bytes
            ))
        })?;
        Ok(())
    }

    fn lift(&mut self, message: types::MessageResult) -> Result<Message, Fault> {
        self.spend(message.topic.len())?;
        self.spend(message.payload.len())?;
        let topic = TopicName::parse(&message.topic)
            .map_err(|error| Fault::invalid(format!("the topic of an output: {error}")))?;
        // A plugin that could publish there could forge a dead letter, or the gateway's own state.
        if topic.is_gateways_own() {
            return Err(Fault::invalid(
                "the topic of an output is the gateway's own: only the gateway publishes there",
            ));
        }
        let payload = Bytes::from(message.payload);
        let properties = message.properties.map(|properties| self.lift_properties(properties, &payload)).transpose()?;
        Ok(Message {
            topic,
            payload,
            qos: match message.qos {
                types::Qos::AtMostOnce => QoS::AtMostOnce,
                types::Qos::AtLeastOnce => QoS::AtLeastOnce,
                types::Qos::ExactlyOnce => QoS::ExactlyOnce,
            },
            retain: message.retain,
            properties: properties.filter(|properties| !properties.is_empty()).map(Arc::new),
        })
    }

    fn lift_properties(&mut self, given: types::PropertiesResult, payload: &[u8]) -> Result<Properties, Fault> {
        if given.payload_is_utf8 && std::str::from_utf8(payload).is_err() {
            return Err(Fault::invalid("a payload that is said to be UTF-8 is not"));
        }
        let texts = given.user.iter().flat_map(|(name, value)| [name, value]).chain(&given.content_type);
        for text in texts {
            self.spend(text.len())?;
            check_text(text)?;
        }
        if let Some(topic) = &given.response_topic {
            self.spend(topic.len())?;
            TopicName::parse(topic)
                .map_err(|error| Fault::invalid(format!("the response topic of an output: {error}")))?;
        }
        let correlation = given.correlation_data.as_ref().map_or(0, Vec::len);
        self.spend(correlation)?;
        if correlation > MAX_FIELD_BYTES {
            return Err(Fault::invalid(format!("correlation data of {correlation} bytes, MQTT has {MAX_FIELD_BYTES}")));
        }
        Ok(Properties {
            // A plugin says that it is, or nothing.
            payload_is_utf8: given.payload_is_utf8.then_some(true),
            expiry: given.expiry,
            content_type: given.content_type,
            response_topic: given.response_topic,
            correlation_data: given.correlation_data.map(Bytes::from),
            user: given.user,
        })
    }
}

pub fn refused(failure: &types::Failure) -> Fault {
    Fault::new(FailureKind::Refused { transient: failure.transient }, &failure.detail)
}

fn check_text(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_FIELD_BYTES {
        return Err(Fault::invalid(format!("a property of {} bytes, MQTT has {MAX_FIELD_BYTES}", text.len())));
    }
    // [MQTT-1.5.4-2]
    if text.contains('\0') { Err(Fault::invalid("a property with the character U+0000")) } else { Ok(()) }
}
