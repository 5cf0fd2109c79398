//! Figures for `docs/spool.md`: `cargo test --release -p tidegate --lib -- --ignored --nocapture --test-threads 1 spool::tests::figures`.

use super::*;

const MESSAGES: usize = 100_000;

fn open(dir: &Path) -> (Spool, Restored) {
    let config = config::Spool { max_bytes: 4 << 30, free_floor: 0, ..small() };
    Spool::open(dir, &["one"], &config, Arc::default()).unwrap()
}

/// Commits with at most `group` records unacknowledged.
async fn commit(spool: &Spool, messages: usize, group: usize, text: &str) {
    let acks = Resolved::default();
    for ticket in 0..messages {
        if ticket >= group {
            acks.next().await;
        }
        let receipt = Receipt::new(ticket as u64, acks.clone());
        spool.commit(Record {
            outputs: vec![output(&(0, Q1, text))],
            changes: vec![],
            receipt,
            hold: Default::default(),
        });
    }
    for _ in 0..group {
        acks.next().await;
    }
}

#[tokio::test]
#[ignore = "figures"]
async fn commit_at_group_sizes() {
    for (group, messages) in [(1, 2_000), (16, 20_000), (256, MESSAGES), (4096, MESSAGES)] {
        let dir = tempfile::tempdir_in(".").unwrap();
        let (spool, _) = open(dir.path());
        let begun = Instant::now();
        commit(&spool, messages, group, &"x".repeat(256)).await;
        println!("group {group}: {:.0} records/s", messages as f64 / begun.elapsed().as_secs_f64());
        spool.close().await;
    }
}

#[tokio::test]
#[ignore = "figures"]
async fn a_large_backlog_at_start_and_its_drain() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let (spool, _) = open(dir.path());
    let messages = 3_400_000;
    commit(&spool, messages, 4096, &"x".repeat(256)).await;
    spool.close().await;
    drop(spool);
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: unknown").to_owned()
    };
    let before = resident();
    let begun = Instant::now();
    let (spool, restored) = open(dir.path());
    println!("{messages} messages: open in {:?}, of that the log {:?}", begun.elapsed(), restored.recovery.took);
    println!("{}, and before it was opened: {before}", resident());
    println!("in memory: {} bytes of messages", spool.shared.ledger().weight(0));
    let (begun, queue) = (Instant::now(), spool.queue(0));
    let mut cursor = Position::START;
    while spool.waiting() > 0 {
        queue.wait_after(cursor).await;
        for entry in queue.read(cursor, 100, ALL) {
            cursor = entry.position;
            queue.complete(cursor, Fate::Forwarded);
        }
    }
    println!("drain: {:.0} messages/s", messages as f64 / begun.elapsed().as_secs_f64());
    spool.close().await;
}
