//! Dead letters on their way from the spool to their archive.

use super::*;
use crate::dead_letter::{Archive, ArchiveHandle, DEAD_LETTERS, DeadLetter, Metadata};
use crate::spool::Record;
use crate::spool::log::sim::SimDisk;

#[tokio::test]
async fn a_letter_that_the_archive_has_no_room_for_counts_as_lost_and_not_as_archived() {
    let (dir, counters) = (tempfile::tempdir().unwrap(), Arc::<Counters>::default());
    let config = config::DeadLetters { max_bytes: 4 << 20, ..config::DeadLetters::default() };
    let archive = ArchiveHandle::new(Archive::open(dir.path(), &config, Some(1), counters.clone()).unwrap());
    let (disk, limits) = (SimDisk::default(), config::Spool::default());
    let spool = Spool::manually_driven(disk, &[DEAD_LETTERS], &limits, counters.clone()).unwrap().0;
    let (workers, _) = Workers::start(1, vec![]).unwrap();
    let fixture = fixture_with(workers, vec![], spool.clone(), counters.clone());
    for payload in [2 << 20, 1] {
        let message = Message::new(TopicName::parse("t").unwrap(), vec![b'x'; payload], QoS::AtLeastOnce);
        let letter = DeadLetter { message, metadata: Metadata::default() };
        let output = letter.output(spool.dead_letters().unwrap(), Instant::now()).unwrap();
        spool.commit(Record { outputs: vec![output], ..Record::default() });
    }
    let stop = CancellationToken::new();
    let archiver = Archiver::new(archive.clone(), spool.clone(), vec![], fixture.dispatcher.clone(), counters.clone());
    let running = tokio::spawn(archiver.run(stop.clone()));
    tokio::time::timeout(PATIENCE, async {
        while spool.waiting()
            + spool.queue(spool.dead_letters().unwrap()).read(crate::spool::Position::START, 9, 9).len()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!((counters.dead_letters_archived.get(), archive.letters().await), (1, 1));
    assert_eq!((counters.dead_letters_lost.get(), counters.totals().acknowledged_lost), (1, 1));
    assert_eq!(counters.dead_letters_dropped.get(), 1);
}
