//! What can be asked, and what is answered.

use serde::{Deserialize, Serialize};

use crate::dead_letter::Filter;
use crate::tap::Wanted;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Status,
    /// The configuration is read again, and what can change now does.
    Reload {
        /// Only say what would.
        #[serde(default)]
        dry_run: bool,
    },
    /// Dead letters go through their binding again.
    Requeue {
        filter: Filter,
    },
    #[serde(alias = "purge-letters")]
    PurgeDeadLetters {
        filter: Filter,
    },
    /// One message for an upstream is left out: the oldest, or the one with this number.
    Skip {
        upstream: String,
        number: Option<u64>,
        /// Not even kept as a dead letter.
        drop: bool,
    },
    /// What is logged: with these levels beside those that hold, or as it is configured. Says what holds then.
    Log {
        #[serde(default)]
        levels: String,
        #[serde(default)]
        reset: bool,
    },
    /// What becomes of messages, told line by line until whoever asks leaves.
    Tap(Wanted),
    Sessions,
    /// The session of this client ends.
    DropSession {
        client: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    Ok(serde_json::Value),
    Error(String),
}
