//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, sections 3.8 and 3.10), as a server reads them; [`write`] has our own.
//!
//! Filters are held to be text of at least one character here and nothing more: a filter whose wildcards are badly placed fails alone, with
//! its own reason in the SUBACK, and does not take the connection with it. One of no characters is none (section 4.13).

mod write;

pub(super) use write::{encode, encode_unsubscribe};

use super::Version;
use super::error::{DecodeError, malformed, protocol};
use super::packet::{RetainHandling, Subscribe, SubscribeOptions, SubscribeRequest, Unsubscribe};
use super::properties::{self, Place, Value, id};
use super::walk::Walk;
use crate::message::QoS;

pub(super) fn decode(walk: &mut Walk<'_>, version: Version) -> Result<Subscribe, DecodeError> {
    let packet_id = walk.packet_id()?;
    let mut subscription_id = None;
    if version == Version::V5 {
        properties::each(walk, Place::Subscribe, |id, value| {
            if let (id::SUBSCRIPTION_ID, Value::Number(number)) = (id, value) {
                subscription_id = Some(number);
            }
        })?;
    }
    // [MQTT-3.8.3-2]
    if walk.is_empty() {
        return Err(protocol("SUBSCRIBE without a topic filter"));
    }
    let mut requests = Vec::new();
    while !walk.is_empty() {
        let filter = filter(walk)?;
        let options = options(walk.u8()?, filter, version)?;
        requests.push(SubscribeRequest { filter: filter.to_owned(), options });
    }
    Ok(Subscribe { packet_id, subscription_id, requests })
}

pub(super) fn decode_unsubscribe(walk: &mut Walk<'_>, version: Version) -> Result<Unsubscribe, DecodeError> {
    let packet_id = walk.packet_id()?;
    if version == Version::V5 {
        properties::skip(walk, Place::Unsubscribe)?;
    }
    // [MQTT-3.10.3-2]
    if walk.is_empty() {
        return Err(protocol("UNSUBSCRIBE without a topic filter"));
    }
    let mut filters = Vec::new();
    while !walk.is_empty() {
        filters.push(filter(walk)?.to_owned());
    }
    Ok(Unsubscribe { packet_id, filters })
}

/// [MQTT-4.7.3-1]
fn filter<'a>(walk: &mut Walk<'a>) -> Result<&'a str, DecodeError> {
    match walk.text()? {
        "" => Err(malformed("an empty topic filter")),
        filter => Ok(filter),
    }
}

fn options(bits: u8, filter: &str, version: Version) -> Result<SubscribeOptions, DecodeError> {
    match version {
        Version::V311 => options_v311(bits),
        Version::V5 => options_v5(bits, filter),
    }
}

/// MQTT 3.1.1 [MQTT-3-8.3-4]: six reserved bits and a QoS, all of them malformed when wrong.
fn options_v311(bits: u8) -> Result<SubscribeOptions, DecodeError> {
    let qos = QoS::from_bits(bits).ok_or(malformed("a requested QoS other than 0, 1 and 2"))?;
    Ok(SubscribeOptions { qos, ..SubscribeOptions::default() })
}

/// MQTT 5, section 3.8.3.1: only the reserved bits make it malformed [MQTT-3.8.3-5], the rest is a protocol error.
fn options_v5(bits: u8, filter: &str) -> Result<SubscribeOptions, DecodeError> {
    if bits & 0b1100_0000 != 0 {
        return Err(malformed("reserved bits in the subscription options"));
    }
    let retain_handling = match bits >> 4 & 0b11 {
        0 => RetainHandling::SendAtSubscribe,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(protocol("retain handling 3")),
    };
    let options = SubscribeOptions {
        qos: QoS::from_bits(bits & 0b11).ok_or(protocol("maximum QoS 3"))?,
        no_local: bits & 0b0100 != 0,
        retain_as_published: bits & 0b1000 != 0,
        retain_handling,
    };
    // [MQTT-3.8.3-4]
    if options.no_local && filter.starts_with("$share/") {
        return Err(protocol("no-local on a shared subscription"));
    }
    Ok(options)
}
