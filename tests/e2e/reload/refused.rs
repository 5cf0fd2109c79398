//! What is wrong changes nothing, and is told with its place; what needs a restart is named; a dry run is one.

use std::net::TcpListener;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::*;

const RULE: &str = "[[access.rules]]\npublish = [\"allowed/#\"]\n";

/// Nothing that these files would change has changed.
fn expect_as_before(gateway: &Gateway, device: &mut Raw) {
    device.publish("anywhere", "as before", 1);
    assert_eq!(gateway.log().count(|line| line.contains("listener=extra")), 0);
    assert_eq!(gateway.log().count(|line| line.contains("configuration reloaded")), 0);
}

#[test]
fn a_file_that_is_wrong_leaves_the_old_configuration_and_says_where() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let extra = "[broker.listeners.extra]\nbind = \"127.0.0.1:0\"\n";
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let above = config(&format!("{RULE}{extra}")).lines().count();
    let at = |line: usize| format!("gateway.toml:{}:", above + line);
    for (wrong, says) in [
        ("[broker.limits]\nreceive_maximum = \"many\"\n".to_owned(), at(2)),
        ("this is not TOML\n".to_owned(), at(1)),
        ("[access]\nacl_file = \"missing\"\n".to_owned(), at(2)),
        ("tls = { cert = \"missing.pem\", key = \"missing.key\" }\n".to_owned(), "missing.pem".to_owned()),
        (format!("[broker.listeners.taken]\nbind = \"{address}\"\n"), "listener `taken` cannot bind".to_owned()),
    ] {
        write(&gateway, &format!("{RULE}{extra}{wrong}"));
        let finished = reload_by_folder(&gateway);
        assert_eq!(finished.code, Some(78), "{wrong}: {finished:?}");
        assert!(
            finished.err.contains(&says) && finished.err.contains("the configuration from before holds"),
            "{finished:?}"
        );
        expect_as_before(&gateway, &mut device);
        assert_eq!(try_reload(&gateway, &[]).code, Some(78), "{wrong}: with the file in its own hands");
    }
    gateway.stop();
}

#[test]
fn a_dry_run_says_what_would_change_and_what_needs_a_restart_and_changes_nothing() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let extra = "[broker.listeners.extra]\nbind = \"127.0.0.1:0\"\n[spool]\nmax_age = \"1d\"\n[broker.limits]\nmemory = \"64MiB\"\n";
    write(&gateway, &format!("{RULE}{extra}"));
    let finished = try_reload(&gateway, &["--dry-run"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for line in [
        "would change: listener extra: added",
        "would change: access rules",
        "needs a restart: spool",
        "needs a restart: broker.limits.memory",
        "this was a dry run",
    ] {
        assert!(finished.out.contains(line), "{line}: {}", finished.out);
    }
    expect_as_before(&gateway, &mut device);
    let json = try_reload(&gateway, &["--dry-run", "--format", "json"]).out;
    let plan: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (plan["dry_run"].as_bool(), plan["plan"]["now"][0]["what"].as_str()),
        (Some(true), Some("listener extra"))
    );
    // Done; and what was not is named again, until there was a restart.
    assert!(reload(&gateway).contains("needs a restart: spool"));
    gateway.listener("extra");
    let again = reload(&gateway);
    let has_changed = again.lines().any(|line| line.starts_with("changed: "));
    assert!(!has_changed && again.contains("needs a restart: spool"), "{again}");
    let gateway = gateway.stop_and_keep().start_again();
    assert!(reload(&gateway).contains("nothing differs from what runs"));
    gateway.stop();
}

#[test]
fn a_hang_up_reloads_and_the_log_says_what_became_of_it() {
    let gateway = Gateway::start("");
    write(&gateway, "[broker.listeners.extra]\nbind = \"127.0.0.1:0\"\n");
    hang_up(gateway.pid());
    gateway.expect_log(&["configuration reloaded"]);
    gateway.listener("extra");
    write(&gateway, "[broker]\nnonsense = 1\n");
    hang_up(gateway.pid());
    gateway.expect_log(&[
        "the configuration is not reloaded",
        &format!("gateway.toml:{}:", config("").lines().count() + 2),
    ]);
    gateway.stop();
}

#[test]
fn without_a_gateway_the_command_says_so() {
    let stopped = Gateway::start("").stop_and_keep();
    let finished = stopped.home().tidegate("reload", &[]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains("no gateway runs on"), "{finished:?}");
    soon("the folder is free", || stopped.home().spool("stat", &[]).code == Some(0));
}
