//! A session that outlives its connection.
//!
//! ```text
//! { version: u8 = 1, generation: u32, expiry_ms: u64, ends_at_ms: u64 (0: connected), window: u16 }
//! { version: u8 = 2, the same, identity }    // where there are access rules, or its client has proved a name
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::VERSION;
use crate::access::Identity;
use crate::bus::Generation;
use crate::bus::stored::identity;
use crate::spool::wire::{Fields, WireError};

const WITH_IDENTITY: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    pub generation: Generation,
    pub expiry: Duration,
    /// When it ends, in the gateway's own time, while its device is away. A device that was connected when the gateway died has been away since then,
    /// which nobody wrote down: its time begins with the restart.
    pub ends_at_ms: Option<u64>,
    /// How many messages the device took at once: as many may have been sent before the restart.
    pub window: u16,
    /// Without its client.
    pub identity: Option<Arc<Identity>>,
}

impl StoredSession {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(23);
        out.put_u8(if self.identity.is_some() { WITH_IDENTITY } else { VERSION });
        out.put_u32_le(self.generation);
        out.put_u64_le(u64::try_from(self.expiry.as_millis()).unwrap_or(u64::MAX));
        out.put_u64_le(self.ends_at_ms.unwrap_or(0));
        out.put_u16_le(self.window);
        if let Some(identity) = &self.identity {
            identity::put(&mut out, identity);
        }
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(bytes);
        let has_identity = match fields.u8()? {
            VERSION => false,
            WITH_IDENTITY => true,
            tag => return Err(WireError::Unknown { what: "version of a stored session", tag }),
        };
        let session = Self {
            generation: fields.u32()?,
            expiry: Duration::from_millis(fields.u64()?),
            ends_at_ms: Some(fields.u64()?).filter(|ends_at| *ends_at > 0),
            window: fields.u16()?,
            identity: has_identity.then(|| identity::take(&mut fields)).transpose()?.map(Arc::new),
        };
        fields.end()?;
        Ok(session)
    }
}
