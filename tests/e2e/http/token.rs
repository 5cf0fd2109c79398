//! The token of `operate.http_token_file`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::http::get_with;

const FIRST: &str = "0123456789abcdef0123456789abcdef";
const SECOND: &str = "fedcba9876543210fedcba9876543210";
const GUARDED: &str = "[operate]\nhttp = \"127.0.0.1:0\"\nhttp_token_file = \"http.token\"\n";

fn home(token: &str) -> Arc<Home> {
    let home = Home::new(GUARDED);
    let path = home.path().join("http.token");
    fs::write(&path, token).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    Arc::new(home)
}

fn status(gateway: &Gateway, token: &str) -> u16 {
    get_with(gateway.http(), "/metrics", &format!("Authorization: Bearer {token}\r\n")).status
}

#[test]
fn who_has_not_the_token_sees_nothing_and_is_counted() {
    let home = home(&format!("{FIRST}\n"));
    let gateway = Gateway::launch(&home, &Launch::default());
    assert_eq!(get_with(gateway.http(), "/metrics", "").status, 401);
    assert_eq!(get_with(gateway.http(), "/readyz", "").body, "ready\n");
    assert_eq!((status(&gateway, SECOND), status(&gateway, FIRST)), (401, 200));
    let text = get_with(gateway.http(), "/metrics", &format!("Authorization: Bearer {FIRST}\r\n")).body;
    assert!(text.contains("\ntidegate_http_tokens_refused_total 1\n"), "{text}");
    // One that is half written or gone changes nothing.
    fs::write(home.path().join("http.token"), "short").unwrap();
    gateway.expect_log(&["the token for HTTP", "stays in use"]);
    assert_eq!(status(&gateway, FIRST), 200);
    fs::write(home.path().join("http.token"), SECOND).unwrap();
    soon("the new token is in force", || status(&gateway, SECOND) == 200);
    assert_eq!(status(&gateway, FIRST), 401);
    assert!(gateway.log().count(|line| line.contains(FIRST) || line.contains(SECOND)) == 0, "a secret in the log");
}

#[test]
fn a_file_without_a_token_is_an_error_at_the_start_and_in_check() {
    let home = home("too short\n");
    let stillborn = Gateway::try_launch(&home, &Launch::default()).err().expect("it does not start");
    assert!(stillborn.log.text().contains("openssl rand"), "{stillborn:?}");
    let checked = home.tidegate("check", &["--offline"]);
    assert!(checked.code == Some(78) && checked.err.contains("http.token"), "{checked:?}");
}
