//! `order = "client"`: what a client sends leaves in the order in which it came, over several bindings.

use super::*;
use crate::config::OrderOf;

fn ordered(filter: &str) -> config::Binding {
    config::Binding { order: OrderOf::Client, ..spec(filter) }
}

fn from(client: &str, topic: &str, receipt: Receipt) -> Inbound {
    let origin = Origin { client: client.into(), ..Origin::gateway(0) };
    Inbound { origin: Arc::new(origin), ..inbound(topic, receipt) }
}

/// `slow` waits for the sender, and there are two others: a quick one, and one without plugins.
fn bindings(spec: fn(&str) -> config::Binding) -> (mpsc::SyncSender<()>, Fixture) {
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let slow = stage(move |_| {
        gate.recv().unwrap();
        Ok(Verdict::Forward)
    });
    let quick = stage(|_| Ok(Verdict::Forward));
    let (workers, lanes) = Workers::start(4, vec![Chain::new(vec![slow]), Chain::new(vec![quick])]).unwrap();
    let lanes = lanes.into_iter().map(Some).chain([None]);
    let specs = ["slow", "quick", "none"].map(spec);
    (go, fixture_of(workers, specs.into_iter().zip(lanes).map(|(spec, lane)| Binding::new(spec, lane)).collect()))
}

fn send(fixture: &Fixture, acks: &Resolved, messages: &[(u64, &str, &str)]) {
    for (ticket, client, topic) in messages {
        let inbound = from(client, topic, Receipt::new(*ticket, acks.clone()));
        fixture.dispatcher.try_start(fixture.dispatcher.arrive(inbound).unwrap()).unwrap();
    }
}

#[test]
fn a_client_is_in_order_over_several_bindings_and_others_do_not_wait_for_it() {
    let (go, fixture) = bindings(ordered);
    let acks = Resolved::default();
    let own = [(1, "a", "slow"), (2, "a", "quick"), (3, "a", "none"), (4, "a", "quick")];
    send(&fixture, &acks, &own);
    send(&fixture, &acks, &[(5, "b", "quick"), (6, "b", "none")]);
    assert_eq!([next(&acks), next(&acks)], [5, 6]);
    assert!(acks.try_next().is_none());
    go.send(()).unwrap();
    assert_eq!([(); 4].map(|()| next(&acks)), [1, 2, 3, 4]);
}

#[test]
fn nobody_waits_who_has_not_asked_for_it() {
    let (go, fixture) = bindings(spec);
    let acks = Resolved::default();
    send(&fixture, &acks, &[(1, "a", "slow"), (2, "a", "quick"), (3, "a", "none")]);
    let mut first = [next(&acks), next(&acks)];
    first.sort_unstable();
    assert_eq!(first, [2, 3]);
    go.send(()).unwrap();
    assert_eq!(next(&acks), 1);
}

#[test]
fn a_binding_without_plugins_alone_leaves_where_the_order_is_not_locked() {
    let (_go, fixture) = bindings(ordered);
    let acks = Resolved::default();
    for ticket in 1..=100 {
        send(&fixture, &acks, &[(ticket, "a", "none")]);
        assert_eq!(next(&acks), ticket);
    }
}
