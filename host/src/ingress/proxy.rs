//! The header of the PROXY protocol (versions 1 and 2): where a connection that comes through a load balancer comes from.
//!
//! Nothing behind the header is read: what follows may be TLS. The length of version 2 stands in its first 16 bytes; a line of version 1 is
//! read byte by byte, which costs a hundred reads once for a connection.
//!
//! Whoever reaches such a listener can say any address: it is for the load balancer alone. What else a header of version 2 may
//! hold (TLV) is not looked at.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::mqtt::Foreign;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY ";

/// Of version 2, before what its length counts. The shortest line of version 1 is one byte shorter.
const FIXED: usize = 16;

/// The longest line (section 2.1).
const MAX_LINE: usize = 107;

/// Addresses take 216 bytes at most. The rest are TLVs, with the names of certificates among them: what a load balancer sends has some hundreds.
const MAX_HEADER: usize = 4 * 1024;

const CONFIG: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };

/// Why no header could be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// A load balancer that looks whether the port is open does so.
    #[error("closed without a word")]
    Silent,
    #[error(
        "no PROXY protocol header comes first, but {0}: connect through the load balancer, let it send the header (haproxy: `send-proxy-v2`), or remove `proxy_protocol = true` from the listener"
    )]
    Missing(&'static str),
    #[error("a PROXY protocol header that breaks its format: let the load balancer send version 2, or 1")]
    Malformed,
    #[error("a PROXY protocol header of more than 4 KiB: let the load balancer leave out TLVs")]
    TooLong,
}

/// The source that the header names. `None`: it names none (LOCAL, UNKNOWN, a family without ports), and the address of the socket counts.
pub async fn source<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, ProxyError> {
    let mut header = Vec::with_capacity(MAX_LINE);
    while header.len() < SIGNATURE.len() {
        read_some(stream, &mut header, SIGNATURE.len()).await?;
        let is_line = LINE.starts_with(&header[..header.len().min(LINE.len())]);
        if !is_line && !SIGNATURE.starts_with(&header) {
            return Err(ProxyError::Missing(name(&header)));
        }
    }
    if header == SIGNATURE {
        read_binary(stream, &mut header).await?
    } else {
        read_line(stream, &mut header).await?
    }
    let (parsed, length) = ProxyHeader::parse(&header, CONFIG).map_err(|_| ProxyError::Malformed)?;
    debug_assert_eq!(length, header.len(), "nothing behind it was read");
    let stream_source = parsed.proxied_address().filter(|address| address.protocol == Protocol::Stream);
    Ok(stream_source.map(|address| address.source))
}

async fn read_binary<S: AsyncRead + Unpin>(stream: &mut S, header: &mut Vec<u8>) -> Result<(), ProxyError> {
    while header.len() < FIXED {
        read_some(stream, header, FIXED).await?;
    }
    let whole = FIXED + usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
    if whole > MAX_HEADER {
        return Err(ProxyError::TooLong);
    }
    while header.len() < whole {
        read_some(stream, header, whole).await?;
    }
    Ok(())
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut S, header: &mut Vec<u8>) -> Result<(), ProxyError> {
    while !header.ends_with(b"\n") {
        if header.len() >= MAX_LINE {
            return Err(ProxyError::Malformed);
        }
        let one_more = header.len() + 1;
        read_some(stream, header, one_more).await?;
    }
    Ok(())
}

/// At least one byte, and never more than `whole` in all.
async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, header: &mut Vec<u8>, whole: usize) -> Result<(), ProxyError> {
    let left = (whole - header.len()) as u64;
    let read: io::Result<usize> = stream.take(left).read_buf(header).await;
    match read {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) if header.is_empty() => Err(ProxyError::Silent),
        Ok(0) | Err(_) => Err(ProxyError::Malformed),
    }
}

/// What comes instead.
fn name(bytes: &[u8]) -> &'static str {
    match (Foreign::recognise(bytes), bytes) {
        (Some(foreign), _) => foreign.name(),
        (None, [0x10, ..]) => "MQTT",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;

    use super::*;

    const BEHIND: &[u8] = b"\x10\x0c\0\x04MQTT";

    /// What the header says, and what is left for the next stage. Delivered in pieces of this size.
    fn read(header: &[u8], piece: usize) -> (Result<Option<SocketAddr>, ProxyError>, Vec<u8>) {
        let mut stream = script(header, piece);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let said = source(&mut stream).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (said, rest)
        })
    }

    /// A stream that gives `header` and what is behind it in pieces, whatever is asked for.
    fn script(header: &[u8], piece: usize) -> Pieces {
        Pieces { bytes: [header, BEHIND].concat(), at: 0, piece }
    }

    struct Pieces {
        bytes: Vec<u8>,
        at: usize,
        piece: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let end = self.bytes.len().min(self.at + self.piece.min(buffer.remaining()));
            buffer.put_slice(&self.bytes[self.at..end]);
            self.at = end;
            std::task::Poll::Ready(Ok(()))
        }
    }

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    fn binary(command_and_family: [u8; 2], length: u16, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE, &command_and_family, &length.to_be_bytes(), rest].concat()
    }

    const V4: &[u8] = &[203, 0, 113, 7, 10, 0, 0, 1, 0xC0, 1, 0x07, 0x5B];

    #[test]
    fn the_source_is_what_the_header_says_and_nothing_behind_it_is_read() {
        let v6 = [&[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0; 16], &[0, 5, 0, 6]].concat();
        for (header, expected) in [
            (binary([0x21, 0x11], 12, V4), address("203.0.113.7:49153")),
            (binary([0x21, 0x11], 17, &[V4, &[4, 0, 2, 0, 0]].concat()), address("203.0.113.7:49153")),
            (binary([0x21, 0x21], 36, &v6), address("[2001:db8::9]:5")),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 49153 1883\r\n".to_vec(), address("203.0.113.7:49153")),
            (b"PROXY TCP6 2001:db8::9 ::1 5 6\r\n".to_vec(), address("[2001:db8::9]:5")),
            // The load balancer itself, and what has no port.
            (binary([0x20, 0x11], 12, V4), None),
            (binary([0x20, 0x00], 0, b""), None),
            (binary([0x21, 0x00], 0, b""), None),
            (binary([0x21, 0x12], 12, V4), None),
            (binary([0x21, 0x31], 216, &[b'u'; 216]), None),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n".to_vec(), None),
        ] {
            for piece in [1, 3, 13, 1_000] {
                let (said, rest) = read(&header, piece);
                assert_eq!((said.unwrap(), &rest[..]), (expected, BEHIND), "{header:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_called_what_it_is_at_its_first_bytes() {
        let missing = |bytes: &[u8]| match read(bytes, 1_000).0 {
            Err(ProxyError::Missing(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(b""), "MQTT");
        assert_eq!(missing(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0"), "TLS");
        assert_eq!(missing(b"GET /mqtt HTTP/1.1\r\n"), "HTTP or WebSocket");
        assert_eq!(missing(b"PROXX TCP4"), "something else");
    }

    #[test]
    fn what_breaks_the_format_or_is_too_long_is_refused() {
        for header in [
            binary([0x11, 0x11], 12, V4),
            binary([0x22, 0x11], 12, V4),
            binary([0x21, 0x41], 12, V4),
            binary([0x21, 0x11], 11, &V4[..11]),
            b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n".to_vec(),
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n".to_vec(),
            b"PROXY TCP4\r\n    \r\n".to_vec(),
            [&b"PROXY TCP4 "[..], &[b'1'; 200], b"\r\n"].concat(),
        ] {
            assert_eq!(read(&header, 1_000).0, Err(ProxyError::Malformed), "{header:?}");
        }
        assert_eq!(read(&binary([0x21, 0x11], 60_000, V4), 1_000).0, Err(ProxyError::TooLong));
        assert_eq!(
            read(&binary([0x21, 0x11], 3_000, V4), 1_000).0,
            Err(ProxyError::Malformed),
            "it ends before its end"
        );
    }

    proptest! {
        #[test]
        fn any_source_survives_however_its_header_is_cut(source: SocketAddr, piece in 1..60_usize, is_text: bool) {
            let destination = if source.is_ipv4() { "10.0.0.1:1" } else { "[::1]:1" }.parse().unwrap();
            let header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
            let mut bytes = Vec::new();
            if is_text { header.encode_v1(&mut bytes).unwrap() } else { header.encode_v2(&mut bytes).unwrap() }
            let (said, rest) = read(&bytes, piece);
            // No header carries the scope of an address.
            prop_assert_eq!(said.unwrap(), Some(SocketAddr::new(source.ip(), source.port())));
            prop_assert_eq!(rest, BEHIND);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), begins in 0..3_u8) {
            let start: &[u8] = match begins { 0 => SIGNATURE, 1 => LINE, _ => b"" };
            let _ = read(&[start, &bytes[..]].concat(), 7);
        }
    }
}
