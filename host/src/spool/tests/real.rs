//! The same on a real disk with its threads: group commit, closing, and dying.

use std::time::Duration;

use super::*;
use crate::config::Sync;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(dir: &Path) -> (Spool, Restored, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let config = config::Spool { max_bytes: 64 << 20, ..small() };
    let (spool, restored) = Spool::open(dir, &["one"], &config, counters.clone()).unwrap();
    (spool, restored, counters)
}

#[tokio::test]
async fn a_crowd_is_acknowledged_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, ..) = open(&dir.path().join("spool"));
    let acks = Resolved::default();
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let (spool, acks) = (spool.clone(), acks.clone());
            std::thread::spawn(move || {
                for n in 0..500 {
                    let outputs = vec![output(&(0, Q1, &format!("{thread} {n}")))];
                    let receipt = Receipt::new(thread * 1000 + n, acks.clone());
                    spool.commit(Record { outputs, receipt, ..Record::default() });
                }
            })
        })
        .collect();
    for _ in 0..2000 {
        tokio::time::timeout(PATIENCE, acks.next()).await.unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let queue = spool.queue(UpstreamId(0));
    queue.complete(Position::of(1), Fate::Forwarded);
    tokio::time::timeout(PATIENCE, queue.wait_confirmed()).await.unwrap();
    tokio::time::timeout(PATIENCE, spool.close()).await.unwrap();
    let (spool, restored, _) = open(&dir.path().join("spool"));
    assert_eq!((restored.recovery.waiting, spool.waiting()), (1999, 1999));
    for thread in 0..4 {
        let texts = spool.queue(UpstreamId(0)).read(Position::START, ALL, ALL).into_iter();
        let texts = texts.map(|entry| String::from_utf8(entry.message.payload.to_vec()).unwrap());
        let own: Vec<String> = texts.filter(|text| text.starts_with(&format!("{thread} "))).collect();
        assert!(own.windows(2).all(|pair| pair[0][2..].parse::<u64>().unwrap() < pair[1][2..].parse().unwrap()));
    }
}

/// At a low rate each wake-up counts: a thread that sleeps no longer than a completion may wait is not woken for one.
#[tokio::test]
async fn a_message_that_is_soon_done_does_not_wake_the_committer_and_is_confirmed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, ..) = open(dir.path());
    let queue = spool.queue(UpstreamId(0));
    let is_spared = |number: u64| {
        // Its turn may last longer than a completion waits on a machine that is busy: then this one is not spared.
        let sleeps = spool.shared.queue_state().wake_ups.looks_by_itself;
        queue.complete(Position::of(number), Fate::Forwarded);
        sleeps && spool.shared.queue_state().wake_ups.is_committer_asleep
    };
    let mut spared = 0;
    for number in 1..=100 {
        spool.commit(Record { outputs: vec![output(&(0, Q1, "a"))], ..Record::default() });
        tokio::time::timeout(PATIENCE, queue.wait_after(Position::of(number - 1))).await.unwrap();
        std::thread::sleep(Duration::from_millis(1));
        spared += u8::from(is_spared(number));
    }
    assert!(spared >= 20, "of a hundred messages that were done soon, only {spared} did not wake the committer");
    let mut done = queue.take_confirmed().done;
    while !(1..=100).all(|number| done.contains(number)) {
        tokio::time::timeout(PATIENCE, queue.wait_confirmed()).await.unwrap();
        done.extend(&queue.take_confirmed().done);
    }
    tokio::time::timeout(PATIENCE, spool.close()).await.unwrap();
}

#[tokio::test]
async fn a_release_is_confirmed_without_waiting_for_company() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, ..) = open(dir.path());
    spool.commit(Record { outputs: vec![output(&(0, Q2, "a"))], ..Record::default() });
    let queue = spool.queue(UpstreamId(0));
    tokio::time::timeout(PATIENCE, queue.wait_after(Position::START)).await.unwrap();
    assert!(queue.remember(&SinkState { bytes: "state".into(), under_way: 9 }, true).await);
    queue.mark(Mark { number: 1, value: 1 });
    let mut marked = queue.take_confirmed().marked;
    while marked.is_empty() {
        tokio::time::timeout(PATIENCE, queue.wait_confirmed()).await.unwrap();
        marked = queue.take_confirmed().marked;
    }
    assert_eq!(marked, [1]);
    tokio::time::timeout(PATIENCE, spool.close()).await.unwrap();
}

#[tokio::test]
async fn a_spool_that_is_in_use_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, ..) = open(dir.path());
    let second = Spool::open(dir.path(), &[], &small(), Arc::default());
    let error = second.err().expect("one process only").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    tokio::time::timeout(PATIENCE, spool.close()).await.unwrap();
    open(dir.path());
}

#[tokio::test]
async fn whoever_watches_hears_of_the_death_and_nobody_is_acknowledged() {
    let disk = SimDisk::default();
    let parts = open::open(disk.clone(), Path::new("/spool"), &["one"], &small(), Arc::default()).unwrap();
    let Parts { shared, committer, refill, .. } = parts;
    threads::start(&shared, committer, refill, Sync::Group).unwrap();
    let spool = Spool::new(shared);
    disk.fail_at(1, log::sim::Fault::Eio);
    let acks = Resolved::default();
    let died = spool.died();
    for ticket in 0..2 {
        let receipt = Receipt::new(ticket, acks.clone());
        spool.commit(Record { outputs: vec![output(&(0, Q1, "a"))], receipt, ..Record::default() });
    }
    let reason = tokio::time::timeout(PATIENCE, died).await.unwrap();
    assert!(reason.contains("cannot be written"), "{reason}");
    assert_eq!(acks.try_next(), None);
}
