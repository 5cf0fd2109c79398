//! What can be seen of an upstream from outside.

use tokio::sync::watch;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamStatus {
    pub connected: bool,
    /// The address in use.
    pub url: Option<String>,
    /// Connection attempts since the start.
    pub attempts: u64,
    /// How often another client has taken our session over since the start.
    pub taken_over: u64,
    /// Why the last connection failed or ended. Cleared by a new one.
    pub last_error: Option<String>,
    /// Why files of TLS that have changed are not used.
    pub files_error: Option<String>,
    /// What is held against a message, as of the last connection that ended.
    pub trouble: Option<Trouble>,
}

/// The oldest message that the upstream does not acknowledge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub number: u64,
    /// Connections that ended with it unacknowledged, and refusals.
    pub attempts: u32,
    /// Messages are sent one by one to find out whether it is this one on which the upstream ends the connection.
    pub is_suspect: bool,
}

/// The writing side, of the client task and of who reads its files.
#[derive(Clone)]
pub(super) struct Reporter(watch::Sender<UpstreamStatus>);

// === impl Reporter ===

impl Reporter {
    pub fn new() -> (Self, watch::Receiver<UpstreamStatus>) {
        let (sender, receiver) = watch::channel(UpstreamStatus::default());
        (Self(sender), receiver)
    }

    pub fn attempt(&self) {
        self.0.send_modify(|status| status.attempts += 1);
    }

    pub fn taken_over(&self) {
        self.0.send_modify(|status| status.taken_over += 1);
    }

    pub fn connected(&self, url: String) {
        self.0.send_modify(|status| {
            status.connected = true;
            status.url = Some(url.clone());
            status.last_error = None;
        });
    }

    pub fn files(&self, error: Option<String>) {
        self.0.send_modify(|status| status.files_error = error.clone());
    }

    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.0.send_modify(|status| status.trouble = trouble.clone());
    }

    pub fn disconnected(&self, error: Option<String>) {
        self.0.send_modify(|status| {
            status.connected = false;
            status.url = None;
            status.last_error = error;
        });
    }
}
