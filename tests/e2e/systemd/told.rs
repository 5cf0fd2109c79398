//! READY when everything is up, STOPPING at once, and nobody is waited for who does not listen.

use std::fs;
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::ports;
use tidegate_tests::raw::Raw;
use tidegate_tests::supervisor::Supervisor;
use tidegate_tests::wire::V5;

const REFUSING: &str = r#"
[plugins.refusing]
component = "plugins/vices.wasm"
config = { start = "refuse" }

[[bindings]]
name = "held"
topic = "held"
plugins = ["refusing"]
to = [{ local = true, topic = "out" }]
"#;

#[test]
fn devices_can_connect_at_the_moment_of_ready() {
    for _ in 0..5 {
        let (supervisor, port) = (Supervisor::listening(), ports::free());
        let home = Home::exactly(&format!(
            "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n[broker.listeners.local]\nbind = \"127.0.0.1:{port}\"\n"
        ));
        let mut process = supervisor.launch(None).start(&home);
        supervisor.wait_for("READY=1", 1);
        Raw::clean(([127, 0, 0, 1], port).into(), V5, "device");
        process.terminate();
        assert!(process.wait().success());
        assert_eq!(supervisor.count("READY=1"), 1, "{:?}", supervisor.told());
    }
}

#[test]
fn ready_waits_for_plugins_that_are_compiled_and_devices_do_not() {
    let home = Arc::new(Home::new(
        "[plugins.late]\ncomponent = \"late.wasm\"\nconfig = { min = 0 }\n\
         [[bindings]]\nname = \"late\"\ntopic = \"late\"\nplugins = [\"late\"]\nto = [{ local = true, topic = \"out\" }]\n",
    ));
    fs::remove_file(home.path().join("data/compiled")).expect("the cache that all tests share is a link");
    let component = binary::plugins().join("threshold.wasm");
    fs::copy(component, home.path().join("late.wasm")).expect("the plugin is built");
    let supervisor = Supervisor::listening();
    let gateway = Gateway::launch(&home, &supervisor.launch(None));
    Raw::clean(gateway.address(), V5, "device");
    supervisor.wait_for("READY=1", 1);
    gateway.expect_log(&["plugin loaded", "late"]);
    let told = supervisor.told();
    let at = |assignment: &str| told.iter().position(|told| told.starts_with(assignment));
    assert!(at("EXTEND_TIMEOUT_USEC=") < at("READY=1") && at("EXTEND_TIMEOUT_USEC=").is_some(), "{told:?}");
    assert!(told.iter().any(|told| told.starts_with("STATUS=") && told.contains("late")), "{told:?}");
}

#[test]
fn a_plugin_that_does_not_start_does_not_keep_a_gateway_from_ready() {
    let supervisor = Supervisor::listening();
    let gateway = Gateway::launch(&Arc::new(Home::new(REFUSING)), &supervisor.launch(None));
    supervisor.wait_for("READY=1", 1);
    gateway.expect_log(&["this binding is stopped", "held"]);
}

#[test]
fn a_gateway_that_cannot_start_is_never_ready_and_says_by_its_exit_code_whether_to_try_again() {
    let broken = [
        ("[broker.listeners.local]\nbind = \"127.0.0.1:0\"\nnonsense = true\n", 78),
        ("[gateway]\ndata_dir = \"gateway.toml\"\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n", 1),
    ];
    for (config, code) in broken {
        let supervisor = Supervisor::listening();
        let home = Home::exactly(config);
        let mut process = supervisor.launch(None).start(&home);
        assert_eq!(process.wait().code(), Some(code), "{}", process.err().text());
        assert_eq!(supervisor.told(), Vec::<String>::new());
    }
}

#[test]
fn a_stop_is_told_when_it_begins_and_no_sign_of_life_follows() {
    for signal in ["TERM", "INT"] {
        let (supervisor, home) = (Supervisor::listening(), Home::new(""));
        let mut process = supervisor.launch(Some(std::time::Duration::from_millis(30))).start(&home);
        supervisor.wait_for("WATCHDOG=1", 2);
        process.signal(signal);
        assert!(process.wait().success());
        let told = eventually("STOPPING=1", SOON, || {
            Some(supervisor.told()).filter(|told| told.contains(&"STOPPING=1".into()))
        });
        assert_eq!(
            told.iter().skip_while(|told| *told != "STOPPING=1").filter(|told| *told == "WATCHDOG=1").count(),
            0
        );
        assert!(told.iter().position(|told| told == "READY=1") < told.iter().position(|told| told == "STOPPING=1"));
    }
}

#[test]
fn a_supervisor_that_stands_still_or_is_gone_stops_nothing() {
    let silent = Supervisor::silent();
    let gone = Launch { env: vec![("NOTIFY_SOCKET".into(), "/nowhere/notify".into())], ..Launch::default() };
    let odd = Launch { env: vec![("NOTIFY_SOCKET".into(), "notify".into())], ..Launch::default() };
    for launch in [silent.launch(Some(std::time::Duration::from_millis(30))), gone, odd] {
        let gateway = Gateway::launch(&Arc::new(Home::new("")), &launch);
        let mut device = Raw::clean(gateway.address(), V5, "device");
        device.publish("t", "x", 2);
        gateway.expect_log(&["WARN", "supervisor"]);
        gateway.stop();
    }
}
