//! `[log]`: what is logged, and how.

use crate::base::log_levels::{LevelError, LogLevels};
use crate::config::checked::{Log, LogFormat};
use crate::config::problem::Problem;
use crate::config::raw::Table;
use crate::config::similar::did_you_mean;

const FORMATS: [&str; 3] = ["text", "json", "journald"];

pub fn check(table: &Table<'_>) -> Log {
    let log = Log { format: format(table), level: level(table) };
    table.finish();
    log
}

fn format(table: &Table<'_>) -> Option<LogFormat> {
    let typed = table.text("format")?;
    match *typed.get_ref() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        "journald" => Some(LogFormat::Journald),
        other => {
            let sentence = format!("`format` cannot be \"{other}\"");
            table.add(Problem::error(typed.span(), sentence).advice(did_you_mean(other, &FORMATS, "")));
            None
        }
    }
}

fn level(table: &Table<'_>) -> LogLevels {
    let Some(typed) = table.text("level") else { return LogLevels::default() };
    typed.get_ref().parse().unwrap_or_else(|error: LevelError| {
        let advice =
            "write `level = \"info\"`, or with a target of its own level `level = \"info,tidegate::egress=debug\"`";
        table.add(Problem::error(typed.span(), error.to_string()).advice(advice));
        LogLevels::default()
    })
}
