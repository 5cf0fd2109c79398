//! The disk fails: what was acknowledged stays safe, what cannot be made safe is not acknowledged.
//!
//! The binary is the real one; its system calls are made to fail by `strace`. Where strace or root are missing a test says so and
//! passes: the machine cannot show it, and `.ci/run` installs what it takes.

use std::path::Path;
use std::time::{Duration, Instant};

use tidegate_tests::gateway::Launch;
use tidegate_tests::mounted::{Mounted, Reason};
use tidegate_tests::raw::Raw;
use tidegate_tests::trial::{Load, Trial};
use tidegate_tests::wire::{self, V4, V5};

/// A segment of a quarter of it.
const SMALL: &str = "[spool]\nmax_bytes = \"16MiB\"\nfree_floor = \"0B\"\n\n";

/// Some dozens of these fill a segment.
const PADDING: usize = 50_000;

/// Runs the gateway under strace, which does this to it.
pub fn injecting(what: &str) -> Result<Launch, Reason> {
    let works = std::process::Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]).output();
    match works {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("strace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => return Err(format!("strace: {error}")),
    }
    // -D: the gateway is our child, not strace's, so that signals and exit codes are its own.
    let (syscall, _) = what.split_once(':').unwrap_or((what, ""));
    let args = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={syscall}"),
        "-e",
        &format!("inject={what}"),
    ];
    Ok(Launch { under: args.map(str::to_owned).to_vec(), ..Launch::default() })
}

/// The same for this file or folder alone.
fn injecting_at(path: &Path, what: &str) -> Result<Launch, Reason> {
    let Launch { mut under, .. } = injecting(what)?;
    under.extend(["-P".to_owned(), path.display().to_string()]);
    Ok(Launch { under, ..Launch::default() })
}

pub fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// Room for three segments: fewer would not turn over.
fn in_memory(trial: &Trial) -> Result<Mounted, Reason> {
    Mounted::tmpfs(&trial.home.path().join("data/spool"), 14)
}

fn load(qos: &[u8], padding: usize) -> Load {
    Load { devices: 2, qos: qos.to_vec(), padding, config: SMALL.into(), ..Load::default() }
}

#[test]
fn a_sync_that_fails_is_never_acknowledged_and_ends_the_process() {
    let launch = match injecting("fdatasync:error=EIO:when=20+") {
        Ok(launch) => launch,
        Err(reason) => return skipped(&reason),
    };
    let mut trial = Trial::new(&load(&[1, 2], 0));
    trial.start(&launch);
    let status = trial.wait_for_death();
    assert_eq!(status.code(), Some(1), "an exit that a supervisor sees: {status}");
    trial.start(&Launch::default());
    trial.judge().assert_kept(1);
}

#[test]
fn a_process_that_is_killed_at_a_sync_goes_on_from_the_disk() {
    for count in [5, 25] {
        let launch = match injecting(&format!("fdatasync:signal=KILL:when={count}")) {
            Ok(launch) => launch,
            Err(reason) => return skipped(&reason),
        };
        let mut trial = Trial::new(&load(&[1, 2], 0));
        trial.start(&launch);
        trial.wait_for_death();
        trial.start(&Launch::default());
        trial.judge().assert_kept(1);
    }
}

#[test]
fn a_disk_that_has_no_room_for_a_segment_holds_devices_back_until_it_has() {
    // Room is taken a segment at a time, before it is needed: this is where a full disk is met.
    let launch = match injecting("fallocate:error=ENOSPC:when=2..6") {
        Ok(launch) => launch,
        Err(reason) => return skipped(&reason),
    };
    let mut trial = Trial::new(&load(&[1], PADDING));
    trial.start(&launch);
    trial.running().expect_log(&["the spool is full"]);
    trial.running().expect_log(&["the spool has room again"]);
    trial.fleet.wait_for_more(50);
    trial.judge().assert_kept(50);
}

#[test]
fn a_slow_disk_delays_acks_and_nothing_else() {
    let delay = Duration::from_millis(200);
    let launch = match injecting(&format!("fdatasync:delay_enter={}", delay.as_micros())) {
        Ok(launch) => launch,
        Err(reason) => return skipped(&reason),
    };
    let mut trial = Trial::new(&load(&[1], 0));
    trial.start(&launch);
    let address = trial.running().address();
    let mut listener = Raw::clean(address, V5, "listener");
    listener.subscribe("local/#", 0);
    let mut talker = Raw::clean(address, V4, "talker");
    trial.fleet.wait_for_more(40);
    let (mut slowest, mut turns) = (Duration::ZERO, 0);
    let before = trial.fleet.acknowledged();
    while trial.fleet.acknowledged() < before + 200 {
        let started = Instant::now();
        talker.send(wire::PING);
        talker.expect(wire::PINGRESP);
        talker.send(&wire::publish(V4, "local/x", "QoS 0 flows").encode());
        listener.expect_delivery();
        slowest = slowest.max(started.elapsed());
        turns += 1;
    }
    // Five groups at least were synced meanwhile: had pings waited for them, there would be one turn for each.
    assert!(turns > 20, "{turns} turns, the slowest took {slowest:?}");
    trial.judge().assert_kept(200);
}

#[test]
fn a_full_file_system_holds_devices_back_and_they_go_on_when_the_upstream_takes_what_is_there() {
    let mut trial = Trial::new(&load(&[1, 2], PADDING));
    let _disk = match in_memory(&trial) {
        Ok(disk) => disk,
        Err(reason) => return skipped(&reason),
    };
    trial.upstream.set_away(true);
    trial.start(&Launch::default());
    trial.running().expect_log(&["the spool is full"]);
    trial.running().assert_alive();
    trial.upstream.set_away(false);
    trial.running().expect_log(&["the spool has room again"]);
    trial.fleet.wait_for_more(100);
    trial.judge().assert_kept(100);
}

#[test]
fn space_that_somebody_else_frees_is_used_without_anybody_s_help() {
    let mut trial = Trial::new(&load(&[1], PADDING));
    let _disk = match in_memory(&trial) {
        Ok(disk) => disk,
        Err(reason) => return skipped(&reason),
    };
    let spool = trial.home.path().join("data/spool");
    std::fs::write(spool.join("somebody-elses"), vec![1; 7 << 20]).expect("a file in memory");
    trial.upstream.set_away(true);
    trial.start(&Launch::default());
    trial.running().expect_log(&["the spool is full"]);
    std::fs::remove_file(spool.join("somebody-elses")).expect("it is there");
    let freed = Instant::now();
    trial.running().expect_log(&["the spool has room again"]);
    println!("{:?} after the space was there", freed.elapsed());
    trial.fleet.wait_for_more(20);
    trial.judge().assert_kept(50);
}

#[test]
fn a_disk_that_becomes_read_only_is_an_end_and_not_a_loss() {
    let mut trial = Trial::new(&load(&[1, 2], PADDING));
    let spool = trial.home.path().join("data/spool");
    let disk = match Mounted::ext4(&spool, 64) {
        Ok(disk) => disk,
        Err(reason) => return skipped(&reason),
    };
    trial.start(&Launch::default());
    trial.fleet.wait_for_more(50);
    disk.fall_read_only().expect("ext4 does on an error");
    let status = trial.wait_for_death();
    assert_eq!(status.code(), Some(1), "{status}");
    disk.power_on().expect("it can be mounted again");
    trial.start(&Launch::default());
    trial.judge().assert_kept(50);
}

#[test]
fn a_folder_whose_journal_has_ended_is_not_taken_for_synced() {
    // What asks for the journal changes nothing, and is refused when there is none any more.
    let mut trial = Trial::new(&load(&[1], 0));
    let spool = trial.home.path().join("data/spool");
    let launch = match injecting_at(&spool, "fremovexattr:error=EROFS") {
        Ok(launch) => launch,
        Err(reason) => return skipped(&reason),
    };
    trial.start_in_vain(&launch);
    trial.start(&Launch::default());
    trial.judge().assert_kept(1);
}
