//! What earlier versions have written, and what a frame says about its outputs.
//!
//! `format-2` is a spool of a gateway of format 2, killed with three messages in it: at QoS 1, at QoS 2, retained and with a user
//! property, and at QoS 1; all for the upstream `cloud`, and waiting for the durable subscriber `panel` as well.

use super::*;

const SEGMENT: &[u8] = include_bytes!("format-2/segment");
const IDENTITY: &[u8] = include_bytes!("format-2/identity");
/// As it was preallocated, and as its header says.
const CAPACITY: u64 = 4_194_480;

fn unpack(dir: &Path) {
    let segment = dir.join("segment-00000000000000000001.log");
    std::fs::write(dir.join("identity"), IDENTITY).unwrap();
    std::fs::write(&segment, SEGMENT).unwrap();
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(CAPACITY).unwrap();
}

fn open(dir: &Path) -> (Spool, Restored) {
    let config = config::Spool { max_bytes: 16 << 20, free_floor: 0, ..config::Spool::default() };
    Spool::open(dir, &["cloud", DEAD_LETTERS], &config, Arc::default()).unwrap()
}

fn waiting(spool: &Spool) -> Vec<(u64, String, QoS, String)> {
    let read = spool.queue(UpstreamId(0)).peek(Position::START, ALL, ALL).into_iter();
    let told = read.map(|Entry { position, message, binding, .. }| {
        assert_eq!(binding, None, "format 2 knows of no bindings");
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        (position.number, message.topic.to_string(), message.qos, text)
    });
    told.collect()
}

#[tokio::test]
async fn a_spool_of_the_format_before_is_read_whole_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    let topic = |number: u64| format!("plants/old/sensors/{number}/temperature");
    let expected =
        [(1, topic(7), Q1, "21.5".into()), (2, topic(8), Q2, "22.5".into()), (3, topic(9), Q1, "23.5".into())];
    let (spool, restored) = open(dir.path());
    assert_eq!(waiting(&spool), expected);
    let report = &restored.recovery;
    assert_eq!((report.waiting, report.lost, report.unreadable, report.quarantined), (3, 0, 0, 0));
    let count = |wanted: fn(&Key) -> bool| restored.state.iter().filter(|(key, _)| wanted(key)).count();
    assert_eq!(count(|key| matches!(key, Key::Session { .. })), 1);
    assert_eq!(count(|key| matches!(key, Key::Subscription { .. })), 1);
    assert_eq!(count(|key| matches!(key, Key::Queued { .. })), 3);
    assert_eq!(count(|key| matches!(key, Key::Retained { .. })), 1);
    spool.queue(UpstreamId(0)).complete(Position::of(1), Fate::Forwarded);
    spool.close().await;
    drop(spool);
    let (spool, restored_again) = open(dir.path());
    assert_eq!(waiting(&spool), expected[1..]);
    assert_eq!(restored_again.state, restored.state);
}

/// Of two bindings in turn, and of none.
fn commit_of(bench: &Bench, binding: Option<&str>, text: &str) {
    let output = Output { binding: binding.map(crate::base::name::Name::of), ..output(&(0, Q1, text)) };
    bench.spool.commit(Record { outputs: vec![output], ..Record::default() });
}

fn bindings(bench: &Bench) -> Vec<(Option<String>, String)> {
    let told = |entry: Entry| {
        let text = entry.message.payload.iter().take(1).map(|byte| char::from(*byte)).collect();
        (entry.binding.map(|name| name.to_string()), text)
    };
    whole(bench).into_iter().map(told).collect()
}

/// With their bindings.
fn whole(bench: &Bench) -> Vec<Entry> {
    let (read, queue) = (bench.entries(0), bench.spool.queue(UpstreamId(0)));
    read.iter().map(|entry| queue.entry(entry.position.number).unwrap()).collect()
}

#[test]
fn an_entry_says_which_binding_made_it_also_after_a_restart_and_when_it_was_written_again() {
    let mut bench = Bench::new(2);
    commit_of(&bench, Some("temperature"), "a");
    commit_of(&bench, None, "b");
    commit_of(&bench, Some("humidity"), "c");
    commit_of(&bench, Some("temperature"), "d");
    let named = |name: Option<&str>, text: &str| (name.map(String::from), text.to_owned());
    let expected = [
        named(Some("temperature"), "a"),
        named(None, "b"),
        named(Some("humidity"), "c"),
        named(Some("temperature"), "d"),
    ];
    assert_eq!(bindings(&bench), expected);
    bench = bench.reopen();
    assert_eq!(bindings(&bench), expected);
    // Many times the log for the other upstream: what waits for the first one is moved out of the way.
    let before = bench.spool.shared.queue_state().waiting();
    for ticket in 0..400 {
        bench.commit(ticket, &[(1, Q1, &"x".repeat(50_000))]);
        assert!(bench.complete_first(1));
    }
    assert_eq!(bench.spool.shared.queue_state().waiting(), before);
    bench = bench.reopen();
    assert_eq!(bindings(&bench), expected);
}
