//! `tidegate run`: the gateway, until it is told to stop.

use std::backtrace::Backtrace;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::signals::Signals;
use super::{ConfigFile, LAST_LINES, logging};
use crate::app::Gateway;
use crate::base::plain::plain;
use crate::base::{kill_point, log_writer};
use crate::operate::Supervisor;

/// What still runs after a stop in good order is left behind after this.
const REST: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    kill_point::arm();
    let config = args.config.load()?;
    logging::configured(&config.log);
    end_process_on_panic();
    let supervisor = Supervisor::of_environment();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let ended = runtime.block_on(async {
        let gateway = Gateway::start(config).await?.reload_from(args.config.path());
        tokio::spawn(signals.clone().reload(gateway.reloads()));
        signals.running();
        let attending = gateway.attend(&supervisor);
        let stop = async {
            signals.stop().await;
            attending.abort();
            supervisor.stopping().await;
        };
        gateway.run(stop).await
    });
    // Its drop would wait for whatever blocks in it, on a disk that does not answer for one.
    runtime.shutdown_timeout(REST);
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// A panic in any of our threads ends the process, so that a supervisor starts a whole one: a gateway that is alive but no
/// longer does its work is worse than one that is gone. Release builds abort by themselves; this is for the others, and so that
/// nobody who does not read the log keeps the process from its end.
pub fn end_process_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        log_writer::say(&plain(&format!("thread `{thread}`: {panic}\n{}", Backtrace::capture())));
        log_writer::flush(LAST_LINES);
        std::process::abort();
    }));
}
