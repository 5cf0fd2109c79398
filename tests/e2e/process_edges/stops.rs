//! The process ends in time, whatever hangs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::{Home, Launch, address};
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, V5};

/// By force at the latest, with something for a machine that is busy: `docker stop` waits for 10 s.
const AT_MOST: Duration = Duration::from_secs(12);

/// What does not answer, for longer than anybody waits: every lookup of a name, and, while a file is there, the disk. Between the
/// process and its C library, because strace holds whom it delays also against its end.
const SHIM: &str = r#"
#include <netdb.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {
    sleep(60);
    return EAI_AGAIN;
}
int fdatasync(int fd) {
    if (access(getenv("STALLED"), F_OK) == 0) sleep(60);
    return syscall(SYS_fdatasync, fd);
}
int fsync(int fd) {
    if (access(getenv("STALLED"), F_OK) == 0) sleep(60);
    return syscall(SYS_fsync, fd);
}
"#;

/// With the exit code of a good stop.
pub fn assert_stops_in_time(mut process: Process) {
    let told = Instant::now();
    process.terminate();
    assert!(process.wait().success());
    assert!(told.elapsed() < AT_MOST, "{:?}", told.elapsed());
}

/// A gateway between which and its C library the shim stands, and the file that stalls its disk.
fn shimmed(home: &Home) -> Option<(Launch, PathBuf)> {
    let at = |name: &str| home.path().join(name);
    let (source, library, stalled) = (at("shim.c"), at("shim.so"), at("stalled"));
    fs::write(&source, SHIM).expect("a file in a temporary folder");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no C compiler");
        return None;
    }
    let env = [("LD_PRELOAD", &library), ("STALLED", &stalled)];
    let env = env.map(|(name, path)| (name.to_owned(), path.display().to_string())).to_vec();
    Some((Launch { env, ..Launch::default() }, stalled))
}

#[test]
fn a_resolver_that_does_not_answer_holds_up_no_stop() {
    let home = Home::new("[upstreams.cloud]\nurl = \"mqtt://broker.invalid\"\nconnect_timeout = \"1s\"\n");
    let Some((launch, _)) = shimmed(&home) else { return };
    let process = launch.start(&home);
    soon("the lookup hangs", || process.err().count(|line| line.contains("no connection within 1s")) > 0);
    let address = process.err().find(address).expect("it listens");
    Raw::clean(address, V5, "device");
    assert_stops_in_time(process);
}

#[test]
fn a_disk_that_does_not_answer_holds_up_no_stop() {
    let home = Home::new("");
    let Some((launch, stalled)) = shimmed(&home) else { return };
    let process = launch.start(&home);
    let address = eventually("it listens", SOON, || process.err().find(address));
    let mut device = Raw::clean(address, V5, "device");
    fs::write(&stalled, "").expect("a file in a temporary folder");
    device.send(&wire::publish(V5, "t", "kept").qos(1, 1).retain().encode());
    let log = process.err().clone();
    assert_stops_in_time(process);
    assert_eq!(log.count(|line| line.contains("the spool did not close in")), 1);
}

#[test]
fn a_start_that_hangs_is_left_when_it_is_told_to_stop() {
    let home = Home::new("");
    let Some((launch, stalled)) = shimmed(&home) else { return };
    fs::write(&stalled, "").expect("a file in a temporary folder");
    let process = launch.start(&home);
    soon("the first file is being written", || home.path().join("data/installation.new").exists());
    let log = process.err().clone();
    assert_stops_in_time(process);
    assert_eq!(log.count(|line| line.contains("listening")), 0, "it hung before it listened");
}
