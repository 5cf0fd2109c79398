//! The end of a connection: what is logged, what the device is told, what is kept of a message on which it closes.

use super::*;
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::dead_letter::{DeadLetter, Metadata};
use crate::ingress::session::ATTEMPTS;
use crate::spool::{Output, Record};

/// For the last words on a connection that ends.
pub(super) const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    pub(super) fn complain(&self, peer: &Peer, client: &str, violation: &Violation) {
        let expected = [
            Reason::SESSION_TAKEN_OVER,
            Reason::SERVER_SHUTTING_DOWN,
            Reason::KEEP_ALIVE_TIMEOUT,
            Reason::ADMINISTRATIVE_ACTION,
        ];
        if expected.contains(&violation.reason) {
            return tracing::info!(%peer, client = ?brief(&client), "connection ended: {violation}");
        }
        self.context.metrics.connections_refused.increment();
        if let Some(suppressed) = self.context.complaints.permit() {
            tracing::warn!(%peer, client = ?brief(&client), suppressed, "connection ended: {violation}");
        }
    }

    /// The device has closed: is it one message that it closes on?
    pub(super) fn blame(&mut self) {
        let Some(given_up) = self.session.ended_abruptly(Instant::now()) else { return };
        self.context.bus.counters().subscriber_given_up.increment();
        if let Some(suppressed) = self.context.complaints.permit() {
            let (client, Message { topic, qos, payload, .. }) = (self.session.client(), &given_up.message);
            tracing::warn!(
                client = ?brief(&client),
                ?topic,
                ?qos,
                bytes = payload.len(),
                suppressed,
                "a message is given up for this subscriber, and kept as a dead letter: each time that it was sent, the subscriber closed the connection"
            );
        }
        self.keep(given_up.message);
    }

    /// As a dead letter, before the end of its delivery is written: a crash between the two makes two letters and never none.
    fn keep(&self, message: Message) {
        let journal = self.context.dispatcher.journal();
        let now = clock::unix_ms();
        let metadata = Metadata {
            subscriber: self.session.client().to_string(),
            reason: "the subscriber closes the connection on it".into(),
            attempts: ATTEMPTS,
            arrived_ms: now,
            failed_ms: now,
            ..Metadata::default()
        };
        let letter = DeadLetter { message, metadata };
        let output = journal.dead_letters().and_then(|line| letter.output(line, clock::now()).ok());
        if let Some(output) = output {
            let outputs = vec![Output { binding: None, ..output }];
            journal.commit(Record { outputs, ..Record::default() }, Vec::new());
        }
    }

    /// DISCONNECT with the reason; MQTT 3.1.1 has no such packet from the server and just sees the end.
    pub(super) async fn say_goodbye(&mut self, violation: &Violation) {
        if self.version == Version::V5 {
            let reason_string = Some(violation.detail.to_owned());
            let with_words = Disconnect { reason: violation.reason, session_expiry: None, reason_string };
            let without = Packet::Disconnect(Disconnect { reason_string: None, ..with_words.clone() });
            self.wire.send_smaller(&Packet::Disconnect(with_words), &without, self.peer_maximum_packet_size);
        }
        let last_words = async {
            let _ = self.wire.writer.write_all_buf(&mut self.wire.outgoing).await;
            let _ = self.wire.writer.shutdown().await;
            if [Reason::RECEIVE_MAXIMUM_EXCEEDED, Reason::QUOTA_EXCEEDED].contains(&violation.reason) {
                self.wire.hear_out().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, last_words).await;
    }
}
