//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, sections 3.8 and 3.10).
//!
//! Filters are held to be text here and nothing more: a filter that is badly formed fails alone, with its own reason
//! in the SUBACK, and does not take the connection with it.

use crate::message::QoS;
use crate::mqtt::Version;
use crate::mqtt::error::{DecodeError, malformed, protocol};
use crate::mqtt::properties::{self, Place};
use crate::mqtt::walk::Walk;

pub(in crate::mqtt) fn subscribe(walk: &mut Walk<'_>, version: Version) -> Result<(), DecodeError> {
    head(walk, version, Place::Subscribe)?;
    // [MQTT-3.8.3-2]
    if walk.is_empty() {
        return Err(protocol("SUBSCRIBE without a topic filter"));
    }
    while !walk.is_empty() {
        let filter = walk.text()?;
        let options = walk.u8()?;
        match version {
            Version::V311 => options_v311(options)?,
            Version::V5 => options_v5(options, filter)?,
        }
    }
    Ok(())
}

pub(in crate::mqtt) fn unsubscribe(walk: &mut Walk<'_>, version: Version) -> Result<(), DecodeError> {
    head(walk, version, Place::Unsubscribe)?;
    // [MQTT-3.10.3-2]
    if walk.is_empty() {
        return Err(protocol("UNSUBSCRIBE without a topic filter"));
    }
    while !walk.is_empty() {
        walk.text()?;
    }
    Ok(())
}

fn head(walk: &mut Walk<'_>, version: Version, place: Place) -> Result<(), DecodeError> {
    walk.packet_id()?;
    if version == Version::V5 {
        properties::check(walk, place)?;
    }
    Ok(())
}

/// MQTT 3.1.1 [MQTT-3-8.3-4]: six reserved bits and a QoS, all of them malformed when wrong.
fn options_v311(options: u8) -> Result<(), DecodeError> {
    QoS::from_bits(options).map(|_| ()).ok_or(malformed("a requested QoS other than 0, 1 and 2"))
}

/// MQTT 5, section 3.8.3.1: only the reserved bits make it malformed [MQTT-3.8.3-5], the rest is a protocol error.
fn options_v5(options: u8, filter: &str) -> Result<(), DecodeError> {
    if options & 0b1100_0000 != 0 {
        return Err(malformed("reserved bits in the subscription options"));
    }
    if options & 0b0000_0011 == 3 {
        return Err(protocol("maximum QoS 3"));
    }
    if options & 0b0011_0000 == 0b0011_0000 {
        return Err(protocol("retain handling 3"));
    }
    // [MQTT-3.8.3-4]
    if options & 0b0000_0100 != 0 && filter.starts_with("$share/") {
        return Err(protocol("no-local on a shared subscription"));
    }
    Ok(())
}
