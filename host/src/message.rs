//! The one thing that flows: a message, and where it came from.

pub mod hops;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::access::Source;
use crate::tap::Trace;
use crate::topic::TopicName;

/// Payloads smaller than this are copied out of the read buffer.
const COPY_BELOW: usize = 2 * 1024;

/// Quality of service (MQTT 5, section 4.3). Ordered: a delivery uses the lesser of what was published and subscribed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    #[default]
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

/// An application message. Cloning is cheap: everything of size is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
    /// `None` for what is usual: MQTT 3.1.1, or MQTT 5 without properties.
    pub properties: Option<Arc<Properties>>,
}

/// The MQTT 5 properties that belong to the message and travel with it (section 3.3.2.3).
///
/// Topic alias and subscription identifier belong to one connection and are not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Payload format indicator, where the publisher has said whether the payload is UTF-8. That it is not said is another thing than
    /// that it is bytes: each travels unaltered [MQTT-3.3.2-4].
    pub payload_is_utf8: Option<bool>,
    /// Message expiry interval in seconds, counted from the arrival at this gateway.
    pub expiry: Option<u32>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation_data: Option<Bytes>,
    /// User properties: names may repeat and their order is kept [MQTT-3.3.2-17, MQTT-3.3.2-18].
    pub user: Vec<(String, String)>,
}

/// Where a message came from: passed beside it, never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client identifier of the device; for a message that the gateway itself made, `tidegate`.
    pub client: Arc<str>,
    /// Arrival at the gateway, in milliseconds since the Unix epoch.
    pub arrived_ms: u64,
    /// How many bindings have republished it locally. Stops loops (`bindings::MAX_HOPS`).
    pub hops: u8,
    /// The user name that its client has proved to be its own. None where nobody asks for one.
    pub principal: Option<Arc<str>>,
    /// Its client as the access rules know it, for what is kept of it. None where they ask nothing, and of what the gateway has made of it:
    /// that is as the configuration says.
    pub source: Option<Arc<Source>>,
    /// An operator follows it.
    pub trace: Option<Trace>,
}

// === impl QoS ===

impl QoS {
    /// From the two bits of the protocol; 3 is malformed [MQTT-3.3.1-4].
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

// === impl Message ===

impl Message {
    pub fn new(topic: TopicName, payload: impl Into<Bytes>, qos: QoS) -> Self {
        Self { topic, payload: payload.into(), qos, retain: false, properties: None }
    }

    /// For one that has just been read. A payload is a slice of the read buffer: kept for a day, a reading of 20 bytes would keep 4 KiB. What
    /// is small is copied, which also lets the buffer be used again for the next read.
    pub fn unpin(&mut self) {
        if self.payload.len() < COPY_BELOW {
            self.payload = Bytes::copy_from_slice(&self.payload);
        }
        if let Some(properties) = self.properties.as_mut().and_then(Arc::get_mut)
            && let Some(correlation) = &mut properties.correlation_data
        {
            *correlation = Bytes::copy_from_slice(correlation);
        }
    }

    /// Bytes that this message keeps in memory, for the caps on queues: payload, topic, properties and bookkeeping.
    pub fn weight(&self) -> usize {
        const BOOKKEEPING: usize = 128;
        BOOKKEEPING
            + self.topic.as_str().len()
            + self.payload.len()
            + self.properties.as_ref().map_or(0, |p| p.weight())
    }

    /// A retained message without a payload removes what is retained on its topic (section 3.3.1.3).
    pub fn is_delete(&self) -> bool {
        self.retain && self.payload.is_empty()
    }

    pub fn expiry(&self) -> Option<Duration> {
        self.properties.as_ref()?.expiry.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The message after waiting `held` here: its expiry interval shortened [MQTT-3.3.2-6], or `None` when it has passed.
    pub fn aged(&self, held: Duration) -> Option<Self> {
        let Some(expiry) = self.expiry() else { return Some(self.clone()) };
        let left = expiry.checked_sub(held).filter(|left| !left.is_zero())?;
        Some(self.clone().with_expiry(left))
    }

    /// The same for one that is sent again. QoS 2 is, whatever its age: without it the receiver may take the next message with its identifier
    /// for this one [MQTT-4.3.3-7]. It says then that nothing is left of its interval, in the smallest number that no receiver takes for "never".
    pub fn aged_again(&self, held: Duration) -> Option<Self> {
        let is_kept = || self.qos == QoS::ExactlyOnce;
        self.aged(held).or_else(|| is_kept().then(|| self.clone().with_expiry(Duration::from_secs(1))))
    }

    /// With another interval, when it has one.
    pub fn with_expiry(mut self, left: Duration) -> Self {
        if let Some(properties) = &mut self.properties {
            // Rounded up: a message that still lives never leaves with an interval of 0.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            Arc::make_mut(properties).expiry = u32::try_from(seconds).ok();
        }
        self
    }
}

impl Properties {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn weight(&self) -> usize {
        let text = |s: &Option<String>| s.as_ref().map_or(0, String::len);
        let user: usize = self.user.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        let correlation = self.correlation_data.as_ref().map_or(0, Bytes::len);
        128 + text(&self.content_type) + text(&self.response_topic) + correlation + user
    }
}

impl Origin {
    /// The origin of what the gateway itself says.
    pub fn gateway(arrived_ms: u64) -> Self {
        Self { client: "tidegate".into(), arrived_ms, hops: 0, principal: None, source: None, trace: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiring(seconds: u32) -> Message {
        let mut message = Message::new(TopicName::parse("a/b").unwrap(), "x", QoS::AtLeastOnce);
        message.properties = Some(Arc::new(Properties { expiry: Some(seconds), ..Properties::default() }));
        message
    }

    #[test]
    fn waiting_shortens_the_expiry_interval() {
        let aged = expiring(10).aged(Duration::from_millis(3_500)).expect("still alive");
        assert_eq!(aged.expiry(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_is_sent_again_has_what_is_left_and_only_qos_2_goes_on_without_any() {
        let (waited, over) = (Duration::from_secs(4), Duration::from_secs(11));
        let expiry = |message: Option<Message>| message.and_then(|message| message.expiry()).map(|left| left.as_secs());
        assert_eq!(expiry(expiring(10).aged_again(waited)), Some(6));
        assert_eq!(expiring(10).aged_again(over), None);
        let exactly_once = Message { qos: QoS::ExactlyOnce, ..expiring(10) };
        assert_eq!(expiry(exactly_once.aged_again(over)), Some(1));
    }

    #[test]
    fn a_message_expires_at_its_interval_and_not_before() {
        assert!(expiring(2).aged(Duration::from_millis(1_999)).is_some());
        assert!(expiring(2).aged(Duration::from_secs(2)).is_none());
    }
}
