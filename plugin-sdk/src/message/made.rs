//! Messages made of nothing, which is what tests and ticks do, and messages of the contract made ours.

use std::borrow::Cow;
use std::time::Duration;

use super::Message;
use crate::bindings::tidegate::plugin::types as wit;
use crate::origin::{Known, Origin};
use crate::{Properties, QoS};

impl Message<'static> {
    /// A message at QoS 0, not retained, without properties, from nobody, at the epoch.
    pub fn new(topic: impl Into<String>, payload: impl AsRef<[u8]>) -> Self {
        Self {
            topic: Cow::Owned(topic.into()),
            payload: Cow::Owned(payload.as_ref().to_vec()),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: None,
            origin: Origin::at(0),
        }
    }

    /// The same with another payload.
    pub fn with_payload(self, payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: Cow::Owned(payload.into()), ..self }
    }

    /// The same with another quality of service.
    pub fn with_qos(self, qos: QoS) -> Self {
        Self { qos, ..self }
    }

    /// The same, to be retained or not.
    pub fn with_retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    /// The same with these properties.
    pub fn with_properties(self, properties: Properties) -> Self {
        Self { properties: Some(Cow::Owned(properties)), ..self }
    }

    /// The same, published by this client.
    pub fn from_client(self, client: impl Into<String>) -> Self {
        let known = Known { client: client.into(), ..self.origin.get().clone() };
        Self { origin: known.into(), ..self }
    }

    /// The same, arrived at this time since the Unix epoch.
    pub fn arrived_at(self, arrived: Duration) -> Self {
        let known = Known { arrived, ..self.origin.get().clone() };
        Self { origin: known.into(), ..self }
    }
}

impl From<Message<'_>> for wit::Message {
    fn from(message: Message<'_>) -> Self {
        let Message { topic, payload, qos, retain, properties, origin: _ } = message;
        Self {
            topic: topic.into_owned(),
            payload: payload.into_owned(),
            qos,
            retain,
            properties: properties.map(Cow::into_owned),
        }
    }
}

impl From<wit::Message> for Message<'static> {
    fn from(message: wit::Message) -> Self {
        let wit::Message { topic, payload, qos, retain, properties } = message;
        let made = Self::new(topic, []).with_payload(payload).with_qos(qos).with_retain(retain);
        Self { properties: properties.map(Cow::Owned), ..made }
    }
}
