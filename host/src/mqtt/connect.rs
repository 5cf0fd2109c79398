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

/// Protocol name and level: the only fields that may be read before the version is known. An error comes with the version that it is to be
/// told in, where there is one.
///
/// MQTT 3.1 (`MQIsdp`) and the private level of mosquitto's bridges (0x84) are refused; those bridges then try again
/// with level 4. What is later than 5 is told so as 5 tells it [MQTT-3.1.2-2], what is earlier as 3.1.1 does: 3.1.1 [MQTT-3.1.2-2].
pub(super) fn version(walk: &mut Walk<'_>) -> Result<Version, (DecodeError, Option<Version>)> {
    let unsupported = |detail| DecodeError { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, detail };
    let malformed = |error| (error, None);
    if walk.binary().map_err(malformed)? != b"MQTT" {
        return Err((unsupported("the protocol name is not MQTT"), Some(Version::V311)));
    }
    match walk.u8().map_err(malformed)? {
        4 => Ok(Version::V311),
        5 => Ok(Version::V5),
        level => {
            let language = if level & !BRIDGE >= 5 { Version::V5 } else { Version::V311 };
            Err((unsupported("a protocol level other than 4 (3.1.1) and 5"), Some(language)))
        }
    }
}

/// What follows the protocol level. `maximum_packet_size` is what the device takes, known even when what follows it is bad.
pub(super) fn decode(
    walk: &mut Walk<'_>,
    version: Version,
    maximum_packet_size: &mut Option<u32>,
) -> Result<Connect, DecodeError> {
    let flags = Flags::read(walk, version)?;
    let mut connect = Connect::new(version, "");
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
    if flags.username() {
        connect.username = Some(walk.text()?.to_owned());
    }
    if flags.password() {
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
