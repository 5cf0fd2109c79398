//! The gateway dies at each step of what it takes over from an upstream: nothing that was acknowledged is lost, nothing comes twice at QoS 2.

use std::sync::Arc;

use tidegate_tests::commander::Commander;
use tidegate_tests::doors::Dial;
use tidegate_tests::gateway::{Gateway, Home, Launch, Stillborn};
use tidegate_tests::moments::Moments;
use tidegate_tests::stubborn::Habits;
use tidegate_tests::trial::doubled;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{V4, V5, Version};

/// Points that a message meets on its way from an upstream, whatever its QoS.
const POINTS: [&str; 7] = [
    "egress.message_read",
    "chain.plugin",
    "spool.before_append",
    "spool.mid_append",
    "spool.appended",
    "spool.synced",
    "egress.message_acked",
];
const EXACTLY_ONCE_ONLY: [&str; 2] = ["egress.message_pubrel", "egress.message_pubcomp"];

/// Each case again at another moment.
const HITS: [usize; 2] = [3, 40];

/// Messages that have to be acknowledged after the last death.
const FRESH: usize = 30;

/// What a crash may repeat at QoS 1: what the upstream and the gateway had in flight.
const REPEATED: usize = 20 + 100;

/// Through a plugin and two stages: a message of the upstream becomes a local one, and that goes on to another upstream.
const STAGED: &str = r#"
[plugins.doubled]
component = "plugins/convert.wasm"
config = { fields = [{ path = "/n", scale = 2.0, decimals = 0 }] }
limits = { deadline = "10s" }

[[bindings]]
name = "down"
from = "commands"
topic = "load/#"
plugins = ["doubled"]
to = [{ local = true, topic = "one/{topic}" }]

[[bindings]]
name = "one"
topic = "one/#"
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;

struct Trial {
    commander: Commander,
    sink: Upstream,
    home: Arc<Home>,
    crashes: usize,
    qos: u8,
}

// === impl Trial ===

impl Trial {
    fn new(version: Version, qos: u8) -> Self {
        let expect = |topic: &str, id: &str, number| doubled(&format!("one/{topic}"), id, number);
        let (name, topic, dial) = ("command".to_owned(), "load/command".to_owned(), Dial::default());
        let commander = Commander::start(Habits { name, topic, qos, version, padding: 0, expect, dial });
        let sink = Upstream::start();
        let subscribed = commander.config("commands", r#"[{ filter = "load/#", qos = 2 }]"#);
        let home = Arc::new(Home::new(&format!("{}{subscribed}{STAGED}", sink.config(5))));
        Self { commander, sink, home, crashes: 0, qos }
    }

    /// Fails when nobody dies there.
    fn die_at(&mut self, point: &str, hits: usize) {
        self.crashes += 1;
        match Gateway::try_launch(&self.home, &Launch::failing(&format!("{point}={hits}*off->return"))) {
            Err(Stillborn { .. }) => {}
            Ok(gateway) => drop(gateway.wait_for_end()),
        }
    }

    fn judge(self) {
        let gateway = Gateway::launch(&self.home, &Launch::default());
        self.commander.wait_for_more(FRESH);
        let oracle = self.commander.finish();
        self.sink.settle(&oracle);
        let counters = gateway.stop();
        assert_eq!(counters["acknowledged_lost"], 0, "{counters:#?}");
        let allowed = if self.qos == 1 { self.crashes * REPEATED } else { 0 };
        oracle.judge(&self.sink.seen()).assert_repeated_at_most(allowed, FRESH);
    }
}

fn dies_at_each(version: Version, qos: u8, points: &[&str]) {
    for point in points {
        let mut trial = Trial::new(version, qos);
        HITS.iter().for_each(|hits| trial.die_at(point, *hits));
        trial.judge();
    }
}

#[test]
fn a_death_at_any_step_loses_no_qos_1_message_of_an_upstream() {
    dies_at_each(V5, 1, &POINTS);
}

#[test]
fn a_death_at_any_step_neither_loses_nor_repeats_a_qos_2_message_of_an_upstream() {
    dies_at_each(V5, 2, &[&POINTS[..], &EXACTLY_ONCE_ONLY].concat());
}

#[test]
fn the_same_holds_with_an_upstream_of_3_1_1() {
    dies_at_each(V4, 2, &["spool.synced", "egress.message_acked", "egress.message_pubcomp"]);
}

#[test]
fn a_death_before_it_is_written_that_something_was_granted_asks_for_it_again() {
    let mut trial = Trial::new(V5, 2);
    trial.die_at("egress.subscription_granted", 0);
    trial.judge();
}

#[test]
fn kills_at_random_moments_neither_lose_nor_repeat_what_an_upstream_sends() {
    const KILLS: usize = 5;
    let (mut trial, mut moments) = (Trial::new(V5, 2), Moments::anew());
    for _ in 0..KILLS {
        let gateway = Gateway::launch(&trial.home, &Launch::default());
        trial.commander.wait_for_more(20);
        std::thread::sleep(moments.within(200));
        gateway.kill();
        trial.crashes += 1;
    }
    assert_eq!(trial.commander.subscribes(), 1, "it is remembered, and asked for once in a session");
    trial.judge();
}
