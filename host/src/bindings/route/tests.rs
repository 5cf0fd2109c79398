use super::*;
use crate::config::{FaultPolicy, OnError, UpstreamId};
use crate::message::QoS;
use crate::plugin::FailureKind;
use crate::topic::TopicFilter;

fn name(text: &str) -> TopicName {
    TopicName::parse(text).unwrap()
}

fn inbound(client: &str) -> Inbound {
    let message = Message { retain: true, ..Message::new(name("sensors/7"), "21.5", QoS::ExactlyOnce) };
    let origin = Arc::new(Origin {
        client: client.into(),
        arrived_ms: 1_000,
        hops: 0,
        principal: None,
        source: None,
        trace: None,
    });
    Inbound::internal(message, origin)
}

fn to(target: Target, topic: &str) -> Destination {
    Destination { target, topic: Template::parse(topic).unwrap(), qos: None, retain: None }
}

fn binding(on_error: OnError, to: Vec<Destination>) -> Binding {
    let filters = vec![TopicFilter::parse("sensors/+").unwrap()];
    Binding {
        name: "temp".into(),
        from: None,
        filters,
        plugins: vec![],
        tick: None,
        on_error,
        faults: FaultPolicy::default(),
        order: Default::default(),
        on_start_failure: Default::default(),
        to,
    }
}

fn run(binding: &Binding, client: &str, outcome: Outcome) -> (Routed, Counts) {
    let routed = route("gw1", binding, &inbound(client), outcome);
    let counts = routed.counts;
    (routed, counts)
}

fn failure() -> Outcome {
    let kind = FailureKind::Refused { transient: false };
    let detail = "no number".into();
    Outcome::Failed(Failure { plugin: "threshold".into(), kind, detail, attempts: 1, then: None }.into())
}

fn upstream_topics(routed: &Routed) -> Vec<&str> {
    routed.outputs.iter().map(|output| output.message.topic.as_str()).collect()
}

#[test]
fn each_output_goes_to_each_destination_in_order() {
    let binding = binding(
        OnError::Drop,
        vec![
            to(Target::Upstream(UpstreamId(0)), "plants/{gateway}/{topic}"),
            to(Target::Upstream(UpstreamId(1)), "{topic}"),
        ],
    );
    let outputs = ["a", "b"].map(|topic| Message::new(name(topic), "x", QoS::AtLeastOnce)).to_vec();
    let (routed, counts) = run(&binding, "dev", Outcome::Outputs(outputs));
    assert_eq!(upstream_topics(&routed), ["plants/gw1/a", "a", "plants/gw1/b", "b"]);
    assert_eq!((counts.forwarded, counts.outputs), (1, 2));
}

#[test]
fn qos_and_retain_are_preserved_unless_the_destination_says_otherwise() {
    let plain = to(Target::Upstream(UpstreamId(0)), "{topic}");
    let changed = Destination { qos: Some(QoS::AtMostOnce), retain: Some(false), ..plain.clone() };
    let passed = Outcome::Outputs(vec![inbound("dev").message]);
    let (routed, _) = run(&binding(OnError::Drop, vec![plain, changed]), "dev", passed);
    let kept: Vec<_> = routed.outputs.iter().map(|output| (output.message.qos, output.message.retain)).collect();
    assert_eq!(kept, [(QoS::ExactlyOnce, true), (QoS::AtMostOnce, false)]);
}

#[test]
fn a_dead_letter_is_the_original_with_the_reason_beside_it() {
    let topic = Template::parse("$tidegate/dead-letter/{binding}").unwrap();
    let (routed, counts) = run(&binding(OnError::DeadLetter { topic }, vec![]), "dev", failure());
    let [letter] = &routed.local[..] else { panic!("{routed:?}") };
    assert_eq!(letter.topic.as_str(), "$tidegate/dead-letter/temp");
    assert_eq!((&letter.payload[..], letter.qos, letter.retain), (&b"21.5"[..], QoS::ExactlyOnce, false));
    let user = &letter.properties.as_ref().unwrap().user;
    let value = |wanted: &str| user.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!(value("tidegate-topic"), Some("sensors/7"));
    assert_eq!(value("tidegate-plugin"), Some("threshold"));
    assert_eq!(value("tidegate-detail"), Some("no number"));
    assert_eq!((counts.failed, counts.dead_lettered), (1, 1));
}

#[test]
fn an_output_without_a_valid_topic_is_a_failure_of_all_of_its_input() {
    let to = vec![to(Target::Upstream(UpstreamId(0)), "{topic}"), to(Target::Upstream(UpstreamId(0)), "by/{client}")];
    let topic = Template::parse("dead/{binding}").unwrap();
    let passed = || Outcome::Outputs(vec![inbound("").message]);
    let (routed, counts) = run(&binding(OnError::DeadLetter { topic }, to.clone()), "dev/+", passed());
    assert_eq!((routed.outputs.len(), routed.is_dead, counts.unroutable), (0, true, 1));
    assert_eq!(routed.failure.map(|failure| failure.kind), Some(FailureKind::NoTopic));
    assert_eq!((counts.dead_lettered, counts.failed, counts.forwarded), (1, 1, 0));
    let (routed, counts) = run(&binding(OnError::Drop, to.clone()), "dev/+", passed());
    assert_eq!((routed.outputs.len(), routed.is_dead, counts.failed_dropped), (0, false, 1));
    let (routed, counts) = run(&binding(OnError::Pass, to), "dev/+", failure());
    assert_eq!(
        (routed.outputs.len(), routed.is_dead),
        (0, true),
        "the input never goes on in place of what was made of it"
    );
    assert_eq!((counts.dead_lettered, counts.failed_passed), (1, 0));
}

#[test]
fn a_plugin_says_for_itself_what_becomes_of_what_it_fails() {
    let failed = |then| {
        let Outcome::Failed(failure) = failure() else { panic!() };
        Outcome::Failed(Failure { then, ..*failure }.into())
    };
    let to = vec![to(Target::Upstream(UpstreamId(0)), "{topic}")];
    for (binds, then, is_dead) in [
        (OnError::Drop, Some(OnFailure::DeadLetter), true),
        (OnError::Pass, Some(OnFailure::Drop), false),
        (OnError::Drop, None, false),
    ] {
        let (routed, _) = run(&binding(binds, to.clone()), "dev", failed(then));
        assert_eq!((routed.outputs.len(), routed.is_dead), (0, is_dead), "{then:?}");
    }
}

#[test]
fn a_plugin_that_was_left_out_is_counted_once_for_an_input_and_told() {
    let Outcome::Failed(skipped) = failure() else { panic!() };
    let to = vec![to(Target::Upstream(UpstreamId(0)), "{topic}")];
    let binding = binding(OnError::Drop, to);
    let (routed, _) = run(&binding, "dev", Outcome::Outputs(vec![inbound("dev").message]));
    let routed = routed.without(Some(skipped.clone()));
    assert_eq!((routed.outputs.len(), routed.failure.as_deref()), (1, Some(&*skipped)));
    let counts = routed.counts;
    assert_eq!((counts.failed, counts.failed_passed), (1, 1));
    let (routed, _) = run(&binding, "dev", failure());
    let counts = routed.without(Some(skipped)).counts;
    assert_eq!((counts.failed, counts.failed_passed, counts.failed_dropped), (1, 0, 1));
}

#[test]
fn a_dead_letter_whose_topic_cannot_be_made_is_kept_all_the_same() {
    let topic = Template::parse("dead/{topic}").unwrap();
    let deep = name(&["x"; 200].join("/"));
    let binding = binding(OnError::DeadLetter { topic }, vec![]);
    let mut input = inbound("dev");
    input.message.topic = deep;
    let routed = route("gw1", &binding, &input, failure());
    assert_eq!((routed.local, routed.is_dead, routed.counts.dead_lettered), (vec![], true, 1));
}

#[test]
fn what_would_go_one_hop_too_far_is_a_failure() {
    let topic = Template::parse("dead/{binding}").unwrap();
    let binding = binding(OnError::DeadLetter { topic }, vec![to(Target::Local, "{topic}/again")]);
    for (hops, expected) in [(MAX_HOPS - 1, (1, false, 0)), (MAX_HOPS, (0, true, 1))] {
        let mut input = inbound("dev");
        input.origin = Arc::new(Origin { hops, ..(*input.origin).clone() });
        let outcome = Outcome::Outputs(vec![input.message.clone()]);
        let routed = route("gw1", &binding, &input, outcome);
        assert_eq!(
            (routed.local.len(), routed.is_dead, routed.counts.hop_limit_exceeded),
            expected,
            "after {hops} hops"
        );
    }
}

#[test]
fn what_has_crossed_too_many_gateways_is_a_failure_and_a_plugin_does_not_hide_where_its_input_came_from() {
    let topic = Template::parse("dead/{binding}").unwrap();
    let binding = binding(OnError::DeadLetter { topic }, vec![to(Target::Upstream(UpstreamId(0)), "{topic}")]);
    for (gateways, expected) in
        [(0, (vec![0], 0)), (1, (vec![1], 0)), (7, (vec![7], 0)), (8, (vec![], 1)), (9_999, (vec![], 1))]
    {
        let mut input = inbound("dev");
        let made_by_plugin = input.message.clone();
        input.message.set_gateways(gateways);
        let routed = route("gw1", &binding, &input, Outcome::Outputs(vec![made_by_plugin]));
        let crossed = routed.outputs.iter().map(|output| output.message.gateways()).collect();
        assert_eq!((crossed, routed.counts.hop_limit_exceeded), expected, "{gateways}");
        assert_eq!(routed.is_dead, gateways > 7);
    }
}

#[test]
fn more_than_a_record_has_room_for_is_a_failure_and_the_payload_of_the_input_does_not_count() {
    let input = Message::new(name("t"), vec![0; 1_000], QoS::AtLeastOnce);
    let made = || Message::new(name("t"), vec![0; 400], QoS::AtLeastOnce);
    let of = |messages: Vec<Message>| match bounded(Outcome::Outputs(messages), &input, 1, 1_000) {
        Outcome::Failed(failure) => Some(failure.kind),
        _ => None,
    };
    assert_eq!(of(vec![input.clone(), input.clone(), made(), made()]), None);
    assert_eq!(of(vec![input.clone(), made(), made(), made()]), Some(FailureKind::TooLarge));
}

#[test]
fn every_input_is_counted_once() {
    for (outcome, counted) in [(Outcome::Filtered, [1, 0, 0]), (failure(), [0, 1, 0])] {
        let (_, counts) = run(&binding(OnError::Drop, vec![]), "dev", outcome);
        assert_eq!([counts.filtered, counts.failed, counts.forwarded], counted);
    }
}
