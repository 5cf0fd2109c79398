//! A subscription, under its filter: `{ version: u8, flags: u8, id: u32 (0: none) }`.
//!
//! Flags: QoS in the two low bits, then NO_LOCAL, RETAIN_AS_PUBLISHED, and retain handling in two bits: the layout of the
//! subscription options byte (MQTT 5, section 3.8.3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::{VERSION, versioned};
use crate::message::QoS;
use crate::mqtt::{RetainHandling, SubscribeOptions};
use crate::spool::wire::WireError;

const QOS: u8 = 0b11;
const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
const RETAIN_HANDLING: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    pub options: SubscribeOptions,
    /// Never 0 on the wire (section 3.8.2.1.2).
    pub id: Option<u32>,
}

impl StoredSubscription {
    pub fn encode(&self) -> Bytes {
        let options = self.options;
        let handling = match options.retain_handling {
            RetainHandling::SendAtSubscribe => 0,
            RetainHandling::SendIfNew => 1,
            RetainHandling::DoNotSend => 2,
        };
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let mut out = BytesMut::with_capacity(6);
        out.put_u8(VERSION);
        out.put_u8(
            options.qos as u8
                | flag(options.no_local, NO_LOCAL)
                | flag(options.retain_as_published, RETAIN_AS_PUBLISHED)
                | (handling << RETAIN_HANDLING),
        );
        out.put_u32_le(self.id.unwrap_or(0));
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = versioned(bytes)?;
        let flags = fields.u8()?;
        let unknown = WireError::Unknown { what: "subscription options", tag: flags };
        let retain_handling = match flags >> RETAIN_HANDLING {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(unknown),
        };
        let options = SubscribeOptions {
            qos: QoS::from_bits(flags & QOS).ok_or(unknown)?,
            no_local: flags & NO_LOCAL != 0,
            retain_as_published: flags & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        };
        let id = Some(fields.u32()?).filter(|id| *id > 0);
        fields.end()?;
        Ok(Self { options, id })
    }
}
