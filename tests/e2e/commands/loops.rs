//! What comes down must not go up again for ever.

use tidegate_tests::device::Device;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::ports;

/// Takes everything below `a`, and sends it below the same.
fn config(upstream: &str, id: &str, options: &str) -> String {
    format!(
        "[gateway]\nid = \"{id}\"\ndata_dir = \"data\"\n[broker.listeners.local]\nbind = \"127.0.0.1:{}\"\n{upstream}subscribe = \
         [{{ filter = \"a/#\", qos = 1{options} }}]\n\n[[bindings]]\nname = \"echo\"\nfrom = \"cloud\"\ntopic = \"a/#\"\nto = [{{ upstream = \
         \"cloud\" }}]\n",
        ports::free()
    )
}

#[test]
fn a_loop_that_can_be_seen_is_refused_by_check() {
    let upstream = "[upstreams.cloud]\nurl = \"mqtt://localhost\"\n";
    for (protocol, options) in [("", ", no_local = false"), ("protocol = 4\n", "")] {
        let finished =
            Home::exactly(&config(&format!("{upstream}{protocol}"), "gw", options)).tidegate("check", &["--offline"]);
        assert_eq!(finished.code, Some(78), "{finished:?}");
        assert!(finished.err.contains("may go round for ever: `echo` -> `echo`"), "{finished:?}");
    }
    let finished = Home::exactly(&config(upstream, "gw", "")).tidegate("check", &["--offline"]);
    assert_eq!(finished.code, Some(0), "with no-local, it does not come back: {finished:?}");
}

/// With no-local, each hears only the other. Neither can see that.
#[test]
fn two_gateways_that_echo_each_other_stop_after_eight_crossings() {
    let upstream = Mosquitto::start();
    let start = |id: &str| {
        let home = std::sync::Arc::new(Home::exactly(&config(&upstream.upstream("cloud", 5), id, "")));
        Gateway::launch(&home, &Default::default())
    };
    let gateways = [start("one"), start("two")];
    tidegate_tests::eventually::soon("both are subscribed", || {
        upstream.said().iter().filter(|line| line.contains("Sending SUBACK to tidegate-")).count() == 2
    });
    Device::new("operator", upstream.address(), 5).qos(1).publish_one("a/b", "x");
    // Both hear the first one: each of the two goes round until it has crossed eight.
    gateways.iter().for_each(|gateway| gateway.expect_letters(1));
    for gateway in gateways {
        let counters = gateway.stop();
        assert_eq!((counters["hop_limit_exceeded"], counters["forwarded"], counters["received"]), (1, 7, 8));
    }
}
