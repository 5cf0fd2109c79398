//! `tidegate log`: what a running gateway logs, and another level for it.

use std::io::Write;
use std::process::ExitCode;

use super::Format;
use super::spool::Where;
use crate::base::log_levels::LogLevels;
use crate::operate::admin::Request;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// `debug`, `tidegate::egress=debug`, or a list of these with commas. Without any: what is logged now
    levels: Option<LogLevels>,
    /// Back to what the configuration says
    #[arg(long, conflicts_with = "levels")]
    reset: bool,
    #[command(flatten)]
    place: Where,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let mut admin = place.gateway(": the next one begins with `level` under [log]")?;
    let levels = args.levels.as_ref().map(LogLevels::to_string).unwrap_or_default();
    let answer = admin.ask(&Request::Log { levels, reset: args.reset })?;
    match args.format {
        Format::Json => writeln!(out, "{answer}")?,
        Format::Text => writeln!(out, "{}", answer["levels"].as_str().unwrap_or_default())?,
    }
    Ok(ExitCode::SUCCESS)
}
