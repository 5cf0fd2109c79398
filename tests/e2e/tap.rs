//! `tidegate tap --why`: what becomes of a message, step by step, and nothing that a plugin has to take out first.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tidegate_tests::binary;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

const PLUGINS: &str = r#"
[plugins.plausible]
component = "plugins/threshold.wasm"
config = { field = "/c", max = 100.0 }
[plugins.fahrenheit]
component = "plugins/convert.wasm"
config = { fields = [{ path = "/c", from = "celsius", to = "fahrenheit", to_path = "/f", decimals = 0 }] }
[plugins.redact]
component = "plugins/redact.wasm"
config = { remove = ["/who"] }
"#;

/// One that runs, and is open.
struct Tap(Process);

impl Tap {
    fn open(gateway: &Gateway, filter: &str, more: &[&str]) -> Self {
        let mut command = std::process::Command::new(binary::tidegate());
        command.args(["tap", "-c", "gateway.toml", filter]).args(more).current_dir(gateway.home().path());
        let mut tap = Process::start("tidegate tap", &mut command);
        soon("the tap is open", || tap.err().text().contains("looking at") || tap.has_ended().is_some());
        Self(tap)
    }

    /// The whole way of so many messages, as JSON.
    fn why(gateway: &Gateway, filter: &str, count: usize) -> Self {
        Self::open(gateway, filter, &["--why", "--format", "json", "--count", &count.to_string()])
    }

    fn lines(&self) -> Vec<Value> {
        let read = |line: String| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.0.out().all().into_iter().map(read).collect()
    }

    fn expect(&self, step: &str) -> Value {
        let found = || self.lines().into_iter().find(|line| line["step"] == step);
        soon(&format!("the step `{step}` in {:#?}", self.lines()), || found().is_some());
        found().unwrap_or_default()
    }

    /// When it has seen all that it wanted.
    fn end(mut self) -> Vec<Value> {
        assert!(self.0.wait().success(), "{}", self.0.err().text());
        let whole = |lines: &[Value]| lines.last().is_some_and(|line| line["step"] == "done");
        soon("its last line is read", || whole(&self.lines()));
        self.lines()
    }
}

fn steps(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["step"].as_str()).collect()
}

fn bindings(cloud: &Mosquitto) -> String {
    format!(
        r#"{}{PLUGINS}
        [[bindings]]
        name = "b"
        topic = "in/#"
        plugins = ["plausible", "fahrenheit"]
        to = [{{ upstream = "cloud", topic = "up/{{topic}}" }}]
        "#,
        cloud.upstream("cloud", 5)
    )
}

#[test]
fn the_whole_way_of_a_message_is_told_to_the_ack_of_its_upstream() {
    let mut cloud = Mosquitto::stopped();
    let gateway = Gateway::start(&bindings(&cloud));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    // Its plugins have started by then.
    device.publish("in/before", r#"{"c":1}"#, 1);
    let tap = Tap::why(&gateway, "in/+", 1);
    device.publish("in/x", r#"{"c":10}"#, 1);
    let spool = tap.expect("spool");
    assert_eq!((&spool["upstream"], &spool["number"], &spool["ahead"]), (&"cloud".into(), &2.into(), &1.into()));
    assert!(!steps(&tap.lines()).contains(&"ended"), "nobody has it yet");
    cloud.restart();
    let lines = tap.end();
    let expected = ["received", "bindings", "plugin", "plugin", "binding", "spool", "sending", "ended", "done"];
    assert_eq!(steps(&lines), expected, "{lines:#?}");
    assert_eq!((&lines[0]["client"], &lines[0]["topic"]), (&"device".into(), &"in/x".into()));
    assert_eq!(lines[0]["payload"]["text"], r#"{"c":10}"#);
    assert_eq!(lines[1]["bindings"], serde_json::json!(["b"]));
    assert_eq!((&lines[2]["plugin"], &lines[2]["verdict"]), (&"plausible".into(), &"forward".into()));
    let convert = &lines[3];
    assert_eq!((&convert["binding"], &convert["plugin"]), (&"b".into(), &"fahrenheit".into()));
    assert_eq!(convert["before"]["text"], r#"{"c":10}"#);
    assert_eq!(convert["after"][0]["payload"]["text"], r#"{"f":50}"#);
    assert_eq!(lines[4]["became"], "forwarded");
    assert_eq!((&lines[7]["fate"], &lines[7]["number"]), (&"acknowledged".into(), &2.into()));
    gateway.stop();
}

#[test]
fn why_a_message_does_not_arrive_is_told_wherever_it_ends() {
    let cloud = Mosquitto::start();
    let rules = "[[access.rules]]\npublish = [\"in/#\", \"free/#\"]\n";
    let gateway = Gateway::start(&format!("{}{rules}", bindings(&cloud)));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let ends = [
        ("in/filtered", r#"{"c":500}"#, "binding", "filtered"),
        ("in/failed", "no JSON", "binding", "dead-lettered"),
        ("free/x", "x", "bindings", ""),
        ("forbidden", "x", "denied", ""),
    ];
    for (topic, payload, step, became) in ends {
        let tap = Tap::why(&gateway, topic, 1);
        device.publish(topic, payload, 1);
        let lines = tap.end();
        let last = lines.iter().find(|line| line["step"] == step).unwrap_or_else(|| panic!("{topic}: {lines:#?}"));
        match step {
            "binding" => assert_eq!(last["became"], became, "{lines:#?}"),
            "bindings" => assert_eq!(last["bindings"], serde_json::json!([])),
            _ => assert!(last["reason"].as_str().is_some_and(|reason| reason.contains("gateway.toml")), "{last}"),
        }
    }
    gateway.stop();
}

#[test]
fn what_a_plugin_has_to_take_out_is_not_shown_before_it_has_nor_by_another_binding() {
    let config = format!(
        r#"{PLUGINS}
        [[bindings]]
        name = "clean"
        topic = "in/#"
        plugins = ["redact", "fahrenheit"]
        to = [{{ local = true, topic = "clean/{{topic}}" }}]
        [[bindings]]
        name = "whole"
        topic = "in/#"
        plugins = ["fahrenheit"]
        to = [{{ local = true, topic = "whole/{{topic}}" }}]
        "#
    );
    let gateway = Gateway::start(&config);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let taps = [Tap::why(&gateway, "#", 1), Tap::open(&gateway, "#", &["--why", "--count", "1"])];
    // Also the first of all, whose plugins may still start.
    device.publish("in/x", r#"{"who":"Ada","c":10}"#, 1);
    let [json, text] = taps;
    let lines = json.end();
    let after: Vec<_> = lines.iter().filter_map(|line| line["after"][0]["payload"]["text"].as_str()).collect();
    assert_eq!(after, [r#"{"c":10}"#, r#"{"f":50}"#]);
    let mut text = text.0;
    assert!(text.wait().success());
    soon("its last line is read", || text.out().text().contains(" done"));
    for said in [serde_json::to_string(&lines).unwrap_or_default(), text.out().text()] {
        assert!(!said.contains("Ada") && !said.contains("416461"), "{said}");
    }
    assert!(text.out().text().contains("20 bytes, not shown"), "{}", text.out().text());
    gateway.stop();
}

#[test]
fn a_tap_is_bounded_in_what_it_follows_and_ends_with_who_looks() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let mut other = Raw::clean(gateway.address(), V5, "other");
    let some = Tap::open(&gateway, "t/#", &["--every", "10", "--client", "device", "--rate", "1000", "--count", "3"]);
    for number in 0..30 {
        other.publish("t/x", "not this one", 1);
        device.publish("t/x", &number.to_string(), 1);
    }
    let mut some = some.0;
    assert!(some.wait().success());
    soon("three of thirty", || some.out().all().len() == 3);
    let shown = some.out().text();
    assert!(["bytes: 0", "bytes: 10", "bytes: 20"].iter().all(|payload| shown.contains(payload)), "{shown}");
    // As many as there may be; and when they have gone, others.
    let mut taps: Vec<_> = (0..4).map(|_| Tap::open(&gateway, "#", &[])).collect();
    let refused = gateway.home().tidegate("tap", &["#"]);
    assert!(refused.code == Some(1) && refused.err.contains("4 taps are open already"), "{refused:?}");
    taps.iter_mut().for_each(|tap| tap.0.kill());
    soon("there is room again", || Tap::open(&gateway, "#", &["--for", "1s"]).0.wait().success());
    let wrong = gateway.home().tidegate("tap", &["a/#/b"]);
    assert!(wrong.code == Some(1) && wrong.err.contains("`#` stands for"), "{wrong:?}");
    gateway.stop();
}

#[test]
fn only_who_may_open_the_socket_of_a_gateway_that_runs_sees_messages() {
    let gateway = Gateway::start("");
    let socket = fs::metadata(gateway.home().path().join("data/admin.sock")).expect("the admin socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    gateway.stop();
    let home = Home::new("");
    let nobody = home.tidegate("tap", &["#"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("no gateway runs"), "{nobody:?}");
}
