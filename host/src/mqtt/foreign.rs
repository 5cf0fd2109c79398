//! Other protocols that come to a port of MQTT, told by their first bytes.

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    Tls,
    /// WebSocket begins so, too.
    Http,
    /// The header that a load balancer puts before a connection, version 1 or 2.
    Proxy,
}

/// How a header of the PROXY protocol begins, in each of its versions.
const PROXY: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// No packet that MQTT allows as the first one of either side begins like these: CONNECT begins with 0x10, CONNACK with 0x20.
const METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PRI * HTTP", b"HTTP/"];

// === impl Foreign ===

impl Foreign {
    /// By the first bytes of a connection, as many as have come.
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        // A record of TLS: handshake or alert, and version 3.0 to 3.4 (RFC 8446, section 5.1).
        if let [0x15 | 0x16, 3, 0..=4, ..] = bytes {
            return Some(Self::Tls);
        }
        if PROXY.iter().any(|header| bytes.starts_with(header)) {
            return Some(Self::Proxy);
        }
        METHODS.iter().any(|method| bytes.starts_with(method)).then_some(Self::Http)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::Http => "HTTP or WebSocket",
            Self::Proxy => "a PROXY protocol header",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_and_http_are_told_from_mqtt() {
        for (bytes, foreign) in [
            (&b"\x16\x03\x01\x02\0\x01"[..], Some(Foreign::Tls)),
            (b"\x15\x03\x03\0\x02\x02\x46", Some(Foreign::Tls)),
            (b"HTTP/1.1 400 Bad Request\r\n", Some(Foreign::Http)),
            (b"GET /mqtt HTTP/1.1\r\n", Some(Foreign::Http)),
            (b"PRI * HTTP/2.0\r\n", Some(Foreign::Http)),
            (b"PROXY UNKNOWN\r\n", Some(Foreign::Proxy)),
            (b"\r\n\r\n\0\r\nQUIT\n\x20", Some(Foreign::Proxy)),
            (b"\r\n\r\n", None),
            (b"\x10\x0c\0\x04MQTT\x05", None),
            (b"\x20\x03\0\0\0", None),
            (b"\x16", None),
            (b"GE", None),
            (b"", None),
        ] {
            assert_eq!(Foreign::recognise(bytes), foreign, "{bytes:?}");
        }
    }
}
