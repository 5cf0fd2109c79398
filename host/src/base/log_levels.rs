//! What is logged: levels, for all and for targets, in four places of which the later one wins: the command, the configuration, `RUST_LOG`, and what
//! an operator asks of the process that runs.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Of one list.
const MOST: usize = 64;

/// As they are written: `info,tidegate::egress=debug`. A target is a module of the program, with what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLevels(Vec<(Option<String>, LevelFilter)>);

/// Of the process.
static LOG: OnceLock<Control> = OnceLock::new();

struct Control {
    apply: Box<dyn Fn(Targets) + Send + Sync>,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    command: LogLevels,
    configured: LogLevels,
    environment: LogLevels,
    asked: LogLevels,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    #[error("`{0}` is no level: off, error, warn, info, debug or trace; for one target write `target=level`")]
    Level(String),
    #[error("`{0}` is no target: it is a module of the program, as `tidegate::egress`")]
    Target(String),
    #[error("more than {MOST} levels")]
    Many,
}

/// What the process's log begins with. `apply` makes a filter hold.
pub fn begin(command: LogLevels, environment: LogLevels, apply: impl Fn(Targets) + Send + Sync + 'static) {
    let sources = Sources { command, environment, ..Sources::default() };
    let control = Control { apply: Box::new(apply), sources: Mutex::new(sources) };
    LOG.get_or_init(|| control).change(|_| ());
}

/// By the configuration. What was asked for goes when that is another one than before.
pub fn configure(levels: &LogLevels) {
    changed(|sources| {
        if sources.configured != *levels {
            (sources.configured, sources.asked) = (levels.clone(), LogLevels::default());
        }
    });
}

/// By an operator, until the process ends or is asked for others. What holds then.
pub fn ask(levels: &LogLevels) -> LogLevels {
    changed(|sources| sources.asked = sources.asked.and(levels))
}

/// Nothing is asked for any more. What holds then.
pub fn reset() -> LogLevels {
    changed(|sources| sources.asked = LogLevels::default())
}

fn changed(change: impl FnOnce(&mut Sources)) -> LogLevels {
    LOG.get().map(|log| log.change(change)).unwrap_or_default()
}

// === impl Control ===

impl Control {
    fn change(&self, change: impl FnOnce(&mut Sources)) -> LogLevels {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        let levels = sources.all();
        (self.apply)(levels.filter());
        levels
    }
}

// === impl Sources ===

impl Sources {
    fn all(&self) -> LogLevels {
        self.command.and(&self.configured).and(&self.environment).and(&self.asked)
    }
}

// === impl LogLevels ===

impl LogLevels {
    /// This one for all.
    pub fn of(level: LevelFilter) -> Self {
        Self(vec![(None, level)])
    }

    /// With those of a later list, which win.
    pub fn and(&self, later: &Self) -> Self {
        let is_replaced = |target: &Option<String>| later.0.iter().any(|(other, _)| other == target);
        let kept = self.0.iter().filter(|(target, _)| !is_replaced(target));
        Self(kept.chain(&later.0).cloned().collect())
    }

    pub fn filter(&self) -> Targets {
        self.0.iter().fold(Targets::new(), |filter, (target, level)| match target {
            Some(target) => filter.with_target(target, *level),
            None => filter.with_default(*level),
        })
    }
}

impl FromStr for LogLevels {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let list = parts.map(one).collect::<Result<Vec<_>, _>>()?;
        if list.len() > MOST { Err(LevelError::Many) } else { Ok(list.into_iter().fold(Self::default(), then)) }
    }
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (target, level)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match target {
                Some(target) => write!(f, "{comma}{target}={level}")?,
                None => write!(f, "{comma}{level}")?,
            }
        }
        Ok(())
    }
}

fn then(list: LogLevels, one: (Option<String>, LevelFilter)) -> LogLevels {
    list.and(&LogLevels(vec![one]))
}

fn one(part: &str) -> Result<(Option<String>, LevelFilter), LevelError> {
    let Some((target, level)) = part.split_once('=') else { return Ok((None, self::level(part)?)) };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    match !target.is_empty() && target.chars().all(is_plain) {
        true => Ok((Some(target.to_owned()), self::level(level)?)),
        false => Err(LevelError::Target(short(target))),
    }
}

/// In words: a number would be taken by the parser, too, and read by nobody.
fn level(text: &str) -> Result<LevelFilter, LevelError> {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_word && !text.is_empty()).ok_or_else(|| LevelError::Level(short(text)))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn levels(text: &str) -> LogLevels {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_mentioned_has_the_usual_level() {
        for wanted in ["", " ,", "tidegate::egress=debug,", ",, tidegate::egress=debug", "warn,,tidegate::egress=debug"]
        {
            let filter = levels("info").and(&levels(wanted)).filter();
            assert_eq!(filter.would_enable("tidegate::egress", &Level::DEBUG), wanted.contains("debug"), "{wanted}");
            assert_eq!(filter.would_enable("tidegate::spool", &Level::INFO), !wanted.starts_with("warn"), "{wanted}");
            assert!(!filter.would_enable("tidegate::spool", &Level::DEBUG), "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_what_can() {
        for wrong in ["loud", "tidegate=loud", "tidegate::egress", "3", "tidegate=", "=debug", "a b=info"] {
            assert!(wrong.parse::<LogLevels>().is_err(), "{wrong}");
        }
        assert!(vec!["a=info"; MOST + 1].join(",").parse::<LogLevels>().is_err());
        assert!("loud".parse::<LogLevels>().unwrap_err().to_string().contains("warn"));
    }

    #[test]
    fn the_last_word_on_a_target_holds() {
        let sources = Sources {
            command: levels("info,rustls=off"),
            configured: levels("warn,tidegate::spool=debug"),
            environment: levels("tidegate::spool=info"),
            asked: levels("tidegate::egress=trace,tidegate::egress=debug"),
        };
        assert_eq!(sources.all().to_string(), "rustls=off,warn,tidegate::spool=info,tidegate::egress=debug");
    }
}
