//! The rules of the sender, one by one. The whole of them under random disconnects and crashes is in `model`.

mod model;

use super::*;
use crate::mqtt::Reason;
use crate::mqtt::client::Publish;
use crate::topic::TopicName;

type Inflight = Sender<Message>;

fn message(qos: QoS) -> Message {
    Message::new(TopicName::parse("t").unwrap(), "x", qos)
}

fn fresh(limit: u16) -> Inflight {
    Inflight::recover(limit, 0, &[])
}

fn connected(limit: u16) -> Inflight {
    let mut inflight = fresh(limit);
    inflight.restart(Window::OPEN);
    inflight
}

/// To a server that takes everything.
fn next_resend(inflight: &mut Inflight) -> Option<Publish> {
    inflight.next_resend(|message| message).map(|repeat| repeat.publish)
}

fn ok(id: u16) -> Ack {
    Ack { packet_id: id, reason: Reason::SUCCESS }
}

fn publish(inflight: &mut Inflight, number: u64, qos: QoS) -> u16 {
    inflight.publish(number, message(qos)).expect("room").packet_id
}

fn done(step: &Step<Message>) -> Option<(u64, Reason)> {
    match step {
        Step::Done { number, reason, .. } => Some((*number, *reason)),
        _ => None,
    }
}

fn on_puback(inflight: &mut Inflight, ack: Ack) -> Step<Message> {
    inflight.hear(Reply::PubAck(ack))
}

fn on_pubrec(inflight: &mut Inflight, ack: Ack) -> Step<Message> {
    inflight.hear(Reply::PubRec(ack))
}

fn on_pubcomp(inflight: &mut Inflight, ack: Ack) -> Step<Message> {
    inflight.hear(Reply::PubComp(ack))
}

/// The disk has these completions.
fn durable(inflight: &mut Inflight, numbers: impl IntoIterator<Item = u64>) {
    assert_eq!(inflight.confirm(numbers, []), []);
}

/// The PUBREC has come and is on the disk. Returns the PUBREL.
fn received(inflight: &mut Inflight, id: u16) -> Vec<Ack> {
    let Step::Receive(received) = on_pubrec(inflight, ok(id)) else { panic!("a first PUBREC is made durable") };
    inflight.confirm([], [received.number])
}

#[test]
fn qos_1_ends_with_its_puback_and_qos_2_with_its_pubcomp() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    assert_eq!(done(&on_puback(&mut inflight, ok(one))), Some((1, Reason::SUCCESS)));
    assert_eq!(received(&mut inflight, two), [ok(two)]);
    assert_eq!(done(&on_pubcomp(&mut inflight, ok(two))), Some((2, Reason::SUCCESS)));
    durable(&mut inflight, [1, 2]);
    assert!(inflight.is_empty());
}

#[test]
fn pubrel_waits_for_the_disk() {
    let mut inflight = connected(10);
    let id = publish(&mut inflight, 1, QoS::ExactlyOnce);
    assert_eq!(on_pubrec(&mut inflight, ok(id)), Step::Receive(Released { number: 1, sequence: 1 }));
    assert_eq!(on_pubrec(&mut inflight, ok(id)), Step::Nothing, "a second PUBREC hurries nothing");
    assert_eq!(on_pubcomp(&mut inflight, ok(id)), Step::Nothing, "nobody has asked for it");
    assert_eq!(inflight.resume(Window::OPEN), [], "not on a new connection either");
    assert_eq!(next_resend(&mut inflight), None, "and never again a PUBLISH");
    assert_eq!(inflight.confirm([], [1]), [ok(id)]);
    assert_eq!(inflight.confirm([], [1]), [], "once");
}

#[test]
fn a_completion_holds_its_place_until_it_is_durable() {
    let mut inflight = connected(2);
    for number in [1, 2] {
        let id = publish(&mut inflight, number, QoS::AtLeastOnce);
        on_puback(&mut inflight, ok(id));
    }
    assert_eq!((inflight.room(), inflight.is_held_by_disk()), (0, true));
    inflight.restart(Window::OPEN);
    assert_eq!(inflight.room(), 0, "a lost session changes nothing about what is over");
    durable(&mut inflight, [2]);
    assert_eq!(inflight.room(), 1);
}

#[test]
fn what_is_left_out_holds_a_place_as_well() {
    let mut inflight = connected(2);
    inflight.leave_out(1);
    assert_eq!(inflight.room(), 1);
    durable(&mut inflight, [1]);
    assert_eq!((inflight.room(), inflight.is_empty()), (2, true));
}

#[test]
fn acks_that_fit_nothing_change_nothing() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    for step in [
        on_pubcomp(&mut inflight, ok(two)),
        on_pubcomp(&mut inflight, ok(one)),
        on_puback(&mut inflight, ok(0)),
        on_puback(&mut inflight, ok(999)),
    ] {
        assert_eq!(step, Step::Nothing);
    }
    received(&mut inflight, two);
    assert_eq!(on_pubrec(&mut inflight, ok(two)), Step::Release(ok(two)), "a second PUBREC is answered like the first");
    on_pubcomp(&mut inflight, ok(two));
    assert_eq!(on_pubcomp(&mut inflight, ok(two)), Step::Nothing);
    assert!(inflight.contains(1));
}

#[test]
fn a_strange_pubrec_is_answered_so_that_the_server_can_close_its_side() {
    let mut inflight = connected(10);
    let answer = Ack { packet_id: 7, reason: Reason::PACKET_IDENTIFIER_NOT_FOUND };
    assert_eq!(on_pubrec(&mut inflight, ok(7)), Step::Release(answer));
    assert_eq!(on_pubrec(&mut inflight, Ack { packet_id: 7, reason: Reason::QUOTA_EXCEEDED }), Step::Nothing);
}

#[test]
fn a_failure_reason_ends_the_exchange() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    let refused = |id| Ack { packet_id: id, reason: Reason::NOT_AUTHORIZED };
    assert_eq!(done(&on_pubrec(&mut inflight, refused(two))), Some((2, Reason::NOT_AUTHORIZED)));
    assert_eq!(done(&on_puback(&mut inflight, refused(one))), Some((1, Reason::NOT_AUTHORIZED)));
    durable(&mut inflight, [1, 2]);
    assert!(inflight.is_empty());
}

#[test]
fn a_success_other_than_zero_is_no_failure() {
    let mut inflight = connected(10);
    let one = publish(&mut inflight, 1, QoS::AtLeastOnce);
    let step = on_puback(&mut inflight, Ack { packet_id: one, reason: Reason::NO_MATCHING_SUBSCRIBERS });
    assert!(done(&step).is_some_and(|(_, reason)| !reason.is_failure()));
}

#[test]
fn an_id_in_use_at_the_server_asks_for_a_new_session_and_loses_nothing() {
    let mut inflight = connected(10);
    let two = publish(&mut inflight, 2, QoS::ExactlyOnce);
    let in_use = Ack { packet_id: two, reason: Reason::PACKET_IDENTIFIER_IN_USE };
    assert_eq!(on_pubrec(&mut inflight, in_use), Step::Reset);
    assert!(inflight.contains(2));
}

#[test]
fn an_id_in_use_in_each_new_session_is_a_refusal() {
    let mut inflight = connected(10);
    let in_use = |id| Ack { packet_id: id, reason: Reason::PACKET_IDENTIFIER_IN_USE };
    for _ in 0..3 {
        let id = publish(&mut inflight, 1, QoS::AtLeastOnce);
        assert_eq!(on_puback(&mut inflight, in_use(id)), Step::Reset);
        inflight.restart(Window::OPEN);
    }
    let id = publish(&mut inflight, 1, QoS::AtLeastOnce);
    assert_eq!(done(&on_puback(&mut inflight, in_use(id))), Some((1, Reason::PACKET_IDENTIFIER_IN_USE)));
}

#[test]
fn the_wrong_ack_is_an_ack() {
    let mut inflight = connected(10);
    let (one, two) = (publish(&mut inflight, 1, QoS::AtLeastOnce), publish(&mut inflight, 2, QoS::ExactlyOnce));
    assert_eq!(done(&on_puback(&mut inflight, ok(two))), Some((2, Reason::SUCCESS)), "QoS 2 is over at QoS 1");
    assert_eq!((received(&mut inflight, one), inflight.take_raised()), (vec![ok(one)], 1), "QoS 1 goes on as QoS 2");
    assert_eq!(done(&on_pubcomp(&mut inflight, ok(one))), Some((1, Reason::SUCCESS)));
    durable(&mut inflight, [1, 2]);
    assert!(inflight.is_empty());
}

#[test]
fn what_was_refused_keeps_its_place_and_begins_anew_without_dup() {
    let mut inflight = connected(2);
    let id = publish(&mut inflight, 1, QoS::ExactlyOnce);
    on_pubrec(&mut inflight, Ack { packet_id: id, reason: Reason::QUOTA_EXCEEDED });
    inflight.postpone(1);
    assert_eq!((inflight.room(), next_resend(&mut inflight)), (1, None));
    inflight.resume(Window::OPEN);
    assert_eq!(next_resend(&mut inflight), None, "not before its time");
    inflight.again(1, message(QoS::ExactlyOnce));
    inflight.resume(Window::OPEN);
    assert_eq!(next_resend(&mut inflight).map(|publish| (publish.packet_id, publish.dup)), Some((id, false)));
    assert_eq!(received(&mut inflight, id), [ok(id)]);
}

#[test]
fn the_window_is_the_lesser_of_ours_and_the_servers() {
    let mut inflight = fresh(5);
    assert_eq!(inflight.room(), 0, "not before the first connection");
    inflight.restart(Window { all: 3, ..Window::OPEN });
    assert_eq!(inflight.room(), 3);
    for number in 1..=3 {
        publish(&mut inflight, number, QoS::AtLeastOnce);
    }
    assert_eq!(inflight.publish(4, message(QoS::AtLeastOnce)), None);
    inflight.restart(Window::OPEN);
    assert_eq!(inflight.room(), 5);
}

#[test]
fn an_id_is_not_reused_while_its_exchange_is_open() {
    let mut inflight = connected(2);
    let first = publish(&mut inflight, 1, QoS::AtLeastOnce);
    for number in 2..=65_535 {
        let id = publish(&mut inflight, number, QoS::AtLeastOnce);
        assert!(id != 0 && id != first);
        on_puback(&mut inflight, ok(id));
        durable(&mut inflight, [number]);
    }
    assert_eq!(packet_id(65_536), first);
    assert_eq!((inflight.admit(65_536), inflight.room()), (false, 0), "all ids are used up: nothing new begins");
    on_puback(&mut inflight, ok(first));
    assert!(!inflight.admit(65_536), "not before that is durable");
    durable(&mut inflight, [1]);
    assert_eq!(publish(&mut inflight, 65_536, QoS::AtLeastOnce), first);
}

#[test]
fn a_kept_session_repeats_pubrels_and_then_publishes_with_dup_and_the_same_ids() {
    let mut inflight = connected(10);
    let ids: Vec<u16> = (1..=4).map(|number| publish(&mut inflight, number, QoS::ExactlyOnce)).collect();
    received(&mut inflight, ids[3]);
    received(&mut inflight, ids[1]);
    assert_eq!(inflight.resume(Window::OPEN), [ok(ids[3]), ok(ids[1])], "in the order of their PUBRECs");
    assert_eq!(inflight.room(), 0, "nothing new before what is old");
    let resent: Vec<(u16, bool)> =
        std::iter::from_fn(|| next_resend(&mut inflight)).map(|publish| (publish.packet_id, publish.dup)).collect();
    assert_eq!(resent, [(ids[0], true), (ids[2], true)]);
    assert_eq!(inflight.room(), 6);
}

#[test]
fn a_new_process_goes_on_with_the_same_ids_dup_and_pubrels() {
    let released = [(7, 3), (5, 4)].map(|(number, sequence)| Released { number, sequence });
    let mut inflight = Inflight::recover(10, 9, &released);
    let (five, seven) = (packet_id(5), packet_id(7));
    assert_eq!(inflight.resume(Window::OPEN), [ok(seven), ok(five)]);
    assert!(inflight.contains(5) && inflight.contains(7), "never published again");
    let sent: Vec<_> = [6, 8, 9].map(|number| inflight.publish(number, message(QoS::ExactlyOnce)).unwrap()).into();
    let sent: Vec<_> = sent.iter().map(|publish| (publish.packet_id, publish.dup)).collect();
    assert_eq!(sent, [(packet_id(6), true), (packet_id(8), true), (packet_id(9), false)]);
    assert_eq!(
        on_pubrec(&mut inflight, ok(packet_id(6))),
        Step::Receive(Released { number: 6, sequence: 5 }),
        "turns go on"
    );
    assert_eq!(done(&on_pubcomp(&mut inflight, ok(five))), Some((5, Reason::SUCCESS)));
}

#[test]
fn a_smaller_window_after_a_reconnect_holds_for_what_is_repeated() {
    let mut inflight = connected(10);
    let ids: Vec<u16> = (1..=3).map(|number| publish(&mut inflight, number, QoS::AtLeastOnce)).collect();
    inflight.resume(Window { all: 1, ..Window::OPEN });
    assert_eq!(next_resend(&mut inflight).map(|publish| publish.packet_id), Some(ids[0]));
    assert_eq!(next_resend(&mut inflight), None);
    on_puback(&mut inflight, ok(ids[0]));
    durable(&mut inflight, [1]);
    assert_eq!(next_resend(&mut inflight).map(|publish| publish.packet_id), Some(ids[1]));
}

#[test]
fn a_lost_session_forgets_everything_and_counts_what_may_arrive_twice() {
    let mut inflight = connected(10);
    publish(&mut inflight, 1, QoS::AtLeastOnce);
    let two = publish(&mut inflight, 2, QoS::ExactlyOnce);
    publish(&mut inflight, 3, QoS::ExactlyOnce);
    received(&mut inflight, two);
    inflight.restart(Window::OPEN);
    assert!(inflight.is_empty() && next_resend(&mut inflight).is_none());
    let again = (1..=4).map(|number| inflight.publish(number, message(QoS::ExactlyOnce)).unwrap());
    assert!(again.collect::<Vec<_>>().iter().all(|publish| !publish.dup));
    assert_eq!((inflight.take_doubtful(), inflight.take_doubtful()), (3, 0));
}

#[test]
fn a_session_that_a_new_process_does_not_find_makes_its_messages_doubtful() {
    let mut inflight = Inflight::recover(10, 3, &[Released { number: 1, sequence: 1 }]);
    inflight.restart(Window::OPEN);
    for number in 1..=4 {
        assert!(!inflight.publish(number, message(QoS::ExactlyOnce)).unwrap().dup);
    }
    assert_eq!(inflight.take_doubtful(), 2);
}

#[test]
fn qos_2_has_a_window_of_its_own() {
    let mut inflight = fresh(10);
    inflight.restart(Window { all: 10, exactly_once: 2 });
    for number in 1..=5 {
        publish(&mut inflight, number, QoS::AtLeastOnce);
    }
    assert_eq!(inflight.room(), 2);
    let id = publish(&mut inflight, 6, QoS::ExactlyOnce);
    publish(&mut inflight, 7, QoS::ExactlyOnce);
    assert_eq!(inflight.room(), 0, "what comes next may be QoS 2, and order is kept");
    received(&mut inflight, id);
    assert_eq!(inflight.room(), 0, "open until PUBCOMP");
    on_pubcomp(&mut inflight, ok(id));
    assert_eq!(inflight.room(), 1);
}

/// To a server that takes this QoS at most.
fn lowered(inflight: &mut Inflight, most: QoS) -> Option<Repeat> {
    inflight.next_resend(|mut message| {
        message.qos = message.qos.min(most);
        message
    })
}

#[test]
fn what_is_repeated_at_less_is_an_exchange_of_that_qos_from_then_on() {
    let mut inflight = connected(10);
    let id = publish(&mut inflight, 1, QoS::ExactlyOnce);
    inflight.resume(Window { all: 5, exactly_once: 1 });
    let repeat = lowered(&mut inflight, QoS::AtLeastOnce).unwrap();
    assert_eq!((repeat.number, repeat.publish.packet_id, repeat.publish.dup), (1, id, true));
    assert_eq!((repeat.publish.message.qos, inflight.take_doubtful()), (QoS::AtLeastOnce, 1));
    assert_eq!(inflight.room(), 1, "the window of QoS 2 is free");
    assert_eq!(done(&on_puback(&mut inflight, ok(id))), Some((1, Reason::SUCCESS)));
    durable(&mut inflight, [1]);
    assert!(inflight.is_empty());
}

#[test]
fn what_is_repeated_at_qos_0_is_over_when_it_is_written() {
    let mut inflight = connected(10);
    publish(&mut inflight, 1, QoS::ExactlyOnce);
    publish(&mut inflight, 2, QoS::AtLeastOnce);
    inflight.resume(Window::OPEN);
    for (number, doubtful) in [(1, 1), (2, 0)] {
        let repeat = lowered(&mut inflight, QoS::AtMostOnce).unwrap();
        assert_eq!((repeat.number, repeat.publish.packet_id, repeat.publish.dup), (number, 0, false));
        assert_eq!(inflight.take_doubtful(), doubtful);
        inflight.pass(number, Passing::Written);
    }
    assert_eq!((inflight.room(), inflight.is_empty()), (8, false), "they hold their places until they are written");
    assert!((1..=2).all(|number| inflight.passed(number)));
    durable(&mut inflight, 1..=2);
    assert_eq!(inflight.room(), 10);
}

#[test]
fn what_passes_at_qos_0_takes_one_place_and_gives_it_back() {
    let mut inflight = connected(1);
    inflight.pass(1, Passing::Written);
    assert_eq!((inflight.progress(1), inflight.room()), (Progress::Passing, 0));
    inflight.leave_out(1);
    inflight.passed(1);
    durable(&mut inflight, [1]);
    assert_eq!((inflight.room(), inflight.is_held_by_disk()), (1, false));
    inflight.pass(2, Passing::Written);
    inflight.disconnected();
    assert_eq!(inflight.progress(2), Progress::Unsent, "it is sent again on the next connection");
}

#[test]
fn what_waits_for_an_answer_at_qos_0_is_awaited_and_doubtful_when_it_is_sent_again() {
    let mut inflight = connected(10);
    let passing = Passing::Answered { was_exactly_once: true };
    inflight.pass(1, passing);
    let id = publish(&mut inflight, 2, QoS::AtLeastOnce);
    let awaited = Awaited { number: 1, packet_id: 0, ack: AckKind::PingResp };
    assert_eq!((inflight.oldest_awaited(), inflight.progress(1)), (Some(awaited), Progress::Sent));
    inflight.disconnected();
    inflight.resume(Window::OPEN);
    assert_eq!((inflight.progress(1), inflight.take_doubtful()), (Progress::Unsent, 0));
    inflight.pass(1, passing);
    assert_eq!((inflight.take_doubtful(), inflight.newest()), (1, 2));
    on_puback(&mut inflight, ok(id));
    assert!(inflight.forsake(1) && !inflight.forsake(1));
    durable(&mut inflight, [1, 2]);
    assert!(inflight.is_empty());
}

fn abandoned(inflight: &mut Inflight) -> Vec<u16> {
    inflight.take_abandoned().into_iter().map(|ack| ack.packet_id).collect()
}

#[test]
fn an_id_that_the_server_may_hold_is_released_on_this_connection_and_once_more_on_the_next() {
    let mut inflight = connected(10);
    let ids = [1, 2, 3].map(|number| publish(&mut inflight, number, QoS::ExactlyOnce));
    publish(&mut inflight, 4, QoS::AtLeastOnce);
    on_pubrec(&mut inflight, Ack { packet_id: ids[2], reason: Reason::QUOTA_EXCEEDED });
    inflight.postpone(3);
    assert!((1..=4).all(|number| inflight.forsake(number)) && !inflight.forsake(1));
    assert_eq!(abandoned(&mut inflight), ids[..2], "neither of QoS 1 nor of what was refused");
    assert!(abandoned(&mut inflight).is_empty(), "once");
    assert_eq!(on_pubcomp(&mut inflight, ok(ids[1])), Step::Nothing);
    inflight.resume(Window::OPEN);
    assert_eq!(abandoned(&mut inflight), ids[..1]);
    inflight.resume(Window::OPEN);
    assert!(abandoned(&mut inflight).is_empty());
}

#[test]
fn an_id_that_was_given_to_another_message_is_not_released_before_that_is_repeated() {
    let mut inflight = connected(10);
    let id = publish(&mut inflight, 1, QoS::ExactlyOnce);
    inflight.forsake(1);
    assert_eq!(abandoned(&mut inflight), [id]);
    durable(&mut inflight, [1]);
    assert_eq!(publish(&mut inflight, 65_536, QoS::ExactlyOnce), id);
    inflight.resume(Window::OPEN);
    assert!(abandoned(&mut inflight).is_empty());
    assert_eq!(next_resend(&mut inflight).map(|publish| publish.packet_id), Some(id));
}
