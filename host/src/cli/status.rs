//! `tidegate status`: a running gateway at a glance.

use std::io::Write;
use std::process::ExitCode;

use super::Format;
use super::spool::Where;
use crate::metrics::{OldestSnapshot, PluginSnapshot, Snapshot, StoppedSnapshot, TlsSnapshot};
use crate::operate::admin::Request;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let mut admin = place.gateway("")?;
    let answer = admin.ask(&Request::Status)?;
    match args.format {
        Format::Json => writeln!(out, "{answer:#}")?,
        Format::Text => write(&serde_json::from_value(answer)?, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(status: &Snapshot, out: &mut impl Write) -> std::io::Result<()> {
    write_parts(status, out)?;
    for (counter, count) in status.counters.iter().filter(|(_, count)| **count > 0) {
        writeln!(out, "{counter}: {count}")?;
    }
    Ok(())
}

/// All but the counters.
pub(super) fn write_parts(status: &Snapshot, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "tidegate {}, process {}", status.version, status.pid)?;
    writeln!(out, "{} waiting, {} dead letters", status.waiting, status.dead_letters)?;
    if status.log_lines_lost > 0 {
        writeln!(out, "{} lines of the log were lost: is it read, and is there room for it?", status.log_lines_lost)?;
    }
    for held in &status.held {
        writeln!(
            out,
            "devices are held back: {}; {}",
            super::spool::escape(&held.reason),
            super::spool::escape(&held.advice)
        )?;
    }
    for binding in &status.starting {
        writeln!(out, "binding {binding} is starting: its plugins are being compiled or started; its messages wait")?;
    }
    for stopped in &status.stopped {
        write_stopped(stopped, out)?;
    }
    for tls in &status.tls {
        write_tls(tls, out)?;
    }
    for upstream in &status.upstreams {
        let state = match (&upstream.last_error, upstream.connected) {
            (_, true) => format!("connected to {}", upstream.url.as_deref().unwrap_or("it")),
            (Some(error), false) => format!("away: {}", super::spool::escape(error)),
            (None, false) => "connecting".to_owned(),
        };
        writeln!(out, "upstream {}: {state}", upstream.name)?;
        if let Some(error) = &upstream.files_error {
            let (name, error) = (&upstream.name, super::spool::escape(error));
            writeln!(
                out,
                "upstream {name}: files of TLS have changed and cannot be used, the old ones are in use: {error}"
            )?;
        }
        if upstream.taken_over > 0 {
            let (name, times) = (&upstream.name, upstream.taken_over);
            writeln!(out, "upstream {name}: another client with our client id took the session over {times} times")?;
        }
        if let Some(oldest) = &upstream.oldest {
            write_oldest(&upstream.name, oldest, out)?;
        }
    }
    for (name, plugin) in &status.plugins {
        write_plugin(name, plugin, out)?;
    }
    Ok(())
}

/// Only what somebody has to do something about.
fn write_tls(tls: &TlsSnapshot, out: &mut impl Write) -> std::io::Result<()> {
    for warning in &tls.warnings {
        writeln!(out, "listener {}: {}", tls.listener, super::spool::escape(warning))?;
    }
    if let Some(why) = &tls.not_in_use {
        let (name, why) = (&tls.listener, super::spool::escape(why));
        writeln!(out, "listener {name}: TLS files have changed and cannot be used, those from before are: {why}")?;
    }
    Ok(())
}

fn write_stopped(stopped: &StoppedSnapshot, out: &mut impl Write) -> std::io::Result<()> {
    let StoppedSnapshot { binding, reason, meanwhile, attempts, next_attempt_seconds, .. } = stopped;
    let next = next_attempt_seconds.map_or("tried again when the gateway starts".to_owned(), |seconds| {
        format!("tried {attempts} times, again in {seconds} s")
    });
    writeln!(out, "binding {binding} is stopped: {}; {meanwhile}; {next}", super::spool::escape(reason))
}

fn write_oldest(upstream: &str, oldest: &OldestSnapshot, out: &mut impl Write) -> std::io::Result<()> {
    let OldestSnapshot { number, topic, age_seconds, attempts, suspect } = oldest;
    let topic = super::spool::escape(topic);
    write!(out, "upstream {upstream}, oldest: number {number} on {topic}, {age_seconds} s old")?;
    match (attempts, suspect) {
        (0, _) => writeln!(out),
        (_, false) => writeln!(out, ", not acknowledged in {attempts} attempts"),
        (_, true) => writeln!(out, ", not acknowledged in {attempts} attempts: it may be why the connection ends"),
    }
}

fn write_plugin(name: &str, plugin: &PluginSnapshot, out: &mut impl Write) -> std::io::Result<()> {
    let PluginSnapshot { messages, faults, retries, breakers, metrics } = plugin;
    writeln!(out, "plugin {name}: {messages} messages, {faults} failed, {retries} retries")?;
    for (binding, state) in breakers.iter().filter(|(_, state)| *state != "closed") {
        writeln!(out, "plugin {name} in binding {binding}: its circuit breaker is {state}")?;
    }
    for (metric, value) in metrics {
        writeln!(out, "plugin {name}, {metric}: {value}")?;
    }
    Ok(())
}
