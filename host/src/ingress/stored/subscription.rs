//! A subscription, under its filter.
//!
//! ```text
//! struct Subscription { version: u8 = 1, flags: u8, id: u32 (0: none) }
//! struct Subscription { version: u8 = 2, flags: u8, id: u32, behind: text }    // retained messages behind this topic are to come; "": all
//! ```
//!
//! Flags: QoS in the two low bits, then NO_LOCAL, RETAIN_AS_PUBLISHED, and retain handling in two bits: the layout of the
//! subscription options byte (MQTT 5, section 3.8.3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::VERSION;
use crate::message::QoS;
use crate::mqtt::{RetainHandling, SubscribeOptions};
use crate::spool::wire::{Fields, WireError, put_text};
use crate::topic::TopicName;

const QOS: u8 = 0b11;
const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
const RETAIN_HANDLING: u8 = 4;

/// With retained messages that are to come.
const IN_REPLAY: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    pub options: SubscribeOptions,
    /// Never 0 on the wire (section 3.8.2.1.2).
    pub id: Option<u32>,
    pub replay: StoredReplay,
}

/// The retained messages for a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredReplay {
    /// Written, all of them, or not asked for.
    Over,
    /// Those behind this topic are to come, or all.
    Behind(Option<TopicName>),
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
        let mut out = BytesMut::with_capacity(8);
        out.put_u8(if self.replay == StoredReplay::Over { VERSION } else { IN_REPLAY });
        out.put_u8(
            options.qos as u8
                | flag(options.no_local, NO_LOCAL)
                | flag(options.retain_as_published, RETAIN_AS_PUBLISHED)
                | (handling << RETAIN_HANDLING),
        );
        out.put_u32_le(self.id.unwrap_or(0));
        if let StoredReplay::Behind(topic) = &self.replay {
            put_text(&mut out, topic.as_ref().map_or("", TopicName::as_str));
        }
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(bytes);
        let version = fields.u8()?;
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
        let replay = match version {
            VERSION => StoredReplay::Over,
            IN_REPLAY => match fields.text()? {
                "" => StoredReplay::Behind(None),
                topic => StoredReplay::Behind(Some(TopicName::parse(topic)?)),
            },
            tag => return Err(WireError::Unknown { what: "version of a stored subscription", tag }),
        };
        fields.end()?;
        Ok(Self { options, id, replay })
    }
}
