//! A message at the rates that most gateways have: twenty devices that send on time, and a system that sleeps between.
//!
//! At full load a wake-up serves hundreds of messages; here, each message pays for all of them.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::figures::{Latency, median};
use crate::open::Open;
use crate::system::{Kind, System, use_other_build};
use crate::usage::Activity;

const DEVICES: usize = 20;

/// Left to a system that has started, to be looked at while nothing happens.
const REST: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub struct Options {
    /// Another `tidegate` that takes its turns: a release build of an older commit, for example.
    #[arg(long)]
    with: Option<PathBuf>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of one round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Of a message, but for `rest`.
struct Round {
    micros: f64,
    wakes: f64,
    latency: Latency,
    /// Wake-ups in a second, before the first message.
    rest: f64,
}

pub fn run(options: &Options) {
    let mut kinds = vec![Kind::Tidegate, Kind::Plain, Kind::Mosquitto];
    if let Some(program) = &options.with {
        use_other_build(program.clone());
        kinds.push(Kind::OtherBuild);
    }
    println!(
        "| load | system | CPU for a message, us | beside mosquitto | wake-ups | p50, us | p99, us | at rest, wake-ups/s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (qos, rate) in [(0, 100), (0, 1_000), (1, 100), (1, 1_000)] {
        let open = Open { qos, publishers: DEVICES, rate, time: Duration::from_secs(options.seconds) };
        row(open, &kinds, options.rounds);
    }
}

/// Systems take turns.
fn row(open: Open, kinds: &[Kind], rounds: usize) {
    let rounds: Vec<Vec<Round>> = (0..rounds).map(|_| kinds.iter().map(|kind| once(open, *kind)).collect()).collect();
    let of = |system: usize, part: fn(&Round) -> f64| median(rounds.iter().map(|round| part(&round[system])));
    let mosquitto = kinds.iter().position(|kind| *kind == Kind::Mosquitto).unwrap_or_default();
    for (system, kind) in kinds.iter().enumerate() {
        let ratio = median(rounds.iter().map(|round| round[system].micros / round[mosquitto].micros));
        println!(
            "| QoS {}, {}/s | {kind:?} | {:.0} | {ratio:.2}x | {:.1} | {:.0} | {:.0} | {:.1} |",
            open.qos,
            open.rate,
            of(system, |round| round.micros),
            of(system, |round| round.wakes),
            of(system, |round| round.latency.p50.as_secs_f64() * 1e6),
            of(system, |round| round.latency.p99.as_secs_f64() * 1e6),
            of(system, |round| round.rest),
        );
    }
}

fn once(open: Open, kind: Kind) -> Round {
    let system = System::start(kind);
    let rest = activity(&system, || thread::sleep(REST));
    let mut latency = Latency::default();
    let busy = activity(&system, || latency = open.measure(&system));
    assert_eq!(latency.missing, 0, "{kind:?} loses");
    let messages = (open.rate * open.time.as_secs()) as f64;
    Round {
        micros: busy.cpu as f64 / 1e3 / messages,
        wakes: busy.wakes as f64 / messages,
        latency,
        rest: rest.wakes as f64 / REST.as_secs_f64(),
    }
}

/// What it did meanwhile.
fn activity(system: &System, meanwhile: impl FnOnce()) -> Activity {
    let before = system.activity();
    meanwhile();
    system.activity().since(before)
}
