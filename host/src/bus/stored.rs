//! What the bus writes down: a message that waits for a subscriber, and the retained message of a topic.
//!
//! ```text
//! struct Queued   { version: u8 = 1, stage: u8 }                                             // RELEASED
//! struct Queued   { version: u8 = 1, stage: u8, arrived_ms: u64, ids: u16 count, u32* }      // PUBLISHED
//! struct Queued   { version: u8 = 1, stage: u8, flags: u8, subscription: text, arrived_ms: u64, ids }   // FROM_GROUP
//! struct Retained { version: u8 = 1, arrived_ms: u64 }
//! struct Retained { version: u8 = 2, arrived_ms: u64, identity, client: text }    // where there are access rules, or its client has proved a name
//! ```
//!
//! The message stands beside these, so that it is shared with others of its record; before format 3 of the spool it stood behind them.
//!
//! Flags of what is for a member of a group: the QoS in the two low bits and RETAIN, as it was published.
//!
//! The arrival is written in the gateway's own time (`base::timeline`): what waited while the gateway was off has aged by that.

pub mod identity;

use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Delivery, FromGroup};
use crate::access::{Identity, Source};
use crate::base::{clock, timeline};
use crate::message::{Message, QoS};
use crate::spool::Value;
use crate::spool::wire::{Fields, WireError, put_text};

const VERSION: u8 = 1;
/// Of a retained message.
const WITH_IDENTITY: u8 = 2;

/// Version, stage, time, and how many identifiers.
const HEAD_BYTES: usize = 1 + 1 + 8 + 2;

const PUBLISHED: u8 = 0;
const RELEASED: u8 = 1;
const FROM_GROUP: u8 = 2;

const QOS: u8 = 0b11;
const RETAIN: u8 = 1 << 2;

/// A queued message as it was read back.
#[derive(Debug)]
pub enum Queued {
    /// `None` when it expired meanwhile.
    Published(Option<Delivery>),
    /// QoS 2, and the device has it: only its PUBREL is missing.
    Released,
}

pub(super) fn encode_published(delivery: &Delivery) -> Value {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + delivery.subscription_ids.len() * size_of::<u32>());
    out.put_u8(VERSION);
    match &delivery.from_group {
        None => out.put_u8(PUBLISHED),
        Some(from) => {
            out.put_u8(FROM_GROUP);
            out.put_u8(from.qos as u8 | if from.retain { RETAIN } else { 0 });
            put_text(&mut out, &from.subscription);
        }
    }
    out.put_u64_le(timeline::ms_of(delivery.arrived));
    // A client has no more subscriptions that match one message than the configuration allows it.
    let ids = delivery.subscription_ids.get(..u16::MAX.into()).unwrap_or(&delivery.subscription_ids);
    out.put_u16_le(ids.len() as u16);
    ids.iter().for_each(|id| out.put_u32_le(*id));
    Value::with_message(out.freeze(), delivery.message.clone())
}

/// What stays of a message when the device has it.
pub fn released() -> Bytes {
    Bytes::from_static(&[VERSION, RELEASED])
}

pub fn decode_queued(number: u64, value: &Value) -> Result<Queued, WireError> {
    let mut fields = Fields::new(value);
    version(&mut fields)?;
    match fields.u8()? {
        RELEASED => fields.end().map(|()| Queued::Released),
        PUBLISHED => published(number, None, fields, value),
        FROM_GROUP => {
            let flags = fields.u8()?;
            let unknown = WireError::Unknown { what: "QoS of a queued message", tag: flags & QOS };
            let qos = QoS::from_bits(flags & QOS).ok_or(unknown)?;
            let from = FromGroup { qos, retain: flags & RETAIN != 0, subscription: fields.text()?.into() };
            published(number, Some(from), fields, value)
        }
        tag => Err(WireError::Unknown { what: "stage of a queued message", tag }),
    }
}

fn published(
    number: u64,
    from_group: Option<FromGroup>,
    mut fields: Fields<'_>,
    value: &Value,
) -> Result<Queued, WireError> {
    let age = timeline::age_of(fields.u64()?);
    let subscription_ids = (0..fields.u16()?).map(|_| fields.u32()).collect::<Result<Vec<_>, _>>()?;
    let message = value.message_behind(fields)?.aged(age);
    let (arrived, number) = (clock::now(), Some(number));
    let (share, is_replay) = (None, false);
    let delivery = |message| Delivery { message, subscription_ids, arrived, number, share, from_group, is_replay };
    Ok(Queued::Published(message.map(delivery)))
}

pub(super) fn encode_retained(message: &Message, arrived: Instant, source: Option<&Source>) -> Value {
    let mut out = BytesMut::with_capacity(HEAD_BYTES);
    out.put_u8(if source.is_some() { WITH_IDENTITY } else { VERSION });
    out.put_u64_le(timeline::ms_of(arrived));
    if let Some(source) = source {
        identity::put(&mut out, source.identity());
        put_text(&mut out, &source.identity().client);
    }
    Value::with_message(out.freeze(), message.clone())
}

/// `None` when it expired meanwhile.
pub(super) fn decode_retained(value: &Value) -> Result<Option<(Message, Option<Source>)>, WireError> {
    let mut fields = Fields::new(value);
    let has_identity = match fields.u8()? {
        VERSION => false,
        WITH_IDENTITY => true,
        tag => return Err(WireError::Unknown { what: "version of a retained message", tag }),
    };
    let age = timeline::age_of(fields.u64()?);
    let source = has_identity.then(|| source(&mut fields)).transpose()?;
    Ok(value.message_behind(fields)?.aged(age).map(|message| (message, source)))
}

fn source(fields: &mut Fields<'_>) -> Result<Source, WireError> {
    let identity = identity::take(fields)?;
    Ok(Source::new(Arc::new(Identity { client: fields.text()?.into(), ..identity })))
}

fn version(fields: &mut Fields<'_>) -> Result<(), WireError> {
    match fields.u8()? {
        VERSION => Ok(()),
        tag => Err(WireError::Unknown { what: "version of a stored message", tag }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::QoS;
    use crate::topic::TopicName;

    proptest! {
        #[test]
        fn a_queued_message_reads_as_it_was_written(
            topic in "[a-zé]{1,9}",
            payload in prop::collection::vec(any::<u8>(), 0..50),
            qos in 0..3_u8,
            retain: bool,
            subscription_ids in prop::collection::vec(any::<u32>(), 0..4),
            number: u64,
            user in prop::option::of(prop::option::of("[a-z]{1,9}")),
            group in prop::option::of(("[a-z/$]{1,20}", 0..3_u8, any::<bool>())),
        ) {
            let from_group = group.map(|(subscription, qos, retain)| {
                FromGroup { subscription: subscription.into(), qos: QoS::from_bits(qos).unwrap(), retain }
            });
            let topic = TopicName::parse(&topic).unwrap();
            let message = Message { retain, ..Message::new(topic, payload, QoS::from_bits(qos).unwrap()) };
            let written = Delivery { message, subscription_ids, arrived: Instant::now(), number: Some(number), share: None, from_group, is_replay: false };
            let Queued::Published(Some(read)) = decode_queued(number, &encode_published(&written)).unwrap() else {
                panic!("another stage");
            };
            prop_assert_eq!((&read.message, &read.subscription_ids), (&written.message, &written.subscription_ids));
            prop_assert_eq!((read.number, &read.from_group), (written.number, &written.from_group));
            let source = user.map(|user| {
                Source::new(Arc::new(Identity { user: user.map(Arc::from), client: "c".into(), listener: "l".into() }))
            });
            let retained = encode_retained(&written.message, written.arrived, source.as_ref());
            prop_assert_eq!(decode_retained(&retained).unwrap(), Some((written.message, source)));
        }

        #[test]
        fn any_bytes_are_a_stored_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let value = Value::from(bytes);
            let _ = decode_queued(1, &value);
            let _ = decode_retained(&value);
        }
    }

    #[test]
    fn what_stood_behind_its_head_before_format_3_is_read() {
        let message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
        let written = Delivery {
            message,
            subscription_ids: vec![7],
            arrived: clock::now(),
            number: Some(9),
            share: None,
            from_group: None,
            is_replay: false,
        };
        let mut old = BytesMut::from(&encode_published(&written)[..]);
        crate::spool::encode_message(&written.message, &mut old);
        let Queued::Published(Some(read)) = decode_queued(9, &old.into()).unwrap() else { panic!("another stage") };
        assert_eq!((read.message, read.subscription_ids), (written.message.clone(), vec![7]));
        let mut old = BytesMut::from(&encode_retained(&written.message, written.arrived, None)[..]);
        crate::spool::encode_message(&written.message, &mut old);
        assert_eq!(decode_retained(&old.into()).unwrap(), Some((written.message, None)));
    }

    #[test]
    fn what_is_released_reads_as_released() {
        assert!(matches!(decode_queued(1, &released().into()), Ok(Queued::Released)));
    }
}
