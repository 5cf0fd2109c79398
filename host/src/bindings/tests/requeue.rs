//! The archiver beside bindings that have no places left.

use super::*;
use crate::bindings::requeue::Archiver;
use crate::dead_letter::{Archive, ArchiveHandle, DEAD_LETTERS, DeadLetter, Filter, Metadata};
use crate::spool::log::sim::SimDisk;
use crate::spool::{Output, Record};

fn letter() -> DeadLetter {
    let message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
    DeadLetter { message, metadata: Metadata { binding: "t".into(), ..Metadata::default() } }
}

fn archive(dir: &std::path::Path, counters: &Arc<Counters>) -> ArchiveHandle {
    let config = config::DeadLetters { max_bytes: 16 << 20, ..config::DeadLetters::default() };
    ArchiveHandle::new(Archive::open(dir, &config, Some(1), counters.clone()).unwrap())
}

#[tokio::test]
async fn a_letter_that_waits_for_its_binding_is_not_in_the_way_of_those_that_are_to_be_archived() {
    let (go, gate) = mpsc::channel::<()>();
    let slow = stage(move |_| {
        // Open for all as soon as nobody is there any more.
        let _ = gate.recv();
        Ok(Verdict::Forward)
    });
    let (workers, mut lanes) = Workers::start(1, vec![Chain::new(vec![slow])]).unwrap();
    let (counters, dir) = (Arc::<Counters>::default(), tempfile::tempdir().unwrap());
    let small = config::Spool { max_bytes: 4 << 20, free_floor: 0, ..config::Spool::default() };
    let spool =
        Spool::manually_driven(SimDisk::default(), &["cloud", DEAD_LETTERS], &small, counters.clone()).unwrap().0;
    let fixture = fixture_with(workers, vec![Binding::new(spec("t"), lanes.pop())], spool.clone(), counters.clone());
    let one = || fixture.dispatcher.arrive(inbound("t", Receipt::none())).unwrap();
    while fixture.dispatcher.try_start(one()).is_ok() {}

    let handle = archive(dir.path(), &counters);
    handle.file(vec![letter(), letter()]).await.unwrap();
    assert_eq!(handle.requeue(Filter::default()).await.unwrap(), 2);
    let archiver =
        Archiver::new(handle.clone(), spool.clone(), vec!["cloud".into()], fixture.dispatcher.clone(), counters);
    let stop = CancellationToken::new();
    let running = tokio::spawn(archiver.run(stop.clone()));
    let message = Message { payload: letter().encode(), ..letter().message };
    let output = Output { upstream: spool.dead_letters().unwrap(), binding: None, message, arrived: Instant::now() };
    spool.commit(Record { outputs: vec![output], ..Record::default() });
    letters(&handle, 3, "the third is archived").await;
    drop(go);
    letters(&handle, 1, "the first two have gone again").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

async fn letters(handle: &ArchiveHandle, expected: u64, what: &str) {
    let end = Instant::now() + PATIENCE / 4;
    while handle.letters().await != expected {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
