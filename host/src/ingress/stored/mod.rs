//! What the device side writes down, one file for each kind of value. Each begins with its version.

mod exchange;
mod session;
mod subscription;
mod will;

pub use exchange::StoredExchange;
pub use session::StoredSession;
pub use subscription::{StoredReplay, StoredSubscription};
pub use will::StoredWill;

use crate::spool::wire::{Fields, WireError};

const VERSION: u8 = 1;

fn versioned<'a>(bytes: &'a [u8]) -> Result<Fields<'a>, WireError> {
    let mut fields = Fields::new(bytes);
    match fields.u8()? {
        VERSION => Ok(fields),
        tag => Err(WireError::Unknown { what: "version of a stored session", tag }),
    }
}

#[cfg(test)]
mod tests;
