//! `tidegate demo`: everything on this machine, in real sockets, and at the end the proof.
//!
//! ```text
//!  6 devices ──MQTT──▶ the gateway ──MQTT──▶ stand-in upstream ──MQTT──▶ sink
//!  (rumqttc,           moved ─▶ celsius      (a gateway without          (rumqttc, QoS 2)
//!   3.1.1 and 5,       damp                   bindings)                     │
//!   QoS 0, 1, 2)                                                            ▼
//!      ▲                                                                 tracker ─▶ table, verdict
//!      └── plan ◀── series ───────── what has to arrive ─────────────────▲
//! ```
//!
//! The devices say what weather stations recorded ([`series`]). What must arrive of it is worked out beforehand by
//! arithmetic that shares no code with the plugins ([`plan`]); the [`verdict`] compares, message by message.
//!
//! **Nothing may be missing at QoS 0 either.** A gateway may drop QoS 0 that comes faster than it goes, so the devices are
//! paced by what reaches the sink ([`tracker`]): then nothing ever waits long enough to be dropped, and a single message
//! that is missing fails the demo.

mod client;
mod devices;
mod figures;
mod plan;
mod report;
mod series;
mod setup;
mod sink;
mod standin;
mod table;
mod tracker;
mod verdict;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;

use self::plan::Plan;
use self::report::Report;
use self::setup::{Workshop, parsed};
use self::sink::Sink;
use self::standin::Running;
use self::table::Table;
use self::tracker::Tracker;
use self::verdict::{Counts, Evidence, judge};
use super::Format;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Replay only so many hours of the series, each of about six readings
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true, value_parser = at_least_one)]
    rows: usize,
    /// Print the gateway's configuration and stop: a first one of your own
    #[arg(long)]
    show_config: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// With nothing sent and nothing arriving for so long, the replay has failed.
const STALLED_AFTER: Duration = Duration::from_secs(10);

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let plan = Arc::new(Plan::of(&series::recorded(args.rows)?));
    let workshop = Workshop::build(args.show_config)?;
    if args.show_config {
        write!(out, "{}", workshop.gateway_toml(local(1883), local(1884))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let report = runtime.block_on(replay(&workshop, &plan))?;
    match args.format {
        Format::Text => write!(out, "{report}")?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Built from the far end, stopped from the near one.
async fn replay(workshop: &Workshop, plan: &Arc<Plan>) -> anyhow::Result<Report> {
    eprintln!("starting a stand-in upstream, the gateway with its plugins, and {} devices", plan.devices.len());
    let mut stand_in = Running::start(parsed(&workshop.stand_in_toml(), "stand-in.toml")?).await?;
    let config = workshop.gateway_toml(local(0), stand_in.address)?;
    let mut gateway = Running::start(parsed(&config, "demo.toml")?).await?;
    gateway.ready().await?;
    let tracker = Arc::new(Tracker::new(plan));
    let sink = Sink::subscribe(stand_in.address, plan, tracker.clone()).await?;
    let mut table = Table::new(plan.clone(), tracker.clone(), gateway.counters.clone(), gateway.plugins.clone());
    let devices = devices::start(plan, &tracker, gateway.address);
    let ended = tokio::select! {
        ended = finished(devices, plan, &tracker) => ended,
        died = gateway.died() => died.context("the gateway"),
        died = stand_in.died() => died.context("the stand-in upstream"),
        () = table.show() => Ok(()),
    };
    let took = tracker.elapsed();
    table.draw();
    gateway.stop().await?;
    let ended = ended.and(sink.finish().await);
    stand_in.stop().await?;
    Ok(conclude(&table, took, ended.err()))
}

/// Until every message is complete and every expected one has arrived.
async fn finished(mut devices: JoinSet<anyhow::Result<()>>, plan: &Plan, tracker: &Tracker) -> anyhow::Result<()> {
    let (to_complete, to_arrive) = (plan.sent(), plan.to_forward());
    loop {
        let progress = tracker.progress();
        let (completed, arrived) = progress;
        if devices.is_empty() && completed >= to_complete && arrived >= to_arrive {
            return Ok(());
        }
        tokio::select! {
            Some(ended) = devices.join_next() => ended??,
            () = tracker.news() => {}
            () = tokio::time::sleep(STALLED_AFTER) => {
                bail!("nothing moved for {STALLED_AFTER:?}: {completed} of {to_complete} sent, {arrived} of {to_arrive} arrived")
            }
        }
    }
}

fn conclude(table: &Table, took: Duration, incident: Option<anyhow::Error>) -> Report {
    let (arrivals, strays) = table.tracker.arrived();
    let totals = table.counters.totals();
    let counts = Counts {
        completed: table.tracker.progress().0,
        received: totals.received,
        filtered: totals.filtered,
        forwarded: totals.forwarded,
    };
    let incident = incident.map(|error| format!("{error:#}"));
    let evidence = Evidence { plan: &table.plan, arrivals: &arrivals, strays: &strays, counts, incident };
    Report::new(table, took, &arrivals, judge(&evidence))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("the shortest replay is 1 hour".into()),
        Ok(hours) => Ok(hours),
        Err(_) => Err("a number of hours".into()),
    }
}
