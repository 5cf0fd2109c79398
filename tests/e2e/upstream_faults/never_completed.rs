//! An upstream that takes a QoS 2 message and fails at its PUBREL: the others go on, also after a restart, and it becomes a dead letter.

use std::sync::Arc;

use serde_json::Value;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::upstream::{Stumble, Upstream};
use tidegate_tests::wire::V5;

fn config(upstream: &Upstream, protocol: u8) -> String {
    format!(
        "{}ack_timeout = \"1s\"\n\n[[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"cloud\" }}]\n",
        upstream.config(protocol)
    )
}

fn publish(gateway: &Gateway, topics: &[&str]) {
    let mut device = Raw::clean(gateway.address(), V5, "device");
    topics.iter().for_each(|topic| device.publish(topic, "x", 2));
}

fn only_letter(gateway: &Gateway) -> Value {
    let finished = gateway.home().spool("export", &["--dead-letters"]);
    let letters: Vec<Value> =
        finished.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters[0].clone()
}

#[test]
fn a_message_that_the_upstream_never_completes_holds_up_no_other_one_across_a_restart() {
    for (protocol, how) in [(4, Stumble::Closes), (5, Stumble::SaysNothing)] {
        let upstream = Upstream::start();
        upstream.stumble_on("bad", how);
        let home = Arc::new(Home::new(&config(&upstream, protocol)));
        let gateway = Gateway::launch(&home, &Launch::default());
        publish(&gateway, &["good/0", "bad/1", "good/1", "good/2"]);
        gateway.expect_log(&[if how == Stumble::Closes { "closed the connection" } else { "no PUBCOMP" }]);
        gateway.stop();
        let gateway = Gateway::launch(&home, &Launch::default());
        // What is acknowledged on a connection beside the one that is not is what says that it is that one.
        for n in 0..40 {
            publish(&gateway, &[&format!("later/{n}")]);
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        gateway.expect_letters(1);
        let letter = only_letter(&gateway);
        assert_eq!(letter["message"]["topic"].as_str(), Some("bad/1"));
        assert!(letter["facts"]["reason"].as_str().is_some_and(|said| said.contains("(PUBREC)")), "{letter}");
        upstream.wait_for(44);
        let mut topics: Vec<_> = upstream.arrivals().into_iter().map(|one| one.topic).collect();
        topics.sort();
        topics.dedup();
        assert_eq!((topics.len(), upstream.count()), (44, 44), "{protocol} {how:?}: each once");
        assert_eq!(gateway.stop()["undelivered"], 1);
    }
}
