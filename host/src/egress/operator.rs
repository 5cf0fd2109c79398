//! What an operator may ask of a running upstream: to leave one message out.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the sender; an operator has one or two.
const WAITING: usize = 8;
/// The sender answers between two packets.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leave out one message.
#[derive(Debug)]
pub struct Skip {
    /// The oldest, when none is given.
    pub number: Option<u64>,
    /// Into the dead letters, or nowhere.
    pub keep: bool,
    pub answer: oneshot::Sender<Result<Skipped, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub number: u64,
    pub topic: String,
}

/// The asking side.
#[derive(Clone, Debug)]
pub struct Operator(mpsc::Sender<Skip>);

// === impl Operator ===

impl Operator {
    pub fn new() -> (Self, mpsc::Receiver<Skip>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    pub async fn skip(&self, number: Option<u64>, keep: bool) -> Result<Skipped, String> {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.0.send(Skip { number, keep, answer }).await.ok()?;
            answered.await.ok()
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        answer.map_err(|_| "the upstream's sender does not answer".to_owned())?.unwrap_or(Err("it is stopping".into()))
    }
}
