//! Signals: two of them stop the gateway in good order, and no other one of those that people send ends it.

use std::sync::Arc;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

#[test]
fn a_hang_up_and_the_users_signals_are_answered_in_the_log_and_end_nothing() {
    let home = Arc::new(Home::new(""));
    let mut process = Launch::default().start(&home);
    let listens = || process.err().find(tidegate_tests::gateway::address);
    let address = tidegate_tests::eventually::eventually("it listens", tidegate_tests::eventually::SOON, listens);
    for (signal, says) in [("HUP", "SIGHUP"), ("USR1", "SIGUSR1"), ("USR2", "SIGUSR2"), ("XFSZ", "SIGXFSZ")] {
        process.signal(signal);
        tidegate_tests::eventually::soon(says, || process.err().count(|line| line.contains(says)) > 0);
        Raw::clean(address, V5, "device");
    }
    process.signal("PIPE");
    Raw::clean(address, V5, "device");
    process.terminate();
    assert!(process.wait().success());
}

#[test]
fn a_second_signal_does_not_cut_a_stop_short() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("INT", "TERM"), ("TERM", "HUP")] {
        let gateway = Gateway::start("");
        let _device = Raw::clean(gateway.address(), V5, "device");
        let pid = gateway.pid();
        // In one go: a stop may be over before another shell has started.
        let line = format!("kill -{first} {pid}; kill -{second} {pid}");
        let sent = std::process::Command::new("sh").arg("-c").arg(&line).status();
        assert!(sent.is_ok_and(|status| status.success()), "{line}");
        let log = gateway.log().clone();
        assert!(gateway.wait_for_end().success(), "{line}");
        assert_eq!(log.count(|line| line.contains("=balanced")), 1, "{line}: a whole stop");
    }
}
