//! Access rules: asked at publish, at subscribe, for wills, and for each message when it is delivered.

mod delivery;
mod differential;
mod explained;
mod published;
mod reloaded;
mod restarted;
mod retained_sources;
mod shared;
mod subscribed;
mod users;
mod wills;

use std::fs;
use std::sync::Arc;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, V5};

/// The reason of MQTT 5 for what one may not do.
const NOT_AUTHORIZED: u8 = 0x87;

/// `watcher` may hear everything, and `writer` may say everything; others have what the ACL file says.
const PEOPLE: &str = r##"
[access]
acl_file = "acl"
[[access.rules]]
who = { client = "watcher" }
subscribe = ["#"]
[[access.rules]]
who = { client = "writer" }
publish = ["#", "$x/#"]
"##;

fn start(acl: &str) -> Gateway {
    start_with(acl, "")
}

/// `more` goes before the tables of `[access]`.
fn start_with(acl: &str, more: &str) -> Gateway {
    let home = Home::new(&format!("{more}{PEOPLE}"));
    fs::write(home.path().join("acl"), acl).unwrap();
    Gateway::launch(&Arc::new(home), &Launch::default())
}

fn watcher(gateway: &Gateway) -> Raw {
    let mut watcher = Raw::clean(gateway.address(), V5, "watcher");
    assert_eq!(watcher.subscribe("#", 1), 1);
    watcher
}

fn writer(gateway: &Gateway) -> Raw {
    Raw::clean(gateway.address(), V5, "writer")
}

/// Messages of these topics come in this order, are acknowledged, and nothing comes behind them. What is written down first may take its time.
fn expect_topics(subscriber: &mut Raw, topics: &[&str]) {
    for topic in topics {
        let delivered = subscriber.expect_delivery();
        assert_eq!(delivered.topic, *topic);
        subscriber.acknowledge(&delivered);
    }
    subscriber.expect_quiet();
}

/// Topics that have come so far to a session that ends with its connection, acknowledged: for such a one nothing is written down first.
fn heard(subscriber: &mut Raw) -> Vec<String> {
    let (mut heard, version) = (Vec::new(), subscriber.version());
    for _ in 0..2 {
        subscriber.send(wire::PING);
        while let Next::Packet(packet) = subscriber.next(tidegate_tests::eventually::SOON)
            && packet.kind() != wire::PINGRESP
        {
            let delivered = packet.delivered(version);
            subscriber.acknowledge(&delivered);
            heard.push(delivered.topic);
        }
    }
    heard
}

/// Puts another ACL file in the place of the first, as editors and deployments do, and waits until it holds.
fn change_acl(gateway: &Gateway, acl: &str) {
    let path = gateway.home().path();
    let words = ["access rules are read again"];
    let before = gateway.log().count(|line| line.contains(words[0]));
    fs::write(path.join("acl.new"), acl).unwrap();
    fs::rename(path.join("acl.new"), path.join("acl")).unwrap();
    gateway.expect_log_times(before + 1, &words);
}
