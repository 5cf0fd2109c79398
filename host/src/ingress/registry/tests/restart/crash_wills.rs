//! Wills of devices that were connected when the gateway died (MQTT 5, section 3.1.2.5).

use super::*;

const BACK: u64 = 10;

#[tokio::test]
async fn a_device_that_does_not_come_back_after_a_crash_has_its_will_published_once() {
    for expiry in [0, 100] {
        let fixture = fixture();
        let _connected = fixture.open_with_will("dev", expiry == 0, expiry, 0).await;
        let fixture = fixture.restart();
        fixture.registry.sweep(later(BACK - 2));
        assert_eq!(fixture.heard(), 0, "it may still come back");
        fixture.registry.sweep(later(BACK + 1));
        assert_eq!(fixture.heard(), 1, "session expiry {expiry}");
        let fixture = fixture.restart();
        fixture.registry.sweep(later(200));
        assert_eq!(fixture.heard(), 0, "twice");
    }
}

#[tokio::test]
async fn a_device_that_comes_back_after_a_crash_has_none_published_whatever_session_it_asks_for() {
    for (clean_start, expiry) in [(true, 0), (true, 100), (false, 100), (false, 0)] {
        let fixture = fixture();
        let _connected = fixture.open_with_will("dev", false, expiry, 0).await;
        let fixture = fixture.restart();
        let back = fixture.open("dev", clean_start, expiry).await.unwrap();
        fixture.registry.sweep(later(60));
        fixture.registry.close(back.session, ending(expiry.into(), None));
        fixture.registry.sweep(later(60));
        assert_eq!(fixture.heard(), 0, "{clean_start} {expiry}");
        assert!(!has_will(&fixture), "{clean_start} {expiry}");
    }
}

#[tokio::test]
async fn the_delay_of_a_will_begins_with_the_restart_and_ends_with_its_session() {
    let fixture = fixture();
    let _connected = fixture.open_with_will("dev", false, 100, 50).await;
    let fixture = fixture.restart();
    fixture.registry.sweep(later(48));
    assert_eq!(fixture.heard(), 0);
    fixture.registry.sweep(later(51));
    assert_eq!(fixture.heard(), 1);

    let _connected = fixture.open_with_will("dev", true, 20, 50).await;
    let fixture = fixture.restart();
    fixture.registry.sweep(later(21));
    assert_eq!(fixture.heard(), 1, "session expired");
}

#[tokio::test]
async fn a_will_that_is_taken_back_replaced_or_published_leaves_nothing_for_a_restart() {
    let fixture = fixture();
    let said_good_bye = fixture.open_with_will("dev", true, 0, 0).await;
    assert!(has_will(&fixture));
    fixture.registry.close(said_good_bye.session, ending(0, None));
    assert!(!has_will(&fixture));

    let replaced = fixture.open_with_will("dev", false, 100, 0).await;
    fixture.registry.close(replaced.session, ending(100, None));
    let _without = fixture.open("dev", false, 100).await.unwrap();
    assert!(!has_will(&fixture));

    let vanished = fixture.open_with_will("other", true, 0, 0).await;
    fixture.registry.close(vanished.session, ending(0, Some(0)));
    assert_eq!((fixture.heard(), has_will(&fixture)), (1, false));
}

#[tokio::test]
async fn wills_take_no_more_of_the_disk_than_there_is_for_them() {
    let fixture = fixture();
    let deadline = || tokio::time::Instant::now() + fixture.limits.handshake_timeout;
    let mut open = Vec::new();
    for number in 0..20 {
        let mut terms = fixture.terms(&format!("dev{number}"), true, 0);
        let message = message("will", &"x".repeat(1 << 20), QoS::AtLeastOnce);
        has_room_unwritten(&fixture, message.weight()).await;
        terms.will = Some(Will { message, delay: 0 });
        open.push(fixture.registry.open(&terms, deadline()).await.unwrap().session);
    }
    let written = || fixture.state().iter().filter(|(key, _)| matches!(key, Key::Will { .. })).count();
    assert_eq!(written(), 15, "16 MiB have room for so many of them");
    // Who leaves makes room.
    fixture.registry.close(open.remove(0), ending(0, None));
    has_room_unwritten(&fixture, 1 << 10).await;
    let _next = fixture.open_with_will("next", true, 0, 0).await;
    assert_eq!(written(), 15);
}

/// What is not yet written has a bound of its own, which is not what is meant here. The simulated disk writes what is due when it is told something.
async fn has_room_unwritten(fixture: &Fixture, bytes: usize) {
    let client: Arc<str> = "nobody".into();
    while !fixture.registry.wills.has_room_unwritten(bytes) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        fixture
            .dispatcher
            .journal()
            .change(vec![Change::delete(Key::Session { client: client.clone() })], Receipt::none());
    }
}

fn has_will(fixture: &Fixture) -> bool {
    fixture.state().iter().any(|(key, _)| matches!(key, Key::Will { .. }))
}
