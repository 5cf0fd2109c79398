//! `tidegate tap`: messages of a running gateway as they come, and with `--why` what becomes of each.

mod text;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::spool::Where;
use super::{Format, say};
use crate::base::plain::line;
use crate::operate::admin::Request;
use crate::tap::{Line, MAX_RATE, MAX_SECONDS, Step, Wanted};

/// Beyond the time of the tap, for the gateway's last word.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Messages published to these topics: `sensors/#`
    filter: String,
    #[command(flatten)]
    place: Where,
    /// The whole way: bindings, what each plugin makes of it, its place in the spool, what the upstream answers
    #[arg(long)]
    why: bool,
    /// Only what this client publishes
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// One of so many messages
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// So many new messages in a second, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RATE)))]
    rate: u32,
    /// End when so many messages have come, with `--why` when nothing of them is under way any more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    time: Duration,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let admin = place.gateway(": there are no messages to look at")?;
    let wanted = args.wanted();
    let patience = Duration::from_secs(wanted.seconds) + PATIENCE;
    let mut left = args.count;
    // The first answer says that the tap is open.
    let mut answers = admin.listen(&Request::Tap(wanted), patience)?;
    answers.next().context("the gateway has closed the connection")??;
    say(&line(&format!("looking at `{}`; Ctrl-C ends it", args.filter)));
    for answer in answers {
        let answer = answer?;
        let line: Line = serde_json::from_value(answer.clone())?;
        args.show(&answer, &line, out)?;
        if line.step == Step::Over || (line.step == Step::Done && has_all(&mut left)) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!("the gateway has ended the tap: it stops")
}

fn has_all(left: &mut Option<u64>) -> bool {
    let Some(left) = left else { return false };
    *left = left.saturating_sub(1);
    *left == 0
}

// === impl Args ===

impl Args {
    fn show(&self, answer: &serde_json::Value, line: &Line, out: &mut impl Write) -> std::io::Result<()> {
        match self.format {
            Format::Json => writeln!(out, "{answer}")?,
            // Without its way, its end says nothing.
            Format::Text if line.step == Step::Done && !self.why => {}
            Format::Text => text::write(line, out)?,
        }
        out.flush()
    }

    fn wanted(&self) -> Wanted {
        let Self { filter, client, why, every, rate, count, time, .. } = self;
        Wanted {
            filter: filter.clone(),
            client: client.clone(),
            why: *why,
            every: *every,
            rate: *rate,
            count: *count,
            seconds: time.as_secs().clamp(1, MAX_SECONDS),
        }
    }
}
