//! `tidegate top`: what `status` shows, again and again, with what has come in between.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::spool::{Place, Where};
use super::status;
use crate::base::clock;
use crate::base::plain::plain;
use crate::metrics::Snapshot;
use crate::operate::admin::Request;

/// The terminal's own words: to its upper left corner; the rest of the line, of the screen is empty.
const HOME: &str = "\u{1b}[H";
const REST_OF_LINE: &str = "\u{1b}[K";
const REST_OF_SCREEN: &str = "\u{1b}[J";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    /// Between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// End after so many looks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// A gateway at one moment.
struct Look {
    at: Instant,
    status: Snapshot,
}

/// Nobody reads faster than this, and each look counts all of the gateway.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) { Err("100ms at least".into()) } else { Ok(interval) }
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let is_screen = io::stdout().is_terminal();
    let mut before: Option<Look> = None;
    for looked in 1_u64.. {
        let now = Look::at(&place)?;
        let text = now.drawn(before.as_ref()).context("it cannot be drawn")?;
        out.write_all(framed(&text, is_screen, looked == 1).as_bytes())?;
        out.flush()?;
        if args.count == Some(looked) {
            break;
        }
        before = Some(now);
        std::thread::sleep(args.interval);
    }
    Ok(ExitCode::SUCCESS)
}

/// On a screen in the place of the one before. Elsewhere one after the other, with an empty line in between. What others have chosen in it moves no cursor.
fn framed(text: &str, is_screen: bool, is_first: bool) -> String {
    let text = plain(text);
    if !is_screen {
        return if is_first { text } else { format!("\n{text}") };
    }
    let lines: String = text.lines().map(|line| format!("{line}{REST_OF_LINE}\n")).collect();
    format!("{HOME}{lines}{REST_OF_SCREEN}")
}

// === impl Look ===

impl Look {
    /// A connection for each: the gateway may be another one meanwhile.
    fn at(place: &Place) -> anyhow::Result<Self> {
        let mut admin = place.gateway("")?;
        let status = serde_json::from_value(admin.ask(&Request::Status)?)?;
        Ok(Self { at: clock::now(), status })
    }

    fn drawn(&self, before: Option<&Self>) -> anyhow::Result<String> {
        let mut text = Vec::new();
        status::write_parts(&self.status, &mut text)?;
        // Another process has counted those of before.
        let before = before.filter(|before| before.status.pid == self.status.pid);
        for (counter, count) in self.status.counters.iter().filter(|(_, count)| **count > 0) {
            let rate = before.map(|before| self.rate(&before.status.counters, counter, before.at));
            match rate.filter(|rate| *rate >= 0.05) {
                Some(rate) => writeln!(text, "{counter}: {count} (+{rate:.1}/s)")?,
                None => writeln!(text, "{counter}: {count}")?,
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn rate(&self, before: &BTreeMap<String, u64>, counter: &str, at: Instant) -> f64 {
        let counted = |counters: &BTreeMap<String, u64>| counters.get(counter).copied().unwrap_or(0);
        let came = counted(&self.status.counters).saturating_sub(counted(before));
        came as f64 / self.at.saturating_duration_since(at).as_secs_f64().max(0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pid: u32, received: u64, at: Instant) -> Look {
        let status = serde_json::json!({
            "version": "1", "pid": pid, "waiting": 3, "dead_letters": 0, "upstreams": [], "plugins": {},
            "counters": { "received": received, "expired": 0 }
        });
        Look { at, status: serde_json::from_value(status).unwrap() }
    }

    #[test]
    fn what_came_in_between_is_told_by_the_second_and_not_across_a_restart() {
        let start = clock::now();
        let (first, second) = (look(1, 10, start), look(1, 30, start + Duration::from_secs(4)));
        assert!(first.drawn(None).unwrap().contains("received: 10\n"));
        let text = second.drawn(Some(&first)).unwrap();
        assert!(text.contains("3 waiting") && text.contains("received: 30 (+5.0/s)\n") && !text.contains("expired"));
        let restarted = look(2, 5, start + Duration::from_secs(4));
        assert!(restarted.drawn(Some(&first)).unwrap().contains("received: 5\n"));
    }

    #[test]
    fn a_screen_is_written_over_and_nobody_else_moves_its_cursor() {
        assert_eq!(framed("a\nb\n", true, false), "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        assert_eq!(framed("a\n", false, false), "\na\n");
        assert!(!framed("\u{1b}[2J", false, true).contains('\u{1b}'));
        assert_eq!(framed("\u{1b}[2J", true, true).matches('\u{1b}').count(), 3);
    }

    #[test]
    fn an_interval_is_a_time_that_is_not_too_short() {
        assert_eq!(interval("5s"), Ok(Duration::from_secs(5)));
        assert!(interval("1ms").is_err() && interval("often").is_err());
    }
}
