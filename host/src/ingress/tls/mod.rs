//! The TLS stage of a listener: a handshake, under the deadline that all of a connection's beginning has, and a name.
//!
//! Who is slow keeps nobody waiting: each connection has a task of its own, and nothing is held while a device is silent. What a handshake
//! computes is another matter ([`turns`]). What is told of those who fail, [`troubles`] limits; [`acceptor`] has the files.

mod acceptor;
mod troubles;
mod turns;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::acceptor::Acceptor;
use super::connection::Context;
use super::peer::Peer;
use crate::config::Auth;
use crate::metrics::{Counter, ListenerMetrics};
use crate::tls::identity::name_of;
use crate::tls::refusal::{Kind, Refusal};

/// For a device to read why it was refused, before the socket closes.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read of a device that is refused, which may have sent its CONNECT already. More is not for us.
const FAREWELL_BYTES: u64 = 64 * 1024;

/// What TLS may hold of what its device does not read, and `broker.limits.memory` does not count: one record, as each connection has its first
/// 16 KiB free. The default of rustls is four times as much.
const HELD_BYTES: usize = 16 * 1024;

// === impl Acceptor ===

impl Acceptor {
    /// `None` when the device is not let in; it has been told, as far as TLS has a word for it.
    pub async fn accept<S>(&self, stream: S, peer: &mut Peer, context: &Context) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(self.config()).accept(stream).into_fallible();
        let refused = match tokio::time::timeout_at(peer.deadline, self.turns.drive(accepting)).await {
            Ok(Ok(mut stream)) => match self.name(&stream, peer) {
                Ok(()) => {
                    bound(&mut stream);
                    context.metrics.tls_handshakes.increment();
                    return Some(stream);
                }
                Err(refusal) => (refusal, None),
            },
            Ok(Err((error, stream))) => (Refusal::of(&error), Some(stream)),
            Err(_) => (Refusal::late(), None),
        };
        let (refusal, stream) = refused;
        self.tell(&refusal, peer, context);
        if let Some(stream) = stream {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, let_read(stream)).await;
        }
        None
    }

    /// Of a device whose certificate is good.
    fn name<S>(&self, stream: &TlsStream<S>, peer: &mut Peer) -> Result<(), Refusal> {
        if self.auth() != Auth::Certificate {
            return Ok(());
        }
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        // rustls has let nobody in without one.
        let Some(certificate) = certificate else { return Err(Refusal::of(&io::ErrorKind::InvalidData.into())) };
        peer.name = Some(name_of(certificate, self.identity()).map_err(Refusal::nameless)?);
        Ok(())
    }

    fn tell(&self, refusal: &Refusal, peer: &Peer, context: &Context) {
        let metrics = &context.metrics;
        metrics.connections_refused.increment();
        counter(metrics, refusal.kind).increment();
        let listener = &peer.listener;
        match self.troubles.permit(refusal.kind) {
            Some(suppressed) => tracing::warn!(%listener, %peer, suppressed, "no TLS connection: {}", refusal.text),
            None => tracing::debug!(%listener, %peer, "no TLS connection: {}", refusal.text),
        }
    }
}

fn bound<S>(stream: &mut TlsStream<S>) {
    stream.get_mut().1.set_buffer_limit(Some(HELD_BYTES));
}

fn counter(metrics: &ListenerMetrics, kind: Kind) -> &Counter {
    match kind {
        Kind::NoCertificate => &metrics.tls_without_certificate,
        Kind::Certificate => &metrics.tls_bad_certificates,
        Kind::Distrusts => &metrics.tls_distrusted,
        Kind::Incompatible => &metrics.tls_incompatible,
        Kind::NotTls => &metrics.tls_not_tls,
        Kind::Late => &metrics.tls_late,
        Kind::BrokenOff => &metrics.tls_broken_off,
    }
}

/// A socket that is closed with unread bytes in it is reset, and the reset takes the alert with it.
async fn let_read<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if stream.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut stream.take(FAREWELL_BYTES), &mut tokio::io::sink()).await;
    }
}

#[cfg(test)]
mod tests;
