//! The standard table: systems take turns, medians of rounds, ratios first.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::chart;
use crate::closed::Closed;
use crate::figures::{Latency, Throughput, median};
use crate::open::Open;
use crate::system::Kind;

use tidegate_tests::machine;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of one round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Puts table and chart into `docs/`.
    #[arg(long)]
    write: bool,
}

/// One line of the table: medians of this gateway and of mosquitto.
pub struct Line {
    pub name: String,
    pub ours: Summary,
    pub theirs: Summary,
}

#[derive(Clone, Copy)]
pub struct Summary {
    pub rate: f64,
    pub cpu: f64,
    pub peak: f64,
    pub missing: u64,
}

struct LatencyLine {
    name: String,
    of: [(Kind, Latency); 3],
}

/// In `docs/performance.md`, what stands between these is written by this program.
const BEGIN: &str = "<!-- begin: cargo bench --workspace --bench gateway -- table --write -->";
const END: &str = "<!-- end -->";

pub fn run(options: &Options) {
    let mut lines = Vec::new();
    for (qos, publishers) in [(0, 1), (0, 20), (1, 1), (1, 20), (2, 1), (2, 20)] {
        let closed = Closed { qos, publishers, time: Duration::from_secs(options.seconds) };
        let line = throughput(closed, options.rounds);
        eprintln!("{}: {:.2}x throughput, {:.2}x CPU", line.name, line.rate_ratio(), line.cpu_ratio());
        lines.push(line);
    }
    let mut latencies = Vec::new();
    for (qos, rate) in [(0, 1_000), (1, 1_000), (1, 10_000), (2, 1_000)] {
        let line =
            latency(Open { qos, publishers: 20, rate, time: Duration::from_secs(options.seconds) }, options.rounds);
        eprintln!("{}: {:.2}x p50", line.name, line.ratio(Kind::Mosquitto));
        latencies.push(line);
    }
    let text = text(&lines, &latencies, options);
    println!("{text}");
    if options.write {
        write(&text, &lines);
    }
}

fn throughput(closed: Closed, rounds: usize) -> Line {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(closed.run(Kind::Tidegate));
        theirs.push(closed.run(Kind::Mosquitto));
    }
    let name = format!("QoS {}, {}", closed.qos, publishers(closed.publishers));
    Line { name, ours: Summary::of(&ours), theirs: Summary::of(&theirs) }
}

fn latency(open: Open, rounds: usize) -> LatencyLine {
    let kinds = [Kind::Tidegate, Kind::Mosquitto, Kind::Direct];
    let mut all: [Vec<Latency>; 3] = Default::default();
    for _ in 0..rounds {
        for (kind, of) in kinds.iter().zip(&mut all) {
            of.push(open.run(*kind));
        }
    }
    let middle = |of: &[Latency], part: fn(&Latency) -> Duration| {
        Duration::from_secs_f64(median(of.iter().map(|one| part(one).as_secs_f64())))
    };
    let of = [0, 1, 2].map(|n| {
        let missing = all[n].iter().map(|one| one.missing).sum();
        (
            kinds[n],
            Latency {
                p50: middle(&all[n], |one| one.p50),
                p99: middle(&all[n], |one| one.p99),
                max: middle(&all[n], |one| one.max),
                missing,
            },
        )
    });
    LatencyLine { name: format!("QoS {} at {} msg/s", open.qos, open.rate), of }
}

fn text(lines: &[Line], latencies: &[LatencyLine], options: &Options) -> String {
    let mut text = format!(
        "{}; {}. Medians of {} rounds of {} s, systems taking turns; 256 B of JSON, parsed, filtered and converted by a plugin here, forwarded as it is by mosquitto.\n\n",
        machine::describe(),
        machine::mosquitto(),
        options.rounds,
        options.seconds
    );
    text.push_str("| | throughput | CPU for a message | msg/s | mosquitto | CPU s for a million | mosquitto | most memory | mosquitto |\n|---|---|---|---|---|---|---|---|---|\n");
    for line in lines {
        let (ours, theirs) = (line.ours, line.theirs);
        let lost = |of: Summary| if of.missing > 0 { format!(" ({} missing)", of.missing) } else { String::new() };
        let _ = writeln!(
            text,
            "| {} | **{:.2}x** | **{:.2}x** | {:.1}k{} | {:.1}k{} | {:.1} | {:.1} | {:.0} MiB | {:.0} MiB |",
            line.name,
            line.rate_ratio(),
            line.cpu_ratio(),
            ours.rate / 1e3,
            lost(ours),
            theirs.rate / 1e3,
            lost(theirs),
            ours.cpu,
            theirs.cpu,
            ours.peak,
            theirs.peak
        );
    }
    text.push_str("\n| latency, 20 publishers | p50 against mosquitto | p99 against direct | tidegate p50 / p99 | mosquitto p50 / p99 | direct p50 / p99 |\n|---|---|---|---|---|---|\n");
    for line in latencies {
        let [ours, theirs, direct] =
            line.of.map(|(_, of)| format!("{} / {} us", of.p50.as_micros(), of.p99.as_micros()));
        let direct_p99 = line.of[0].1.p99.as_secs_f64() / line.of[2].1.p99.as_secs_f64();
        let _ = writeln!(
            text,
            "| {} | **{:.2}x** | {direct_p99:.2}x | {ours} | {theirs} | {direct} |",
            line.name,
            line.ratio(Kind::Mosquitto)
        );
    }
    text
}

fn write(text: &str, lines: &[Line]) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = docs.join("performance.md");
    let before = fs::read_to_string(&page).expect("docs/performance.md");
    let (head, rest) = before.split_once(BEGIN).expect("the page has a place for the table");
    let (_, tail) = rest.split_once(END).expect("the place has an end");
    fs::write(&page, format!("{head}{BEGIN}\n{text}{END}{tail}")).expect("docs/performance.md can be written");
    chart::draw(&docs.join("performance.svg"), lines).expect("a drawing");
}

pub fn publishers(count: usize) -> String {
    if count == 1 { "1 publisher".to_owned() } else { format!("{count} publishers") }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 3, seconds: 3, write: false }
    }
}

// === impl Line ===

impl Line {
    pub fn rate_ratio(&self) -> f64 {
        self.ours.rate / self.theirs.rate
    }

    pub fn cpu_ratio(&self) -> f64 {
        self.ours.cpu / self.theirs.cpu
    }
}

// === impl LatencyLine ===

impl LatencyLine {
    fn ratio(&self, to: Kind) -> f64 {
        let p50 = |kind| self.of.iter().find(|(one, _)| *one == kind).map_or(f64::NAN, |(_, of)| of.p50.as_secs_f64());
        p50(Kind::Tidegate) / p50(to)
    }
}

// === impl Summary ===

impl Summary {
    fn of(rounds: &[Throughput]) -> Self {
        Self {
            rate: median(rounds.iter().map(|round| round.rate)),
            cpu: median(rounds.iter().map(|round| round.cpu_per_million)),
            peak: median(rounds.iter().map(|round| round.peak_mib)),
            missing: rounds.iter().map(|round| round.faults.missing).sum(),
        }
    }
}
