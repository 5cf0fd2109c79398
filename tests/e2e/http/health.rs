//! `/healthz` and `/readyz`: two questions, with different answers.

use std::net::TcpListener;
use std::sync::Arc;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::http::get;
use tidegate_tests::mosquitto::Mosquitto;

use super::HTTP;

/// `vices` is asked for something that it is not: it does not start.
const STOPPED: &str = r#"
[plugins.rename]
component = "plugins/rename.wasm"
config = { nonsense = true }
[[bindings]]
name = "renaming"
topic = "a/#"
plugins = ["rename"]
to = [{ local = true, topic = "out/{topic}" }]
"#;

#[test]
fn a_gateway_is_ready_without_its_upstream() {
    let away = Mosquitto::stopped();
    let binding = "[[bindings]]\nname = \"b\"\ntopic = \"#\"\nto = [{ upstream = \"cloud\" }]\n";
    let gateway = Gateway::start(&format!("{HTTP}{}{binding}", away.upstream("cloud", 5)));
    for (path, said) in [("/readyz", "ready\n"), ("/healthz", "alive\n")] {
        let answer = get(gateway.http(), path);
        assert_eq!((answer.status, answer.body.as_str()), (200, said));
    }
}

#[test]
fn one_with_a_plugin_that_does_not_start_lives_and_says_which_is_missing() {
    let gateway = Gateway::start(&format!("{HTTP}{STOPPED}"));
    gateway.expect_log(&["renaming", "nonsense"]);
    let answer = get(gateway.http(), "/readyz");
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.starts_with("not ready\nbinding `renaming` is stopped: ") && answer.body.contains("nonsense"),
        "{answer:?}"
    );
    assert_eq!(get(gateway.http(), "/healthz").status, 200);
    assert_eq!(get(gateway.http(), "/metrics").status, 200);
}

#[test]
fn a_port_that_is_taken_is_an_error_at_the_start_and_in_check() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let home = Arc::new(Home::new(&format!("[operate]\nhttp = \"127.0.0.1:{port}\"\n")));
    let stillborn = Gateway::try_launch(&home, &Launch::default()).err().expect("it does not start");
    assert!(stillborn.log.text().contains(&format!("`operate.http` cannot bind 127.0.0.1:{port}")), "{stillborn:?}");
    let checked = home.tidegate("check", &["--offline"]);
    assert!(checked.code == Some(78) && checked.err.contains(&port.to_string()), "{checked:?}");
}
