//! What the access rules do not let through.

use super::*;
use crate::access::{Access, AclFile, DeniedPublish, Identity, Policy, Rules};

fn rules(acl: &str) -> Rules {
    Rules { rules: Vec::new(), acl: Some(AclFile::parse(acl, &"acl".into()).unwrap()) }
}

fn access(acl: &str, denied: DeniedPublish) -> Arc<Access> {
    Arc::new(Access::new(Policy { rules: Arc::new(rules(acl)), denied_publish: denied, ..Policy::default() }))
}

fn under(access: &Arc<Access>, version: Version) -> Session {
    let permit = access.permit(Identity { client: "dev".into(), ..Identity::default() });
    Session::new("dev".into(), mailbox(), Link::new(version, 10, 10).with(permit))
}

#[test]
fn a_denied_message_is_answered_once_and_accepted_by_nobody() {
    let access = access("topic write mine", DeniedPublish::Drop);
    for (version, answer) in [(Version::V5, Reason::NOT_AUTHORIZED), (Version::V311, Reason::SUCCESS)] {
        let mut session = under(&access, version);
        let ack = |packet_id| Ack { packet_id, reason: answer };
        for (qos, packet) in [(QoS::AtLeastOnce, Packet::PubAck(ack(1))), (QoS::ExactlyOnce, Packet::PubRec(ack(2)))] {
            let actions = receive(&mut session, publish("yours", qos, if qos == QoS::AtLeastOnce { 1 } else { 2 }));
            let [Action::Send(sent), Action::Denied(Denial::Rules(topic))] = &actions[..] else {
                panic!("{actions:?}")
            };
            assert_eq!((sent, topic.as_str()), (&packet, "yours"));
        }
        accepted(receive(&mut session, publish("mine", QoS::AtLeastOnce, 5))).nothing_to_keep();
    }
}

#[test]
fn it_is_counted_before_the_connection_ends_for_it() {
    let access = access("topic write mine", DeniedPublish::Disconnect);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let actions = receive(&mut under(&access, Version::V311), publish("yours", qos, 1));
        assert!(matches!(&actions[..], [Action::Denied(_), Action::Close(_)]), "{actions:?}");
        let actions = receive(&mut under(&access, Version::V5), publish("yours", qos, 1));
        assert!(!actions.iter().any(|action| matches!(action, Action::Close(_))), "{actions:?}");
    }
}

#[test]
fn acks_keep_their_order_around_a_denied_message() {
    let access = access("topic write mine", DeniedPublish::Drop);
    let mut session = under(&access, Version::V5);
    let first = accepted(receive(&mut session, publish("mine", QoS::AtLeastOnce, 1)));
    let denied = receive(&mut session, publish("yours", QoS::AtLeastOnce, 2));
    assert!(matches!(&denied[..], [Action::Denied(_)]), "{denied:?}");
    first.nothing_to_keep();
    let reasons = acks(&mut session).into_iter().map(|ack| match ack {
        Packet::PubAck(ack) => (ack.packet_id, ack.reason),
        other => panic!("{other:?}"),
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [(1, Reason::SUCCESS), (2, Reason::NOT_AUTHORIZED)]);
}

#[test]
fn what_was_sent_is_not_sent_again_when_the_rules_have_changed() {
    let access = access("topic read t", DeniedPublish::Drop);
    let mut session = under(&access, Version::V5);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let message = Message::new(TopicName::parse("t").unwrap(), "x", qos);
        session.deliver(Delivery {
            message,
            subscription_ids: vec![],
            arrived: Instant::now(),
            number: None,
            share: None,
            from_group: None,
            is_replay: false,
        });
    }
    access.replace(Policy { rules: Arc::new(rules("topic read other")), ..Policy::default() });
    let permit = session.permit().clone();
    session.resume(Link::new(Version::V5, 10, 10).with(permit));
    assert_eq!(session.next_resend(), None);
    let kept_back = session.take_kept_back();
    let [KeptBack::Delivery(delivery), KeptBack::Release(Action::Send(release))] = &kept_back[..] else {
        panic!("{kept_back:?}")
    };
    assert_eq!((delivery.message.qos, release), (QoS::AtLeastOnce, &Packet::PubRel(ok(2))));
    assert!(session.receive(Packet::PubComp(ok(2))).unwrap().is_empty() && session.outbound.is_empty());
}
