//! One message is left out, because an operator says so.

use super::Sender;
use crate::base::excerpt::Excerpt;
use crate::egress::operator::{Skip, Skipped};
use crate::egress::status::Trouble;
use crate::egress::subscriber::Subscriber;
use crate::mqtt::sender::Progress;
use crate::spool::{Entry, Fate};

impl Sender {
    /// Waits for something else, and does meanwhile what needs no connection.
    pub async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                out = &mut other => return out,
                kept = self.filing.kept() => self.filed(kept),
                Some(skip) = self.skips.recv() => self.skip(skip),
                () = meanwhile(&mut self.subscriber) => {}
            }
        }
    }

    pub fn skip(&mut self, Skip { number, keep, answer }: Skip) {
        // Whoever has gone needs no answer.
        let _ = answer.send(self.leave_out(number, keep));
    }

    fn leave_out(&mut self, number: Option<u64>, keep: bool) -> Result<Skipped, String> {
        let oldest = self.queue.oldest().ok_or("nothing waits for this upstream")?;
        let entry = match number {
            None => oldest,
            Some(number) => self.queue.entry(number).ok_or_else(|| not_there(number, &oldest))?,
        };
        let Entry { position, message, .. } = entry;
        let number = position.number;
        if position.sequence == 0 {
            match self.inflight.progress(number) {
                Progress::Sent => {
                    self.inflight.forsake(number);
                }
                Progress::Received => {
                    return Err(format!("number {number}: the upstream has it, only PUBCOMP is missing"));
                }
                // Its bytes cannot be taken back, and when they leave it is forwarded.
                Progress::Passing => return Err(format!("number {number} is being written to the upstream")),
                Progress::Over => return Err(format!("number {number} is being completed")),
                Progress::Unsent => self.inflight.leave_out(number),
            }
        }
        let attempts = self.isolation.attempts(number) + self.refusals.attempts(number);
        self.isolation.forget(number);
        self.refusals.forget(number);
        let topic = message.topic.to_string();
        tracing::warn!(upstream = self.upstream, number, topic = ?Excerpt(&topic), keep, "this message is left out by an operator");
        if keep && position.sequence == 0 {
            self.dead_letter(number, "left out by an operator".into(), attempts);
        } else {
            self.queue.complete(position, Fate::Skipped);
        }
        Ok(Skipped { number, topic })
    }

    /// The oldest message that the server has not acknowledged, and what is held against it.
    pub fn trouble(&self) -> Option<Trouble> {
        let number = self.inflight.oldest_awaited()?.number;
        let attempts = self.isolation.attempts(number) + self.refusals.attempts(number);
        let is_suspect = self.isolation.is_suspect(number);
        (attempts > 0).then_some(Trouble { number, attempts, is_suspect })
    }
}

/// Never, where nothing is subscribed to.
async fn meanwhile(subscriber: &mut Option<Box<Subscriber>>) {
    match subscriber {
        Some(subscriber) => subscriber.meanwhile().await,
        None => std::future::pending().await,
    }
}

fn not_there(number: u64, oldest: &Entry) -> String {
    let first = oldest.position.number;
    format!("no message with the number {number} is next for this upstream; the oldest is {first}")
}
