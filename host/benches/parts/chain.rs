//! A chain by itself, and behind its lane: from the thread that has a message to the one that has its outcome.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use tidegate::chain::{Chain, Done, Job, Lane, Outcome, Rank, Workers};
use tidegate::message::{Message, Origin, QoS};

use crate::shared::messages::{batch, json, message};
use crate::shared::plugins;

pub fn bench(criterion: &mut Criterion) {
    let reading = plugins::reading();
    let mut group = criterion.benchmark_group("chain");
    for size in [1, 32] {
        let (mut chain, batch) = (plugins::chain(&reading), batch(&json(), size));
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("one JSON plugin", size), |bencher| {
            bencher.iter_batched(|| batch.clone(), |batch| run(&mut chain, batch), BatchSize::SmallInput);
        });
    }
    for (name, chain) in [("a lane without plugins", Chain::new(vec![])), ("a lane with it", plugins::chain(&reading))]
    {
        let (workers, lanes) = Workers::start(1, vec![chain]).expect("a thread");
        let lane = lanes.first().expect("a lane for each chain");
        let message = message(&json(), QoS::AtLeastOnce);
        for size in [1, 256] {
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(|| pass(lane, &message, size)));
        }
        workers.shutdown(Duration::from_secs(1));
    }
    group.finish();
}

fn run(chain: &mut Chain, batch: Vec<tidegate::plugin::Envelope>) {
    assert!(chain.run(batch).iter().all(is_well));
}

/// All at once into the lane, and back when the last has come out.
fn pass(lane: &Lane, message: &Message, count: usize) {
    let (sender, outcomes) = mpsc::channel();
    let origin = Arc::new(Origin::gateway(0));
    let job = |_| {
        let sender = sender.clone();
        let done = Box::new(move |done: Done| sender.send(is_well(&done)).unwrap_or(()));
        Job { message: message.clone(), origin: origin.clone(), may_wait: true, rank: Rank::Client, done }
    };
    lane.push((0..count).map(job));
    assert!((0..count).all(|_| outcomes.recv().expect("a worker that lives")));
}

fn is_well(done: &Done) -> bool {
    matches!(done.outcome, Outcome::Outputs(_))
}
