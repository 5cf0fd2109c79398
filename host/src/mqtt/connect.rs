//! CONNECT (MQTT 5, section 3.1; MQTT 3.1.1, section 3.1): read from a device, written to an upstream.

mod flags;
mod write;

use bytes::Bytes;

use self::flags::Flags;
pub(super) use self::write::encode;
use super::error::DecodeError;
use super::packet::{Connect, Password, Will};
use super::properties::{self, Place, Value, id};
use super::walk::Walk;
use super::{Reason, Version, topic};
use crate::message::Message;

/// Marks the protocol level of mosquitto's bridges.
const BRIDGE: u8 = 0x80;

const NOT_SERVED: &str =
    "the device speaks MQTT 3.1 (`MQIsdp`): give it 3.1.1, or set `mqtt_3_1 = true` for this listener";

/// Whether devices of MQTT 3.1 are served, as those of 3.1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mqtt31 {
    #[default]
    Refused,
    Served,
}

/// The version that a CONNECT names.
pub(super) struct Named {
    pub version: Version,
    /// It is 3.1, and `version` is 3.1.1.
    pub is_3_1: bool,
}

/// Protocol name and level: the only fields that may be read before the version is known. An error comes with the version that it is to be
/// told in, where there is one.
///
/// MQTT 3.1 (`MQIsdp`) is refused unless it is `served`, the private level of mosquitto's bridges (0x84) always; those bridges then try again
/// with level 4. What is later than 5 is told so as 5 tells it [MQTT-3.1.2-2], what is earlier as 3.1.1 does: 3.1.1 [MQTT-3.1.2-2].
pub(super) fn version(walk: &mut Walk<'_>, mqtt_3_1: Mqtt31) -> Result<Named, (DecodeError, Option<Version>)> {
    let unsupported = |detail| DecodeError { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, detail };
    let malformed = |error| (error, None);
    let name = walk.binary().map_err(malformed)?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err((unsupported("the protocol name is not MQTT"), Some(Version::V311)));
    }
    let is_3_1 = name == b"MQIsdp";
    match walk.u8().map_err(malformed)? {
        3 if is_3_1 && mqtt_3_1 == Mqtt31::Served => Ok(Named { version: Version::V311, is_3_1 }),
        _ if is_3_1 => Err((unsupported(NOT_SERVED), Some(Version::V311))),
        4 => Ok(Named { version: Version::V311, is_3_1 }),
        5 => Ok(Named { version: Version::V5, is_3_1 }),
        level => {
            let language = if level & !BRIDGE >= 5 { Version::V5 } else { Version::V311 };
            Err((unsupported("a protocol level other than 4 (3.1.1) and 5"), Some(language)))
        }
    }
}

/// What follows the protocol level. `maximum_packet_size` is what the device takes, known even when what follows it is bad.
pub(super) fn decode(
    walk: &mut Walk<'_>,
    named: &Named,
    maximum_packet_size: &mut Option<u32>,
) -> Result<Connect, DecodeError> {
    let &Named { version, is_3_1 } = named;
    let flags = Flags::read(walk, named)?;
    let mut connect = Connect { is_3_1, ..Connect::new(version, "") };
    connect.clean_start = flags.clean_start();
    connect.keep_alive = walk.u16()?;
    if version == Version::V5 {
        let read = properties::each(walk, Place::Connect, |id, value| connect.keep(id, value));
        *maximum_packet_size = connect.maximum_packet_size;
        read?;
    }
    connect.client_id = walk.text()?.to_owned();
    if flags.will() {
        connect.will = Some(will(walk, version, flags)?);
    }
    // In 3.1 (its section 3.1) the length of the packet counts more than these flags: a field that is announced may be missing.
    let is_there = |walk: &Walk<'_>| !(is_3_1 && walk.is_empty());
    if flags.username() && is_there(walk) {
        connect.username = Some(walk.text()?.to_owned());
    }
    if flags.password() && is_there(walk) {
        connect.password = Some(Password(Bytes::copy_from_slice(walk.binary()?)));
    }
    walk.finish()?;
    Ok(connect)
}

/// A will lives as long as its connection. Its bytes are copied, so that it does not keep the first read buffer of
/// each of some thousand connections alive.
fn will(walk: &mut Walk<'_>, version: Version, flags: Flags) -> Result<Will, DecodeError> {
    let (mut delay, mut properties) = (0, None);
    if version == Version::V5 {
        properties::each(walk, Place::Will, |id, value| match (id, value) {
            (id::WILL_DELAY, Value::Number(seconds)) => delay = seconds,
            _ => properties::keep(properties.get_or_insert_default(), id, value, Bytes::copy_from_slice),
        })?;
    }
    let (name, payload) = (walk.text()?, walk.binary()?);
    let mut message = Message::new(topic::name(name)?, Bytes::copy_from_slice(payload), flags.will_qos()?);
    message.retain = flags.will_retain();
    message.properties = super::packet::shared(properties);
    Ok(Will { message, delay })
}

// === impl Connect ===

impl Connect {
    fn keep(&mut self, id: u8, value: Value<'_>) {
        match (id, value) {
            (id::SESSION_EXPIRY, Value::Number(seconds)) => self.session_expiry = Some(seconds),
            (id::RECEIVE_MAXIMUM, Value::Number(most)) => self.receive_maximum = u16::try_from(most).ok(),
            (id::MAXIMUM_PACKET_SIZE, Value::Number(most)) => self.maximum_packet_size = Some(most),
            (id::TOPIC_ALIAS_MAXIMUM, Value::Number(most)) => {
                self.topic_alias_maximum = u16::try_from(most).unwrap_or_default();
            }
            (id::AUTHENTICATION_METHOD, Value::Text(method)) => self.authentication_method = Some(method.into()),
            (id::USER_PROPERTY, Value::Pair(name, value)) => self.user_properties.push((name.into(), value.into())),
            // Response information is never sent, and reason strings only where they always may be [MQTT-3.1.2-29].
            _ => {}
        }
    }
}
