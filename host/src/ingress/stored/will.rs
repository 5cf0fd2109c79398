//! A will that may have to be published: while its device is connected, and while it waits for its delay.
//!
//! ```text
//! struct Will { version: u8 = 3, due_ms: u64, delay: u32, identity }         // where there are access rules, or its client has proved a name
//! struct Will { version: u8 = 2, due_ms: u64 (0: connected), delay: u32 }    // in seconds. The message stands beside it
//! struct Will { version: u8 = 1, due_ms: u64, message }                      // read for ever: only those that wait were written
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::access::Identity;
use crate::base::timeline;
use crate::bus::stored::identity;
use crate::message::Message;
use crate::spool::wire::{Fields, WireError};
use crate::spool::{Value, decode_message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWill {
    /// In the gateway's own time. None while its device is connected.
    pub due_ms: Option<u64>,
    /// How long it waits when its device has gone.
    pub delay: Duration,
    pub message: Message,
    /// Of its client, without the client.
    pub identity: Option<Arc<Identity>>,
}

const VERSION: u8 = 2;
const WITH_IDENTITY: u8 = 3;
/// Without a delay, of which it had no need: whoever was connected was not written.
const WAITING_ONLY: u8 = 1;

// === impl StoredWill ===

impl StoredWill {
    pub fn encode(self) -> Value {
        let mut out = BytesMut::with_capacity(13);
        out.put_u8(if self.identity.is_some() { WITH_IDENTITY } else { VERSION });
        out.put_u64_le(self.due_ms.unwrap_or(0));
        out.put_u32_le(u32::try_from(self.delay.as_secs()).unwrap_or(u32::MAX));
        if let Some(identity) = &self.identity {
            identity::put(&mut out, identity);
        }
        Value::with_message(out.freeze(), self.message)
    }

    pub fn decode(value: &Value) -> Result<Self, WireError> {
        let mut fields = Fields::new(value);
        match fields.u8()? {
            WAITING_ONLY => {
                let (due_ms, delay) = (Some(fields.u64()?), Duration::MAX);
                Ok(Self { due_ms, delay, message: decode_message(fields.rest())?, identity: None })
            }
            version @ (VERSION | WITH_IDENTITY) => {
                let due_ms = Some(fields.u64()?).filter(|due| *due > 0);
                let delay = Duration::from_secs(fields.u32()?.into());
                let has_identity = version == WITH_IDENTITY;
                let identity = has_identity.then(|| identity::take(&mut fields)).transpose()?.map(Arc::new);
                Ok(Self { due_ms, delay, message: value.message_behind(fields)?, identity })
            }
            tag => Err(WireError::Unknown { what: "version of a stored will", tag }),
        }
    }

    /// From now, when its device is away since it was written. A device that was connected has `back` to come back.
    pub fn due_in(&self, back: Duration) -> Duration {
        self.due_ms.map_or(self.delay.max(back), |due_ms| timeline::until(due_ms).min(self.delay))
    }
}
