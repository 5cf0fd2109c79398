//! What is still said, by either side, when a connection ends.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::Session;
use crate::egress::link::Link;
use crate::egress::link_error::LinkError;
use crate::mqtt::Version;
use crate::mqtt::client::Outgoing;

/// How long what a server said before it closed may take to be read: it is here already, or lost.
const LAST_WORDS: Duration = Duration::from_millis(100);

// === impl Session ===

impl Session<'_> {
    /// A server that closes has often said before what it had, and why.
    pub(super) async fn last_words(&mut self, error: std::io::Error) -> LinkError {
        let reading = async {
            while self.reader.read_buf(&mut self.input).await? > 0 {
                self.receive()?;
            }
            Ok(())
        };
        match tokio::time::timeout(LAST_WORDS, reading).await {
            Ok(Err(said @ LinkError::Disconnected { .. })) => said,
            _ => error.into(),
        }
    }

    /// To a server that breaks the rules.
    pub(super) async fn say_why(mut self, error: &LinkError) {
        let Some(reason) = error.farewell().filter(|_| self.terms.protocol == Version::V5) else { return };
        self.write(Outgoing::Disconnect(reason));
        let saying = async { while !self.out.is_idle() && self.out.push(&mut self.writer).await.is_ok() {} };
        // One that sends and does not read may not hear it.
        let _ = tokio::time::timeout(LAST_WORDS, saying).await;
    }

    pub(super) async fn close(self) {
        // Behind half a packet, a goodbye would be read as the rest of it.
        if self.out.bytes.is_empty() {
            let stream = self.reader.unsplit(self.writer);
            Link { stream, input: self.input, session_present: false, terms: self.terms }.close().await;
        }
    }
}
