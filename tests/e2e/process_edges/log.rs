//! Whoever does not read our log, or has no room for it, stops nobody.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::process::Stdio;

use tidegate_tests::gateway::{Home, Launch, address};
use tidegate_tests::ports;
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::stops::assert_stops_in_time;

/// So much of a client identifier is shown.
const LONG: usize = 230;

/// Each is a line when it comes and one when it goes: more than the pipe and the queue before it hold together.
const CONNECTIONS: usize = 2_500;

/// A gateway whose log goes into a pipe, of which this has read up to the line that says where it listens.
fn start(home: &Home) -> (Process, SocketAddr, BufReader<PipeReader>) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = Launch::default().command(home);
    let process = Process::start_talking_to("tidegate run", &mut command, Stdio::from(writer));
    drop(command);
    let mut reader = BufReader::new(reader);
    let address = loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("a line of text") > 0, "the gateway ended");
        if let Some(address) = address(&line) {
            break address;
        }
    };
    (process, address, reader)
}

fn fill_the_log(gateway: SocketAddr) {
    for connection in 0..CONNECTIONS {
        Raw::clean(gateway, V5, &format!("{connection}{}", "x".repeat(LONG)));
    }
}

fn lost(home: &Home) -> u64 {
    let finished = home.tidegate("status", &["--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&finished.out).unwrap_or_default();
    status["log_lines_lost"].as_u64().unwrap_or_else(|| panic!("no `log_lines_lost` in {finished:?}"))
}

#[test]
fn a_log_that_nobody_reads_stops_no_device_and_no_stop() {
    let home = Home::new("");
    let (process, address, _reader) = start(&home);
    fill_the_log(address);
    assert!(lost(&home) > 0, "what has no room is counted");
    assert_stops_in_time(process);
}

#[test]
fn when_the_log_is_read_again_it_says_what_is_missing_and_ends_with_its_last_line() {
    let home = Home::new("");
    let (mut process, address, reader) = start(&home);
    fill_the_log(address);
    let lost = lost(&home);
    assert!(lost > 0);
    let mut told = false;
    let mut last = String::new();
    for line in reader.lines() {
        last = line.expect("a line of text");
        if last.contains("lines of the log were lost") {
            assert!(last.contains(&format!("in_all={lost}")), "{last}");
            told = true;
            process.terminate();
        }
    }
    assert!(told && last.contains("=balanced"), "{last}");
    assert!(process.wait().success());
}

#[test]
fn a_log_on_a_full_disk_is_counted_and_stops_nobody() {
    let (port, full) = (ports::free(), OpenOptions::new().write(true).open("/dev/full").expect("Linux has it"));
    let listener = format!("[broker.listeners.local]\nbind = \"127.0.0.1:{port}\"\n");
    let home = Home::exactly(&format!("[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n{listener}"));
    let process = Process::start_talking_to("tidegate run", &mut Launch::default().command(&home), Stdio::from(full));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    tidegate_tests::eventually::soon("it listens", || Raw::try_open(address, V5).is_some());
    Raw::clean(address, V5, "device");
    assert!(lost(&home) > 0);
    assert_stops_in_time(process);
}
