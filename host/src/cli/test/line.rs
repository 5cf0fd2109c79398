//! A message as a line: `[topic] payload`, as `mosquitto_sub -F '[%t] %p'` writes it.
//!
//! Before the bracket may stand `qos=1`, `qos=2` and `retain`, in any order. The topic ends at the first `] `; what follows is the
//! payload, which may be empty. `wait 1m` lets time pass, for plugins that export `timer`. Lines that are empty or begin with `#` say nothing.

use std::fmt;
use std::time::Duration;

use crate::message::{Message, QoS};
use crate::topic::{NameError, TopicName};

/// The longest tick. More is for a loop of the shell.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is not UTF-8")]
    NotUtf8,
    #[error("no `[topic]`: write `[topic] payload`")]
    NoTopic,
    #[error("`[` is not closed: write `[topic] payload`, with a blank after the bracket")]
    Unclosed,
    #[error("`{0}` is no flag: before `[topic]` may stand `qos=0`, `qos=1`, `qos=2` and `retain`")]
    Flag(String),
    #[error("`wait` takes a time, such as `wait 90s`, of at most a day")]
    Wait,
    #[error(transparent)]
    Topic(#[from] NameError),
}

/// Written the same way that it is read.
pub struct Line<'a>(pub &'a Message);

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    Send(Message),
    Wait(Duration),
}

/// A line without its end. `None` when it says nothing.
pub fn read(bytes: &[u8]) -> Result<Option<Order>, LineError> {
    let line = str::from_utf8(bytes).map_err(|_| LineError::NotUtf8)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.strip_prefix("wait ") {
        Some(time) => wait(time.trim()).map(Some),
        None => Ok(parse(line)?.map(Order::Send)),
    }
}

fn wait(time: &str) -> Result<Order, LineError> {
    let time = humantime::parse_duration(time).ok().filter(|time| *time <= LONGEST_WAIT);
    time.map(Order::Wait).ok_or(LineError::Wait)
}

fn parse(line: &str) -> Result<Option<Message>, LineError> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (flags, rest) = line.split_once('[').ok_or(LineError::NoTopic)?;
    let (topic, payload) = match rest.split_once("] ") {
        Some(parts) => parts,
        None => (rest.strip_suffix(']').ok_or(LineError::Unclosed)?, ""),
    };
    let topic = TopicName::parse(topic)?;
    let mut message = Message::new(topic, payload.as_bytes().to_vec(), QoS::AtMostOnce);
    for flag in flags.split_whitespace() {
        match flag {
            "qos=0" => message.qos = QoS::AtMostOnce,
            "qos=1" => message.qos = QoS::AtLeastOnce,
            "qos=2" => message.qos = QoS::ExactlyOnce,
            "retain" => message.retain = true,
            other => return Err(LineError::Flag(other.to_owned())),
        }
    }
    Ok(Some(message))
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { topic, payload, qos, retain, .. } = self.0;
        if *qos > QoS::AtMostOnce {
            write!(f, "qos={} ", *qos as u8)?;
        }
        if *retain {
            f.write_str("retain ")?;
        }
        write!(f, "[{topic}] {}", String::from_utf8_lossy(payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for line in ["[a/b] {\"c\": [1] }", "qos=1 [a] x", "qos=2 retain [a b/[c] x ] y", "retain [a] "] {
            let message = parse(line).unwrap().unwrap();
            assert_eq!(Line(&message).to_string(), line);
        }
    }

    #[test]
    fn a_payload_may_be_empty_and_a_line_may_say_nothing() {
        assert_eq!(parse("[a]").unwrap().unwrap().payload, "");
        assert_eq!(parse("retain qos=1 [a]").unwrap(), parse("qos=1 retain [a] ").unwrap());
        for nothing in ["", "  ", "# [a] b"] {
            assert_eq!(parse(nothing), Ok(None));
        }
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        assert_eq!(parse("a b"), Err(LineError::NoTopic));
        assert_eq!(parse("[a b"), Err(LineError::Unclosed));
        assert_eq!(parse("qos=3 [a] b"), Err(LineError::Flag("qos=3".into())));
        assert_eq!(parse("[a/+] b"), Err(LineError::Topic(NameError::Wildcard('+'))));
    }
}
