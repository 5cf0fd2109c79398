//! One input that becomes many in each of several stages; and many that fail.

use super::*;
use crate::bindings::caused::MAX_MESSAGES;
use crate::config::{Destination, Target, UpstreamId};
use crate::topic::Template;

/// Ten of one, in each stage.
const WIDTH: usize = 10;

fn to(target: Target, topic: &str) -> Destination {
    Destination { target, topic: Template::parse(topic).unwrap(), qos: None, retain: None }
}

/// So many stages of [`WIDTH`], and one that goes upstream.
fn stages(count: usize, topic: &str) -> Fixture {
    let fan_out = |stage: usize| {
        let copies = |copy: usize| to(Target::Local, &format!("{topic}{}/{copy}", stage + 1));
        let spec = spec(&format!("{topic}{stage}/#"));
        config::Binding { plugins: vec![], tick: None, to: (0..WIDTH).map(copies).collect(), ..spec }
    };
    let last = config::Binding {
        plugins: vec![],
        tick: None,
        to: vec![to(Target::Upstream(UpstreamId(0)), "{topic}")],
        ..spec(&format!("{topic}{count}/#"))
    };
    let bindings = (0..count).map(fan_out).chain([last]).map(|spec| Binding::new(spec, None)).collect();
    fixture_of(Workers::start(1, vec![]).unwrap().0, bindings)
}

fn send(fixture: &Fixture, topic: &str, qos: QoS, receipt: Receipt) {
    let input = inbound(topic, receipt);
    let input = Inbound { message: Message { qos, ..input.message.clone() }, ..input };
    let pending = fixture.dispatcher.arrive(input).unwrap();
    fixture.dispatcher.try_start(pending).unwrap();
}

#[test]
fn one_input_causes_so_many_messages_over_all_stages_and_no_more() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let (fixture, acks) = (stages(5, "s"), Resolved::default());
        let receipt = if qos == QoS::AtMostOnce { Receipt::none() } else { Receipt::new(7, acks.clone()) };
        send(&fixture, "s0/x", qos, receipt);
        let totals = fixture.counters.totals();
        let most = MAX_MESSAGES as u64;
        assert!((most - most / 2..=most).contains(&totals.internal), "{} of 111,110", totals.internal);
        assert!(totals.failed > 0, "what is beyond has failed");
        assert_eq!((totals.failed_dropped, totals.dropped_full), (totals.failed, 0));
        assert_eq!(acks.try_next(), (qos > QoS::AtMostOnce).then_some(7), "all of it is decided");
    }
}

#[test]
fn the_next_input_has_an_allowance_of_its_own() {
    let fixture = stages(3, "s");
    (0..8).for_each(|_| send(&fixture, "s0/x", QoS::AtMostOnce, Receipt::none()));
    let totals = fixture.counters.totals();
    let each = (WIDTH + WIDTH.pow(2) + WIDTH.pow(3)) as u64;
    assert_eq!((totals.internal, totals.failed), (8 * each, 0));
}

#[test]
fn large_messages_are_bounded_by_their_bytes() {
    let fixture = stages(3, "s");
    let message = Message::new(TopicName::parse("s0/x").unwrap(), vec![0; 1 << 20], QoS::AtMostOnce);
    let input = Inbound { message, ..inbound("s0/x", Receipt::none()) };
    let pending = fixture.dispatcher.arrive(input).unwrap();
    fixture.dispatcher.try_start(pending).unwrap();
    let totals = fixture.counters.totals();
    assert!(totals.internal <= 16 && totals.failed > 0, "{}", totals.internal);
}

#[test]
fn dead_letters_of_a_flood_at_qos_0_are_a_sample_and_what_is_acknowledged_has_all_of_them() {
    let on_error = OnError::DeadLetter { topic: Template::parse("dead").unwrap() };
    // A topic that cannot be made: what comes has failed.
    let nowhere = to(Target::Local, "$SYS/{topic}");
    let failing = config::Binding { plugins: vec![], tick: None, on_error, to: vec![nowhere], ..spec("s/#") };
    let fixture = fixture_of(Workers::start(1, vec![]).unwrap().0, vec![Binding::new(failing, None)]);
    let (flood, acks) = (10_000, Resolved::default());
    (0..flood).for_each(|_| send(&fixture, "s/x", QoS::AtMostOnce, Receipt::none()));
    let sampled = fixture.counters.totals();
    assert!((100..1_000).contains(&sampled.dead_lettered), "{}", sampled.dead_lettered);
    assert_eq!((sampled.failed, sampled.failed_dropped), (flood, sampled.dead_letters_limited));
    assert_eq!(sampled.dead_lettered + sampled.failed_dropped, flood);
    (0..2_000).for_each(|ticket| send(&fixture, "s/x", QoS::AtLeastOnce, Receipt::new(ticket, acks.clone())));
    assert_eq!(fixture.counters.totals().dead_letters_limited, sampled.dead_letters_limited);
    assert_eq!(fixture.counters.balance(0).to_string(), "balanced");
}
