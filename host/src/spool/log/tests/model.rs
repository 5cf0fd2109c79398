//! Random work, random faults at random calls, several lives: what was promised is there, once and in order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Roll(usize),
    RemoveBelow(u64),
    Sync,
}

/// From one open to the next crash.
#[derive(Clone, Debug)]
struct Life {
    steps: Vec<Step>,
    fault_at: u64,
    fault: Fault,
    /// The seed of the power cut; none: only the process dies.
    power_cut: Option<u64>,
}

/// What the outside world knows. Frames have ids that rise as they are written.
#[derive(Default)]
struct Model {
    sync: Option<Sync>,
    frames: Vec<Written>,
    /// Segments below it may be gone.
    may_go: u64,
    /// Segments below it are gone.
    gone: u64,
}

#[derive(Clone, Copy)]
struct Written {
    segment: u64,
    /// The call that wrote it said so, in this life.
    done: bool,
    promised: bool,
}

fn body(id: usize, len: usize) -> Vec<u8> {
    let mut random = Random(id as u64 * 7919 + 1);
    let mut body = (id as u64).to_le_bytes().to_vec();
    body.extend((0..len).map(|_| random.below(256) as u8));
    body
}

impl Model {
    /// Work until the steps or the log end.
    fn live(&mut self, log: &mut Log<SimDisk>, life: &Life) {
        for step in &life.steps {
            match self.step(log, step) {
                Err(AppendError::Fatal(_)) => return,
                Err(AppendError::MustRoll | AppendError::TooLarge { .. }) => {
                    panic!("a step that the caller must not take")
                }
                Ok(()) | Err(AppendError::Full(_)) => {}
            }
        }
    }

    fn step(&mut self, log: &mut Log<SimDisk>, step: &Step) -> Result<(), AppendError> {
        match step {
            Step::Append(sizes) => self.append(log, sizes),
            Step::Roll(len) => self.roll(log, *len),
            Step::Sync => log.sync_now().map(|()| self.all_done_is_promised()),
            Step::RemoveBelow(back) => {
                let below = log.active_segment().saturating_sub(*back);
                self.may_go = self.may_go.max(below);
                log.remove_below(below).map_err(AppendError::Fatal)?;
                self.gone = self.gone.max(below);
                Ok(())
            }
        }
    }

    fn append(&mut self, log: &mut Log<SimDisk>, sizes: &[usize]) -> Result<(), AppendError> {
        let first = self.frames.len();
        let bodies: Vec<_> = sizes.iter().enumerate().map(|(i, len)| body(first + i, *len)).collect();
        let frames: Vec<_> = bodies.iter().map(|body| record(body)).collect();
        if log.must_roll(frames.iter().map(Frame::framed).sum::<u64>() as usize) {
            return self.roll(log, 0);
        }
        self.write(log.active_segment(), sizes.len());
        let places = log.append(&frames)?;
        assert!(places.len() == sizes.len() && places.is_sorted());
        self.frames[first..].iter_mut().for_each(|frame| frame.done = true);
        if self.sync == Some(Sync::Group) {
            self.all_done_is_promised();
        }
        Ok(())
    }

    fn roll(&mut self, log: &mut Log<SimDisk>, len: usize) -> Result<(), AppendError> {
        let id = self.frames.len();
        self.write(log.active_segment() + 1, 1);
        log.roll(Frame { kind: SNAPSHOT, body: &body(id, len) })?;
        self.frames[id].done = true;
        // A roll makes all that came before it durable, at every level.
        self.all_done_is_promised();
        Ok(())
    }

    fn write(&mut self, segment: u64, count: usize) {
        self.frames.resize(self.frames.len() + count, Written { segment, done: false, promised: false });
    }

    fn all_done_is_promised(&mut self) {
        self.frames.iter_mut().for_each(|frame| frame.promised |= frame.done);
    }

    /// What recovery has shown: all that it must, nothing that it must not, each once and in order.
    fn check(&mut self, seen: &Seen, recovery: &Recovery) {
        let accused: Vec<_> = recovery.quarantined.iter().filter(|stretch| stretch.was_durable).collect();
        assert!(accused.is_empty() && recovery.missing.is_empty(), "no crash is damage: {recovery:?}");
        let mut shown = vec![false; self.frames.len()];
        let mut last = None;
        for (location, _, bytes) in seen {
            let id = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert!(id < self.frames.len(), "{id} was never written");
            assert_eq!(*bytes, body(id, bytes.len() - 8), "the body of {id}");
            assert_eq!(location.segment, self.frames[id].segment, "the segment of {id}");
            assert!(
                last < Some((id, *location)) && last.is_none_or(|(last, _)| last < id),
                "{id} is not after {last:?}"
            );
            assert!(location.segment >= self.gone, "{id} was removed");
            last = Some((id, *location));
            shown[id] = true;
        }
        for (id, shown) in shown.into_iter().enumerate() {
            let frame = &mut self.frames[id];
            assert!(shown || !frame.promised || frame.segment < self.may_go, "{id} was promised and is lost");
            // What was shown may have been acted on: it is promised from now on, and the rest never was.
            *frame = Written { done: false, promised: shown, ..*frame };
        }
    }
}

fn crash(disk: &SimDisk, power_cut: Option<u64>) {
    match power_cut {
        Some(seed) => disk.power_cut(seed),
        None => disk.kill(),
    }
}

/// Opens with a fault at any call of the recovery, then again without. The last value: the power stayed on, and the disk
/// did not refuse to keep what was in the cache.
fn recover(disk: &SimDisk, sync: Sync, life: &Life) -> (Log<SimDisk>, Recovery, Seen, bool) {
    let options = Options { sync, ..small() };
    disk.fail_at(life.fault_at, life.fault);
    match open_with(disk, options.clone()) {
        Ok((log, recovery, seen)) => return (log, recovery, seen, true),
        Err(_) => crash(disk, life.power_cut),
    }
    disk.no_fault();
    let (log, recovery, seen) = open_with(disk, options).unwrap();
    (log, recovery, seen, life.power_cut.is_none() && life.fault == Fault::Crash)
}

fn run(sync: Sync, lives: &[Life]) {
    let disk = SimDisk::default();
    let mut model = Model { sync: Some(sync), ..Model::default() };
    let mut only_the_process_died = false;
    for life in lives {
        let (mut log, recovery, seen, cache_survived) = recover(&disk, sync, life);
        if only_the_process_died && cache_survived {
            // Then every level keeps what it said was done.
            model.all_done_is_promised();
        }
        model.check(&seen, &recovery);
        disk.fail_at(life.fault_at, life.fault);
        model.live(&mut log, life);
        drop(log);
        only_the_process_died = life.power_cut.is_none() && life.fault == Fault::Crash;
        crash(&disk, life.power_cut);
    }
    let (_, recovery, seen) = open(&disk);
    model.check(&seen, &recovery);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(0..900_usize, 1..4).prop_map(Step::Append),
        2 => (0..6000_usize).prop_map(Step::Roll),
        1 => (0..3_u64).prop_map(Step::RemoveBelow),
        1 => Just(Step::Sync),
    ];
    // The first thing that a caller does is to roll.
    prop::collection::vec(step, 0..25).prop_map(|mut steps| {
        steps.insert(0, Step::Roll(10));
        steps
    })
}

fn life() -> impl Strategy<Value = Life> {
    let fault = prop_oneof![4 => Just(Fault::Crash), 1 => Just(Fault::Eio), 1 => Just(Fault::Enospc)];
    (steps(), 1..150_u64, fault, prop::option::weighted(0.7, any::<u64>()))
        .prop_map(|(steps, fault_at, fault, power_cut)| Life { steps, fault_at, fault, power_cut })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_promised_frame_survives_every_crash_once_and_in_order(lives in prop::collection::vec(life(), 1..6)) {
        run(Sync::Group, &lives);
    }

    #[test]
    fn an_interval_loses_only_what_came_after_the_last_sync(lives in prop::collection::vec(life(), 1..6)) {
        run(Sync::Interval(std::time::Duration::from_secs(1)), &lives);
    }
}

#[test]
fn every_call_of_a_whole_life_can_be_the_last() {
    let steps = vec![
        Step::Roll(100),
        Step::Append(vec![700, 10, 900]),
        Step::Append(vec![600]),
        Step::Roll(5000),
        Step::Append(vec![1, 2, 3]),
        Step::RemoveBelow(0),
        Step::Append(vec![800, 800, 800]),
    ];
    for fault_at in 1..80 {
        for seed in 0..8 {
            let life = |fault_at, power_cut| Life { steps: steps.clone(), fault_at, fault: Fault::Crash, power_cut };
            // Crash in the first life, then in the recovery from it, then work on.
            run(Sync::Group, &[life(fault_at, Some(seed)), life(seed + 1, Some(fault_at)), life(1000, None)]);
        }
    }
}
