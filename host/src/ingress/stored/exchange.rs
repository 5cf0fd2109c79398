//! A QoS 2 message of a device, between its PUBLISH and its PUBREL: `{ version: u8, generation: u32 }`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{VERSION, versioned};
use crate::bus::Generation;
use crate::spool::wire::WireError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredExchange {
    /// The session it belongs to: a later one of the same client knows nothing of it.
    pub generation: Generation,
}

impl StoredExchange {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(5);
        out.put_u8(VERSION);
        out.put_u32_le(self.generation);
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = versioned(bytes)?;
        let exchange = Self { generation: fields.u32()? };
        fields.end()?;
        Ok(exchange)
    }
}
