//! What `check` and a start say about files, before a device meets them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tidegate_tests::gateway::{Home, Launch};
use tidegate_tests::process::Finished;
use tidegate_tests::tls::{Authority, Leaf, replace};

use super::{CERTIFICATE, MUTUAL, Plant, home};

/// All files as they should be.
fn good(ends_in_days: i64, list_ends_in_days: i64) -> Home {
    let (authority, home) = (Authority::new("ca"), home(MUTUAL, CERTIFICATE, ""));
    authority.sign(&Leaf { common_names: &["gw"], ends_in_days, ..Leaf::default() }).write(home.path(), "gw");
    replace(&home.path().join("devices.pem"), &authority.pem);
    replace(&home.path().join("devices.crl"), &authority.revoke(&[], list_ends_in_days));
    home
}

fn check(home: &Home) -> Finished {
    home.tidegate("check", &["--offline"])
}

#[track_caller]
fn says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    for word in words {
        assert!(finished.err.contains(word) || finished.out.contains(word), "no `{word}` in {finished:#?}");
    }
}

#[test]
fn a_good_listener_is_described() {
    let finished = check(&good(100, 30));
    says(&finished, 0, &["listener devices: certificate of CN=gw, until 20", "with a key of P-256"]);
    assert!(!finished.err.contains("warning"), "{finished:?}");
}

#[test]
fn what_ends_soon_or_has_ended_is_doubted() {
    says(&check(&good(20, 30)), 0, &["warning: listener devices: its certificate expires in ", "renew it"]);
    says(&check(&good(0, 30)), 0, &["its certificate has expired at"]);
    says(&check(&good(100, -1)), 0, &["a revocation list of `crl` was to be replaced by"]);
}

#[test]
fn a_key_that_others_can_read_is_named_with_the_command_that_mends_it() {
    let home = good(100, 30);
    for mode in [0o640, 0o604] {
        let key = home.path().join("gw.key");
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        says(&check(&home), 0, &["warning: secrets: listener `devices`: the key", "`chmod 600 ", "gw.key`"]);
    }
}

#[test]
fn files_that_cannot_be_used_keep_the_gateway_from_starting() {
    for (file, text, words) in [
        ("gw.key", Authority::new("x").server().key_pem, ["gw.key", "does not belong to the certificate"]),
        ("gw.pem", "no PEM".into(), ["gw.pem", "CERTIFICATE"]),
        ("devices.pem", "no PEM".into(), ["devices.pem", "CERTIFICATE"]),
        ("devices.crl", "no PEM".into(), ["devices.crl", "X509 CRL"]),
    ] {
        let home = good(100, 30);
        replace(&home.path().join(file), &text);
        for finished in [check(&home), home.tidegate("run", &[])] {
            says(&finished, 78, &[&words[..], &["listener `devices`"]].concat());
            assert!(!finished.err.contains("listening listener"), "{finished:?}");
        }
    }
}

#[test]
fn the_two_lines_that_lock_a_door_are_named() {
    let open = Home::exactly("[broker.listeners.all]\nbind = \"0.0.0.0:0\"\n");
    says(&check(&open), 78, &["tls = { cert = ", "auth = \"certificate\"", "allow_insecure"]);
    let half = good(100, 30);
    let config = fs::read_to_string(half.path().join("gateway.toml")).unwrap();
    let outside = config.replacen(
        "[broker.listeners.devices]\nbind = \"127.0.0.1:0\"",
        "[broker.listeners.devices]\nbind = \"0.0.0.0:0\"",
        1,
    );
    fs::write(half.path().join("gateway.toml"), &outside).unwrap();
    says(&check(&half), 0, &["good: 2 listeners"]);
    fs::write(half.path().join("gateway.toml"), outside.replace(CERTIFICATE, "")).unwrap();
    says(&check(&half), 78, &["nobody proves who he is", "auth = \"certificate\""]);
}

#[test]
fn a_certificate_that_ends_soon_is_told_by_a_gateway_that_runs() {
    let plant = Plant::with(MUTUAL, CERTIFICATE, "", &Launch::default());
    let soon_over = plant.server_ca.sign(&Leaf { ends_in_days: 5, ..Leaf::default() });
    assert_eq!(plant.gateway.log().count(|line| line.contains("its certificate expires")), 0);
    soon_over.write(plant.gateway.home().path(), "gw");
    plant.gateway.expect_log(&["WARN", "listener=devices", "its certificate expires in "]);
    let status = plant.gateway.home().tidegate("status", &[]);
    says(&status, 0, &["listener devices: its certificate expires in "]);
    let end = plant.count("tls_not_after_timestamp_seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((end - now).abs_diff(5 * 86_400) < 600, "{end}");
    plant.gateway.stop();
}
