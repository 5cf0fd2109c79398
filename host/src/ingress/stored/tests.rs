use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::access::Identity;
use crate::message::{Message, QoS};
use crate::mqtt::{RetainHandling, SubscribeOptions};
use crate::topic::TopicName;

proptest! {
    #[test]
    fn an_exchange_reads_as_it_was_written(generation: u32) {
        let exchange = StoredExchange { generation };
        prop_assert_eq!(StoredExchange::decode(&exchange.encode()), Ok(exchange));
    }

    #[test]
    fn a_session_reads_as_it_was_written(
        generation: u32,
        expiry_ms: u64,
        ends_at_ms in prop::option::of(1..u64::MAX),
        window: u16,
        identity in identity(),
    ) {
        let expiry = Duration::from_millis(expiry_ms);
        let session = StoredSession { generation, expiry, ends_at_ms, window, identity };
        prop_assert_eq!(StoredSession::decode(&session.encode()), Ok(session));
    }

    #[test]
    fn a_subscription_reads_as_it_was_written(
        qos in 0..3_u8,
        no_local: bool,
        retain_as_published: bool,
        handling in 0..3_usize,
        id in prop::option::of(1..u32::MAX),
        behind in prop::option::of(prop::option::of("[a-zé]{1,9}")),
    ) {
        use RetainHandling::{DoNotSend, SendAtSubscribe, SendIfNew};
        let retain_handling = [SendAtSubscribe, SendIfNew, DoNotSend][handling];
        let qos = QoS::from_bits(qos).unwrap();
        let options = SubscribeOptions { qos, no_local, retain_as_published, retain_handling };
        let subscription = StoredSubscription { options, id, replay: replay(behind) };
        prop_assert_eq!(StoredSubscription::decode(&subscription.encode()), Ok(subscription));
    }

    #[test]
    fn a_will_reads_as_it_was_written(
        due_ms in prop::option::of(1..u64::MAX),
        delay: u32,
        topic in "[a-zé]{1,9}",
        payload in prop::collection::vec(any::<u8>(), 0..50),
        identity in identity(),
    ) {
        let message = Message::new(TopicName::parse(&topic).unwrap(), payload, QoS::AtLeastOnce);
        let will = StoredWill { due_ms, delay: Duration::from_secs(delay.into()), message, identity };
        prop_assert_eq!(StoredWill::decode(&will.clone().encode()), Ok(will));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = StoredExchange::decode(&bytes);
        let _ = StoredSession::decode(&bytes);
        let _ = StoredSubscription::decode(&bytes);
        let _ = StoredWill::decode(&bytes.into());
    }
}

/// Without the client, which is in the key.
fn identity() -> impl Strategy<Value = Option<Arc<Identity>>> {
    let names = (prop::option::of("[a-z/+é]{0,9}"), "[a-z]{0,9}");
    prop::option::of(names).prop_map(|names| {
        let identity = |(user, listener): (Option<String>, String)| {
            Arc::new(Identity { user: user.map(Into::into), client: "".into(), listener: listener.into() })
        };
        names.map(identity)
    })
}

fn replay(behind: Option<Option<String>>) -> StoredReplay {
    let topic = |topic: String| TopicName::parse(&topic).unwrap();
    behind.map_or(StoredReplay::Over, |behind| StoredReplay::Behind(behind.map(topic)))
}

#[test]
fn a_will_of_before_is_read() {
    let message = Message::new(TopicName::parse("t").unwrap(), "gone", QoS::AtLeastOnce);
    let mut before = bytes::BytesMut::from(&[1][..]);
    before.extend_from_slice(&7_u64.to_le_bytes());
    crate::spool::encode_message(&message, &mut before);
    let will = StoredWill::decode(&before.into()).unwrap();
    assert_eq!((will.due_ms, will.message), (Some(7), message));
}

#[test]
fn another_version_is_refused_by_its_number() {
    let refused = StoredSession::decode(&[3, 0, 0]).unwrap_err();
    assert_eq!(refused.to_string(), "unknown version of a stored session 3");
}
