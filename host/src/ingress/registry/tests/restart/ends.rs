//! A device that comes back while the end of its last session is being written.

use super::*;

#[tokio::test]
async fn numbers_that_run_beyond_their_generation_stay_with_their_session_and_are_nobody_elses() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::AtLeastOnce);
    let generation = device.session.mailbox().generation().unwrap();
    device.session.mailbox().restore_number((u64::from(generation) << 32) + u64::from(u32::MAX) - 2);
    for payload in ["1", "2", "3", "4"] {
        fixture.publish(message("q", payload, QoS::AtLeastOnce));
    }
    let fixture = fixture.restart();
    let device = fixture.connect("dev").await;
    let payloads: Vec<_> = device.resent_publishes().iter().map(|publish| publish.2).collect();
    assert_eq!(payloads, [b"1", b"2", b"3", b"4"]);
    fixture.registry.close(device.session, ending(100, None));
    let again = fixture.open("dev", true, 100).await.unwrap().session;
    assert!(again.mailbox().generation().unwrap() > generation + 1);
    let other = fixture.open("other", true, 100).await.unwrap().session;
    assert!(other.mailbox().generation() > again.mailbox().generation());
}

#[tokio::test]
async fn a_session_that_begins_while_another_runs_beyond_its_generation_does_not_get_that_one() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::AtLeastOnce);
    let generation = device.session.mailbox().generation().unwrap();
    device.session.mailbox().restore_number((u64::from(generation) << 32) + u64::from(u32::MAX) - 1);
    fixture.publish(message("q", "1", QoS::AtLeastOnce));
    fixture.registry.close(device.session, ending(100, None));
    let again = fixture.open("dev", true, 100).await.unwrap().session;
    assert!(again.mailbox().generation().unwrap() > generation + 1);
}

/// Runs with what tokio wants: the end of a session may be a task, and is watched from another thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The device comes back while the disk holds up the end of its session, and the gateway is killed after that.
fn comes_back_while_it_ends(how: &str, is_connected: bool, end: impl FnOnce(&Fixture, Option<Session>) + Send) {
    let fixture = &fixture();
    let mut old = block_on(fixture.connect("dev"));
    fixture.subscribe(&mut old, "old", QoS::AtLeastOnce);
    let mut session = Some(old.session);
    if !is_connected {
        fixture.registry.close(session.take().unwrap(), ending(100, None));
    }
    // Gives way to this device, when another one takes its place.
    let mut other = block_on(fixture.connect("other"));
    fixture.subscribe(&mut other, "other", QoS::AtLeastOnce);
    fixture.registry.close(other.session, ending(1_000, None));
    let held = fixture.dispatcher.journal().hold();
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| end(fixture, session));
        let begun = Instant::now();
        let is_there = || matches!(fixture.registry.lock().get("dev"), Some(Slot::Away(_) | Slot::Connected { .. }));
        while is_there() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{how}: it does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(matches!(fixture.registry.lock().get("dev"), Some(Slot::Ending)), "{how}: the next one would not wait");
        let back = scope.spawn(|| block_on(fixture.connect("dev")));
        drop(held);
        ends.join().unwrap();
        let mut back = back.join().unwrap();
        assert!(!back.present, "{how}");
        fixture.subscribe(&mut back, "new", QoS::AtLeastOnce);
    });
    let back = block_on(fixture.restart().connect("dev"));
    assert!(back.present && back.session.mailbox().subscriptions() == 1, "{how}: the new session is lost");
}

#[test]
fn a_session_that_begins_while_the_last_one_expires_is_there_after_a_restart() {
    comes_back_while_it_ends("expiry", false, |fixture, _| fixture.registry.sweep(later(101)));
}

#[test]
fn a_session_that_begins_while_the_last_one_is_dropped_is_there_after_a_restart() {
    comes_back_while_it_ends("drop", false, |fixture, _| block_on(fixture.registry.drop_session("dev")).unwrap());
}

#[test]
fn a_session_that_begins_while_the_last_one_ends_with_its_connection_is_there_after_a_restart() {
    comes_back_while_it_ends("close", true, |fixture, session| {
        fixture.registry.close(session.unwrap(), ending(0, None))
    });
}

#[test]
fn a_session_that_begins_while_the_last_one_gives_way_is_there_after_a_restart() {
    comes_back_while_it_ends("eviction", false, |fixture, _| {
        let opened = block_on(fixture.open("third", false, 100)).unwrap();
        fixture.registry.close(opened.session, ending(0, None));
    });
}
