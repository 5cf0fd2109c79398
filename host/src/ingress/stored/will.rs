//! A will that waits for its delay: `{ version: u8, due_ms: u64, message }`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{VERSION, versioned};
use crate::message::Message;
use crate::spool::wire::WireError;
use crate::spool::{decode_message, encode_message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWill {
    pub due_ms: u64,
    pub message: Message,
}

impl StoredWill {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.message.weight());
        out.put_u8(VERSION);
        out.put_u64_le(self.due_ms);
        encode_message(&self.message, &mut out);
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = versioned(bytes)?;
        Ok(Self { due_ms: fields.u64()?, message: decode_message(fields.rest())? })
    }
}
