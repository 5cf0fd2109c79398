//! Shared subscriptions: each message to one member of the group (MQTT 5, section 4.8.2).

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{Connect, V5};

use super::{listener, talker};

/// Payloads that have come so far; a ping tells where to stop.
fn heard(member: &mut Raw) -> Vec<String> {
    let mut heard = Vec::new();
    for _ in 0..2 {
        member.send(tidegate_tests::wire::PING);
        while let Next::Packet(packet) = member.next(tidegate_tests::eventually::SOON)
            && packet.kind() != tidegate_tests::wire::PINGRESP
        {
            let delivered = packet.delivered(V5);
            member.acknowledge(&delivered);
            heard.push(delivered.payload);
        }
    }
    heard
}

#[test]
fn each_message_goes_to_one_member_and_every_member_gets_some() {
    let gateway = Gateway::start("");
    let mut everybody = listener(&gateway, "work/#", 0);
    let mut members: Vec<Raw> = (0..3)
        .map(|number| {
            let mut member = Raw::clean(gateway.address(), V5, &format!("member{number}"));
            assert_eq!(member.subscribe("$share/group/work/#", 1), 1);
            member
        })
        .collect();
    let mut talker = talker(&gateway);
    for number in 0..30 {
        talker.publish("work/x", &format!("{number:02}"), 1);
    }
    let shares: Vec<Vec<String>> = members.iter_mut().map(heard).collect();
    assert!(shares.iter().all(|share| share.len() >= 5), "{shares:?}");
    let mut all = shares.concat();
    all.sort();
    assert_eq!(all, (0..30).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert_eq!(heard(&mut everybody).len(), 30, "who does not share gets all");
    gateway.stop();
}

#[test]
fn groups_do_not_know_each_other_and_a_member_that_leaves_takes_nothing_more() {
    let gateway = Gateway::start("");
    let mut one = Raw::clean(gateway.address(), V5, "one");
    let mut other = Raw::clean(gateway.address(), V5, "other");
    one.subscribe("$share/a/work", 1);
    other.subscribe("$share/b/work", 1);
    let mut leaver = Raw::clean(gateway.address(), V5, "leaver");
    leaver.subscribe("$share/a/work", 1);
    leaver.leave();
    let mut talker = talker(&gateway);
    // The session of the one who left ends a moment after its connection.
    tidegate_tests::eventually::soon("the group has one member", || {
        (0..4).for_each(|_| talker.publish("work", "warm up", 1));
        heard(&mut other);
        heard(&mut one).len() == 4
    });
    (0..10).for_each(|number| talker.publish("work", &number.to_string(), 1));
    assert_eq!(heard(&mut one).len(), 10);
    assert_eq!(heard(&mut other).len(), 10);
    gateway.stop();
}

#[test]
fn a_connected_member_is_preferred_to_one_that_is_away() {
    let gateway = Gateway::start("");
    let sleeper = Connect::new(V5, "sleeper").persistent(600);
    let (mut away, _) = Raw::connect(gateway.address(), &sleeper);
    away.subscribe("$share/group/work", 1);
    away.leave();
    let mut present = Raw::clean(gateway.address(), V5, "present");
    present.subscribe("$share/group/work", 1);
    let mut talker = talker(&gateway);
    tidegate_tests::eventually::soon("the gateway has seen who is away", || {
        (0..4).for_each(|_| talker.publish("work", "warm up", 1));
        heard(&mut present).len() == 4
    });
    (0..10).for_each(|number| talker.publish("work", &number.to_string(), 1));
    assert_eq!(heard(&mut present).len(), 10);
    gateway.stop();
}
