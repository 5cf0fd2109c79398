//! What a page tells an operator to type, typed.

use std::fs;

use tidegate_tests::eventually::soon;
use tidegate_tests::page::{blocks, shell, typed};
use tidegate_tests::ports;
use tidegate_tests::process::{Process, finish};

const SECURE: &str = include_str!("../../docs/secure.md");

#[test]
fn the_page_on_security_leads_to_a_device_that_is_let_in_and_one_that_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    // Another port: several tests may run on this machine.
    let page = SECURE.replace("8883", &ports::free().to_string());
    let ([certificate, passwords, check, run, client], [config]) =
        (&blocks(&page, "sh")[..], &blocks(&page, "toml")[..])
    else {
        panic!("the page has other blocks")
    };
    fs::write(folder.join("gateway.toml"), config).expect("a file in a temporary folder");
    typed(folder, certificate);
    typed(folder, passwords);
    assert!(typed(folder, check).out.contains("allowed: publish"));
    let mut gateway = Process::start("tidegate run", &mut shell(folder, &format!("exec {run}")));
    soon("it listens", || gateway.err().text().contains("listening") || gateway.has_ended().is_some());
    assert!(typed(folder, client).out.contains("received: 1"));
    // Neither without the password, nor under the name of another client.
    for (from, to) in [("$(cat sensor-7.secret)", "guessed"), ("-i sensor-7", "-i other")] {
        let changed = client.lines().next().expect("mosquitto_pub").replace(from, to);
        assert_ne!(finish("sh", &mut shell(folder, &changed)).code, Some(0), "{changed}");
    }
    gateway.terminate();
    assert!(gateway.wait().success());
}
