//! The threads that run chains.
//!
//! Plain threads and synchronous calls: an asynchronous call into a guest costs two thirds more, and a guest that computes
//! would hold a runtime's thread anyway. One more thread than cores, because a thread can be lost for a while: a plugin that
//! spins holds its thread until its deadline. However many such plugins there are, once they have shown what they are
//! (`slow_lane`) they share a pool of their own, half as large, whose threads the kernel runs after the others.
//!
//! A panic here is a mistake of ours (a guest's trap is an answer). It leaves a lane that will never be served, so whoever
//! owns the workers has to notice, by [`Workers::died`], and end the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::watch;

use super::lane::Lane;
use super::run_queue::{Pool, RunQueue};
use super::stages::Chain;

/// A guest's stack (`plugin::limits::MAX_STACK_BYTES`) and ours under it, with room.
pub(super) const STACK_BYTES: usize = 2 << 20;

pub struct Workers {
    run_queue: Arc<RunQueue<Lane>>,
    lanes: Mutex<Vec<Lane>>,
    died: watch::Receiver<Option<String>>,
}

/// How much nicer slow threads are: a third of the weight of the others where the processor is contested.
pub(super) const NICE: i32 = 5;

/// On a worker's stack: tells of its end, whichever it is.
struct Watched {
    run_queue: Arc<RunQueue<Lane>>,
    died: Arc<watch::Sender<Option<String>>>,
}

/// As many as there are cores, and one. Slow lanes have half as many of their own.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from) + 1
}

// === impl Workers ===

impl Workers {
    /// A lane for each chain, in order.
    pub fn start(threads: usize, chains: Vec<Chain>) -> io::Result<(Self, Vec<Lane>)> {
        let threads = threads.max(1);
        let slow = (threads / 2).max(1);
        let run_queue = Arc::new(RunQueue::new(threads + slow));
        let (sender, died) = watch::channel(None);
        let sender = Arc::new(sender);
        let lanes: Vec<_> = chains.into_iter().map(|chain| Lane::new(chain, Arc::clone(&run_queue))).collect();
        let workers = Self { run_queue: Arc::clone(&run_queue), lanes: Mutex::new(lanes.clone()), died };
        let quick = (0..threads).map(|number| (format!("chain-{number}"), Pool::Quick));
        let slow = (0..slow).map(|number| (format!("slow-chain-{number}"), Pool::Slow));
        for (name, pool) in quick.chain(slow) {
            let watched = Watched { run_queue: Arc::clone(&run_queue), died: Arc::clone(&sender) };
            // On an error `workers` is dropped, which stops those that were started.
            thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || watched.work(pool))?;
        }
        Ok((workers, lanes))
    }

    /// One more lane.
    pub fn add(&self, chain: Chain) -> Lane {
        let lane = Lane::new(chain, Arc::clone(&self.run_queue));
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(lane.clone());
        lane
    }

    /// Resolves with the name of a worker thread that panicked. Never resolves otherwise.
    pub fn died(&self) -> impl Future<Output = String> + Send + use<> {
        let mut died = self.died.clone();
        async move {
            let name = died.wait_for(Option::is_some).await.ok().and_then(|name| name.clone());
            match name {
                Some(name) => name,
                None => std::future::pending().await,
            }
        }
    }

    /// Finish what waits, but no longer than `deadline`; blocks the caller. A thread that is in a plugin then is left alone:
    /// it ends at the plugin's deadline. Returns how many jobs were dropped.
    pub fn shutdown(self, deadline: Duration) -> usize {
        self.run_queue.drain(deadline);
        self.run_queue.stop();
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Lane::clear).sum()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.run_queue.stop();
    }
}

// === impl Watched ===

impl Watched {
    fn work(self, pool: Pool) {
        if pool == Pool::Slow {
            // Linux has it for each thread. Where it is not allowed, the pool is bound all the same.
            let _ = rustix::process::nice(NICE);
        }
        while let Some(lane) = self.run_queue.next(pool) {
            lane.turn(pool);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.run_queue.end_thread();
        if thread::panicking() {
            let name = thread::current().name().unwrap_or("chain").to_owned();
            self.died.send_replace(Some(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{message, stage};
    use crate::chain::slow_lane::Stopwatch;
    use crate::chain::{Done, Job, Outcome, Rank, Stage};
    use crate::message::Origin;
    use crate::plugin::Verdict;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(30);

    type Results = (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>);

    fn job(payload: &str, results: &mpsc::Sender<Outcome>) -> Job {
        let results = results.clone();
        let done = Box::new(move |done: Done| results.send(done.outcome).unwrap_or(()));
        Job {
            message: message(payload),
            origin: Arc::new(Origin::gateway(0)),
            may_wait: true,
            rank: Rank::Client,
            done,
        }
    }

    fn pass(payload: &str) -> Outcome {
        Outcome::Outputs(vec![message(payload)])
    }

    /// Tells that it has begun, and waits to be let go.
    fn gated() -> (Box<dyn Stage>, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
        let (began, begins) = mpsc::channel();
        let (go, gate) = mpsc::sync_channel(1_000);
        let stage = stage(move |_| {
            began.send(()).unwrap_or(());
            gate.recv().unwrap_or(());
            Ok(Verdict::Forward)
        });
        (stage, begins, go)
    }

    #[test]
    fn jobs_of_a_lane_are_done_in_the_order_they_came_whatever_the_threads() {
        let (workers, lanes) = Workers::start(4, vec![Chain::new(vec![stage(|_| Ok(Verdict::Forward))])]).unwrap();
        let (send, results): Results = mpsc::channel();
        for turn in 0..50 {
            lanes[0].push((0..20).map(|i| job(&(turn * 20 + i).to_string(), &send)));
        }
        for i in 0..1_000 {
            assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass(&i.to_string()));
        }
        assert_eq!(workers.shutdown(PATIENCE), 0);
    }

    #[test]
    fn a_lane_that_hangs_does_not_stop_another() {
        let (slow, begins, go) = gated();
        let (workers, lanes) = Workers::start(2, vec![Chain::new(vec![slow]), Chain::new(vec![])]).unwrap();
        let (send, results): Results = mpsc::channel();
        lanes[0].push([job("slow", &send)]);
        begins.recv_timeout(PATIENCE).unwrap();
        lanes[1].push([job("quick", &send)]);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("quick"));
        go.send(()).unwrap();
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("slow"));
        drop(workers);
    }

    #[test]
    fn a_lane_with_much_to_do_lets_others_have_their_turn() {
        let (busy, begins, go) = gated();
        let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![busy]), Chain::new(vec![])]).unwrap();
        let (send, results): Results = mpsc::channel();
        lanes[0].push((0..500).map(|_| job("busy", &send)));
        begins.recv_timeout(PATIENCE).unwrap();
        lanes[1].push([job("other", &send)]);
        (0..500).for_each(|_| go.send(()).unwrap());
        let position = (0..501).position(|_| results.recv_timeout(PATIENCE).unwrap() == pass("other")).unwrap();
        assert!(position <= crate::chain::batching::MAX_BATCH, "after {position}");
        drop(workers);
    }

    #[test]
    fn a_chain_takes_the_place_of_another_behind_what_that_has_begun() {
        let (first, begins, go) = gated();
        let (workers, lanes) = Workers::start(2, vec![Chain::new(vec![first])]).unwrap();
        let results: (mpsc::Sender<(Outcome, u32)>, _) = mpsc::channel();
        let job = |payload: &str| {
            let send = results.0.clone();
            let done = Box::new(move |done: Done| send.send((done.outcome, done.taken.generation)).unwrap_or(()));
            Job { done, ..job(payload, &mpsc::channel().0) }
        };
        lanes[0].push([job("begun")]);
        begins.recv_timeout(PATIENCE).unwrap();
        lanes[0].push((0..100).map(|i| job(&i.to_string())));
        let second = |mark: &'static str| {
            Chain::new(vec![stage(move |payload| Ok(Verdict::Replace(format!("{payload}{mark}").into())))])
        };
        // Nobody meets one that is replaced before its turn.
        lanes[0].replace(second("?"), 1);
        lanes[0].replace(second("!"), 2);
        go.send(()).unwrap();
        let next = || results.1.recv_timeout(PATIENCE).unwrap();
        assert_eq!(next(), (pass("begun"), 0));
        (0..100).for_each(|i| assert_eq!(next(), (pass(&format!("{i}!")), 2)));
        // An idle one has it at once.
        while !lanes[0].is_idle() {
            thread::yield_now();
        }
        lanes[0].replace(second("+"), 3);
        lanes[0].push([job("x")]);
        assert_eq!(next(), (pass("x+"), 3));
        assert_eq!(workers.shutdown(PATIENCE), 0);
    }

    #[test]
    fn a_lane_takes_nothing_up_while_too_much_of_what_it_made_waits_for_the_spool() {
        let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![]), Chain::new(vec![])]).unwrap();
        let (send, results): Results = mpsc::channel();
        let (_little, much) = (lanes[0].hold(1 << 20), lanes[0].hold(16 << 20));
        lanes[0].push([job("waits", &send)]);
        lanes[1].push([job("other", &send)]);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("other"));
        drop(much);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("waits"));
        let _much = lanes[0].hold(16 << 20);
        lanes[0].push([job("has no ack", &send)]);
        workers.shutdown(PATIENCE);
        drop((send, lanes));
        assert!(results.recv().is_err(), "a stop does not wait for room, nor sends the spool what has none");
    }

    #[test]
    fn a_lane_that_has_caused_much_goes_on_while_others_may_wait_for_one_of_its_jobs() {
        let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![]), Chain::new(vec![])]).unwrap();
        let (send, results): Results = mpsc::channel();
        let mut caused = lanes[0].hold_caused();
        caused.grow(1 << 20);
        lanes[0].push([job("waits", &send)]);
        lanes[1].push([job("other", &send)]);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("other"));
        lanes[0].push([Job { may_wait: false, ..job("urgent", &send) }]);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("waits"));
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("urgent"));
        lanes[0].push([job("waits again", &send)]);
        lanes[1].push([job("other", &send)]);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("other"));
        drop(caused);
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("waits again"));
        drop(workers);
    }

    #[test]
    fn stopping_finishes_what_waits_and_takes_nothing_new() {
        let (workers, lanes) = Workers::start(2, vec![Chain::new(vec![])]).unwrap();
        let (send, results): Results = mpsc::channel();
        lanes[0].push((0..500).map(|_| job("x", &send)));
        assert_eq!(workers.shutdown(PATIENCE), 0);
        lanes[0].push([job("late", &send)]);
        assert_eq!(results.try_iter().count(), 500);
    }

    #[test]
    fn stopping_does_not_wait_longer_than_it_was_told_and_says_what_it_dropped() {
        let (stuck, begins, go) = gated();
        let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![stuck])]).unwrap();
        let (send, _results): Results = mpsc::channel();
        lanes[0].push([job("stuck", &send)]);
        begins.recv_timeout(PATIENCE).unwrap();
        lanes[0].push((0..3).map(|_| job("waits", &send)));
        assert_eq!(workers.shutdown(Duration::from_millis(1)), 3);
        drop(go);
    }

    #[tokio::test]
    async fn the_owner_hears_of_a_worker_that_panicked() {
        let broken = stage(|_| panic!("a mistake of ours"));
        let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![broken])]).unwrap();
        let (send, _results): Results = mpsc::channel();
        let died = workers.died();
        lanes[0].push([job("x", &send)]);
        assert_eq!(tokio::time::timeout(PATIENCE, died).await.unwrap(), "chain-0");
    }

    /// The first call uses up processor time, the second waits to be let go.
    fn spinning() -> (Box<dyn Stage>, mpsc::SyncSender<()>) {
        let (go, gate) = mpsc::sync_channel(1);
        let mut known = false;
        let stage = stage(move |_| {
            let turn = Stopwatch::start();
            while !known && turn.stop() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            if std::mem::replace(&mut known, true) {
                gate.recv().unwrap_or(());
            }
            Ok(Verdict::Forward)
        });
        (stage, go)
    }

    #[test]
    fn more_spinning_lanes_than_threads_leave_threads_for_the_others() {
        let (stages, gates): (Vec<_>, Vec<_>) = (0..5).map(|_| spinning()).unzip();
        let chains = stages.into_iter().map(|stage| Chain::new(vec![stage])).chain([Chain::new(vec![])]).collect();
        let (workers, lanes) = Workers::start(4, chains).unwrap();
        let (send, results): Results = mpsc::channel();
        let (honest, spinning) = lanes.split_last().unwrap();
        for round in ["first", "second"] {
            spinning.iter().for_each(|lane| lane.push([job(round, &send)]));
            let known = if round == "first" { spinning.len() } else { 0 };
            (0..known).for_each(|_| assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("first")));
        }
        // Five lanes would hold four threads for ever now.
        for _ in 0..50 {
            honest.push([job("honest", &send)]);
            assert_eq!(results.recv_timeout(PATIENCE).unwrap(), pass("honest"));
        }
        drop(gates);
        assert_eq!(workers.shutdown(PATIENCE), 0);
    }
}
