//! `mqtt://host:port` and `mqtts://host:port`, and nothing more.
//!
//! Written here and not taken from the `url` crate: for these schemes it keeps the host as an opaque string, and what
//! an MQTT address must not have (a path, a password in plain sight) would still have to be refused by hand.

use std::net::Ipv6Addr;

use crate::config::checked::Address;
use crate::config::defaults::{MQTT_PORT, MQTTS_PORT};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("an upstream's url begins with `mqtt://` or, encrypted, `mqtts://`")]
    Scheme,
    #[error("`{0}` is written `{1}` here")]
    OtherWord(&'static str, &'static str),
    #[error(
        "an upstream is reached over TCP or TLS, not over WebSocket or HTTP: give its port for `mqtts://`, which is 8883 usually"
    )]
    Web,
    #[error("an upstream's url carries no user: use the keys `username` and `password_file`")]
    User,
    #[error("an upstream's url ends after the port: topics are given in `to`")]
    Path,
    #[error("the host is a name or an IP address, an IPv6 address in brackets: `mqtt://[::1]:1883`")]
    Host,
    #[error("the port is a number from 1 to 65535")]
    Port,
}

pub fn parse(url: &str) -> Result<Address, UrlError> {
    // First, so that no other sentence is ever said about a text with a password in it.
    if url.contains('@') {
        return Err(UrlError::User);
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "mqtt" => false,
        "mqtts" => true,
        "tcp" => return Err(UrlError::OtherWord("tcp://", "mqtt://")),
        "ssl" => return Err(UrlError::OtherWord("ssl://", "mqtts://")),
        "tls" => return Err(UrlError::OtherWord("tls://", "mqtts://")),
        "ws" | "wss" | "http" | "https" => return Err(UrlError::Web),
        _ => return Err(UrlError::Scheme),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(UrlError::Path);
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        None => {
            if tls {
                MQTTS_PORT
            } else {
                MQTT_PORT
            }
        }
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?,
    };
    Ok(Address { host: host.to_owned(), port, tls })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        return match after {
            "" => Ok((host, None)),
            after => Ok((host, Some(after.strip_prefix(':').ok_or(UrlError::Port)?))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(UrlError::Host);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_gives_the_port_unless_it_is_written() {
        for (url, host, port, tls) in [
            ("mqtt://broker", "broker", 1883, false),
            ("MQTTS://broker.example.com", "broker.example.com", 8883, true),
            ("mqtt://10.0.0.7:1884/", "10.0.0.7", 1884, false),
            ("mqtts://[fe80::1]:8884", "fe80::1", 8884, true),
            ("mqtt://[::1]", "::1", 1883, false),
        ] {
            assert_eq!(parse(url), Ok(Address { host: host.into(), port, tls }), "{url}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        for (url, error) in [
            ("broker:1883", UrlError::Scheme),
            ("mqttx://broker", UrlError::Scheme),
            ("http://broker", UrlError::Web),
            ("ssl://broker", UrlError::OtherWord("ssl://", "mqtts://")),
            ("mqtt://user:secret@broker", UrlError::User),
            ("mqtt://broker/topic", UrlError::Path),
            ("mqtt://", UrlError::Host),
            ("mqtt://bro ker", UrlError::Host),
            ("mqtt://::1", UrlError::Host),
            ("mqtt://[::1", UrlError::Host),
            ("mqtt://[::1]1883", UrlError::Port),
            ("mqtt://broker:0", UrlError::Port),
            ("mqtt://broker:99999", UrlError::Port),
            ("mqtt://broker:", UrlError::Port),
        ] {
            assert_eq!(parse(url), Err(error), "{url}");
        }
    }
}
