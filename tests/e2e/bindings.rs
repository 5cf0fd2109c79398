//! Which plugins a message meets, in which order, and what becomes of what comes out.

use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{Delivered, V4, V5, publish};

/// A gateway without an upstream, somebody who listens to what it republishes, and a device.
fn local(config: &str, filter: &str) -> (Gateway, Raw, Raw) {
    let gateway = Gateway::start(config);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe(filter, 0);
    let device = Raw::clean(gateway.address(), V4, "device");
    (gateway, listener, device)
}

fn next(listener: &mut Raw) -> (String, String) {
    let Delivered { topic, payload, .. } = listener.expect_delivery();
    (topic, payload)
}

fn said(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

#[test]
fn a_message_goes_through_the_plugins_of_its_binding_in_order() {
    let config = r#"
        [plugins.plausible]
        component = "plugins/threshold.wasm"
        config = { field = "/c", max = 100.0 }
        [plugins.moved]
        component = "plugins/deadband.wasm"
        config = { field = "/c", absolute = 1.0 }
        [plugins.fahrenheit]
        component = "plugins/convert.wasm"
        config = { fields = [{ path = "/c", from = "celsius", to = "fahrenheit", to_path = "/f", decimals = 0 }] }
        [[bindings]]
        name = "b"
        topic = "in/+"
        plugins = ["plausible", "moved", "fahrenheit"]
        to = [{ local = true, topic = "out/{binding}/{client}/{topic}" }]
    "#;
    let (gateway, mut listener, mut device) = local(config, "out/#");
    // Passes; hardly moved; out of range, and so not remembered by the second plugin either; moved.
    for celsius in [10.0, 10.5, 500.0, 20.0] {
        device.publish("in/x", &format!(r#"{{"c":{celsius}}}"#), 1);
    }
    assert_eq!(next(&mut listener), said("out/b/device/in/x", r#"{"f":50}"#));
    assert_eq!(next(&mut listener), said("out/b/device/in/x", r#"{"f":68}"#));
    listener.expect_quiet();
    let counters = gateway.stop();
    assert_eq!((counters["chain_forwarded"], counters["filtered"]), (2, 2));
}

#[test]
fn one_message_may_become_many() {
    let config = r#"
        [plugins.vices]
        component = "plugins/vices.wasm"
        [[bindings]]
        name = "split"
        topic = "in"
        plugins = ["vices"]
        to = [{ local = true, topic = "out/{topic}" }, { local = true, topic = "copy/{topic}", qos = 0 }]
    "#;
    let (gateway, mut listener, mut device) = local(config, "#");
    device.publish("in", "two", 1);
    assert_eq!(next(&mut listener), said("in", "two"));
    for topic in ["out/a", "copy/a", "out/b", "copy/b"] {
        assert_eq!(next(&mut listener).0, topic);
    }
    let counters = gateway.stop();
    assert_eq!((counters["chain_forwarded"], counters["chain_outputs"], counters["republished"]), (1, 2, 4));
}

#[test]
fn several_bindings_make_their_outputs_in_the_order_of_the_file() {
    let config = r#"
        [plugins.vices]
        component = "plugins/vices.wasm"
        [[bindings]]
        name = "first"
        topic = "in/#"
        plugins = ["vices", "vices"]
        to = [{ local = true, topic = "out/{binding}" }]
        [[bindings]]
        name = "second"
        topic = ["+/x", "in/+"]
        to = [{ local = true, topic = "out/{binding}" }]
        [[bindings]]
        name = "elsewhere"
        topic = "in/y"
        to = [{ local = true, topic = "out/{binding}" }]
        [[bindings]]
        name = "third"
        topic = "in/x"
        plugins = ["vices"]
        to = [{ local = true, topic = "out/{binding}" }]
    "#;
    let (gateway, mut listener, mut device) = local(config, "out/#");
    for number in 0..50 {
        device.publish("in/x", &number.to_string(), 1);
    }
    for number in 0..50 {
        for binding in ["first", "second", "third"] {
            assert_eq!(next(&mut listener), said(&format!("out/{binding}"), &number.to_string()));
        }
    }
    assert_eq!(gateway.stop()["chain_inputs"], 150, "`second` matches twice and makes one output");
}

#[test]
fn a_message_that_no_binding_matches_stays_local() {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "#");
    let config = "[[bindings]]\nname = \"b\"\ntopic = \"+/up\"\nto = [{ upstream = \"cloud\" }]\n";
    let (gateway, mut listener, mut device) = local(&format!("{}{config}", upstream.upstream("cloud", 4)), "#");
    let topics = ["a/here", "a/up/b", "up", "$a/up", "a/up"];
    topics.iter().for_each(|topic| device.publish(topic, "x", 2));
    let heard = ["a/here", "a/up/b", "up", "a/up"].map(|topic| said(topic, "x"));
    assert_eq!(heard.each_ref().map(|_| next(&mut listener)), heard, "all but `$` are heard under `#`");
    let arrivals = sink.wait_for(1);
    assert_eq!(arrivals[0].topic, "a/up");
    gateway.expect_count("forwarded", 1);
    let counters = gateway.stop();
    assert_eq!((counters["unmatched"], counters["forwarded"]), (4, 1));
}

#[test]
fn a_dollar_topic_matches_only_a_filter_that_names_it() {
    let config = r##"
        [[bindings]]
        name = "wild"
        topic = ["#", "+/x"]
        to = [{ local = true, topic = "$out/{binding}" }]
        [[bindings]]
        name = "named"
        topic = "$data/#"
        to = [{ local = true, topic = "$out/{binding}" }]
    "##;
    let (gateway, mut listener, mut device) = local(config, "$out/#");
    device.publish("$data/x", "1", 1);
    device.publish("data/x", "2", 1);
    assert_eq!(next(&mut listener), said("$out/named", "1"));
    assert_eq!(next(&mut listener), said("$out/wild", "2"));
    gateway.stop();
}

#[test]
fn what_is_republished_meets_the_bindings_again_but_not_for_ever() {
    let stage = |number: usize| {
        format!(
            "[[bindings]]\nname = \"s{number}\"\ntopic = \"stage/{number}\"\n\
             to = [{{ local = true, topic = \"stage/{}\" }}]\n",
            number + 1
        )
    };
    let stages: String = (0..10).map(stage).collect();
    let (gateway, mut listener, mut device) = local(&stages, "stage/#");
    device.publish("stage/0", "x", 2);
    for number in 0..=8 {
        assert_eq!(next(&mut listener), said(&format!("stage/{number}"), "x"));
    }
    listener.expect_quiet();
    gateway.expect_log(&["ERROR", "hops", "stage/9"]);
    let counters = gateway.stop();
    assert_eq!((counters["republished"], counters["hop_limit_exceeded"]), (8, 1));
    // It was acknowledged, so that it is kept where somebody finds it.
    assert_eq!((counters["dead_lettered"], counters["dead_letters_archived"]), (1, 1));
}

/// A chain in which `threshold` fails on what is no number.
fn failing(on_error: &str) -> String {
    format!(
        r#"
        [plugins.threshold]
        component = "plugins/threshold.wasm"
        config = {{ min = 0.0 }}
        [[bindings]]
        name = "numbers"
        topic = "in/#"
        plugins = ["threshold"]
        {on_error}
        to = [{{ local = true, topic = "out/{{topic}}" }}]
        "#
    )
}

#[test]
fn a_message_that_fails_becomes_a_dead_letter_that_says_why() {
    let (gateway, mut listener, mut device) = local(&failing(""), "$tidegate/dead-letter/#");
    device.publish("in/x", "no number", 1);
    let letter = listener.expect_delivery();
    assert_eq!((letter.topic.as_str(), letter.payload.as_str()), ("$tidegate/dead-letter/numbers/in/x", "no number"));
    let users = letter.properties.users();
    let value = |name: &str| users.iter().find(|user| user.0 == name).map(|user| user.1.as_str());
    assert_eq!(value("tidegate-topic"), Some("in/x"));
    assert_eq!(value("tidegate-client"), Some("device"));
    assert_eq!(value("tidegate-binding"), Some("numbers"));
    assert_eq!(value("tidegate-plugin"), Some("threshold"));
    assert_eq!(value("tidegate-reason"), Some("refused the message"));
    assert!(value("tidegate-detail").is_some_and(|detail| !detail.is_empty()), "{users:?}");
    assert!(value("tidegate-arrived-ms").is_some_and(|ms| ms.parse::<u64>().is_ok()));
    gateway.expect_log(&["WARN", "numbers", "in/x", "threshold"]);
    let counters = gateway.stop();
    assert_eq!((counters["failed"], counters["dead_lettered"]), (1, 1));
}

#[test]
fn a_binding_may_pass_or_drop_what_fails() {
    for (on_error, counter) in [("pass", "failed_passed"), ("drop", "failed_dropped")] {
        let (gateway, mut listener, mut device) = local(&failing(&format!("on_error = \"{on_error}\"")), "out/#");
        device.publish("in/x", "no number", 2);
        device.publish("in/x", "1", 2);
        if on_error == "pass" {
            assert_eq!(next(&mut listener), said("out/in/x", "no number"));
        }
        assert_eq!(next(&mut listener), said("out/in/x", "1"));
        let counters = gateway.stop();
        assert_eq!((counters["failed"], counters[counter]), (1, 1));
    }
}

#[test]
fn what_a_client_sends_stays_in_order_over_several_bindings_when_they_ask_for_it() {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "#");
    let bindings = r#"
        [plugins.scaled]
        component = "plugins/convert.wasm"
        config = { fields = [{ path = "/n", scale = 2.0, decimals = 0 }] }
        [[bindings]]
        name = "slow"
        topic = "slow"
        plugins = ["scaled"]
        order = "client"
        to = [{ upstream = "cloud" }]
        [[bindings]]
        name = "quick"
        topic = "quick"
        order = "client"
        to = [{ upstream = "cloud" }]
    "#;
    let (gateway, _, mut device) = local(&format!("{}{bindings}", upstream.upstream("cloud", 5)), "none");
    let topic = |number: usize| if number.is_multiple_of(3) { "slow" } else { "quick" };
    for number in 0..300 {
        let payload = format!(r#"{{"n":{number}}}"#);
        device.send(&publish(V4, topic(number), payload).qos(1, number as u16 + 1).encode());
    }
    for number in 0..300 {
        device.finish_publish(1, number + 1);
    }
    let arrived: Vec<_> = sink.wait_for(300).into_iter().map(|arrival| (arrival.topic, arrival.payload)).collect();
    for (number, arrived) in arrived.into_iter().enumerate() {
        let scaled = if topic(number) == "slow" { number * 2 } else { number };
        assert_eq!(arrived, said(topic(number), &format!(r#"{{"n":{scaled}}}"#)), "{number}");
    }
    gateway.stop();
}

#[test]
fn a_client_identifier_chooses_no_topic_of_the_gateway_or_of_another_client() {
    let config = r#"
        [broker]
        sys_interval = "0s"
        [[bindings]]
        name = "first"
        topic = "first"
        to = [{ local = true, topic = "{client}/state" }]
        [[bindings]]
        name = "within"
        topic = "within"
        to = [{ local = true, topic = "by/{client}/state" }]
    "#;
    let (gateway, mut listener, mut device) = local(config, "#");
    listener.subscribe("$SYS/#", 0);
    listener.subscribe("$tidegate/state", 0);
    for (count, client) in ["$SYS", "$tidegate", "a/b", "a+", "#"].into_iter().enumerate() {
        let mut rogue = Raw::clean(gateway.address(), V5, client);
        rogue.publish("first", "forged", 1);
        assert_eq!(next(&mut listener), said("first", "forged"));
        gateway.expect_letters(count + 1);
    }
    Raw::clean(gateway.address(), V5, "a/b").publish("within", "forged", 1);
    assert_eq!(next(&mut listener), said("within", "forged"));
    gateway.expect_letters(6);
    device.publish("within", "fine", 1);
    assert_eq!([next(&mut listener), next(&mut listener)], [said("within", "fine"), said("by/device/state", "fine")]);
    listener.expect_quiet();
    assert_eq!(gateway.stop()["dead_lettered"], 6);
}

/// `redact`, and behind it `threshold`, which fails on what is no number.
fn redacting(policies: &str) -> String {
    format!(
        r#"
        [plugins.redact]
        component = "plugins/redact.wasm"
        config = {{ remove = ["/who"] }}
        [plugins.threshold]
        component = "plugins/threshold.wasm"
        config = {{ field = "/c", min = 0.0 }}
        [[bindings]]
        name = "b"
        topic = "in/#"
        plugins = ["redact", "threshold"]
        {policies}
        to = [{{ local = true, topic = "out/{{topic}}" }}]
        "#
    )
}

#[test]
fn what_a_plugin_has_removed_stays_removed_when_the_next_one_is_left_out() {
    let config = redacting(r#"on_error_of = { threshold = "pass" }"#);
    let (gateway, mut listener, mut device) = local(&config, "out/#");
    device.publish("in/x", r#"{"who":"Ada","c":"seven"}"#, 1);
    assert_eq!(next(&mut listener), said("out/in/x", r#"{"c":"seven"}"#));
    device.publish("in/x", "who=Ada", 1);
    listener.expect_quiet();
    gateway.expect_log(&["WARN", "threshold", "is not the JSON expected"]);
    let log = gateway.log().clone();
    let counters = gateway.stop();
    assert_eq!((counters["failed"], counters["failed_passed"], counters["dead_lettered"]), (2, 1, 1));
    assert_eq!(log.count(|line| line.contains("seven") || line.contains("Ada")), 0, "no value of a payload is logged");
}

#[test]
fn a_plugin_that_must_run_is_not_left_out_and_check_says_what_to_write() {
    let home = Home::new(&redacting("on_error = \"pass\""));
    let checked = home.tidegate("check", &[]);
    assert_eq!(checked.code, Some(78), "{checked:?}");
    for words in ["plugin `redact` must not be left out", "on_error_of = { redact = \"drop\" }"] {
        assert!(checked.err.contains(words), "{checked:?}");
    }
    let home = Home::new(&redacting("on_error = \"pass\"\non_error_of = { redact = \"drop\" }"));
    assert_eq!(home.tidegate("check", &[]).code, Some(0));
}

tidegate_tests::also_on_pulley! {
    a_message_goes_through_the_plugins_of_its_binding_in_order,
    one_message_may_become_many,
    several_bindings_make_their_outputs_in_the_order_of_the_file,
    a_message_that_no_binding_matches_stays_local,
    a_dollar_topic_matches_only_a_filter_that_names_it,
    what_is_republished_meets_the_bindings_again_but_not_for_ever,
    a_message_that_fails_becomes_a_dead_letter_that_says_why,
    a_binding_may_pass_or_drop_what_fails,
}
