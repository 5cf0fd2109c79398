//! TLS towards a real mosquitto, with certificates as openssl makes them.

mod files;
mod refusals;
mod trust;

use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::openssl::Openssl;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

/// Shows `NAME.pem`.
fn broker(openssl: &Openssl, name: &str, more: &str) -> Mosquitto {
    let path = |end: &str| openssl.path(&format!("{name}.{end}")).display().to_string();
    Mosquitto::configured(&format!("certfile {}\nkeyfile {}\n{more}", path("pem"), path("key")))
}

fn config(host: &str, port: u16, lines: &str) -> String {
    format!(
        "[upstreams.cloud]\nurl = \"mqtts://{host}:{port}\"\n{lines}\n[[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"cloud\" }}]\n"
    )
}

/// A line that names a file.
fn file(openssl: &Openssl, key: &str, name: &str) -> String {
    format!("{key} = \"{}\"\n", openssl.path(name).display())
}

/// What `check` says, whatever it thinks of it.
fn checked(config: &str) -> String {
    let finished = Home::new(config).tidegate("check", &[]);
    finished.out + &finished.err
}

/// A message that a device publishes has gone to the upstream.
fn forwards(gateway: &Gateway, count: usize) {
    Raw::clean(gateway.address(), V5, "device").publish("t", "payload", 1);
    gateway.expect_count("forwarded", count);
}
