//! From the first byte to a WebSocket. Its deadline is that of whoever calls it.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::WebSocket;
use super::request;
use crate::mqtt::Foreign;

/// The longest head of a request. Browsers send cookies of other ports of the same host along: 4 KiB of each are usual.
const MAX_HEAD: usize = 8 * 1024;

/// Bytes that are read at once. Most requests fit.
const READ_BYTES: usize = 1024;

/// Of the head of a request. A line may also end without CR.
const END: &[u8] = b"\r\n\r\n";

/// For the answer to whoever gets no WebSocket.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a client gets no WebSocket.
#[derive(Debug)]
pub struct Refused {
    /// HTTP, for the client. Empty for one that does not speak it.
    answer: Vec<u8>,
    /// For the log.
    pub detail: Cow<'static, str>,
}

// === impl Refused ===

impl Refused {
    pub(super) fn new(status: &str, headers: &str, body: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Self { answer: answer.into(), detail: detail.into() }
    }

    fn silent(detail: &'static str) -> Self {
        Self { answer: Vec::new(), detail: detail.into() }
    }
}

/// `None` when the client leaves without a word. One that is refused has been answered.
pub async fn upgrade<S>(mut socket: S, origins: &[String]) -> Result<Option<WebSocket<S>>, Refused>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match negotiate(&mut socket, origins).await {
        Ok(early) => Ok(early.map(|early| WebSocket::new(socket, early))),
        Err(refused) => {
            let _ = tokio::time::timeout(ANSWER_TIMEOUT, say(&mut socket, &refused.answer)).await;
            Err(refused)
        }
    }
}

/// Gives what came behind the request.
async fn negotiate<S>(socket: &mut S, origins: &[String]) -> Result<Option<BytesMut>, Refused>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut bytes, mut looked_at) = (BytesMut::new(), 0_usize);
    loop {
        if let Some(foreign) = not_http(&bytes) {
            return Err(Refused::silent(foreign));
        }
        // The new bytes, and what they may complete.
        let new = &bytes[looked_at.saturating_sub(END.len() - 1)..];
        if has_end(new)
            && let Some((length, answer)) = request::answer(&bytes, origins)?
        {
            bytes.advance(length);
            let sent = async {
                socket.write_all(&answer).await?;
                socket.flush().await
            };
            return Ok(sent.await.ok().map(|()| bytes));
        }
        if bytes.len() >= MAX_HEAD {
            let (status, body) = ("431 Request Header Fields Too Large", "The head of a request may have 8 KiB.\n");
            return Err(Refused::new(status, "", body, "a request whose head is longer than 8 KiB"));
        }
        looked_at = bytes.len();
        bytes.reserve(READ_BYTES);
        match socket.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Whether the head may have come to its end: it is parsed only then.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(END.len()).any(|end| end == END) || bytes.windows(2).any(|end| end == b"\n\n")
}

/// What it is instead, by its first bytes. All methods of HTTP are capital letters.
fn not_http(bytes: &[u8]) -> Option<&'static str> {
    match Foreign::recognise(bytes) {
        Some(Foreign::Http) => return None,
        Some(Foreign::Tls) => {
            return Some(
                "the client speaks TLS, and this listener has none: use `ws://` there, or set `tls` for the listener",
            );
        }
        Some(Foreign::Proxy) => {
            return Some(
                "a load balancer sends a PROXY protocol header, and this listener expects none: set `proxy_protocol = true` for it",
            );
        }
        None => {}
    }
    match bytes.first()? {
        b'A'..=b'Z' => None,
        0x10 => {
            Some("the device speaks MQTT without WebSocket: give it the port of a listener with `transport = \"tcp\"`")
        }
        _ => Some("the client speaks neither HTTP nor WebSocket"),
    }
}

/// Says it, and waits until the client has closed: what is not read when a socket is closed takes the answer with it.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S, answer: &[u8]) -> io::Result<()> {
    socket.write_all(answer).await?;
    socket.shutdown().await?;
    let mut discarded = [0; READ_BYTES];
    while socket.read(&mut discarded).await? > 0 {}
    Ok(())
}
