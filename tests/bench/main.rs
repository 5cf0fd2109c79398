//! The whole gateway, measured from outside: `cargo bench --workspace --bench gateway`.
//!
//! Our own load generator ([`device`], [`closed`], [`open`]) and our own upstream ([`upstream`]) around a system under test
//! ([`system`]): this gateway with a JSON plugin, a stock mosquitto that bridges without processing and without syncing, or
//! nothing at all. Systems take turns, round by round, so that a noisy machine is noisy for all of them, and what is printed
//! first are ratios.
//!
//! | command | what it measures |
//! |---|---|
//! | `table` (default) | throughput, CPU and memory for QoS 0, 1, 2 with 1 and 20 publishers, and latency; `--write` puts it into `docs/` |
//! | `compare` | this build beside another one (`--with PATH`): ratios of throughput and CPU |
//! | `websocket` | a message and an idle connection, over WebSocket beside TCP |
//! | `one` | one closed-loop round, for a profiler |
//! | `latency` | one open-loop round |
//! | `drain` | a backlog goes upstream while live traffic goes on |
//! | `rest` | start, memory at rest, with many connections and with many bindings |
//! | `tls` | what TLS costs: a message, a connection at rest, a thousand devices that come back, beside mosquitto |
//! | `rates` | CPU, wake-ups and latency of a message at the low rates that most gateways have, beside mosquitto, and at rest |
//! | `soak` | memory over many messages |

mod chart;
mod closed;
mod compare;
mod device;
mod drain;
mod figures;
mod open;
mod payload;
mod rates;
mod rest;
mod soak;
mod system;
mod table;
mod tls;
mod upstream;
mod usage;
mod websocket;

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::closed::Closed;
use crate::open::Open;
use crate::system::Kind;

#[derive(Parser)]
#[command(name = "gateway", about = "Measures the gateway beside a mosquitto bridge")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    Table(table::Options),
    Compare(compare::Options),
    Websocket(websocket::Options),
    One(Load),
    Latency(Rate),
    Drain(drain::Options),
    Rates(rates::Options),
    Rest(rest::Options),
    Tls(tls::Options),
    Soak(soak::Options),
}

#[derive(clap::Args)]
struct Load {
    #[arg(long, value_enum, default_value = "tidegate")]
    system: Kind,
    #[arg(long, default_value_t = 1)]
    qos: u8,
    #[arg(long, default_value_t = 20)]
    publishers: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(clap::Args)]
struct Rate {
    #[command(flatten)]
    load: Load,
    /// Messages a second, of all publishers together.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
}

fn main() {
    let options = Options::parse();
    match options.command.unwrap_or_else(|| Command::Table(table::Options::default())) {
        Command::Table(options) => table::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Websocket(options) => websocket::run(&options),
        Command::One(load) => println!("{:#?}", load.closed().run(load.system)),
        Command::Latency(rate) => println!("{:#?}", rate.open().run(rate.load.system)),
        Command::Drain(options) => drain::run(&options),
        Command::Rates(options) => rates::run(&options),
        Command::Rest(options) => rest::run(&options),
        Command::Tls(options) => tls::run(&options),
        Command::Soak(options) => soak::run(&options),
    }
}

// === impl Load ===

impl Load {
    fn closed(&self) -> Closed {
        Closed { qos: self.qos, publishers: self.publishers, time: Duration::from_secs(self.seconds) }
    }
}

// === impl Rate ===

impl Rate {
    fn open(&self) -> Open {
        let Load { qos, publishers, seconds, .. } = self.load;
        Open { qos, publishers, rate: self.rate, time: Duration::from_secs(seconds) }
    }
}
