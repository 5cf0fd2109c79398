//! A message for a group goes to a member that may have it.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V5};

use super::*;

const BOTH: &str = "pattern read open/#\npattern read of/#\n";
const ONE: &str = "pattern read open/#\npattern read of/%c/#\n";

#[test]
fn a_member_that_may_not_have_a_message_is_passed_over() {
    let gateway = start(ONE);
    let mut members = ["one", "two"].map(|name| {
        let mut member = Raw::clean(gateway.address(), V5, name);
        assert_eq!(member.subscribe("$share/g/+/#", 1), 1);
        member
    });
    let mut writer = writer(&gateway);
    for _ in 0..5 {
        writer.publish("of/one/x", "x", 1);
        writer.publish("of/nobody/x", "x", 1);
    }
    assert_eq!(members.each_mut().map(|member| heard(member).len()), [5, 0]);
    (0..4).for_each(|_| writer.publish("open/x", "x", 1));
    assert!(members.each_mut().map(|member| heard(member).len()).iter().all(|count| *count == 2));
    gateway.stop();
}

#[test]
fn what_waited_for_a_member_goes_to_another_one_when_the_rules_change() {
    let gateway = start(BOTH);
    let sleeper = Connect::new(V5, "sleeper").persistent(600);
    let (mut away, _) = Raw::connect(gateway.address(), &sleeper);
    assert_eq!(away.subscribe("$share/g/of/#", 1), 1);
    away.leave();
    gateway.expect_departure("sleeper");
    let mut writer = writer(&gateway);
    writer.publish("of/other/x", "x", 1);
    writer.publish("of/sleeper/x", "x", 1);
    change_acl(&gateway, ONE);
    let mut other = Raw::clean(gateway.address(), V5, "other");
    assert_eq!(other.subscribe("$share/g/of/#", 1), 1);
    let (mut back, _) = Raw::connect(gateway.address(), &sleeper);
    expect_topics(&mut back, &["of/sleeper/x"]);
    expect_topics(&mut other, &["of/other/x"]);
    drop((back, other, writer));
    let counters = gateway.stop();
    assert_eq!((counters["shared_handed_over"], counters["shared_dropped"]), (1, 0));
}
