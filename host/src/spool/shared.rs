//! Messages of one frame, of which each part is written once.
//!
//! ```text
//! struct Message {                      // as in `message`, with two bits more for each part that the frame has shown before:
//!     flags: u8,                        // QoS, RETAIN, PROPERTIES, then TOPIC_BEFORE, PROPERTIES_BEFORE, PAYLOAD_BEFORE
//!     topic: text or part,
//!     properties: Properties or part,   // when the flags say so
//!     payload: the rest, or part,
//! }
//! part = u32                            // its number in this frame
//! ```
//!
//! Parts are numbered from 0 as they stand in the frame: topics, properties and payloads that are written out and have at least
//! [`SHARED_FROM`] bytes. So a frame with one message says nothing about parts, and a reader may stop anywhere: what is referred
//! to stands before. The same is known by its address, not by its content: parts are shared in memory already, and a
//! hundred payloads are not compared with each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::message::{PROPERTIES, QOS, RETAIN, decode_properties, encode_properties, flags_of, skip_properties};
use super::wire::{Fields, WireError, put_text};
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

const TOPIC_BEFORE: u8 = 1 << 4;
const PROPERTIES_BEFORE: u8 = 1 << 5;
const PAYLOAD_BEFORE: u8 = 1 << 6;
const KNOWN: u8 = QOS | RETAIN | PROPERTIES | TOPIC_BEFORE | PROPERTIES_BEFORE | PAYLOAD_BEFORE;

/// Below, a number and its bookkeeping cost more than they spare.
const SHARED_FROM: usize = 64;

/// What a frame that is written has shown already, by address and length.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    parts: HashMap<(usize, usize), u32>,
    next: u32,
    /// The frame has one message, which refers to nothing.
    is_alone: bool,
}

/// What a frame that is read has shown already.
#[derive(Debug, Default)]
pub(super) struct Parts<'a>(SmallVec<[Part<'a>; 2]>);

#[derive(Debug)]
struct Part<'a> {
    bytes: &'a [u8],
    made: Option<Made>,
}

/// In memory it is shared as well.
#[derive(Clone, Debug)]
enum Made {
    Topic(TopicName),
    Properties(Arc<Properties>),
    Payload(Bytes),
}

/// A message that was looked at, not made yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanned<'a> {
    flags: u8,
    topic: Place<'a>,
    properties: Option<Place<'a>>,
    payload: Place<'a>,
}

/// Its bytes, and its number when it has one.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    bytes: &'a [u8],
    number: Option<u32>,
}

// === impl Sharing ===

impl Sharing {
    /// Another frame begins, of so many messages.
    pub fn begin(&mut self, messages: usize) {
        self.parts.clear();
        (self.next, self.is_alone) = (0, messages <= 1);
    }

    /// A message that is written as it stands in another frame: nothing refers to its parts, which have numbers all the same.
    pub fn pass(&mut self, scanned: &Scanned<'_>) {
        let places = [Some(scanned.topic), scanned.properties, Some(scanned.payload)];
        self.next += places.into_iter().flatten().filter(|place| place.bytes.len() >= SHARED_FROM).count() as u32;
    }

    /// The messages of one frame have to stay where they are in memory until it is complete.
    pub fn encode(&mut self, message: &Message, out: &mut BytesMut) {
        let at = out.len();
        out.put_u8(flags_of(message));
        let mut before = 0;
        let topic = message.topic.as_str();
        match self.number(topic.as_ptr(), topic.len()) {
            Some(number) => {
                before |= TOPIC_BEFORE;
                out.put_u32_le(number);
            }
            None => put_text(out, topic),
        }
        before |= message.properties.as_ref().map_or(0, |properties| self.properties(properties, out));
        match self.number(message.payload.as_ptr(), message.payload.len()) {
            Some(number) => {
                before |= PAYLOAD_BEFORE;
                out.put_u32_le(number);
            }
            None => out.put_slice(&message.payload),
        }
        out.iter_mut().skip(at).take(1).for_each(|flags| *flags |= before);
    }

    fn properties(&mut self, properties: &Arc<Properties>, out: &mut BytesMut) -> u8 {
        // How long they are is known when they are written: they are filed by their address alone.
        let address = (Arc::as_ptr(properties) as usize, 0);
        if let Some(number) = self.parts.get(&address) {
            out.put_u32_le(*number);
            return PROPERTIES_BEFORE;
        }
        let at = out.len();
        encode_properties(properties, out);
        if out.len() - at >= SHARED_FROM && !self.is_alone {
            self.parts.insert(address, self.next);
            self.next += 1;
        }
        0
    }

    /// None for what is to be written out: it is too short, or it has its number from now on.
    fn number(&mut self, at: *const u8, length: usize) -> Option<u32> {
        if length < SHARED_FROM || self.is_alone {
            return None;
        }
        match self.parts.entry((at as usize, length)) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(self.next);
                self.next += 1;
                None
            }
        }
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// The next message of the frame.
    pub fn scan(&mut self, message: &'a [u8]) -> Result<Scanned<'a>, WireError> {
        let mut fields = Fields::new(message);
        let flags = fields.u8()?;
        if flags & !KNOWN != 0 {
            return Err(WireError::Unknown { what: "flag of a message", tag: flags });
        }
        let topic = match flags & TOPIC_BEFORE {
            // Whether it is a topic is asked when a message is made of it.
            0 => self.shown(fields.text_bytes()?),
            _ => self.before(&mut fields)?,
        };
        let properties = match (flags & PROPERTIES, flags & PROPERTIES_BEFORE) {
            (0, _) => None,
            (_, 0) => Some(self.shown(skip_properties(&mut fields)?)),
            _ => Some(self.before(&mut fields)?),
        };
        let payload = match flags & PAYLOAD_BEFORE {
            0 => self.shown(fields.rest()),
            _ => self.before(&mut fields)?,
        };
        fields.end()?;
        Ok(Scanned { flags, topic, properties, payload })
    }

    /// Parts of at least [`SHARED_FROM`] bytes are in memory once, for all messages that are made of this frame.
    pub fn message(&mut self, scanned: Scanned<'a>) -> Result<Message, WireError> {
        let qos = QoS::from_bits(scanned.flags & QOS);
        let qos = qos.ok_or(WireError::Unknown { what: "QoS", tag: scanned.flags })?;
        let retain = scanned.flags & RETAIN != 0;
        let topic = self.topic(scanned.topic)?;
        let properties = scanned.properties.map(|place| self.properties(place)).transpose()?;
        Ok(Message { topic, payload: self.payload(scanned.payload), qos, retain, properties })
    }

    fn shown(&mut self, bytes: &'a [u8]) -> Place<'a> {
        if bytes.len() < SHARED_FROM {
            return Place { bytes, number: None };
        }
        self.0.push(Part { bytes, made: None });
        // A frame has fewer bytes than that.
        Place { bytes, number: u32::try_from(self.0.len() - 1).ok() }
    }

    fn before(&self, fields: &mut Fields<'a>) -> Result<Place<'a>, WireError> {
        let number = fields.u32()?;
        let part = self.0.get(number as usize).ok_or(WireError::Short)?;
        Ok(Place { bytes: part.bytes, number: Some(number) })
    }

    fn topic(&mut self, place: Place<'a>) -> Result<TopicName, WireError> {
        if let Some(Made::Topic(topic)) = self.made(place) {
            return Ok(topic.clone());
        }
        let text = std::str::from_utf8(place.bytes).map_err(|_| WireError::NotUtf8)?;
        let topic = TopicName::parse(text)?;
        self.keep(place, || Made::Topic(topic.clone()));
        Ok(topic)
    }

    fn properties(&mut self, place: Place<'a>) -> Result<Arc<Properties>, WireError> {
        if let Some(Made::Properties(properties)) = self.made(place) {
            return Ok(properties.clone());
        }
        let mut fields = Fields::new(place.bytes);
        let properties = Arc::new(decode_properties(&mut fields)?);
        fields.end()?;
        self.keep(place, || Made::Properties(properties.clone()));
        Ok(properties)
    }

    /// Copied, so that a small message does not keep alive the large piece of the log that it was read with.
    fn payload(&mut self, place: Place<'a>) -> Bytes {
        if let Some(Made::Payload(payload)) = self.made(place) {
            return payload.clone();
        }
        let payload = Bytes::copy_from_slice(place.bytes);
        self.keep(place, || Made::Payload(payload.clone()));
        payload
    }

    fn made(&self, place: Place<'a>) -> Option<&Made> {
        self.0.get(place.number? as usize)?.made.as_ref()
    }

    fn keep(&mut self, place: Place<'a>, made: impl FnOnce() -> Made) {
        if let Some(part) = place.number.and_then(|number| self.0.get_mut(number as usize)) {
            part.made = Some(made());
        }
    }
}

// === impl Scanned ===

impl Scanned<'_> {
    pub fn qos(&self) -> QoS {
        QoS::from_bits(self.flags & QOS).unwrap_or_default()
    }

    /// Message expiry interval in seconds.
    pub fn expiry(&self) -> Option<u32> {
        super::message::expiry_of(self.properties?.bytes)
    }

    /// Bytes in the log, if it stood there alone.
    pub fn len(&self) -> usize {
        let properties = self.properties.map_or(0, |place| place.bytes.len());
        size_of::<u8>() + size_of::<u16>() + self.topic.bytes.len() + properties + self.payload.bytes.len()
    }

    /// Whether it can be understood without the messages before it.
    pub fn stands_alone(&self) -> bool {
        self.flags & (TOPIC_BEFORE | PROPERTIES_BEFORE | PAYLOAD_BEFORE) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of a few parts, some of them long enough to be shared.
    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let long = "x".repeat(SHARED_FROM);
        let topics =
            ["a".to_owned(), format!("b/{long}"), format!("c/{long}")].map(|topic| TopicName::parse(&topic).unwrap());
        let payloads = ["", "short", &long, &long.repeat(9)].map(|text| Bytes::from(text.to_owned()));
        let user = |text: &str| Properties { user: vec![(text.to_owned(), "v".to_owned())], ..Properties::default() };
        let expiring = Properties { expiry: Some(60), content_type: Some(long.clone()), ..Properties::default() };
        let properties = [user("u"), user(&long), expiring].map(Arc::new);
        let message = move |(topic, payload, of, qos, retain): (usize, usize, usize, u8, bool)| Message {
            topic: topics[topic].clone(),
            payload: payloads[payload].clone(),
            qos: QoS::from_bits(qos).unwrap(),
            retain,
            properties: properties.get(of).cloned(),
        };
        prop::collection::vec((0..3_usize, 0..4_usize, 0..4_usize, 0..3_u8, any::<bool>()), 1..9)
            .prop_map(move |of| of.into_iter().map(&message).collect())
    }

    fn encoded(messages: &[Message]) -> Vec<BytesMut> {
        let mut sharing = Sharing::default();
        let encode = |message: &Message| {
            let mut out = BytesMut::new();
            sharing.encode(message, &mut out);
            out
        };
        messages.iter().map(encode).collect()
    }

    proptest! {
        #[test]
        fn messages_of_a_frame_read_as_they_were_written(messages in messages()) {
            let written = encoded(&messages);
            let mut parts = Parts::default();
            for (bytes, message) in written.iter().zip(&messages) {
                let scanned = parts.scan(bytes).unwrap();
                let mut alone = BytesMut::new();
                super::super::message::encode_message(message, &mut alone);
                prop_assert_eq!((scanned.qos(), scanned.len()), (message.qos, alone.len()));
                let seconds = message.properties.as_ref().and_then(|properties| properties.expiry);
                prop_assert_eq!(scanned.expiry(), seconds);
                prop_assert_eq!(&parts.message(scanned).unwrap(), message);
            }
        }

        #[test]
        fn any_bytes_are_messages_of_a_frame_or_an_error(frame in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..4)) {
            let mut parts = Parts::default();
            for bytes in &frame {
                let scanned = parts.scan(bytes);
                let _ = scanned.and_then(|scanned| parts.message(scanned));
            }
        }
    }

    #[test]
    fn a_part_is_written_once_and_in_memory_once() {
        let topic = TopicName::parse(&format!("t/{}", "x".repeat(SHARED_FROM))).unwrap();
        let message = Message::new(topic, vec![7; 10_000], QoS::AtLeastOnce);
        let messages = vec![message; 100];
        let written = encoded(&messages);
        assert!(written.iter().map(|bytes| bytes.len()).sum::<usize>() < 10_000 + 100 * 10 + SHARED_FROM * 2);
        let mut parts = Parts::default();
        let read = written.iter().map(|bytes| {
            let scanned = parts.scan(bytes).unwrap();
            parts.message(scanned).unwrap()
        });
        let addresses: std::collections::HashSet<_> = read.map(|message| message.payload.as_ptr()).collect();
        assert_eq!(addresses.len(), 1);
    }

    #[test]
    fn a_part_that_the_frame_does_not_have_is_an_error() {
        let mut bytes = BytesMut::new();
        bytes.put_u8(PAYLOAD_BEFORE);
        put_text(&mut bytes, "t");
        bytes.put_u32_le(0);
        assert_eq!(Parts::default().scan(&bytes).err(), Some(WireError::Short));
    }
}
