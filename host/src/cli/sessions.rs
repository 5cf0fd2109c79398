//! `tidegate sessions`: who has a session on a running gateway, what waits for it, and the end of one.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use bytesize::ByteSize;

use super::Format;
use super::spool::{Where, escape};
use crate::base::clock::{since_unix_ms, until_unix_ms};
use crate::ingress::registry::SessionState;
use crate::operate::admin::Request;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<SessionsCommand>,
    #[command(flatten)]
    place: Option<Where>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum SessionsCommand {
    /// End the session of a client as its expiry would: what waits for it goes, and its will is published
    Drop(Drop),
}

#[derive(Debug, clap::Args)]
struct Drop {
    /// The client identifier
    client: String,
    #[command(flatten)]
    place: Where,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match (&args.command, &args.place) {
        (Some(SessionsCommand::Drop(args)), _) => drop_session(args, out),
        (None, Some(place)) => list(place, args.format, out),
        (None, None) => bail!("name the configuration with -c FILE, or the data folder with --data-dir DIR"),
    }
}

fn list(place: &Where, format: Format, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let answer = ask(place, &Request::Sessions)?;
    match format {
        Format::Json => writeln!(out, "{answer:#}")?,
        Format::Text => {
            let sessions: Vec<SessionState> = serde_json::from_value(answer)?;
            sessions.iter().try_for_each(|session| writeln!(out, "{}", line(session)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn drop_session(args: &Drop, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    ask(&args.place, &Request::DropSession { client: args.client.clone() })?;
    writeln!(out, "dropped the session of {}", escape(&args.client))?;
    Ok(ExitCode::SUCCESS)
}

fn ask(place: &Where, request: &Request) -> anyhow::Result<serde_json::Value> {
    let place = place.find()?;
    let mut admin = place.gateway(": sessions are shown and dropped by the one that runs")?;
    Ok(admin.ask(request)?)
}

/// To the second: this is read by people.
fn line(session: &SessionState) -> String {
    let whole = |span: Duration| humantime::format_duration(Duration::from_secs(span.as_secs()));
    let client = if session.client.is_empty() { "\"\"" } else { &session.client };
    let state = if session.connected { "connected" } else { "away" };
    let since = whole(since_unix_ms(session.since_ms));
    let end = match session.ends_at_ms {
        Some(at) => format!("ends in {}", whole(until_unix_ms(at))),
        None if session.expiry_seconds == 0 => "ends with its connection".to_owned(),
        None => format!("outlives its connection by {}", whole(Duration::from_secs(session.expiry_seconds))),
    };
    let user = session.user.as_ref().map_or(String::new(), |user| format!(" of {}", escape(user)));
    let SessionState { subscriptions, queued_messages, queued_bytes, .. } = session;
    let bytes = ByteSize::b(*queued_bytes as u64);
    format!(
        "{}{user}: {state} for {since}, {end}, {subscriptions} subscriptions, {queued_messages} messages queued, {bytes} held",
        escape(client)
    )
}
