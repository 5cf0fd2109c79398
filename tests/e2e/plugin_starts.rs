//! A plugin that does not load, or does not take its configuration, stops its binding and no other.

use std::fs;
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{V4, V5, publish};

const THREE: &str = r#"
[plugins.absent]
component = "absent.wasm"
config = { min = 0.0 }

[plugins.refusing]
component = "plugins/vices.wasm"
config = { start = "refuse" }

[plugins.honest]
component = "plugins/threshold.wasm"
config = { min = 0.0 }

[[bindings]]
name = "held"
topic = "held"
plugins = ["absent"]
to = [{ local = true, topic = "out/held" }]

[[bindings]]
name = "held-too"
topic = "held/too"
plugins = ["honest", "absent"]
to = [{ local = true, topic = "out/held/too" }]

[[bindings]]
name = "refused"
topic = "refused"
plugins = ["honest", "refusing"]
on_start_failure = "dead-letter"
on_error = "drop"
to = [{ local = true, topic = "out/refused" }]

[[bindings]]
name = "other"
topic = "other"
plugins = ["honest"]
to = [{ local = true, topic = "out/other" }]
"#;

#[test]
fn plugins_that_do_not_start_stop_their_bindings_and_no_other() {
    let home = Arc::new(Home::new(THREE));
    let gateway = Gateway::launch(&home, &Launch::default());
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 0);
    let [mut device, mut held] = ["device", "held"].map(|name| Raw::clean(gateway.address(), V4, name));

    device.publish("other", "1", 1);
    assert_eq!(listener.expect_delivery().topic, "out/other");
    // Acknowledged, because it is kept although the binding drops what its plugins fail.
    device.publish("refused", "1", 1);
    gateway.expect_letters(1);
    held.send(&publish(V4, "held", "1").qos(1, 1).encode());
    device.publish("other", "2", 1);
    assert_eq!(listener.expect_delivery().payload, "2", "what is held is not out before it");

    gateway.expect_log(&["this binding is stopped", "absent.wasm", "tidegate plugin build", "held back"]);
    gateway.expect_log(&["this binding is stopped as `", "held", "by the same plugin"]);
    for reason in ["does not exist: build it", "`start` must not be `refuse`"] {
        let tells = |line: &str| line.contains(" ERROR ") && line.contains(reason);
        assert_eq!(gateway.log().count(tells), 1, "{reason} is told once");
    }
    gateway.expect_log(&["this binding is stopped", "refused", "`start` must not be `refuse`", "dead letters"]);
    let status = home.tidegate("status", &[]).out;
    for words in ["binding held is stopped: plugin `absent`", "binding refused is stopped", "again in"] {
        assert!(status.contains(words), "no `{words}` in {status}");
    }
    let metrics = home.tidegate("status", &["--format", "json"]).out;
    assert!(metrics.contains("tidegate_binding_stopped"), "{metrics}");
    assert_eq!(home.tidegate("check", &["--offline"]).code, Some(78), "for `check` it is an error");

    fs::copy(binary::plugins().join("threshold.wasm"), home.path().join("absent.wasm")).expect("the plugin is built");
    held.finish_publish(1, 1);
    assert_eq!(listener.expect_delivery().topic, "out/held");
    soon("they work again", || !home.tidegate("status", &[]).out.contains("binding held"));
    device.publish("held", "not a number", 1);
    gateway.expect_letters(2);
    let letters = home.spool("export", &["--dead-letters"]).out;
    let late = letters.lines().find(|line| line.contains("\"absent\"")).expect("a letter of the plugin that came late");
    let late: serde_json::Value = serde_json::from_str(late).expect("a JSON line");
    assert_eq!(late["facts"]["sha256"].as_str().map(str::len), Some(64), "whose component it was: {late}");
    let counters = gateway.stop();
    assert_eq!((counters["dead_lettered"], counters["chain_forwarded"]), (2, 3));
}

/// Each spins until its deadline when it is started.
fn slow_to_start(count: usize) -> String {
    let binding = |number: usize| {
        format!(
            "[[bindings]]\nname = \"b{number}\"\ntopic = \"slow/{number}\"\nplugins = [\"slow\"]\n\
             to = [{{ local = true, topic = \"out\" }}]\n"
        )
    };
    let plugin = "[plugins.slow]\ncomponent = \"plugins/vices.wasm\"\nconfig = { start = \"loop\" }\n\
                  limits = { start_deadline = \"4s\" }\n";
    plugin.to_owned() + &(0..count).map(binding).collect::<String>()
}

#[test]
fn devices_do_not_wait_for_plugins_that_are_slow_to_start() {
    let home = Arc::new(Home::new(&slow_to_start(6)));
    let gateway = Gateway::launch(&home, &Launch::default());
    let stopped = gateway.log().find(|line| line.contains("this binding is stopped").then_some(()));
    assert!(stopped.is_none(), "it listened after {:?}:\n{}", gateway.ready_after(), gateway.log().text());
    gateway.expect_log(&["this binding is stopped", "no answer within 4s"]);
    gateway.kill();
}
