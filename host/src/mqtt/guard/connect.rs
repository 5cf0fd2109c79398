//! CONNECT (MQTT 5, section 3.1; MQTT 3.1.1, section 3.1).

use bytes::Bytes;

use crate::message::QoS;
use crate::mqtt::error::{DecodeError, malformed, protocol};
use crate::mqtt::properties::{self, Place};
use crate::mqtt::walk::Walk;
use crate::mqtt::{Reason, Version};

/// Who says to be connecting. Taken from the walk, because a password is binary data (section 3.1.3.6) and
/// rumqttd's `Login` can only hold text.
#[derive(Default)]
pub(in crate::mqtt) struct Credentials {
    pub username: Option<String>,
    pub password: Option<Bytes>,
}

/// Connect flags (section 3.1.2.3).
#[derive(Clone, Copy)]
struct Flags(u8);

/// Protocol name and level: the only fields that may be read before the version is known.
///
/// MQTT 3.1 (`MQIsdp`) and the private level of mosquitto's bridges (0x84) are refused; those bridges then try again
/// with level 4.
pub(in crate::mqtt) fn version(walk: &mut Walk<'_>) -> Result<Version, DecodeError> {
    let unsupported = |detail| DecodeError { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, detail };
    if walk.binary()? != b"MQTT" {
        return Err(unsupported("the protocol name is not MQTT"));
    }
    match walk.u8()? {
        4 => Ok(Version::V311),
        5 => Ok(Version::V5),
        _ => Err(unsupported("a protocol level other than 4 (3.1.1) and 5")),
    }
}

/// What follows the protocol level.
pub(in crate::mqtt) fn connect(walk: &mut Walk<'_>, version: Version) -> Result<Credentials, DecodeError> {
    let flags = Flags(walk.u8()?);
    flags.check(version)?;
    let _keep_alive = walk.u16()?;
    if version == Version::V5 {
        properties::check(walk, Place::Connect)?;
    }
    let _client_id = walk.text()?;
    if flags.will() {
        will(walk, version)?;
    }
    let mut credentials = Credentials::default();
    if flags.username() {
        credentials.username = Some(walk.text()?.to_owned());
    }
    if flags.password() {
        credentials.password = Some(Bytes::copy_from_slice(walk.binary()?));
    }
    walk.finish()?;
    Ok(credentials)
}

fn will(walk: &mut Walk<'_>, version: Version) -> Result<(), DecodeError> {
    if version == Version::V5 {
        properties::check(walk, Place::Will)?;
    }
    // That the topic is a name is checked where it becomes one, in `inbound`.
    walk.text()?;
    walk.binary()?;
    Ok(())
}

// === impl Flags ===

impl Flags {
    fn check(self, version: Version) -> Result<(), DecodeError> {
        // [MQTT-3.1.2-3]
        if self.0 & 0b0000_0001 != 0 {
            return Err(malformed("the reserved connect flag is set"));
        }
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        if !self.will() && self.0 & 0b0011_1000 != 0 {
            return Err(malformed("will QoS or will retain without a will"));
        }
        // [MQTT-3.1.2-12]
        if QoS::from_bits((self.0 >> 3) & 0b11).is_none() {
            return Err(malformed("will QoS 3"));
        }
        // MQTT 3.1.1 [MQTT-3.1.2-22]; MQTT 5 allows it, for tokens.
        if version == Version::V311 && self.password() && !self.username() {
            return Err(protocol("a password without a user name"));
        }
        Ok(())
    }

    fn will(self) -> bool {
        self.0 & 0b0000_0100 != 0
    }

    fn password(self) -> bool {
        self.0 & 0b0100_0000 != 0
    }

    fn username(self) -> bool {
        self.0 & 0b1000_0000 != 0
    }
}
