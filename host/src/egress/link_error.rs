//! Why an upstream cannot be used, and what to check.

use std::io;
use std::time::Duration;

use crate::mqtt::DecodeError;
use crate::mqtt::Reason;
use crate::mqtt::client::EncodeError;

/// Why a connection failed or ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot connect to `{address}`: {source}; check the url, and that the upstream is running")]
    Unreachable { address: String, source: io::Error },
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("no connection within {0:?}; is the address right, and the port open?")]
    Timeout(Duration),
    #[error("refused: {reason}{}; {}", text_of(.text), advice(*.reason))]
    Refused { reason: Reason, text: Option<String> },
    #[error("the upstream closed the connection")]
    Closed,
    #[error("disconnected by the upstream: {reason}{}; {}", text_of(.text), advice(*.reason))]
    Disconnected { reason: Reason, text: Option<String> },
    #[error("nothing heard from the upstream for {0:?}, although it was asked")]
    Silent(Duration),
    #[error("the upstream broke the protocol with {0}")]
    Protocol(#[from] DecodeError),
    #[error("the upstream sent {0} out of turn")]
    OutOfTurn(&'static str),
    #[error("CONNECT does not fit: {0}")]
    Connect(#[from] EncodeError),
    #[error("connected, and the spool has no room to remember the new session; make room on its disk")]
    NotRemembered,
    #[error("the upstream's session disagrees with ours (a packet id is in use); starting a new one")]
    SessionBroken,
}

// === impl LinkError ===

impl LinkError {
    /// Whether trying again soon is of no use: a person has to change something.
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => !matches!(*reason, Reason::SERVER_UNAVAILABLE | Reason::SERVER_BUSY),
            Self::Disconnected { reason, .. } => {
                matches!(*reason, Reason::SESSION_TAKEN_OVER | Reason::NOT_AUTHORIZED)
            }
            _ => false,
        }
    }
}

fn text_of(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" ({})", text.escape_debug()))
}

fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::UNSUPPORTED_PROTOCOL_VERSION => "set the other `protocol` (4 for MQTT 3.1.1, 5 for MQTT 5)",
        Reason::CLIENT_IDENTIFIER_NOT_VALID => "check `client_id` and what the server allows there",
        Reason::BAD_USER_NAME_OR_PASSWORD => "check `username` and the password file",
        Reason::NOT_AUTHORIZED => "check the credentials, and what the server's access rules allow this client",
        Reason::SESSION_TAKEN_OVER => "another client uses the same `client_id`: give each gateway its own",
        Reason::SERVER_UNAVAILABLE | Reason::SERVER_BUSY | Reason::SERVER_SHUTTING_DOWN => "it will be tried again",
        Reason::PACKET_TOO_LARGE => "check the packet size that the server allows",
        _ => "the server's own log may say more",
    }
}
