//! `[log]`: what is logged, and how.

use crate::base::log_levels::LogLevels;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// None: as the command line says, or as text.
    pub format: Option<LogFormat>,
    pub level: LogLevels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
    /// Fields for the journal of systemd.
    Journald,
}
