//! A message that is to be republished, written down in the record of the message that caused it.
//!
//! Its own record follows when its chains are done, and deletes it. Without this, a QoS 2 message could be remembered as taken
//! over while half of what it causes was still on its way through a slow plugin when the gateway died. Only what has a QoS 2
//! identity needs it: at QoS 1 the ack waits for all of it, and the device sends it again.
//!
//! ```text
//! // `arrived_ms` is in the gateway's own time. The client is in the key, the message beside these; before format 3 of the spool it stood behind them. Version 1 has no principal, and 2 no listener; a text without characters is none.
//! struct Unfinished { version: u8 = 3, hops: u8, arrived_ms: u64, principal: text, listener: text }
//! ```

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::route::Inbound;
use crate::access::{Identity, Source};
use crate::base::{clock, timeline};
use crate::message::Origin;
use crate::spool::wire::{Fields, WireError, put_text};
use crate::spool::{Change, Key, Value};

const VERSION: u8 = 3;
const WITHOUT_LISTENER: u8 = 2;
const WITHOUT_PRINCIPAL: u8 = 1;

/// At most so many bytes beside client, principal and message. What a chain makes has no listener.
pub(super) const MAX_FIELDS: usize = 64;

/// Written down.
pub(super) fn put(inbound: &Inbound, number: u64) -> Change {
    Change::put(key(inbound, number), encode(inbound))
}

pub(super) fn key(inbound: &Inbound, number: u64) -> Key {
    Key::Unfinished { client: inbound.origin.client.clone(), number }
}

pub(super) fn encode(inbound: &Inbound) -> Value {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    out.put_u8(inbound.origin.hops);
    out.put_u64_le(timeline::ms_of(inbound.arrived));
    put_text(&mut out, inbound.origin.principal.as_deref().unwrap_or_default());
    put_text(&mut out, inbound.origin.source.as_ref().map_or("", |source| &source.identity().listener));
    Value::with_message(out.freeze(), inbound.message.clone())
}

/// `None` when it expired meanwhile.
pub(super) fn decode(client: &Arc<str>, number: u64, value: &Value) -> Result<Option<Inbound>, WireError> {
    let mut fields = Fields::new(value);
    let version = fields.u8()?;
    if !(WITHOUT_PRINCIPAL..=VERSION).contains(&version) {
        return Err(WireError::Unknown { what: "version of an unfinished message", tag: version });
    }
    let (hops, arrived_ms) = (fields.u8()?, fields.u64()?);
    let text = |is_there: bool, fields: &mut Fields<'_>| -> Result<Option<Arc<str>>, WireError> {
        let text = if is_there { fields.text()? } else { "" };
        Ok((!text.is_empty()).then(|| text.into()))
    };
    let principal = text(version > WITHOUT_PRINCIPAL, &mut fields)?;
    let listener = text(version > WITHOUT_LISTENER, &mut fields)?;
    let identity = |listener| Identity { user: principal.clone(), client: client.clone(), listener };
    let source = listener.map(|listener| Arc::new(Source::new(Arc::new(identity(listener)))));
    let (message, arrived) = (value.message_behind(fields)?, timeline::instant_of(arrived_ms));
    let is_over = message.aged(clock::since(arrived)).is_none();
    let arrived_ms = clock::unix_ms_of(arrived);
    let origin = Arc::new(Origin { client: client.clone(), arrived_ms, hops, principal, source, trace: None });
    let changes = vec![Change::delete(Key::Unfinished { client: client.clone(), number })];
    // With the time that it came at: written down again, it is as old as it is.
    Ok((!is_over).then(|| Inbound { changes, arrived, ..Inbound::internal(message, origin) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::unix_ms;
    use crate::message::{Message, QoS};
    use crate::topic::TopicName;

    proptest! {
        #[test]
        fn an_unfinished_message_reads_as_it_was_written(
            topic in "[a-zé]{1,9}",
            payload in prop::collection::vec(any::<u8>(), 0..50),
            hops: u8,
            principal in prop::option::of("[a-z]{1,9}"),
            listener in prop::option::of("[a-z]{1,9}"),
            number: u64,
        ) {
            let message = Message::new(TopicName::parse(&topic).unwrap(), payload, QoS::ExactlyOnce);
            let principal: Option<Arc<str>> = principal.map(Arc::from);
            let identity = |listener: String| Identity { user: principal.clone(), client: "dev".into(), listener: listener.into() };
            let source = listener.map(|listener| Arc::new(Source::new(Arc::new(identity(listener)))));
            let origin = Arc::new(Origin { client: "dev".into(), arrived_ms: unix_ms(), hops, principal, source, trace: None });
            let written = Inbound::internal(message, origin);
            let read = decode(&"dev".into(), number, &encode(&written)).unwrap().unwrap();
            let origin = Origin { arrived_ms: written.origin.arrived_ms, ..(*read.origin).clone() };
            prop_assert_eq!((&read.message, &origin), (&written.message, &*written.origin));
            prop_assert!(read.origin.arrived_ms.abs_diff(written.origin.arrived_ms) < 60_000);
            prop_assert_eq!(read.changes, [Change::delete(key(&written, number))]);
        }

        #[test]
        fn any_bytes_are_an_unfinished_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&"dev".into(), 1, &bytes.into());
        }
    }
}
