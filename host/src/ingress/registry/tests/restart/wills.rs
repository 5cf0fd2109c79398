//! Wills that are due, while their chains are slow.

use std::sync::mpsc;

use super::*;
use crate::chain::fixtures::stage;
use crate::chain::{Chain, Workers};
use crate::plugin::Verdict;

/// A session of the same client each time, whose device is gone and has left a will.
async fn leave(fixture: &Fixture, will: &str) {
    let opened = fixture.open("dev", true, 100).await.unwrap();
    let message = message("from", will, QoS::AtLeastOnce);
    let ending = Ending { will: Some(Will { message, delay: 50 }), ..ending(100, None) };
    fixture.registry.close(opened.session, ending);
}

/// All that is heard of what was copied.
fn copies(fixture: &Fixture) -> Vec<String> {
    let text = |message: Message| String::from_utf8_lossy(&message.payload).into_owned();
    let heard = std::iter::from_fn(|| fixture.listener.take()).map(|delivery| delivery.message);
    heard.filter(|message| message.topic.as_str() == "copy").map(text).collect()
}

fn until(mut condition: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Its binding copies what it gets, one by one, or all when the sender is dropped.
fn copying_when_told() -> (mpsc::Sender<()>, Workers, Fixture) {
    let (go, gate) = mpsc::channel::<()>();
    let slow = stage(move |_| {
        let _ = gate.recv();
        Ok(Verdict::Forward)
    });
    let (workers, mut lanes) = Workers::start(1, vec![Chain::new(vec![slow])]).unwrap();
    let fixture = fixture_with(Spool::in_memory(0, Arc::default()), copying_in(lanes.pop()));
    (go, workers, fixture)
}

/// The chain of the first will is done when the second one is written; how the first comes to be due is not always the same.
async fn the_second_will_stays(due: impl AsyncFnOnce(&Fixture)) {
    let (go, _workers, fixture) = copying_when_told();
    leave(&fixture, "first").await;
    due(&fixture).await;
    leave(&fixture, "second").await;
    drop(go);
    let mut heard = Vec::new();
    until(
        || {
            heard.extend(copies(&fixture));
            !heard.is_empty()
        },
        "the first will is published",
    );
    assert_eq!(heard, ["first"]);
    let fixture = fixture.restart();
    fixture.registry.sweep(later(60));
    assert_eq!(copies(&fixture), ["second"]);
}

#[tokio::test]
async fn a_will_of_an_ended_session_takes_nothing_of_the_next_session() {
    // The second session is opened with a clean start.
    the_second_will_stays(async |_| ()).await;
}

#[tokio::test]
async fn a_will_that_was_due_takes_nothing_of_the_next_one() {
    the_second_will_stays(async |fixture| fixture.registry.sweep(later(60))).await;
}

#[tokio::test]
async fn a_will_that_is_due_and_in_its_chain_when_the_gateway_dies_is_published_once() {
    let (go, _workers, fixture) = copying_when_told();
    leave(&fixture, "first").await;
    fixture.registry.sweep(later(101));
    let again = fixture.restart();
    drop(go);
    assert_eq!(copies(&again), ["first"]);
    let again = again.restart();
    again.registry.sweep(later(200));
    assert_eq!(copies(&again), [""; 0]);
}
