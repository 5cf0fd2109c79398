//! The files of a listener as they are now, read again when they change.
//!
//! A change makes a new configuration of TLS, which takes the place of the old one for connections that come from then on; those that are
//! there go on with what they have agreed to. Files that cannot be used change nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::troubles::Troubles;
use super::turns::Turns;
use crate::base::clock::unix_ms;
use crate::base::watched_files::WatchedFiles;
use crate::config::{Auth, Identity, Listener, ListenerTls, Transport};
use crate::metrics::TlsSnapshot;
use crate::tls::certificate::Details;
use crate::tls::expiry::Ends;
use crate::tls::server::{self, Loaded, ServerError};

/// What ALPN may agree on. Devices that were made for AWS IoT ask for its own name of the same protocol.
const PROTOCOLS: [&str; 2] = ["mqtt", "x-amzn-mqtt-ca"];
/// The same where MQTT is in WebSocket: a browser offers this alone (RFC 6455 has no name of its own), and not to agree ends a handshake.
const WEB_PROTOCOLS: [&str; 1] = ["http/1.1"];

/// How often it is looked at what ends soon: the clock of a board may be set at any time after the start.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// And how often the same is said.
const SAY_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Acceptor {
    listener: String,
    auth: Auth,
    files: ListenerTls,
    protocols: &'static [&'static str],
    watched: WatchedFiles,
    current: RwLock<Current>,
    pub(super) turns: Turns,
    pub(super) troubles: Troubles,
}

struct Current {
    config: Arc<ServerConfig>,
    certificate: Option<Details>,
    ends: Ends,
    /// Why files that are newer are not in use.
    trouble: Option<String>,
}

// === impl Current ===

impl From<Loaded> for Current {
    fn from(loaded: Loaded) -> Self {
        let Loaded { config, certificate, ends } = loaded;
        Self { config, certificate, ends, trouble: None }
    }
}

// === impl Acceptor ===

impl Acceptor {
    /// `None` without TLS.
    pub fn load(listener: &Listener) -> Result<Option<Self>, ServerError> {
        let Some(files) = listener.tls.clone() else { return Ok(None) };
        let protocols: &[&str] = match listener.transport {
            Transport::Tcp => &PROTOCOLS,
            Transport::WebSocket { .. } => &WEB_PROTOCOLS,
        };
        let watched = WatchedFiles::new(files.files());
        let current = RwLock::new(server::load(&files, protocols)?.into());
        let (name, auth) = (listener.name.clone(), listener.auth);
        let (turns, troubles) = (Turns::new(), Troubles::new());
        Ok(Some(Self { listener: name, auth, files, protocols, watched, current, turns, troubles }))
    }

    pub fn auth(&self) -> Auth {
        self.auth
    }

    pub fn identity(&self) -> Identity {
        self.files.identity
    }

    /// For one connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.read(|current| current.config.clone())
    }

    /// What is to be watched.
    pub fn files(&self) -> WatchedFiles {
        self.watched.clone()
    }

    /// After a change of the files. Whether they are in use.
    pub fn reload(&self) -> bool {
        let listener = &self.listener;
        match server::load(&self.files, self.protocols) {
            Ok(loaded) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = loaded.into();
                drop(current);
                tracing::info!(listener, "the TLS files have changed and are in use for new connections");
                self.say_what_ends();
                true
            }
            Err(error) => {
                let trouble = error.to_string();
                tracing::error!(
                    listener,
                    "the TLS files have changed and cannot be used, those from before stay in use: {trouble}; mend them, which is noticed without a restart"
                );
                self.current.write().unwrap_or_else(PoisonError::into_inner).trouble = Some(trouble);
                false
            }
        }
    }

    /// Files of the same listener that were just read are in use for new connections.
    pub fn take_over(&self, newer: Self) {
        let newer = newer.current.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Says each day what ends soon, until `stop`.
    pub async fn watch_ends(self: Arc<Self>, stop: CancellationToken) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut said: Option<tokio::time::Instant> = None;
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) && self.say_what_ends() {
                said = Some(tokio::time::Instant::now());
            }
        }
    }

    /// Whether there was something to say.
    fn say_what_ends(&self) -> bool {
        let warnings = self.read(|current| current.ends.warnings(now()));
        for warning in &warnings {
            tracing::warn!(listener = %self.listener, "{warning}");
        }
        !warnings.is_empty()
    }

    pub fn snapshot(&self) -> TlsSnapshot {
        let listener = self.listener.clone();
        self.read(|current| TlsSnapshot {
            listener,
            certificate: current.certificate.as_ref().map(|certificate| certificate.subject.clone()),
            not_after: current.ends.certificate,
            list_next_update: current.ends.list,
            warnings: current.ends.warnings(now()),
            not_in_use: current.trouble.clone(),
        })
    }

    /// What devices see of it; `None` when it cannot be looked into.
    pub fn certificate(&self) -> Option<Details> {
        self.read(|current| current.certificate.clone())
    }

    fn read<T>(&self, look: impl FnOnce(&Current) -> T) -> T {
        look(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now() -> u64 {
    unix_ms() / 1_000
}
