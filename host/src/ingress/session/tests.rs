mod denied;

use std::time::Instant;

use super::*;
use crate::base::ledger::Ledger;
use crate::bus::{MailboxLimits, Queues};
use crate::message::QoS;
use crate::mqtt::{Ack, Publish};

fn mailbox() -> Arc<Mailbox> {
    Mailbox::new(
        "dev".into(),
        MailboxLimits { max_messages: 9, max_bytes: 9_999, max_retained: 9 },
        Queues::new(9_999, Ledger::new(1 << 30), Arc::default()),
    )
}

fn session(version: Version, receive_maximum: u16) -> Session {
    Session::new("dev".into(), mailbox(), Link::new(version, receive_maximum, 10))
}

fn publish(topic: &str, qos: QoS, packet_id: u16) -> Publish {
    let message = Message::new(TopicName::parse(topic).unwrap(), "x", qos);
    Publish::outgoing(message, packet_id, false)
}

fn receive(session: &mut Session, publish: Publish) -> Vec<Action> {
    session.receive(Packet::Publish(publish)).unwrap().into_vec()
}

/// The receipt of the one message that was accepted.
fn accepted(mut actions: Vec<Action>) -> Receipt {
    match (actions.pop(), actions.is_empty()) {
        (Some(Action::Accept { receipt, .. }), true) => receipt,
        other => panic!("{other:?}"),
    }
}

fn acks(session: &mut Session) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(ticket) = session.try_next_done() {
        packets.extend(session.acknowledge(ticket).unwrap());
    }
    packets
}

fn ok(packet_id: u16) -> Ack {
    Ack { packet_id, reason: Reason::SUCCESS }
}

#[test]
fn a_message_is_acknowledged_when_its_outcome_is_safe_and_not_before() {
    let mut session = session(Version::V5, 10);
    let receipt = accepted(receive(&mut session, publish("t", QoS::AtLeastOnce, 3)));
    assert_eq!(acks(&mut session), []);
    receipt.nothing_to_keep();
    assert_eq!(acks(&mut session), [Packet::PubAck(ok(3))]);
}

#[test]
fn a_message_whose_outcome_was_lost_is_never_acknowledged() {
    let mut session = session(Version::V5, 10);
    drop(accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 3))));
    assert_eq!(acks(&mut session), []);
}

#[test]
fn a_message_that_is_refused_is_told_so_and_its_identifier_is_free_again() {
    let quota = |packet_id| Ack { packet_id, reason: Reason::QUOTA_EXCEEDED };
    let mut session = session(Version::V5, 10);
    accepted(receive(&mut session, publish("t", QoS::AtLeastOnce, 3))).refuse();
    accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 4))).refuse();
    assert_eq!(acks(&mut session), [Packet::PubAck(quota(3)), Packet::PubRec(quota(4))]);
    accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 4))).nothing_to_keep();
    assert_eq!(acks(&mut session), [Packet::PubRec(ok(4))]);
}

#[test]
fn in_3_1_1_a_refusal_is_the_end_of_the_connection_and_the_message_is_taken_again_on_the_next() {
    let mut session = session(Version::V311, 10);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        accepted(receive(&mut session, publish("t", qos, 3))).refuse();
        let ticket = session.try_next_done().unwrap();
        assert_eq!(session.acknowledge(ticket).map_err(|violation| violation.reason), Err(Reason::QUOTA_EXCEEDED));
        session.resume(Link::new(Version::V311, 10, 10));
        drop(accepted(receive(&mut session, publish("t", qos, 3))));
    }
}

#[test]
fn what_can_only_say_that_all_is_well_says_nothing_when_it_was_refused() {
    let mut session = session(Version::V5, 10);
    let packet = Packet::PubComp(ok(3));
    session.hold(packet).refuse();
    let ticket = session.try_next_done().unwrap();
    assert_eq!(session.acknowledge(ticket).map_err(|violation| violation.reason), Err(Reason::QUOTA_EXCEEDED));
}

#[test]
fn dup_decides_nothing_a_first_delivery_may_carry_it() {
    let mut session = session(Version::V311, 10);
    let duplicate = Publish { dup: true, ..publish("t", QoS::ExactlyOnce, 3) };
    accepted(receive(&mut session, duplicate.clone())).nothing_to_keep();
    assert_eq!(acks(&mut session), [Packet::PubRec(ok(3))]);
    let again = receive(&mut session, Publish { dup: false, ..duplicate });
    assert!(matches!(again[..], [Action::Send(Packet::PubRec(ack))] if ack == ok(3)), "{again:?}");
}

#[test]
fn a_session_remembers_qos_2_across_connections() {
    let mut session = session(Version::V5, 10);
    accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 3))).nothing_to_keep();
    session.resume(Link::new(Version::V5, 10, 10));
    acks(&mut session);
    let again = receive(&mut session, Publish { dup: true, ..publish("t", QoS::ExactlyOnce, 3) });
    assert!(matches!(again[..], [Action::Send(Packet::PubRec(_))]), "{again:?}");
}

#[test]
fn more_than_the_receive_maximum_ends_an_mqtt_5_connection() {
    let mut session = session(Version::V5, 2);
    let _receipts: Vec<Receipt> =
        [1, 2].map(|id| accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, id)))).into();
    let error = session.receive(Packet::Publish(publish("t", QoS::ExactlyOnce, 3))).unwrap_err();
    assert_eq!(error.reason, Reason::RECEIVE_MAXIMUM_EXCEEDED);
}

#[test]
fn mqtt_3_1_1_has_no_receive_maximum_to_exceed() {
    let mut session = session(Version::V311, 2);
    for id in 1..=5 {
        drop(accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, id))));
    }
}

#[test]
fn a_device_that_never_releases_is_stopped_in_3_1_1_too_and_goes_on_when_it_does() {
    let mut session = session(Version::V311, 2);
    let open = |session: &mut Session, id| session.receive(Packet::Publish(publish("t", QoS::ExactlyOnce, id)));
    let first = accepted(open(&mut session, 1).unwrap().into_vec());
    first.nothing_to_keep();
    assert_eq!(acks(&mut session), [Packet::PubRec(ok(1))]);
    for id in 2..=20 {
        open(&mut session, id).unwrap();
    }
    assert_eq!(open(&mut session, 21).unwrap_err().reason, Reason::RECEIVE_MAXIMUM_EXCEEDED);
    assert!(open(&mut session, 20).unwrap().is_empty(), "a repetition is no new exchange");
    let at_least_once = publish("t", QoS::AtLeastOnce, 22);
    assert!(matches!(receive(&mut session, at_least_once)[..], [Action::Accept { .. }]));
    session.resume(Link::new(Version::V311, 2, 10));
    session.receive(Packet::PubRel(ok(1))).unwrap();
    let again = open(&mut session, 21).unwrap();
    assert!(matches!(again[..], [Action::Accept { .. }]), "what was refused is a new message: {again:?}");
}

#[test]
fn what_goes_beyond_the_receive_maximum_is_a_new_message_on_the_next_connection() {
    let mut session = session(Version::V5, 1);
    let first = accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 1)));
    session.receive(Packet::Publish(publish("t", QoS::ExactlyOnce, 2))).unwrap_err();
    session.resume(Link::new(Version::V5, 1, 10));
    first.nothing_to_keep();
    assert_eq!(acks(&mut session), [Packet::PubRec(ok(1))]);
    session.receive(Packet::PubRel(ok(1))).unwrap();
    drop(accepted(receive(&mut session, publish("t", QoS::ExactlyOnce, 2))));
}

#[test]
fn a_reserved_topic_is_refused_in_the_words_of_the_version() {
    for (version, reason) in [(Version::V5, Reason::NOT_AUTHORIZED), (Version::V311, Reason::SUCCESS)] {
        let mut session = session(version, 10);
        let actions = receive(&mut session, publish("$SYS/x", QoS::AtLeastOnce, 1));
        let [Action::Send(Packet::PubAck(ack)), Action::Denied(_)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(ack.reason, reason);
        let silent = receive(&mut session, publish("$tidegate/x", QoS::AtMostOnce, 0));
        assert!(matches!(silent[..], [Action::Denied(_)]), "{silent:?}");
    }
}

#[test]
fn an_alias_is_forgotten_with_its_connection() {
    let mut session = session(Version::V5, 10);
    receive(&mut session, Publish { topic_alias: Some(1), ..publish("t", QoS::AtMostOnce, 0) });
    let by_alias = Publish { topic: None, topic_alias: Some(1), ..publish("t", QoS::AtMostOnce, 0) };
    assert!(matches!(receive(&mut session, by_alias.clone())[..], [Action::Accept { .. }]));
    session.resume(Link::new(Version::V5, 10, 10));
    assert_eq!(session.receive(Packet::Publish(by_alias)).unwrap_err().reason, Reason::PROTOCOL_ERROR);
}

#[test]
fn a_resumed_session_sends_the_unfinished_again_first() {
    let mut session = session(Version::V5, 10);
    let message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
    session.deliver(Delivery {
        is_replay: false,
        message,
        subscription_ids: vec![],
        arrived: Instant::now(),
        number: None,
        share: None,
        from_group: None,
    });
    assert_eq!(session.resume(Link::new(Version::V5, 10, 10)), []);
    assert!(!session.wants_delivery());
    let Some(Packet::Publish(publish)) = session.next_resend() else { panic!() };
    assert!(publish.dup && publish.packet_id == 1);
    assert!(session.wants_delivery());
}

#[test]
fn what_only_a_server_sends_is_a_protocol_error() {
    let error = session(Version::V5, 10).receive(Packet::PingResp).unwrap_err();
    assert_eq!(error.reason, Reason::PROTOCOL_ERROR);
}

#[test]
fn what_was_given_up_is_left_out_of_a_replay_and_tried_when_it_is_published_anew() {
    let mut session = session(Version::V5, 10);
    let message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
    let delivery = |message: &Message, is_replay| Delivery {
        message: message.clone(),
        subscription_ids: vec![],
        arrived: Instant::now(),
        number: None,
        share: None,
        from_group: None,
        is_replay,
    };
    session.isolation.give_up(message.clone());
    assert!(session.is_given_up(&delivery(&message, true)));
    assert!(!session.is_given_up(&delivery(&message, false)));
    let other = Message { payload: "y".into(), ..message };
    assert!(!session.is_given_up(&delivery(&other, true)));
}
