//! The wall clock is set while the gateway runs, or while it does not, and nothing is due earlier or later for it.

use super::*;
use crate::base::{clock, timeline};
use crate::ingress::stored::{StoredSession, StoredWill};
use crate::message::Properties;

const DAY_MS: u64 = 86_400_000;
const TODAY: u64 = 1_780_000_000_000;

fn expiring(topic: &str, seconds: u32, qos: QoS) -> Message {
    let properties = Properties { expiry: Some(seconds), ..Properties::default() };
    Message { properties: Some(Arc::new(properties)), ..message(topic, "x", qos) }
}

/// What has a deadline of a hundred seconds, written at one time and found at another.
async fn survives(then: u64, now: u64) {
    clock::simulated::set(Some(then));
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::ExactlyOnce);
    device.session.mailbox().detach();
    fixture.publish(expiring("q", 100, QoS::AtLeastOnce));
    fixture.publish(Message { retain: true, ..expiring("r", 100, QoS::AtLeastOnce) });
    fixture.registry.close(device.session, ending(100, Some(90)));
    fixture.heard();

    clock::simulated::set(Some(now));
    let fixture = fixture.restart();
    fixture.registry.sweep(clock::now());
    fixture.registry.sweep(later(85));
    assert_eq!(fixture.heard(), 0, "the will is not due");
    let mut reader = fixture.connect("reader").await;
    fixture.subscribe(&mut reader, "r", QoS::AtMostOnce);
    assert_eq!(fixture.deliver(&mut reader).len(), 1, "retained");
    let device = fixture.connect("dev").await;
    assert!(device.present, "its session");
    let Packet::Publish(sent) = &device.resent[0] else { panic!("{:?}", device.resent) };
    let left = sent.properties.as_ref().and_then(|properties| properties.expiry).expect("an expiry");
    assert!((90..=100).contains(&left), "{left} s are left of 100");
    fixture.registry.close(device.session, ending(100, Some(90)));

    // And all of it is due when it is.
    fixture.registry.sweep(later(91));
    assert_eq!(fixture.heard(), 1, "the will is due");
    fixture.registry.sweep(later(101));
    assert!(!fixture.connect("dev").await.present, "expired");
    clock::simulated::set(None);
}

#[tokio::test]
async fn a_clock_that_is_set_moves_no_deadline() {
    for (then, now) in [(5_000, TODAY), (TODAY, 5_000), (TODAY, TODAY + 30 * DAY_MS), (TODAY, TODAY - 30 * DAY_MS)] {
        survives(then, now).await;
    }
}

#[tokio::test]
async fn what_an_earlier_version_wrote_in_1970_or_by_a_clock_that_was_ahead_lasts_as_long_as_it_was_to() {
    for ends_at_ms in [100_000, timeline::now_ms() + 3_650 * DAY_MS] {
        let fixture = fixture();
        let (generation, expiry) = (3, Duration::from_secs(100));
        let stored = StoredSession { generation, expiry, ends_at_ms: Some(ends_at_ms), window: 4, identity: None };
        let session = Change::put(Key::Session { client: "dev".into() }, stored.encode());
        let (due_ms, delay) = (Some(timeline::now_ms() + 3_650 * DAY_MS), Duration::from_secs(50));
        let will = StoredWill { due_ms, delay, message: message("will", "gone", QoS::AtLeastOnce), identity: None };
        let will = Change::put(Key::Will { client: "dev".into() }, will.encode());
        fixture.dispatcher.journal().change(vec![session, will], Receipt::none());
        let fixture = fixture.restart();
        fixture.registry.sweep(later(49));
        assert_eq!(fixture.heard(), 0);
        fixture.registry.sweep(later(51));
        assert_eq!(fixture.heard(), 1);
        fixture.registry.sweep(later(99));
        assert!(fixture.state().iter().any(|(key, _)| matches!(key, Key::Session { .. })), "{ends_at_ms}");
        fixture.registry.sweep(later(101));
        assert_eq!(fixture.state(), []);
    }
}
