//! The message that a plugin sees.

mod made;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::origin::Origin;
use crate::{Error, Pointer, Properties, QoS, Result};

/// An MQTT message and, for those who ask, where it came from.
///
/// It borrows from what the host handed over: reading copies nothing. [`Message::keep`] makes a copy that a plugin may
/// hold on to, as in `last: Option<Message<'static>>`.
pub struct Message<'a> {
    topic: Cow<'a, str>,
    payload: Cow<'a, [u8]>,
    qos: QoS,
    retain: bool,
    properties: Option<Cow<'a, Properties>>,
    origin: Origin,
}

// === impl Message ===

impl Message<'_> {
    /// The topic name: never empty, without wildcards.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload as it came.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.payload).map_err(|error| Error::from(error).context("the payload is no text"))
    }

    /// The payload as JSON of the form that you want; fields that your type does not name are skipped.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.payload).map_err(Error::unexpected_json)
    }

    /// The number at a place of the JSON payload; everything else is skipped without being built.
    ///
    /// ```
    /// # use tidegate_plugin::prelude::*;
    /// let message = Message::new("sensors/1", r#"{"celsius": 21.5}"#);
    /// assert_eq!(message.number(&Pointer::parse("/celsius")?)?, 21.5);
    /// assert_eq!(message.number(&Pointer::parse("/lux")?).unwrap_err().to_string(), "the payload has nothing at `/lux`");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn number(&self, place: &Pointer) -> Result<f64> {
        match place.read(&self.payload).map_err(Error::unexpected_json)? {
            Some(number) => Ok(number),
            None => Err(Error::new(format!("the payload has nothing at {place}"))),
        }
    }

    /// The quality of service that it was published with.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// Is it to be retained by the broker that receives it?
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// Does it delete? A retained message without a payload removes what is retained on its topic (MQTT 5, section 3.3.1.3).
    pub fn is_delete(&self) -> bool {
        self.retain && self.payload.is_empty()
    }

    /// The MQTT 5 properties, when it has any.
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_deref()
    }

    /// The first user property of this name.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        let mut all = self.properties()?.user.iter();
        all.find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The client identifier of the device that published it. Asks the host, once for each message.
    pub fn client(&self) -> &str {
        &self.origin.get().client
    }

    /// When it arrived at the gateway, since the Unix epoch. Asks the host, once for each message. This is the only clock
    /// of a plugin, so that a recording replayed gives what it gave before.
    pub fn arrived(&self) -> Duration {
        self.origin.get().arrived
    }

    /// A copy that outlives the call.
    pub fn keep(&self) -> Message<'static> {
        Message {
            topic: self.topic.clone().into_owned().into(),
            payload: self.payload.clone().into_owned().into(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.clone().map(|properties| Cow::Owned(properties.into_owned())),
            origin: self.origin.get().clone().into(),
        }
    }
}

/// What the crossing does.
impl<'a> Message<'a> {
    pub(crate) fn borrowed(topic: &'a str, payload: &'a [u8], qos: QoS, retain: bool, index: u32) -> Self {
        let (topic, payload) = (Cow::Borrowed(topic), Cow::Borrowed(payload));
        Self { topic, payload, qos, retain, properties: None, origin: Origin::at(index) }
    }

    pub(crate) fn with_borrowed_properties(self, properties: Option<&'a Properties>) -> Self {
        Self { properties: properties.map(Cow::Borrowed), ..self }
    }
}

/// Equal in what MQTT carries; the origin is beside the message and not of it.
impl PartialEq<Message<'_>> for Message<'_> {
    fn eq(&self, other: &Message<'_>) -> bool {
        self.topic == other.topic
            && self.payload == other.payload
            && (self.qos, self.retain) == (other.qos, other.retain)
            && self.properties() == other.properties()
    }
}

/// As a line of `tidegate test`, so that a failed assertion can be read.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} ({:?}", self.topic, String::from_utf8_lossy(&self.payload), self.qos)?;
        if self.retain {
            f.write_str(", retain")?;
        }
        if let Some(properties) = self.properties() {
            write!(f, ", {properties:?}")?;
        }
        f.write_str(")")
    }
}
