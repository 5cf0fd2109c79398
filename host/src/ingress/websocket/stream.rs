//! A WebSocket as a stream of bytes, in two halves that one task has.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tungstenite::protocol::frame::coding::CloseCode;

use super::silence::Silence;
use super::{Decoder, Encoder, Ended};

/// For the close frame of a client that is told to go.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that are read at once of a client that should be silent.
const DISCARDED: usize = 512;

pub struct WebSocket<S>(Arc<Mutex<Inner<S>>>);

pub struct Reader<S>(Arc<Mutex<Inner<S>>>);

pub struct Writer<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    socket: S,
    /// What came together with the request.
    early: BytesMut,
    decoder: Decoder,
    encoder: Encoder,
    silence: Silence,
    /// A control frame may still be in a buffer of the socket: TLS has one.
    must_flush: bool,
}

// === impl WebSocket ===

impl<S> WebSocket<S> {
    /// Of a socket on which both sides have agreed; `early` came behind the request.
    pub fn new(socket: S, early: BytesMut) -> Self {
        let (decoder, encoder) = (Decoder::default(), Encoder::default());
        let silence = Silence::default();
        Self(Arc::new(Mutex::new(Inner { socket, early, decoder, encoder, silence, must_flush: false })))
    }

    pub fn halves(&self) -> (Reader<S>, Writer<S>) {
        (Reader(self.0.clone()), Writer(self.0.clone()))
    }

    /// What the client did that no WebSocket allows.
    pub fn fault(&self) -> Option<&'static str> {
        match lock(&self.0).decoder.ended() {
            Some(Ended::Fault(detail)) => Some(detail),
            _ => None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Says good-bye and hears it, so that the client sees an end in good order and not a reset.
    pub async fn finish(self) {
        let (mut reader, mut writer) = self.halves();
        let end = async {
            if tokio::io::AsyncWriteExt::shutdown(&mut writer).await.is_ok() {
                let mut discarded = [0; DISCARDED];
                while let Ok(1..) = reader.read(&mut discarded).await {}
            }
        };
        // In vain with a client that does not answer.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, end).await;
    }
}

/// Nobody waits: both halves belong to one task. What a panic leaves is not looked at, for it ends the process.
fn lock<S>(inner: &Mutex<Inner<S>>) -> MutexGuard<'_, Inner<S>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Inner ===

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            // An answer that finds no room now goes before the next frame, or when this is called again.
            if let Poll::Ready(Err(error)) = self.poll_control(cx) {
                return Poll::Ready(Err(error));
            }
            if self.decoder.ended().is_some() {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(self.poll_raw(cx, buffer))?;
            let raw = &mut buffer.filled_mut()[before..];
            if raw.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let kept = self.decoder.decode(raw, &mut self.encoder);
            buffer.set_filled(before + kept);
            self.bound_silence();
            if kept > 0 {
                // As far as there is room. An error is there the next time, too.
                let _ = self.poll_control(cx);
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn bound_silence(&mut self) {
        let frames = self.decoder.take_silent();
        if frames > 0 && !self.silence.permits(frames, Instant::now()) {
            self.decoder.give_up(
                "more than 100 frames in ten seconds that carry nothing: pings, pongs, empty ones",
                &mut self.encoder,
            );
        }
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..length]);
        self.early.advance(length);
        if self.early.is_empty() {
            self.early = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.poll_control(cx))?;
            if self.encoder.is_closed() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.encoder.begin(bytes.len());
            let payload = &bytes[..bytes.len().min(self.encoder.left())];
            let socket = Pin::new(&mut self.socket);
            let written = match self.encoder.header() {
                [] => socket.poll_write(cx, payload),
                header => socket.poll_write_vectored(cx, &[IoSlice::new(header), IoSlice::new(payload)]),
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_payload = self.encoder.sent(written);
            if of_payload > 0 {
                return Poll::Ready(Ok(of_payload));
            }
        }
    }

    /// Ready when nothing has to be sent before the next frame, or in the midst of one.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let control = self.encoder.control();
            if control.is_empty() {
                break;
            }
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, control))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.encoder.sent_of_control(written);
            self.must_flush = true;
        }
        if self.must_flush {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.must_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.encoder.close(Some(CloseCode::Normal));
        ready!(self.poll_control(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

// === impl Reader, Writer ===

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Reader<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Writer<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = lock(&self.0);
        ready!(inner.poll_control(cx))?;
        Pin::new(&mut inner.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).poll_shutdown(cx)
    }
}
