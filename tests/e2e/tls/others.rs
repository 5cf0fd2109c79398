//! Clients that other people wrote, with their own TLS: OpenSSL, in `mosquitto_pub` and by itself, and GnuTLS.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tidegate_tests::eventually::soon;
use tidegate_tests::process::{Finished, Process, finish};
use tidegate_tests::tls::replace;
use tidegate_tests::wire::{Connect, V4};

use super::Plant;

/// The files that a device has.
struct Device {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

fn device(plant: &Plant, name: &str) -> Device {
    let home = plant.gateway.home().path();
    let ca = home.join("server-ca.pem");
    replace(&ca, &plant.server_ca.pem);
    let (cert, key) = plant.device_ca.device(name).write(home, name);
    Device { ca, cert, key }
}

fn mosquitto(program: &str, plant: &Plant, device: &Device) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "localhost", "-p", &plant.address.port().to_string()]);
    command.arg("--cafile").arg(&device.ca).arg("--cert").arg(&device.cert).arg("--key").arg(&device.key);
    command
}

#[test]
fn mosquitto_publishes_and_subscribes_over_tls() {
    let plant = Plant::start();
    let device = device(&plant, "sensor");
    for (version, name) in [("tlsv1.2", "a"), ("tlsv1.3", "b")] {
        let mut listening = mosquitto("mosquitto_sub", &plant, &device);
        listening.args(["-i", &format!("sub-{name}"), "-t", name, "-q", "2", "-C", "3", "--tls-version", version]);
        let mut listening = Process::start("mosquitto_sub", &mut listening);
        plant.gateway.expect_log(&[": connected ", &format!("sub-{name}"), "user=\"sensor\""]);
        for qos in ["0", "1", "2"] {
            let mut publishing = mosquitto("mosquitto_pub", &plant, &device);
            publishing.args(["-i", "pub", "-t", name, "-m", qos, "-q", qos, "-r", "--tls-version", version]);
            let finished = finish("mosquitto_pub", &mut publishing);
            assert_eq!(finished.code, Some(0), "{finished:?}");
        }
        soon("three messages", || listening.out().all().len() == 3);
        assert!(listening.wait().success());
    }
    plant.gateway.stop();
}

/// CONNECT; and DISCONNECT once the gateway has let it in, where it does.
fn talk(command: &mut Command, welcome: impl FnOnce()) -> Finished {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is installed");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&Connect::new(V4, "by-hand").encode()).expect("it reads");
    welcome();
    // It may have ended by itself.
    let _ = stdin.write_all(tidegate_tests::wire::GOODBYE);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Connections of it that were let in, and closed by the gateway as TLS wants it.
fn is_let_in(plant: &Plant, command: &mut Command, times: usize) -> Finished {
    let finished =
        talk(command, || plant.gateway.expect_log_times(times, &[": connected ", "by-hand", "user=\"sensor\""]));
    assert!(!finished.err.contains("unexpected eof"), "{finished:#?}");
    finished
}

fn openssl(plant: &Plant, device: &Device, more: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        &plant.address.to_string(),
        "-servername",
        "localhost",
        "-ign_eof",
        "-CAfile",
    ]);
    command.arg(&device.ca).arg("-cert").arg(&device.cert).arg("-key").arg(&device.key).args(more);
    command
}

#[test]
fn openssl_agrees_on_all_that_is_spoken_here() {
    let plant = Plant::start();
    let device = device(&plant, "sensor");
    let offers = [
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"][..],
        &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "P-384"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305", "-groups", "P-256"],
    ];
    for (index, more) in offers.into_iter().enumerate() {
        let finished = is_let_in(&plant, &mut openssl(&plant, &device, more), index + 1);
        assert!(finished.out.contains("Verify return code: 0 (ok)"), "{more:?} {finished:#?}");
        // CONNACK of 3.1.1.
        assert!(finished.out.contains("\u{20}\u{2}\0\0"), "{more:?} {finished:#?}");
    }
    plant.gateway.stop();
}

#[test]
fn what_openssl_of_an_old_device_lacks_is_called_by_its_name() {
    for (more, says) in [
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..], "offers TLS 1.1 at most"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "offers no ECDHE with AES-GCM or ChaCha20"),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "offers no ECDHE"),
        (&["-tls1_3", "-groups", "P-521"], "X25519, P-256 and P-384"),
    ] {
        let plant = Plant::start();
        let device = device(&plant, "sensor");
        let finished = talk(&mut openssl(&plant, &device, more), || ());
        assert!(finished.err.contains("alert"), "{finished:#?}");
        plant.gateway.expect_log(&["no TLS connection", says]);
        plant.expect_count("tls_incompatible_total", 1);
    }
}

#[test]
fn gnutls_shows_its_certificate_and_is_let_in() {
    let plant = Plant::start();
    let device = device(&plant, "sensor");
    let versions = ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"];
    for (index, priority) in versions.into_iter().enumerate() {
        let mut command = Command::new("gnutls-cli");
        command.args(["--port", &plant.address.port().to_string(), "--priority", priority, "--logfile", "/dev/stderr"]);
        command.arg("--x509cafile").arg(&device.ca).arg("--x509certfile").arg(&device.cert);
        command.arg("--x509keyfile").arg(&device.key).arg("localhost");
        is_let_in(&plant, &mut command, index + 1);
    }
    plant.gateway.stop();
}
