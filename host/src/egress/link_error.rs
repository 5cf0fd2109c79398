//! Why an upstream cannot be used, and what to check.

use std::io;
use std::time::Duration;

use crate::mqtt::DecodeError;
use crate::mqtt::Reason;
use crate::mqtt::client::EncodeError;
use crate::topic::TopicName;

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
    #[error("no {ack} for packet id {id} ({}) within {after:?}; it is sent again on the next connection", topic_of(.topic))]
    NotAcknowledged { ack: &'static str, id: u16, topic: Option<TopicName>, after: Duration },
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

/// What the end of a connection may be due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The message that was out: the server has closed, and not because of itself.
    Message,
    /// The same, which was not acknowledged in time.
    Ack,
    Nobody,
}

// === impl LinkError ===

impl LinkError {
    pub fn blame(&self) -> Blame {
        match self {
            Self::Closed => Blame::Message,
            Self::Io(error) if is_cut(error) => Blame::Message,
            Self::Disconnected { reason, .. } if !is_of_the_server(*reason) => Blame::Message,
            Self::NotAcknowledged { .. } => Blame::Ack,
            _ => Blame::Nobody,
        }
    }

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

/// By the other side, and not by the network.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// These reasons of a DISCONNECT are about the server, the client or its rate, and never about one message.
fn is_of_the_server(reason: Reason) -> bool {
    matches!(reason.0, 0x00 | 0x88 | 0x89 | 0x8B | 0x8D | 0x8E | 0x96 | 0x97 | 0x98 | 0x9C | 0x9D | 0x9F | 0xA0)
}

fn topic_of(topic: &Option<TopicName>) -> String {
    topic
        .as_ref()
        .map_or_else(|| "of an earlier process".into(), |topic| format!("topic `{}`", topic.as_str().escape_debug()))
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
