//! Who a session, a will or a retained message is of, as the access rules ask for it: the name that was proved, and the listener.
//!
//! ```text
//! { has_user: u8, user: text, listener: text }    // the client stands elsewhere
//! ```

use bytes::{BufMut, BytesMut};

use crate::access::Identity;
use crate::spool::wire::{Fields, WireError, put_text};

pub(crate) fn put(out: &mut BytesMut, identity: &Identity) {
    out.put_u8(identity.user.is_some().into());
    put_text(out, identity.user.as_deref().unwrap_or(""));
    put_text(out, &identity.listener);
}

/// Without the client.
pub(crate) fn take(fields: &mut Fields<'_>) -> Result<Identity, WireError> {
    let has_user = fields.u8()? != 0;
    let user = fields.text()?;
    let listener = fields.text()?.into();
    Ok(Identity { user: has_user.then(|| user.into()), client: "".into(), listener })
}
