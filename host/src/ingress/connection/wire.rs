//! The bytes of one connection: buffers around the codec.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::traffic::Traffic;
use crate::base::kill_point::{self, KillPoint};
use crate::base::ledger::Charge;
use crate::metrics::ListenerMetrics;
use crate::mqtt::{Codec, DecodeError, Packet};

/// Bytes asked for in one read, and what an idle connection keeps. Small on purpose: five thousand idle devices are usual,
/// one that fills it grows it.
const READ_BYTES: usize = 4 * 1024;

/// With this much unsent, a connection reads and delivers nothing more: its device does not read.
pub const HIGH_WATER: usize = 256 * 1024;

/// A buffer that grew beyond this is given back once it is empty.
const KEEP_BYTES: usize = 32 * 1024;

pub struct Wire<R, W> {
    pub reader: R,
    pub writer: W,
    pub codec: Codec,
    pub incoming: BytesMut,
    pub outgoing: BytesMut,
    /// The writer has taken bytes that its socket has not: TLS does so.
    pub is_held: bool,
    /// The most that `incoming` has been since it was new: all of that stays with it when a packet is taken from it, whatever is left.
    allocated: usize,
    charge: Charge,
    pub traffic: Traffic,
}

impl<R, W> Wire<R, W> {
    pub fn new(reader: R, writer: W, codec: Codec, charge: Charge, metrics: Arc<ListenerMetrics>) -> Self {
        let (incoming, outgoing) = (BytesMut::new(), BytesMut::new());
        let traffic = Traffic::new(metrics);
        Self { reader, writer, codec, incoming, outgoing, is_held: false, allocated: 0, charge, traffic }
    }

    /// Whether the account of all clients has room for what this connection holds: its buffers, and so many bytes more.
    pub fn has_memory(&mut self, more: usize) -> bool {
        self.charge.resize(self.allocated() + self.outgoing.capacity() + more)
    }

    /// The next packet of what has been read.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        self.allocated = self.allocated();
        let before = self.incoming.len();
        let packet = self.codec.decode(&mut self.incoming)?;
        if let Some(packet) = &packet {
            self.traffic.received(packet, before - self.incoming.len());
        }
        Ok(packet)
    }

    /// Queues a packet for the next write: many leave in one.
    pub fn send(&mut self, packet: &Packet) {
        match packet {
            Packet::PubAck(_) | Packet::PubRec(_) => kill_point::expect(KillPoint::Acked),
            Packet::PubComp(_) => kill_point::reach(KillPoint::ReleaseSynced),
            _ => {}
        }
        let before = self.outgoing.len();
        self.codec.encode(packet, &mut self.outgoing);
        self.traffic.sent(packet, self.outgoing.len() - before);
    }

    /// With its reason string, when the device's Maximum Packet Size allows that [MQTT-3.2.2-19, MQTT-3.14.2-3]; not at all
    /// when it does not even allow the reason [MQTT-3.1.2-24].
    pub fn send_smaller(&mut self, with_words: &Packet, without: &Packet, max: usize) {
        if let Some(packet) = [with_words, without].into_iter().find(|packet| self.codec.size(packet) <= max) {
            self.send(packet);
        }
    }

    pub fn is_congested(&self) -> bool {
        self.outgoing.len() >= HIGH_WATER
    }

    pub fn has_unsent(&self) -> bool {
        self.is_held || !self.outgoing.is_empty()
    }

    /// As [`Wire::prepare`], when the next packets are of another kind: whatever the last one was read into is not needed any more.
    pub fn begin_anew(&mut self) {
        if self.incoming.is_empty() {
            (self.incoming, self.allocated) = (BytesMut::new(), 0);
        }
        self.prepare();
    }

    /// Room for the next read; memory that a burst needed goes back after it. What there was of packets is counted for all to see.
    pub fn prepare(&mut self) {
        self.traffic.flush();
        if self.outgoing.is_empty() && self.outgoing.capacity() > KEEP_BYTES {
            self.outgoing = BytesMut::new();
        }
        if self.incoming.is_empty() && self.allocated() > KEEP_BYTES {
            (self.incoming, self.allocated) = (BytesMut::new(), 0);
        }
        self.incoming.reserve(READ_BYTES);
    }

    fn allocated(&self) -> usize {
        self.allocated.max(self.incoming.capacity())
    }
}

impl<R: AsyncRead + Unpin, W> Wire<R, W> {
    /// Reads until the device closes. A socket that is closed with unread bytes in it is reset, and a reset takes with it what the
    /// device has not read: why it is refused, and the acks that tell it which messages it need not send again.
    pub async fn hear_out(&mut self) {
        loop {
            self.incoming.clear();
            self.prepare();
            match self.reader.read_buf(&mut self.incoming).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl<R, W: AsyncWrite + Unpin> Wire<R, W> {
    /// TLS says that this is the end, as far as the socket takes it at once: many clients take an end without it for an attack.
    pub async fn close(&mut self) {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.writer).poll_shutdown(cx).is_ready())).await;
    }
}

/// Writes what is queued, or moves on what the writer has taken before. Of a socket without TLS, which holds nothing back, the second costs
/// no turn of its own: it is tried at once.
pub fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    outgoing: &mut BytesMut,
    is_held: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if outgoing.is_empty() {
        ready!(Pin::new(writer).poll_flush(cx))?;
        *is_held = false;
        return Poll::Ready(Ok(0));
    }
    let wrote = ready!(Pin::new(&mut *writer).poll_write(cx, outgoing))?;
    outgoing.advance(wrote);
    *is_held = match Pin::new(writer).poll_flush(cx) {
        Poll::Ready(flushed) => flushed.map(|()| false)?,
        Poll::Pending => true,
    };
    Poll::Ready(Ok(wrote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ledger::{FREE, Ledger};

    /// With a will, a name and a password of 60 KB each.
    fn large_connect() -> Vec<u8> {
        let field = [&60_000_u16.to_be_bytes()[..], &[b'x'; 60_000]].concat();
        let head = b"\x00\x04MQTT\x04\xC6\x00\x00\x00\x01d\x00\x01t";
        let body = [&head[..], &field, &field, &field].concat();
        let length =
            [body.len() & 0x7F | 0x80, body.len() >> 7 & 0x7F | 0x80, body.len() >> 14].map(|digit| digit as u8);
        [&[0x10], &length[..], &body].concat()
    }

    /// Takes all, and passes on what there is room for.
    #[derive(Default)]
    struct Holding {
        held: Vec<u8>,
        sent: Vec<u8>,
        room: usize,
    }

    impl AsyncWrite for Holding {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.held.extend(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let moves = self.room.min(self.held.len());
            let moved: Vec<u8> = self.held.drain(..moves).collect();
            self.sent.extend(moved);
            self.room -= moves;
            if self.held.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_a_writer_holds_back_is_unsent_until_it_has_moved_on() {
        let (writer, charge) = (Holding { room: 3, ..Holding::default() }, Ledger::new(1 << 20).charge());
        let mut wire = Wire::new((), writer, Codec::new(100), charge, Arc::default());
        wire.outgoing.extend_from_slice(b"puback");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut turn = |wire: &mut Wire<(), Holding>| {
            write(&mut wire.writer, &mut wire.outgoing, &mut wire.is_held, &mut cx).is_ready()
        };
        assert!(turn(&mut wire) && wire.has_unsent());
        assert_eq!((wire.outgoing.len(), wire.writer.sent.as_slice()), (0, &b"pub"[..]));
        assert!(!turn(&mut wire) && wire.has_unsent());
        wire.writer.room = 10;
        assert!(turn(&mut wire) && !wire.has_unsent());
        assert_eq!(wire.writer.sent, b"puback");
    }

    #[test]
    fn the_memory_of_a_large_packet_is_charged_until_it_is_given_back_however_little_of_it_is_left() {
        let ledger = Ledger::new(1 << 20);
        let mut wire = Wire::new((), (), Codec::new(1 << 20), ledger.charge(), Arc::default());
        wire.incoming = BytesMut::with_capacity(200_000);
        wire.incoming.extend_from_slice(&large_connect());
        assert!(matches!(wire.next_packet(), Ok(Some(Packet::Connect(_)))));
        assert!(wire.has_memory(0));
        assert_eq!(ledger.used(), 200_000 - FREE);
        wire.prepare();
        assert!(wire.has_memory(0));
        assert_eq!((ledger.used(), wire.incoming.capacity()), (0, READ_BYTES));
    }
}
