//! `tidegate spool` and `tidegate status`, on a gateway that runs and on one that does not.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::process::Finished;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::dead_letters::RISKY;

/// Where what is risky goes, and what is not.
const UPWARDS: &str = r#"
to = [{ upstream = "cloud" }]
[[bindings]]
name = "plain"
topic = "plain/#"
to = [{ upstream = "cloud" }]
"#;

/// Three messages wait for an upstream that is away, and two are dead.
fn site() -> Gateway {
    let away = Mosquitto::stopped();
    let gateway = Gateway::start(&format!("{}{RISKY}{UPWARDS}", away.upstream("cloud", 5)));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for payload in ["first", "\u{1b}[31mred", "third"] {
        device.publish("plain/x", payload, 1);
    }
    device.publish("risky/x", "trap", 1);
    device.publish("risky/x", "panic", 2);
    gateway.expect_letters(2);
    gateway
}

fn good(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What every look must say, running or not.
fn look(home: &Home) {
    let stat = json(&good(home.spool("stat", &["--format", "json"])));
    let cloud = &stat["upstreams"][0];
    assert_eq!((cloud["upstream"].as_str(), cloud["messages"].as_u64()), (Some("cloud"), Some(3)), "{stat}");
    assert_eq!(stat["dead_letters"]["messages"], 2);
    assert_eq!(stat["dead_letters"]["by_binding"]["risky"], 2);
    assert!(good(home.spool("stat", &[])).contains("upstream cloud: 3 waiting"));

    let peek = good(home.spool("peek", &["--upstream", "cloud", "--limit", "2"]));
    let lines: Vec<_> = peek.lines().collect();
    assert_eq!(lines, ["cloud 1 plain/x qos=1 first", r"cloud 2 plain/x qos=1 \u{1b}[31mred"]);
    let letter = good(home.spool("peek", &["--dead-letters", "--format", "json", "--limit", "1"]));
    assert_eq!(json(&letter)["message"]["payload"], "trap");

    let export = good(home.spool("export", &[]));
    assert_eq!(
        export.lines().map(|line| json(line)["number"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    assert!(good(home.spool("verify", &[])).contains("spool: good"));
}

/// What the site has counted, by whose it is; and the sums over the gateway.
fn each_part_counts_for_itself(status: &serde_json::Value) {
    let families = status["metrics"].as_array().unwrap();
    let of = |name: &str, label: &str, part: &str| {
        let family = families.iter().find(|family| family["name"] == name).unwrap();
        let mut samples = family["samples"].as_array().unwrap().iter();
        samples.find(|sample| sample["labels"][label] == part).unwrap()["value"].as_f64().unwrap()
    };
    let bindings = ["plain", "risky"].map(|name| of("tidegate_binding_inputs_total", "binding", name));
    assert_eq!(bindings, [3.0, 2.0]);
    assert_eq!(of("tidegate_binding_dead_lettered_total", "binding", "risky"), 2.0);
    assert_eq!(of("tidegate_upstream_committed_total", "upstream", "cloud"), 3.0);
    assert_eq!(of("tidegate_upstream_waiting", "upstream", "cloud"), 3.0);
    assert_eq!((status["counters"]["received"].as_u64(), status["counters"]["committed"].as_u64()), (Some(5), Some(3)));
}

#[test]
fn looking_needs_no_gateway_and_does_not_disturb_one() {
    let gateway = site();
    look(gateway.home());
    let status = json(&good(gateway.home().tidegate("status", &["--format", "json"])));
    assert_eq!((status["waiting"].as_u64(), status["dead_letters"].as_u64()), (Some(3), Some(2)));
    each_part_counts_for_itself(&status);
    let stopped = gateway.stop_and_keep();
    look(stopped.home());
    let nobody = stopped.home().tidegate("status", &[]);
    assert!(nobody.code == Some(1) && nobody.err.contains("no gateway runs"), "{nobody:?}");
}

#[test]
fn purging_wants_a_word_and_takes_what_was_chosen() {
    let gateway = site();
    let home = gateway.home();
    assert_eq!(home.spool("purge", &["--dead-letters"]).code, Some(2), "without --yes");
    assert_eq!(home.spool("requeue", &[]).code, Some(2), "without saying which");
    assert_eq!(good(home.spool("purge", &["--dead-letters", "--id", "1", "--yes"])), "1 purged\n");
    gateway.expect_letters(1);
    let refused = home.spool("purge", &["--upstream", "cloud", "--yes"]);
    assert!(refused.code == Some(1) && refused.err.contains("stop it"), "{refused:?}");
    let stopped = gateway.stop_and_keep();
    let home = stopped.home();
    assert_eq!(good(home.spool("purge", &["--dead-letters", "--yes"])), "1 purged\n");
    assert_eq!(good(home.spool("purge", &["--upstream", "cloud", "--yes"])), "3 purged\n");
    let stat = good(home.spool("stat", &[]));
    assert!(stat.contains("cloud: 0 waiting") && stat.contains("dead letters: 0"), "{stat}");
}

#[test]
fn verify_finds_a_flipped_byte_and_says_where() {
    let stopped = site().stop_and_keep();
    let file = newest_segment(stopped.home().path().join("data/spool"));
    let mut bytes = fs::read(&file).expect("a segment");
    let at = bytes.windows(5).position(|window| window == b"first").expect("the payload is in there");
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("a segment");
    let finished = stopped.home().spool("verify", &["--format", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let damage = &json(&finished.out)[0]["damage"][0];
    assert!(damage["file"].as_str().is_some_and(|name| file.ends_with(name.rsplit('/').next().unwrap_or(name))));
    let offset = damage["offset"].as_u64().expect("an offset") as usize;
    assert!(offset <= at && at < offset + damage["bytes"].as_u64().expect("a length") as usize, "{damage}");
    // It opens all the same: the damage is put aside and counted.
    let gateway = stopped.start_again();
    gateway.expect_log(&["the spool was damaged", "quarantined=1"]);
}

/// Segments of 4 MiB that fill, go and are condensed into checkpoints, all the time.
const BUSY: &str = r#"
[spool]
max_bytes = "16MiB"
max_state_bytes = "22MiB"
[broker.limits]
max_packet_size = "64KiB"
max_retained_bytes = "1MiB"
max_queued_bytes_total = "1MiB"
max_queued_bytes = "1MiB"
"#;

#[test]
fn verify_calls_no_spool_damaged_that_is_only_being_written() {
    const LOOKS: usize = 25;
    let broker = Mosquitto::start();
    let gateway = Gateway::start(&format!(
        "{BUSY}{}[[bindings]]\nname = \"all\"\ntopic = \"all/#\"{UPWARDS}",
        broker.upstream("cloud", 5)
    ));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut device, payload) = (Raw::clean(gateway.address(), V5, "device"), "x".repeat(60_000));
            while !done.load(Ordering::Relaxed) {
                device.publish("plain/x", &payload, 2);
            }
        });
        let verdicts: Vec<_> = (0..LOOKS).map(|_| gateway.home().spool("verify", &[])).collect();
        done.store(true, Ordering::Relaxed);
        verdicts.into_iter().for_each(|verdict| assert!(good(verdict).contains("spool: good")));
    });
}

#[test]
fn a_folder_in_use_names_its_process_and_a_newer_format_its_version() {
    let gateway = site();
    let second = gateway.home().tidegate("run", &[]);
    assert!(second.code == Some(1) && second.err.contains(&format!("process {}", gateway.pid())), "{second:?}");
    let stopped = gateway.stop_and_keep();
    let file = stopped.home().path().join("data/spool/identity");
    let mut header = fs::read(&file).expect("an identity");
    header[8] = 9;
    let check = crc32(&[&header[..12], &header[16..]].concat());
    header[12..16].copy_from_slice(&check.to_le_bytes());
    fs::write(&file, header).expect("an identity");
    for command in ["run", "stat"] {
        let home = stopped.home();
        let refused = if command == "run" { home.tidegate("run", &[]) } else { home.spool(command, &[]) };
        assert!(refused.code == Some(1) && refused.err.contains("format 9"), "{command}: {refused:?}");
        assert!(refused.err.contains("start the tidegate that wrote it"), "{command}: {refused:?}");
    }
}

fn newest_segment(folder: PathBuf) -> PathBuf {
    let files = fs::read_dir(folder).expect("the spool").map(|entry| entry.expect("an entry").path());
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.max().expect("a segment")
}

/// The polynomial of zlib, bit by bit: a test writes one header.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_name_that_nobody_knows_is_an_error_with_what_may_have_been_meant() {
    let gateway = site();
    let home = gateway.home();
    for (command, more) in [("peek", "clod"), ("export", "clod"), ("skip", "clod")] {
        let finished = home.spool(command, &["--upstream", more]);
        assert!(finished.code != Some(0) && finished.err.contains("did you mean `cloud`"), "{command}: {finished:?}");
    }
    let finished = home.spool("requeue", &["--binding", "no-such"]);
    assert!(finished.code != Some(0) && finished.err.contains("there is no binding `no-such`"), "{finished:?}");
    let stopped = gateway.stop_and_keep();
    let finished = stopped.home().spool("purge", &["--upstream", "clod", "--yes"]);
    assert!(finished.code != Some(0) && finished.err.contains("did you mean `cloud`"), "{finished:?}");
}
