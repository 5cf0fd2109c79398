//! Why an upstream cannot be used, and what to check.

use std::io;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use rustls::CertificateError;

use super::tls_error;
use super::unasked::Unasked;
use crate::base::excerpt::Excerpt;
use crate::mqtt::client::EncodeError;
use crate::mqtt::{DecodeError, Foreign, Reason, Version};
use crate::topic::TopicName;

/// Why a connection failed or ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot connect to `{address}`: {source}; check the url, and that the upstream is running")]
    Unreachable { address: String, source: io::Error },
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("no connection within {after:?}; is the address right, and the port open{}?", if *.tls { ", and one for TLS" } else { "" })]
    Timeout { after: Duration, tls: bool },
    #[error("no connection within {after:?}: connected, and no answer to CONNECT; {}", other_version(*.protocol))]
    NoConnAck { after: Duration, protocol: Version },
    #[error("the upstream closed the connection at our CONNECT without a word; {}; {}", other_version(*.protocol), closes_too(*.tls))]
    NotGreeted { protocol: Version, tls: bool },
    #[error("{}", tls_error::explain(.error, *.has_certificate))]
    Tls {
        error: rustls::Error,
        /// We have one to show.
        has_certificate: bool,
    },
    #[error("the upstream speaks {} on this port, and not MQTT; {}", .0.name(), other_port(*.0))]
    Foreign(Foreign),
    #[error("refused: {reason}{}; {}", text_of(.text), advice(*.reason, .server))]
    Refused { reason: Reason, text: Option<String>, server: Option<String> },
    #[error("the upstream closed the connection")]
    Closed,
    #[error("disconnected by the upstream: {reason}{}; {}", text_of(.text), advice(*.reason, .server))]
    Disconnected { reason: Reason, text: Option<String>, server: Option<String> },
    #[error("the upstream sends {} without end, for which nobody asked; the connection was ended", .0.name())]
    Flood(Unasked),
    #[error(
        "the upstream sends more messages than it may without our acks; the connection was ended, and it sends them again"
    )]
    Overrun,
    #[error("no answer to SUBSCRIBE within {0:?}; asked again on the next connection")]
    NotSubscribed(Duration),
    #[error("nothing heard from the upstream for {0:?}, although it was asked")]
    Silent(Duration),
    #[error("no {ack} for packet id {id} ({}) within {after:?}; it is sent again on the next connection", topic_of(.topic))]
    NotAcknowledged { ack: &'static str, id: u16, topic: Option<TopicName>, after: Duration },
    #[error(
        "no PINGRESP within {after:?}, which would say that a message lowered to QoS 0 ({}) was read; it is sent again on the next connection",
        topic_of(.topic)
    )]
    NotProven { topic: Option<TopicName>, after: Duration },
    #[error("the upstream broke the protocol with {0}")]
    Protocol(#[from] DecodeError),
    #[error("the upstream's CONNACK sets terms that nobody can keep: {0}; check its limits, or give another address")]
    Terms(String),
    #[error(
        "the upstream was asked to forget a session that is not ours, and still has it; is another client using our `client_id`?"
    )]
    NotCleared,
    #[error(
        "the upstream closed the connection before anything was sent on it; another client that uses our `client_id` may have come"
    )]
    Contested,
    #[error("the upstream sent {0} out of turn")]
    OutOfTurn(&'static str),
    #[error("CONNECT does not fit: {0}")]
    Connect(#[from] EncodeError),
    #[error("connected, and the spool has no room to remember the new session; make room on its disk")]
    NotRemembered,
    #[error("the upstream's session disagrees with ours (a packet id is in use); starting a new one")]
    SessionBroken,
}

/// What kind of trouble it is. Texts will not do to find the same trouble again: some hold a duration, some the time of day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind(Discriminant<LinkError>, Detail);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Detail {
    None,
    Reason(u8),
    Io(io::ErrorKind),
    Tls(Discriminant<rustls::Error>, Option<Discriminant<CertificateError>>),
    Alert(u8),
    Unasked(Unasked),
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
    pub fn kind(&self) -> Kind {
        let detail = match self {
            Self::Refused { reason, .. } | Self::Disconnected { reason, .. } => Detail::Reason(reason.0),
            Self::Unreachable { source, .. } | Self::Io(source) => Detail::Io(source.kind()),
            Self::Tls { error, .. } => Detail::of(error),
            Self::Flood(unasked) => Detail::Unasked(*unasked),
            _ => Detail::None,
        };
        Kind(discriminant(self), detail)
    }

    /// What is wrong with TLS says it itself, and has nothing to do with the url.
    pub fn with_tls(self, has_certificate: bool) -> Self {
        let (Self::Unreachable { source, .. } | Self::Io(source)) = &self else { return self };
        let tls = source.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match tls {
            Some(error) => Self::Tls { error: error.clone(), has_certificate },
            None => self,
        }
    }

    /// What the upstream is told at the end, in MQTT 5.
    pub fn farewell(&self) -> Option<Reason> {
        match self {
            Self::Protocol(error) => Some(error.reason),
            Self::OutOfTurn(_) => Some(Reason::PROTOCOL_ERROR),
            Self::Flood(_) => Some(Reason::MESSAGE_RATE_TOO_HIGH),
            Self::Overrun => Some(Reason::RECEIVE_MAXIMUM_EXCEEDED),
            _ => None,
        }
    }

    /// Another server, to which this one sends us.
    pub fn reference(&self) -> Option<&str> {
        let (Self::Refused { reason, server, .. } | Self::Disconnected { reason, server, .. }) = self else {
            return None;
        };
        server.as_deref().filter(|_| matches!(*reason, Reason::USE_ANOTHER_SERVER | Reason::SERVER_MOVED))
    }

    pub fn blame(&self) -> Blame {
        match self {
            Self::Closed => Blame::Message,
            Self::Io(error) if is_cut(error) => Blame::Message,
            Self::Disconnected { reason, .. } if !is_of_the_server(*reason) => Blame::Message,
            // A server that hangs on a message answers no PINGREQ either.
            Self::NotAcknowledged { .. } | Self::NotProven { .. } | Self::Silent(_) => Blame::Ack,
            _ => Blame::Nobody,
        }
    }

    /// Whether the other side has ended the connection without a reason, as it also does when another client comes.
    pub fn is_close(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => is_cut(error),
            _ => false,
        }
    }

    /// Whether trying again soon is of no use: a person has to change something.
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::Terms(_) | Self::Tls { .. } | Self::Foreign(_) | Self::Flood(_) => true,
            Self::Refused { reason, .. } => !matches!(*reason, Reason::SERVER_UNAVAILABLE | Reason::SERVER_BUSY),
            Self::Disconnected { reason, .. } => {
                matches!(*reason, Reason::SESSION_TAKEN_OVER | Reason::NOT_AUTHORIZED)
            }
            _ => false,
        }
    }
}

// === impl Detail ===

impl Detail {
    fn of(tls: &rustls::Error) -> Self {
        match tls {
            rustls::Error::InvalidCertificate(why) => Self::Tls(discriminant(tls), Some(discriminant(why))),
            rustls::Error::AlertReceived(alert) => Self::Alert(u8::from(*alert)),
            _ => Self::Tls(discriminant(tls), None),
        }
    }
}

/// Servers of 3.1.1 refuse a CONNECT of MQTT 5 with a reason, by closing, or by saying nothing at all.
fn other_version(protocol: Version) -> &'static str {
    match protocol {
        Version::V5 => "if it knows MQTT 3.1.1 only, set `protocol = 4`; its own log may say more",
        Version::V311 => "if it knows MQTT 5 only, set `protocol = 5`; its own log may say more",
    }
}

fn closes_too(tls: bool) -> &'static str {
    match tls {
        true => "it may also want a certificate of us (`cert` and `key`), or refuse ours",
        false => "it may also speak TLS on this port (`mqtts://`)",
    }
}

fn other_port(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Tls => "use `mqtts://` in the url",
        Foreign::Http | Foreign::Proxy => "give its port for MQTT (often 1883, with TLS 8883)",
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
        .map_or_else(|| "of an earlier process".into(), |topic| format!("topic `{}`", Excerpt(topic.as_str())))
}

fn text_of(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" ({})", Excerpt(text)))
}

fn advice(reason: Reason, server: &Option<String>) -> String {
    match (reason, server) {
        (Reason::USE_ANOTHER_SERVER, Some(server)) => format!("it names `{}`, which is tried", Excerpt(server)),
        (Reason::SERVER_MOVED, Some(server)) => {
            format!("it names `{}`, which is tried; change the url to it", Excerpt(server))
        }
        _ => what_to_do(reason).to_owned(),
    }
}

fn what_to_do(reason: Reason) -> &'static str {
    match reason {
        Reason::UNSUPPORTED_PROTOCOL_VERSION => "set the other `protocol` (4 for MQTT 3.1.1, 5 for MQTT 5)",
        Reason::CLIENT_IDENTIFIER_NOT_VALID => "check `client_id` and what the server allows there",
        Reason::BAD_USER_NAME_OR_PASSWORD => "check `username` and the password file",
        Reason::NOT_AUTHORIZED => "check the credentials, and what the server's access rules allow this client",
        Reason::SESSION_TAKEN_OVER => "another client uses the same `client_id`: give each gateway its own",
        Reason::SERVER_UNAVAILABLE | Reason::SERVER_BUSY | Reason::SERVER_SHUTTING_DOWN => "it will be tried again",
        Reason::USE_ANOTHER_SERVER | Reason::SERVER_MOVED => "it does not say which: give the url of another one",
        Reason::RETAIN_NOT_SUPPORTED => "it takes no retained messages, and has not said so when it let us in",
        Reason::QOS_NOT_SUPPORTED => "it takes less QoS, and has not said so when it let us in",
        Reason::PACKET_TOO_LARGE => "check the packet size that the server allows",
        _ => "the server's own log may say more",
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;

    use super::*;

    fn certificate(error: CertificateError) -> LinkError {
        let source = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
        LinkError::Unreachable { address: "a:1".into(), source }.with_tls(false)
    }

    #[test]
    fn what_the_other_side_says_is_escaped_and_short_and_makes_no_new_kind() {
        let said =
            |text: String| LinkError::Disconnected { reason: Reason::SERVER_BUSY, text: Some(text), server: None };
        let (first, second) = (said("\u{9b}2J".repeat(20_000)), said("1".repeat(60_000)));
        assert!(first.to_string().len() < 1_200 && !first.to_string().contains('\u{9b}'));
        assert_eq!(first.kind(), second.kind());
        let moved = |server| LinkError::Refused { reason: Reason::SERVER_MOVED, text: None, server };
        assert_eq!(moved(Some("b:1".into())).reference(), Some("b:1"));
        assert!(moved(Some("b".repeat(60_000))).to_string().len() < 1_200);
        assert!(moved(None).to_string().contains("Server moved (0x9D)") && moved(None).reference().is_none());
    }

    #[test]
    fn what_differs_in_its_numbers_is_of_one_kind_and_what_differs_in_its_cause_is_not() {
        let silent = |seconds| LinkError::Silent(Duration::from_secs(seconds)).kind();
        assert_eq!(silent(45), silent(46));
        let refused = |reason| LinkError::Refused { reason, text: None, server: None }.kind();
        assert_ne!(refused(Reason::NOT_AUTHORIZED), refused(Reason::SERVER_BUSY));
        let io = |kind: io::ErrorKind| LinkError::Io(kind.into()).kind();
        assert_ne!(io(io::ErrorKind::ConnectionReset), io(io::ErrorKind::BrokenPipe));
        let expired = |now| {
            let (time, not_after) = (
                UnixTime::since_unix_epoch(Duration::from_secs(now)),
                UnixTime::since_unix_epoch(Duration::from_secs(1)),
            );
            certificate(CertificateError::ExpiredContext { time, not_after })
        };
        assert_ne!(expired(2).to_string(), expired(3).to_string(), "the text holds the time of day");
        assert_eq!(expired(2).kind(), expired(3).kind());
        assert_ne!(expired(2).kind(), certificate(CertificateError::UnknownIssuer).kind());
    }
}
