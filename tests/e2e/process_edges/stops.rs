//! The process ends in time, whatever hangs.

use std::process::Command;
use std::time::{Duration, Instant};

use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch, address};
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, V5};

/// By force at the latest, with something for a machine that is busy: `docker stop` waits for 10 s.
const AT_MOST: Duration = Duration::from_secs(12);

/// Longer than anybody waits, in strace's microseconds.
const HANGS: &str = "delay_enter=60000000";

/// With the exit code of a good stop.
pub fn assert_stops_in_time(mut process: Process) {
    let told = Instant::now();
    process.terminate();
    assert!(process.wait().success());
    assert!(told.elapsed() < AT_MOST, "{:?}", told.elapsed());
}

/// Whether this machine lets one process look into another.
fn has_strace() -> bool {
    let works = Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: strace does not work here");
    }
    works
}

fn under(args: &[&str]) -> Launch {
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
    Launch { under: [&strace, args].concat().into_iter().map(str::to_owned).collect(), ..Launch::default() }
}

#[test]
fn a_resolver_that_does_not_answer_holds_up_no_stop() {
    if !has_strace() {
        return;
    }
    let home = Home::new("[upstreams.cloud]\nurl = \"mqtt://broker.invalid\"\nconnect_timeout = \"1s\"\n");
    // The C library reads this file for each lookup, and nobody else does.
    let inject = format!("inject=openat:{HANGS}");
    let process = under(&["-P", "/etc/hosts", "-e", "trace=openat", "-e", &inject]).start(&home);
    soon("the lookup hangs", || process.err().count(|line| line.contains("no connection within 1s")) > 0);
    let address = process.err().find(address).expect("it listens");
    Raw::clean(address, V5, "device");
    assert_stops_in_time(process);
}

#[test]
fn a_disk_that_does_not_answer_holds_up_no_stop() {
    if !has_strace() {
        return;
    }
    let gateway = Gateway::start("");
    let pid = gateway.pid().to_string();
    let inject = format!("inject=fdatasync:{HANGS}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-p", &pid, "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject]);
    let strace = Process::start("strace", &mut strace);
    soon("strace looks", || strace.err().count(|line| line.contains("attached")) > 0);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&wire::publish(V5, "t", "kept").qos(1, 1).retain().encode());
    let (told, log) = (Instant::now(), gateway.log().clone());
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert!(gateway.wait_for_end().success(), "the exit code is that of a stop");
    assert!(told.elapsed() < AT_MOST, "{:?}", told.elapsed());
    assert_eq!(log.count(|line| line.contains("the spool did not close in")), 1);
}

#[test]
fn a_start_that_hangs_is_left_when_it_is_told_to_stop() {
    if !has_strace() {
        return;
    }
    let home = Home::new("");
    let inject = format!("inject=fdatasync:{HANGS}");
    let process = under(&["-e", "trace=fdatasync", "-e", &inject]).start(&home);
    soon("the spool is being made", || home.path().join("data/spool").exists());
    let ended = eventually("nothing yet", SOON, || Some(process.err().count(|line| line.contains("listening"))));
    assert_eq!(ended, 0, "it hangs before it listens");
    assert_stops_in_time(process);
}
