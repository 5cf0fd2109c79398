//! Connect flags (section 3.1.2.3).

use super::Named;
use crate::message::QoS;
use crate::mqtt::Version;
use crate::mqtt::error::{DecodeError, malformed, protocol};
use crate::mqtt::packet::Connect;
use crate::mqtt::walk::Walk;

#[derive(Clone, Copy)]
pub(super) struct Flags(u8);

const RESERVED: u8 = 0b0000_0001;
const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const OF_A_WILL: u8 = 0b0011_1000;
const WILL_RETAIN: u8 = 0b0010_0000;
const PASSWORD: u8 = 0b0100_0000;
const USERNAME: u8 = 0b1000_0000;

// === impl Flags ===

impl Flags {
    pub fn read(walk: &mut Walk<'_>, named: &Named) -> Result<Self, DecodeError> {
        let flags = Self(walk.u8()?);
        // In 3.1 what is not used may be anything.
        let flags = if named.is_3_1 { flags.without_unused() } else { flags };
        // [MQTT-3.1.2-3]
        if flags.0 & RESERVED != 0 {
            return Err(malformed("the reserved connect flag is set"));
        }
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        if !flags.will() && flags.0 & OF_A_WILL != 0 {
            return Err(malformed("will QoS or will retain without a will"));
        }
        flags.will_qos()?;
        // MQTT 3.1.1 [MQTT-3.1.2-22]; MQTT 5 allows it, for tokens.
        if named.version == Version::V311 && flags.password() && !flags.username() {
            return Err(protocol("a password without a user name"));
        }
        Ok(flags)
    }

    pub fn of(connect: &Connect) -> Self {
        let mut flags = 0;
        let mut set = |bit: u8, is_set: bool| flags |= if is_set { bit } else { 0 };
        set(CLEAN_START, connect.clean_start);
        set(PASSWORD, connect.password.is_some());
        set(USERNAME, connect.username.is_some());
        if let Some(will) = &connect.will {
            set(WILL, true);
            set(WILL_RETAIN, will.message.retain);
            set((will.message.qos as u8) << 3, true);
        }
        Self(flags)
    }

    fn without_unused(self) -> Self {
        let unused = if self.will() { RESERVED } else { RESERVED | OF_A_WILL };
        Self(self.0 & !unused)
    }

    pub fn byte(self) -> u8 {
        self.0
    }

    pub fn clean_start(self) -> bool {
        self.0 & CLEAN_START != 0
    }

    pub fn will(self) -> bool {
        self.0 & WILL != 0
    }

    /// [MQTT-3.1.2-12]
    pub fn will_qos(self) -> Result<QoS, DecodeError> {
        QoS::from_bits((self.0 >> 3) & 0b11).ok_or(malformed("will QoS 3"))
    }

    pub fn will_retain(self) -> bool {
        self.0 & WILL_RETAIN != 0
    }

    pub fn password(self) -> bool {
        self.0 & PASSWORD != 0
    }

    pub fn username(self) -> bool {
        self.0 & USERNAME != 0
    }
}
