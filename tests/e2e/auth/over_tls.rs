//! Passwords over TLS, and certificates, which own client identifiers and sessions as passwords do.

use std::process::Command;
use std::sync::Arc;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::process::finish;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Authority, Client, Issued, replace};
use tidegate_tests::wire::{self, Connect, V5};

use super::{FILE, mosquitto_passwd};

fn home(listener: &str, access: &str) -> Home {
    Home::exactly(&format!(
        "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n\n[broker.listeners.devices]\n{listener}\n\n{access}\n"
    ))
}

#[test]
fn a_door_with_tls_passwords_and_rules_is_locked_and_open_to_who_has_the_password() {
    let home = home(
        "bind = \"0.0.0.0:0\"\nauth = \"password\"\ntls = { cert = \"gw.pem\", key = \"gw.key\" }",
        &format!("[access]\npasswords = \"{FILE}\"\n[[access.rules]]\nwho = {{ user = \"ann\" }}\npublish = [\"t\"]"),
    );
    let authority = Authority::new("CA");
    authority.server().write(home.path(), "gw");
    replace(&home.path().join("ca.pem"), &authority.pem);
    replace(&home.path().join(FILE), "");
    mosquitto_passwd(home.path(), "ann", "a", "sha512-pbkdf2");
    let checked = home.tidegate("check", &["--offline", "--strict"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let gateway = Gateway::launch(&Arc::new(home), &Launch::default());
    let publish = |password: &str, topic: &str| {
        let port = gateway.address().port().to_string();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "localhost", "-p", &port, "--cafile", "ca.pem", "-V", "mqttv5", "-q", "1"]);
        command.args(["-u", "ann", "-P", password, "-t", topic, "-m", "x"]).current_dir(gateway.home().path());
        finish("mosquitto_pub", &mut command)
    };
    let right = publish("a", "t");
    assert_eq!(right.code, Some(0), "{right:?}");
    assert_ne!(publish("wrong", "t").code, Some(0));
    publish("a", "elsewhere");
    gateway.expect_count("acl_denied", 1);
    gateway.expect_count("logins_refused", 1);
}

#[test]
fn the_name_of_a_certificate_owns_its_identifiers_and_its_session() {
    let (server, devices) = (Authority::new("server CA"), Authority::new("device CA"));
    let start = |client_id: &str| {
        let tls = "tls = { cert = \"gw.pem\", key = \"gw.key\", client_ca = \"devices.pem\" }";
        let home = home(&format!("bind = \"127.0.0.1:0\"\nauth = \"certificate\"\n{client_id}\n{tls}"), "");
        server.server().write(home.path(), "gw");
        replace(&home.path().join("devices.pem"), &devices.pem);
        Gateway::launch(&Arc::new(home), &Launch::default())
    };
    let [ann, bob] = ["ann", "bob"].map(|name| devices.device(name));
    let connect = |gateway: &Gateway, shows: &Issued, client: &str| {
        let stream = Client::new(&server).showing(shows).connect(gateway.address()).expect("a good certificate");
        let mut raw = Raw::over(stream, V5);
        // A user name that is sent is not the one that was proved.
        raw.send(&Connect::new(V5, client).persistent(600).user("ann", "x").encode());
        let reason = raw.expect(wire::CONNACK).reason();
        (raw, reason)
    };
    let gateway = start("");
    let (mut first, reason) = connect(&gateway, &ann, "device");
    assert_eq!(reason, 0);
    assert_eq!(connect(&gateway, &bob, "device").1, 0x87);
    first.expect_quiet();
    drop(first);
    gateway.expect_departure("device");
    assert_eq!(connect(&gateway, &bob, "device").1, 0x87);
    assert_eq!(connect(&gateway, &ann, "device").1, 0);
    let gateway = start("client_id = \"{user}-*\"");
    assert_eq!(connect(&gateway, &bob, "ann-1").1, 0x87);
    assert_eq!(connect(&gateway, &bob, "bob-1").1, 0);
}
