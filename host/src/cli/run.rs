//! `tidegate run`: the gateway, until it is told to stop.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigFile;
use crate::app::Gateway;
use crate::base::kill_point;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    kill_point::arm();
    let config = args.config.load()?;
    end_process_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let gateway = Gateway::start(config).await?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
        };
        gateway.run(stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A panic in any of our threads ends the process, so that a supervisor starts a whole one: a gateway that is alive but no
/// longer does its work is worse than one that is gone. Release builds abort by themselves; this is for the others.
pub fn end_process_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}
