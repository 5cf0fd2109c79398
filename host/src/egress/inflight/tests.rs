//! The rules of the sender, one by one. The whole of them under random disconnects is in `model`.

use super::*;
use crate::topic::TopicName;

fn message(qos: QoS) -> Message {
    Message::new(TopicName::parse("t").unwrap(), "x", qos)
}

fn connected(limit: u16) -> Inflight {
    let mut inflight = Inflight::new(limit);
    inflight.restart(Window::OPEN);
    inflight
}

fn ok(id: u16) -> Ack {
    Ack { id, reason: Reason::SUCCESS }
}

fn publish(inflight: &mut Inflight, position: u64, qos: QoS) -> u16 {
    inflight.publish(Position(position), message(qos)).expect("room").id
}

fn done(step: &Step) -> Option<(u64, Reason)> {
    match step {
        Step::Done { position, reason, .. } => Some((position.0, *reason)),
        _ => None,
    }
}

#[test]
fn qos_1_ends_with_its_puback_and_qos_2_with_its_pubcomp() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    assert_eq!(done(&inflight.on_puback(ok(one))), Some((1, Reason::SUCCESS)));
    assert_eq!(inflight.on_pubrec(ok(two)), Step::Release(ok(two)));
    assert_eq!(done(&inflight.on_pubcomp(ok(two))), Some((2, Reason::SUCCESS)));
    assert!(inflight.is_empty());
}

#[test]
fn acks_that_fit_nothing_change_nothing() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    for step in [
        inflight.on_puback(ok(two)),
        inflight.on_pubcomp(ok(two)),
        inflight.on_pubcomp(ok(one)),
        inflight.on_puback(ok(0)),
        inflight.on_puback(ok(999)),
    ] {
        assert_eq!(step, Step::Nothing);
    }
    inflight.on_pubrec(ok(two));
    assert_eq!(inflight.on_pubrec(ok(two)), Step::Release(ok(two)), "a second PUBREC is answered like the first");
    inflight.on_pubcomp(ok(two));
    assert_eq!(inflight.on_pubcomp(ok(two)), Step::Nothing);
    assert!(inflight.contains(Position(1)));
}

#[test]
fn a_strange_pubrec_is_answered_so_that_the_server_can_close_its_side() {
    let mut inflight = connected(10);
    let answer = Ack { id: 7, reason: Reason::PACKET_IDENTIFIER_NOT_FOUND };
    assert_eq!(inflight.on_pubrec(ok(7)), Step::Release(answer));
    assert_eq!(inflight.on_pubrec(Ack { id: 7, reason: Reason::QUOTA_EXCEEDED }), Step::Nothing);
}

#[test]
fn a_failure_reason_ends_the_exchange() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    let refused = |id| Ack { id, reason: Reason::NOT_AUTHORIZED };
    assert_eq!(done(&inflight.on_pubrec(refused(two))), Some((2, Reason::NOT_AUTHORIZED)));
    assert_eq!(done(&inflight.on_puback(refused(one))), Some((1, Reason::NOT_AUTHORIZED)));
    assert!(inflight.is_empty());
}

#[test]
fn a_success_other_than_zero_is_no_failure() {
    let mut inflight = connected(10);
    let one = publish(&mut inflight, 1, QoS::AtLeastOnce);
    let step = inflight.on_puback(Ack { id: one, reason: Reason::NO_MATCHING_SUBSCRIBERS });
    assert!(done(&step).is_some_and(|(_, reason)| !reason.is_failure()));
}

#[test]
fn an_id_in_use_at_the_server_asks_for_a_new_session_and_loses_nothing() {
    let mut inflight = connected(10);
    let two = publish(&mut inflight, 2, QoS::ExactlyOnce);
    let in_use = Ack { id: two, reason: Reason::PACKET_IDENTIFIER_IN_USE };
    assert_eq!(inflight.on_pubrec(in_use), Step::Reset);
    assert!(inflight.contains(Position(2)));
}

#[test]
fn the_window_is_the_lesser_of_ours_and_the_servers() {
    let mut inflight = Inflight::new(5);
    assert_eq!(inflight.room(), 0, "not before the first connection");
    inflight.restart(Window { all: 3, ..Window::OPEN });
    assert_eq!(inflight.room(), 3);
    for position in 1..=3 {
        publish(&mut inflight, position, QoS::AtLeastOnce);
    }
    assert_eq!(inflight.publish(Position(4), message(QoS::AtLeastOnce)), None);
    inflight.restart(Window::OPEN);
    assert_eq!(inflight.room(), 5);
}

#[test]
fn an_id_is_not_reused_while_its_exchange_is_open() {
    let mut inflight = connected(2);
    let first = publish(&mut inflight, 1, QoS::AtLeastOnce);
    for position in 2..=70_000 {
        let id = publish(&mut inflight, position, QoS::AtLeastOnce);
        assert!(id != 0 && id != first);
        inflight.on_puback(ok(id));
    }
}

#[test]
fn a_kept_session_repeats_pubrels_and_then_publishes_with_dup_and_the_same_ids() {
    let mut inflight = connected(10);
    let ids: Vec<u16> = (1..=4).map(|position| publish(&mut inflight, position, QoS::ExactlyOnce)).collect();
    inflight.on_pubrec(ok(ids[3]));
    inflight.on_pubrec(ok(ids[1]));
    assert_eq!(inflight.resume(Window::OPEN), [ok(ids[3]), ok(ids[1])], "in the order of their PUBRECs");
    assert_eq!(inflight.room(), 0, "nothing new before what is old");
    let resent: Vec<(u16, bool)> =
        std::iter::from_fn(|| inflight.next_resend()).map(|publish| (publish.id, publish.dup)).collect();
    assert_eq!(resent, [(ids[0], true), (ids[2], true)]);
    assert_eq!(inflight.room(), 6);
}

#[test]
fn a_smaller_window_after_a_reconnect_holds_for_what_is_repeated() {
    let mut inflight = connected(10);
    let ids: Vec<u16> = (1..=3).map(|position| publish(&mut inflight, position, QoS::AtLeastOnce)).collect();
    inflight.resume(Window { all: 1, ..Window::OPEN });
    assert_eq!(inflight.next_resend().map(|publish| publish.id), Some(ids[0]));
    assert_eq!(inflight.next_resend(), None);
    inflight.on_puback(ok(ids[0]));
    assert_eq!(inflight.next_resend().map(|publish| publish.id), Some(ids[1]));
}

#[test]
fn a_lost_session_forgets_everything_and_counts_what_may_arrive_twice() {
    let mut inflight = connected(10);
    publish(&mut inflight, 1, QoS::AtLeastOnce);
    let two = publish(&mut inflight, 2, QoS::ExactlyOnce);
    publish(&mut inflight, 3, QoS::ExactlyOnce);
    inflight.on_pubrec(ok(two));
    assert_eq!(inflight.restart(Window::OPEN), 2);
    assert!(inflight.is_empty() && inflight.next_resend().is_none());
}

#[test]
fn qos_2_has_a_window_of_its_own() {
    let mut inflight = Inflight::new(10);
    inflight.restart(Window { all: 10, exactly_once: 2 });
    for position in 1..=5 {
        publish(&mut inflight, position, QoS::AtLeastOnce);
    }
    assert_eq!(inflight.room(), 2);
    let id = publish(&mut inflight, 6, QoS::ExactlyOnce);
    publish(&mut inflight, 7, QoS::ExactlyOnce);
    assert_eq!(inflight.room(), 0, "what comes next may be QoS 2, and order is kept");
    inflight.on_pubrec(ok(id));
    assert_eq!(inflight.room(), 0, "open until PUBCOMP");
    inflight.on_pubcomp(ok(id));
    assert_eq!(inflight.room(), 1);
}
