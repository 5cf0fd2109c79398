//! This build beside another build of the gateway, in turns: what a change costs, as a ratio.

use std::path::PathBuf;
use std::time::Duration;

use crate::closed::Closed;
use crate::figures::{Throughput, median};
use crate::system::{Kind, use_other_build};
use crate::table::publishers;

#[derive(clap::Args)]
pub struct Options {
    /// The other `tidegate`: a release build of an older commit, for example.
    #[arg(long)]
    with: PathBuf,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of one round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

pub fn run(options: &Options) {
    use_other_build(options.with.clone());
    println!("| | throughput | CPU for a message |\n|---|---|---|");
    for (qos, devices) in [(0, 20), (1, 1), (1, 20), (2, 1), (2, 20)] {
        let closed = Closed { qos, publishers: devices, time: Duration::from_secs(options.seconds) };
        let rounds: Vec<_> = (0..options.rounds).map(|round| pair(closed, round)).collect();
        let ratio = |part: fn(&Throughput) -> f64| median(rounds.iter().map(|(this, other)| part(this) / part(other)));
        let (rate, cpu) = (ratio(|of| of.rate), ratio(|of| of.cpu_per_million));
        println!("| QoS {qos}, {} | {rate:.3}x | {cpu:.3}x |", publishers(devices));
    }
}

/// This build and the other, the first of them by turns.
fn pair(closed: Closed, round: usize) -> (Throughput, Throughput) {
    if round.is_multiple_of(2) {
        let this = closed.run(Kind::Tidegate);
        return (this, closed.run(Kind::OtherBuild));
    }
    let other = closed.run(Kind::OtherBuild);
    (closed.run(Kind::Tidegate), other)
}
