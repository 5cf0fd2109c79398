//! `tidegate reload`: a running gateway reads its configuration again.

use std::io::Write;
use std::process::ExitCode;

use super::spool::Where;
use super::{EXIT_CONFIG, Format, say};
use crate::base::plain::line;
use crate::config::Step;
use crate::operate::ReloadReport;
use crate::operate::admin::Request;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    /// Only say what would change now and what needs a restart
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let mut admin =
        place.gateway(": the next one reads its configuration when it starts; `tidegate check` looks at it now")?;
    let answer = admin.ask(&Request::Reload { dry_run: args.dry_run })?;
    let report: ReloadReport = serde_json::from_value(answer.clone())?;
    match args.format {
        Format::Json => writeln!(out, "{answer:#}")?,
        Format::Text => write(&report, out)?,
    }
    for warning in &report.warnings {
        say(&line(&format!("warning: {warning}")));
    }
    let Some(why) = &report.refused else { return Ok(ExitCode::SUCCESS) };
    say(&line(&format!("error: not reloaded, and the configuration from before holds: {why}")));
    Ok(ExitCode::from(EXIT_CONFIG))
}

fn write(report: &ReloadReport, out: &mut impl Write) -> std::io::Result<()> {
    if report.refused.is_some() {
        return Ok(());
    }
    let plan = &report.plan;
    let now = if report.dry_run { "would change" } else { "changed" };
    let lines = |steps: &[Step], word: &str, out: &mut dyn Write| {
        steps.iter().try_for_each(|step| writeln!(out, "{word}: {}: {}", step.what, step.how))
    };
    lines(&plan.now, now, out)?;
    lines(&plan.restart, "needs a restart", out)?;
    writeln!(out, "unchanged: {}", plan.unchanged.join(", "))?;
    let then = match (report.dry_run, plan.changes_nothing()) {
        (_, true) => "nothing differs from what runs",
        (true, false) => "nothing was changed: this was a dry run",
        (false, false) => "reloaded",
    };
    writeln!(out, "{}: {then}", report.file)
}
