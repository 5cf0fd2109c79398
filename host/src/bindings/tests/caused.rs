//! One input that becomes many in each of several stages; and many that fail.

use super::*;
use crate::bindings::caused::{MAX_LETTERS, MAX_MESSAGES};
use crate::config::{Destination, Target, UpstreamId};
use crate::dead_letter::{DEAD_LETTERS, DeadLetter};
use crate::spool::log::sim::SimDisk;
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

/// Of so many stages, of which what is too much becomes dead letters.
fn stages_with_letters(count: usize) -> (Fixture, Spool) {
    let on_error = || OnError::DeadLetter { topic: Template::parse("dead/{topic}").unwrap() };
    let stage = |stage: usize| {
        let copies = |copy: usize| to(Target::Local, &format!("s{}/{copy}", stage + 1));
        let spec =
            config::Binding { plugins: vec![], tick: None, on_error: on_error(), ..spec(&format!("s{stage}/#")) };
        Binding::new(config::Binding { to: (0..WIDTH).map(copies).collect(), ..spec }, None)
    };
    let counters = Arc::<Counters>::default();
    let (disk, limits) = (SimDisk::default(), config::Spool::default());
    let spool = Spool::manually_driven(disk, &["cloud", DEAD_LETTERS], &limits, counters.clone()).unwrap().0;
    let bindings = (0..count).map(stage).collect();
    (fixture_with(Workers::start(1, vec![]).unwrap().0, bindings, spool.clone(), counters), spool)
}

fn letters(spool: &Spool) -> Vec<DeadLetter> {
    let queue = spool.queue(spool.dead_letters().unwrap());
    let entries = queue.read(crate::spool::Position::START, 10_000, 64 << 20);
    entries.iter().map(|entry| DeadLetter::decode(&entry.message.payload).unwrap()).collect()
}

#[test]
fn much_that_one_input_causes_and_that_fails_is_one_dead_letter_of_it_beside_a_few() {
    let ((fixture, spool), acks) = (stages_with_letters(5), Resolved::default());
    send(&fixture, "s0/x", QoS::AtLeastOnce, Receipt::new(7, acks.clone()));
    assert_eq!(acks.try_next(), Some(7));
    let letters = letters(&spool);
    assert_eq!(letters.len(), 1 + MAX_LETTERS as usize);
    let own = letters.last().unwrap();
    assert_eq!((own.message.topic.as_str(), own.metadata.binding.as_str()), ("s0/x", "s0/#"));
    assert!(own.metadata.detail.contains("have failed"), "{}", own.metadata.detail);
    let totals = fixture.counters.totals();
    assert_eq!((totals.dead_lettered, totals.failed_dropped), (letters.len() as u64, totals.dead_letters_limited));
    assert_eq!(totals.failed, totals.dead_lettered + totals.failed_dropped);
    assert!(totals.dead_letters_limited > 0, "{}", totals.dead_letters_limited);
    assert_eq!(fixture.counters.balance(0).to_string(), "balanced");
}

#[test]
fn the_next_input_has_letters_of_its_own() {
    let ((fixture, spool), acks) = (stages_with_letters(5), Resolved::default());
    (0..3).for_each(|ticket| send(&fixture, "s0/x", QoS::AtLeastOnce, Receipt::new(ticket, acks.clone())));
    let of_inputs = letters(&spool).iter().filter(|letter| letter.message.topic.as_str() == "s0/x").count();
    assert_eq!((letters(&spool).len(), of_inputs), (3 * (1 + MAX_LETTERS as usize), 3));
}
