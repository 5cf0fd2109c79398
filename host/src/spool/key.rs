//! The small durable state of the gateway: what must survive and is not a message on its way.
//!
//! One variant for each owner, who alone knows what the value means. To the spool a value is opaque bytes: it is put or
//! deleted in the same atomic frame as the outputs that belong to it, and given back whole at the next start. Of a key it asks
//! whose client it is, to keep the order of each client when the log is full.
//!
//! ```text
//! key = tag u8, then its fields in the order of the variant: text = length u16 + UTF-8, numbers little-endian
//! ```
//!
//! Tags are for ever: a tag that is retired is not given to anybody else.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::value::Value;
use super::wire::{Fields, WireError, put_text};
use crate::topic::TopicName;

/// Puts a value, or deletes it with `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub value: Option<Value>,
}

/// Whose state it is. Ordered by kind, so that what is restored together stands together; then first by what differs most, because
/// a search compares a dozen keys, and texts are dear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A QoS 2 PUBLISH that has been taken over and not released [MQTT-4.3.3-10]. Of a device; or of an upstream, which sent it in the
    /// session of this client identifier of ours.
    Qos2 { packet_id: u16, source: Source, client: Arc<str> },
    /// A session that outlives its connection.
    Session { client: Arc<str> },
    /// One subscription of such a session.
    Subscription { client: Arc<str>, filter: Arc<str> },
    /// The will of such a session while it waits for its delay.
    Will { client: Arc<str> },
    /// A message that waits for a subscriber.
    Queued { client: Arc<str>, number: u64 },
    /// The retained message of a topic.
    Retained { topic: TopicName },
    /// The session that an upstream keeps for us.
    Upstream { name: Arc<str> },
    /// A message that is to be republished, of this client, and whose own record is not written yet.
    Unfinished { client: Arc<str>, number: u64 },
    /// A QoS 2 message that an upstream has received: from here on only PUBREL is sent [MQTT-4.3.3-6].
    Released { upstream: Arc<str>, number: u64 },
    /// What a plugin remembers in a binding.
    State { binding: Arc<str>, plugin: Arc<str>, key: Arc<str> },
}

/// Who sends a message to us with an identity of its own. Two sources may have the same client identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Devices,
    /// By name.
    Upstream(Arc<str>),
}

/// Of a device: as all were before upstreams could be sources.
const QOS2: u8 = 1;
const SESSION: u8 = 2;
const SUBSCRIPTION: u8 = 3;
const WILL: u8 = 4;
const QUEUED: u8 = 5;
const RETAINED: u8 = 6;
const UPSTREAM: u8 = 7;
const RELEASED: u8 = 8;
const UNFINISHED: u8 = 9;
const QOS2_OF_UPSTREAM: u8 = 10;
const STATE: u8 = 16;

// === impl Change ===

impl Change {
    pub fn put(key: Key, value: impl Into<Value>) -> Self {
        Self { key, value: Some(value.into()) }
    }

    pub fn delete(key: Key) -> Self {
        Self { key, value: None }
    }

    /// Of a message that was written down before all that becomes of it was safe: now it is.
    pub fn is_end_of_unfinished(&self) -> bool {
        self.value.is_none() && matches!(self.key, Key::Unfinished { .. })
    }

    /// About its bytes in the log, rather more than less.
    pub fn weight(&self) -> usize {
        const FIELDS: usize = 32;
        FIELDS + self.key.text_len() + self.value.as_ref().map_or(0, Value::weight)
    }
}

// === impl Key ===

impl Key {
    /// Whose it is, when it is a device's.
    pub(super) fn client(&self) -> Option<&Arc<str>> {
        match self {
            Self::Qos2 { source: Source::Devices, client, .. }
            | Self::Session { client }
            | Self::Subscription { client, .. }
            | Self::Will { client }
            | Self::Queued { client, .. }
            | Self::Unfinished { client, .. } => Some(client),
            Self::Qos2 { source: Source::Upstream(_), .. }
            | Self::Retained { .. }
            | Self::Upstream { .. }
            | Self::Released { .. }
            | Self::State { .. } => None,
        }
    }

    pub(super) fn text_len(&self) -> usize {
        match self {
            Self::Qos2 { source: Source::Devices, client, .. }
            | Self::Session { client }
            | Self::Will { client }
            | Self::Queued { client, .. } => client.len(),
            Self::Qos2 { source: Source::Upstream(name), client, .. } => client.len() + name.len(),
            Self::Subscription { client, filter } => client.len() + filter.len(),
            Self::Retained { topic } => topic.as_str().len(),
            Self::Upstream { name } | Self::Released { upstream: name, .. } | Self::Unfinished { client: name, .. } => {
                name.len()
            }
            Self::State { binding, plugin, key } => binding.len() + plugin.len() + key.len(),
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let tagged = |out: &mut BytesMut, tag, text: &str| {
            out.put_u8(tag);
            put_text(out, text);
        };
        match self {
            Self::Qos2 { source, client, packet_id } => {
                match source {
                    Source::Devices => tagged(out, QOS2, client),
                    Source::Upstream(name) => {
                        tagged(out, QOS2_OF_UPSTREAM, name);
                        put_text(out, client);
                    }
                }
                out.put_u16_le(*packet_id);
            }
            Self::Session { client } => tagged(out, SESSION, client),
            Self::Subscription { client, filter } => {
                tagged(out, SUBSCRIPTION, client);
                put_text(out, filter);
            }
            Self::Will { client } => tagged(out, WILL, client),
            Self::Queued { client, number } => {
                tagged(out, QUEUED, client);
                out.put_u64_le(*number);
            }
            Self::Retained { topic } => tagged(out, RETAINED, topic.as_str()),
            Self::Upstream { name } => tagged(out, UPSTREAM, name),
            Self::Unfinished { client, number } => {
                tagged(out, UNFINISHED, client);
                out.put_u64_le(*number);
            }
            Self::Released { upstream, number } => {
                tagged(out, RELEASED, upstream);
                out.put_u64_le(*number);
            }
            Self::State { binding, plugin, key } => {
                tagged(out, STATE, binding);
                put_text(out, plugin);
                put_text(out, key);
            }
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let tag = fields.u8()?;
        let name = fields.text()?;
        Ok(match tag {
            QOS2 => Self::Qos2 { source: Source::Devices, client: name.into(), packet_id: fields.u16()? },
            QOS2_OF_UPSTREAM => {
                let source = Source::Upstream(name.into());
                Self::Qos2 { source, client: fields.text()?.into(), packet_id: fields.u16()? }
            }
            SESSION => Self::Session { client: name.into() },
            SUBSCRIPTION => Self::Subscription { client: name.into(), filter: fields.text()?.into() },
            WILL => Self::Will { client: name.into() },
            QUEUED => Self::Queued { client: name.into(), number: fields.u64()? },
            RETAINED => Self::Retained { topic: TopicName::parse(name)? },
            UPSTREAM => Self::Upstream { name: name.into() },
            UNFINISHED => Self::Unfinished { client: name.into(), number: fields.u64()? },
            RELEASED => Self::Released { upstream: name.into(), number: fields.u64()? },
            STATE => Self::State { binding: name.into(), plugin: fields.text()?.into(), key: fields.text()?.into() },
            tag => return Err(WireError::Unknown { what: "key", tag }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Key> {
        let text = "[a-zé/]{0,20}";
        (0..11_u8, text, text, any::<u64>()).prop_map(|(kind, one, two, number)| {
            let name = Arc::<str>::from(one);
            match kind {
                0 => Key::Qos2 { source: Source::Devices, client: name, packet_id: number as u16 },
                9 => {
                    let source = Source::Upstream(two.into());
                    Key::Qos2 { source, client: name, packet_id: number as u16 }
                }
                1 => Key::Session { client: name },
                2 => Key::Subscription { client: name, filter: two.into() },
                3 => Key::Will { client: name },
                4 => Key::Queued { client: name, number },
                5 => Key::Retained { topic: TopicName::parse(&format!("t{name}")).unwrap() },
                6 => Key::Upstream { name },
                7 => Key::State { binding: name, plugin: two.as_str().into(), key: format!("{two}{number}").into() },
                8 => Key::Unfinished { client: name, number },
                _ => Key::Released { upstream: name, number },
            }
        })
    }

    proptest! {
        #[test]
        fn a_key_reads_as_it_was_written(key in keys()) {
            let mut out = BytesMut::new();
            key.encode(&mut out);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(Key::decode(&mut fields), Ok(key));
            prop_assert_eq!(fields.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_a_key_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Key::decode(&mut Fields::new(&bytes));
        }
    }
}
