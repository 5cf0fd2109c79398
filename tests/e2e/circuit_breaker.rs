//! A plugin that only fails is not asked any more, for a while: its binding's policy applies at once, and then it is tried.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Delivered, V4, V5};

fn config(open_for: &str) -> String {
    format!(
        r#"
        [plugins.vices]
        component = "plugins/vices.wasm"

        [[bindings]]
        name = "risky"
        topic = "risky"
        plugins = ["vices"]
        dead_letter_topic = "out/dead"
        breaker = {{ faults = 3, within = "1h", open_for = "{open_for}" }}
        to = [{{ local = true, topic = "out/{{topic}}" }}]

        [[bindings]]
        name = "same-plugin"
        topic = "other"
        plugins = ["vices"]
        to = [{{ local = true, topic = "out/{{topic}}" }}]
        "#
    )
}

struct Site {
    gateway: Gateway,
    listener: Raw,
    device: Raw,
}

fn site(open_for: &str) -> Site {
    let gateway = Gateway::start(&config(open_for));
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 0);
    let device = Raw::clean(gateway.address(), V4, "device");
    Site { gateway, listener, device }
}

impl Site {
    fn send(&mut self, topic: &str, payload: &str) -> Delivered {
        self.device.publish(topic, payload, 1);
        self.listener.expect_delivery()
    }

    /// Of another device.
    fn send_of(&mut self, client: &str, topic: &str, payload: &str) -> Delivered {
        Raw::clean(self.gateway.address(), V4, client).publish(topic, payload, 1);
        self.listener.expect_delivery()
    }

    /// The plugin fails for as many devices as it takes.
    fn fail_for_several(&mut self) {
        for device in ["a", "b", "c"] {
            assert_eq!(reason(&self.send_of(device, "risky", "trap")), "trapped");
        }
    }
}

fn reason(letter: &Delivered) -> String {
    let users = letter.properties.users();
    users.into_iter().find(|user| user.0 == "tidegate-reason").map(|user| user.1).unwrap_or_default()
}

#[test]
fn after_so_many_faults_the_breaker_opens_in_its_binding_and_in_no_other() {
    let mut site = site("1h");
    site.fail_for_several();
    site.gateway.expect_log(&["vices", "risky", "circuit breaker opened for 3600s", "unreachable"]);
    let letter = site.send("risky", "echo: I would pass");
    assert_eq!((letter.topic.as_str(), reason(&letter).as_str()), ("out/dead", "has an open circuit breaker"));
    assert_eq!(site.send("other", "echo").topic, "out/other", "the same plugin in another binding");
    let status = site.gateway.home().tidegate("status", &[]);
    assert!(status.out.contains("plugin vices in binding risky: its circuit breaker is open"), "{status:?}");
    let requeue = site.gateway.home().spool("requeue", &["--reason", "no such reason"]);
    assert!(requeue.err.contains("circuit breaker of plugin `vices` in binding `risky` is open"), "{requeue:?}");
    let log = site.gateway.log().clone();
    let counters = site.gateway.stop();
    assert_eq!((counters["dead_lettered"], counters["chain_forwarded"]), (4, 1));
    let state = |line: &str| {
        line.contains("stopped; messages=") && line.contains("risky=open") && line.contains("breaker_open=1")
    };
    assert_eq!(log.count(state), 1, "its state is told at the end");
}

#[test]
fn after_open_for_one_message_is_a_probe_and_its_success_brings_the_plugin_back() {
    let mut site = site("1ms");
    site.fail_for_several();
    // It is half-open when it says so; each message until then is a dead letter, and none is lost.
    while site.send("risky", "echo").topic == "out/dead" {}
    site.gateway.expect_log(&["vices", "risky", "works again"]);
    assert_eq!(site.send("risky", "echo").topic, "out/risky");
    site.gateway.stop();
}

#[test]
fn what_one_device_sends_takes_the_plugin_from_no_other() {
    let mut site = site("1h");
    for _ in 0..6 {
        assert_eq!(reason(&site.send("risky", "trap")), "trapped");
    }
    assert_eq!(site.send_of("other", "risky", "echo").topic, "out/risky");
    assert_eq!(site.send("risky", "echo").topic, "out/risky", "nor from what it sends itself");
    site.gateway.stop();
}

#[test]
fn messages_that_are_refused_for_good_do_not_open_the_breaker() {
    let mut site = site("1h");
    for _ in 0..9 {
        assert_eq!(reason(&site.send("risky", "refuse")), "refused the message");
    }
    assert_eq!(site.send("risky", "echo").topic, "out/risky");
    site.gateway.stop();
}
