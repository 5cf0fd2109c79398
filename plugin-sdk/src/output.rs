//! What a plugin makes of a message.
//!
//! An [`Output`] says how it differs from the message it was made of. So the plugin writes only what it changes, the host
//! gets back only what it does not have, and an author who sets the topic to what it was loses nothing: the crossing is
//! the cheapest that tells the truth (`forward`, `replace`, `emit`).

use serde::Serialize;

use crate::bindings::tidegate::plugin::types as wit;
use crate::{Message, Properties, QoS, Result};

/// One message out: the message that came in, but for what is set here.
///
/// ```
/// # use tidegate_plugin::prelude::*;
/// let alarm = Output::new().topic("alarms/boiler").payload("too hot").qos(QoS::AtLeastOnce).retain(true);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    topic: Option<String>,
    payload: Option<Vec<u8>>,
    qos: Option<QoS>,
    retain: Option<bool>,
    // Boxed, for it is rare and large.
    properties: Option<Option<Box<Properties>>>,
}

/// Everything that comes out for one message in: none, one or many, in order.
///
/// ```
/// # use tidegate_plugin::prelude::*;
/// let nothing = Outputs::none();
/// let as_it_came = Outputs::same();
/// let other_payload = Outputs::payload("21.5");
/// let one = Outputs::from(Output::new().topic("by/site"));
/// let many: Outputs = ["a", "b"].into_iter().map(|topic| Output::new().topic(topic)).collect();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs(Inner);

/// One output is the rule and needs no list.
#[derive(Clone, Debug, Default, PartialEq)]
enum Inner {
    #[default]
    None,
    One(Output),
    Many(Vec<Output>),
}

// === impl Output ===

impl Output {
    /// The message that came in.
    pub fn new() -> Self {
        Self::default()
    }

    /// A message of its own that takes nothing from the one that came in: for messages that a plugin kept.
    pub fn of(message: &Message) -> Self {
        Self {
            topic: Some(message.topic().to_owned()),
            payload: Some(message.payload().to_vec()),
            qos: Some(message.qos()),
            retain: Some(message.retain()),
            properties: Some(message.properties().cloned().map(Box::new)),
        }
    }

    /// To this topic.
    pub fn topic(self, topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// With this payload.
    pub fn payload(self, payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: Some(payload.into()), ..self }
    }

    /// With this value as JSON payload.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        Ok(self.payload(serde_json::to_vec(value)?))
    }

    /// With this quality of service.
    pub fn qos(self, qos: QoS) -> Self {
        Self { qos: Some(qos), ..self }
    }

    /// To be retained or not.
    pub fn retain(self, retain: bool) -> Self {
        Self { retain: Some(retain), ..self }
    }

    /// With these properties, or with none.
    pub fn properties(self, properties: impl Into<Option<Properties>>) -> Self {
        Self { properties: Some(properties.into().map(Box::new)), ..self }
    }

    /// Is this the message that came in, but perhaps for its payload?
    fn keeps_the_envelope_of(&self, input: &Message) -> bool {
        self.topic.as_deref().is_none_or(|topic| topic == input.topic())
            && self.qos.is_none_or(|qos| qos == input.qos())
            && self.retain.is_none_or(|retain| retain == input.retain())
            && self.properties.as_ref().is_none_or(|properties| properties.as_deref() == input.properties())
    }

    fn complete(self, input: &Message) -> wit::Message {
        wit::Message {
            topic: self.topic.unwrap_or_else(|| input.topic().to_owned()),
            payload: self.payload.unwrap_or_else(|| input.payload().to_vec()),
            qos: self.qos.unwrap_or(input.qos()),
            retain: self.retain.unwrap_or(input.retain()),
            properties: match self.properties {
                Some(properties) => properties.map(|properties| *properties),
                None => input.properties().cloned(),
            },
        }
    }
}

// === impl Outputs ===

impl Outputs {
    /// Nothing: the message ends here.
    pub fn none() -> Self {
        Self(Inner::None)
    }

    /// The message as it came.
    pub fn same() -> Self {
        Output::new().into()
    }

    /// The message with another payload.
    pub fn payload(payload: impl Into<Vec<u8>>) -> Self {
        Output::new().payload(payload).into()
    }

    /// The message with this value as JSON payload.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Output::new().json(value)?.into())
    }

    pub(crate) fn verdict(self, input: &Message) -> wit::Verdict {
        match self.0 {
            Inner::None => wit::Verdict::Drop,
            Inner::One(output) if output.keeps_the_envelope_of(input) => {
                output.payload.map_or(wit::Verdict::Forward, wit::Verdict::Replace)
            }
            Inner::One(output) => wit::Verdict::Emit(vec![output.complete(input)]),
            Inner::Many(outputs) => {
                wit::Verdict::Emit(outputs.into_iter().map(|output| output.complete(input)).collect())
            }
        }
    }
}

impl From<Output> for Outputs {
    fn from(output: Output) -> Self {
        Self(Inner::One(output))
    }
}

impl From<Option<Output>> for Outputs {
    fn from(output: Option<Output>) -> Self {
        output.map_or_else(Self::none, Self::from)
    }
}

impl From<Vec<Output>> for Outputs {
    fn from(mut outputs: Vec<Output>) -> Self {
        match outputs.len() {
            0 | 1 => outputs.pop().into(),
            _ => Self(Inner::Many(outputs)),
        }
    }
}

impl FromIterator<Output> for Outputs {
    fn from_iter<I: IntoIterator<Item = Output>>(outputs: I) -> Self {
        outputs.into_iter().collect::<Vec<_>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outputs: impl Into<Outputs>) -> wit::Verdict {
        outputs.into().verdict(&Message::new("a", "1").with_qos(QoS::ExactlyOnce))
    }

    fn emitted(topic: &str) -> wit::Message {
        let (qos, payload) = (QoS::ExactlyOnce, b"1".to_vec());
        wit::Message { topic: topic.into(), payload, qos, retain: false, properties: None }
    }

    #[test]
    fn what_did_not_change_is_not_sent_back() {
        assert_eq!(verdict(Outputs::same()), wit::Verdict::Forward);
        assert_eq!(verdict(Output::new().topic("a").qos(QoS::ExactlyOnce).retain(false)), wit::Verdict::Forward);
    }

    #[test]
    fn a_payload_alone_is_replaced() {
        assert_eq!(verdict(Outputs::payload("2")), wit::Verdict::Replace(b"2".to_vec()));
    }

    #[test]
    fn any_other_change_is_emitted_and_the_rest_kept() {
        assert_eq!(verdict(Output::new().topic("b")), wit::Verdict::Emit(vec![emitted("b")]));
        let retained = wit::Message { retain: true, ..emitted("a") };
        assert_eq!(verdict(Output::new().retain(true)), wit::Verdict::Emit(vec![retained]));
    }

    #[test]
    fn many_come_out_in_order_and_none_is_a_drop() {
        let many: Outputs = ["b", "c"].map(|topic| Output::new().topic(topic)).into_iter().collect();
        assert_eq!(verdict(many), wit::Verdict::Emit(vec![emitted("b"), emitted("c")]));
        assert_eq!(verdict(vec![]), wit::Verdict::Drop);
    }

    #[test]
    fn a_kept_message_takes_nothing_from_the_present_one() {
        let kept = Message::new("before", "0").keep();
        let out = wit::Message { qos: QoS::AtMostOnce, payload: b"0".to_vec(), ..emitted("before") };
        assert_eq!(verdict(Output::of(&kept)), wit::Verdict::Emit(vec![out]));
    }
}
