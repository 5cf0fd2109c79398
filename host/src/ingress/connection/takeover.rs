//! The device has connected again. What it said here before that has arrived: QoS 0, or the DISCONNECT that takes back its
//! will, often in the same millisecond. It is heard before the session moves on. Not so where its user is not let in any more.

use super::*;

/// Reads for what has arrived. Bounded, so that a flood on the old connection cannot keep the session from the new one.
const LAST_READS: usize = 64;

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    pub(super) async fn hand_over(&mut self) -> End {
        if self.kicked.is_revoked() {
            return because(Reason::NOT_AUTHORIZED, "its user was removed, or has another password now");
        }
        // Held back, it would be lost. It is no way round the limit: so many reads, and the new connection begins without a burst.
        self.throttle = None;
        for _ in 0..LAST_READS {
            if self.is_paused() {
                break;
            }
            self.wire.prepare();
            // A deadline of now: what is there, and nothing that has yet to come.
            let read = tokio::time::timeout(Duration::ZERO, self.wire.reader.read_buf(&mut self.wire.incoming)).await;
            match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return End::Gone,
                Err(_) => break,
            }
            if let Err(end) = self.process_incoming() {
                return end;
            }
        }
        if self.kicked.is_dropped() {
            return because(Reason::ADMINISTRATIVE_ACTION, "an operator dropped the session");
        }
        because(Reason::SESSION_TAKEN_OVER, "the same client connected again")
    }
}
