//! The TLS of an upstream as its next connection has it. Files that change take effect there; the connection that is open stays.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;

use super::{TlsError, client_config};
use crate::base::watched_files::WatchedFiles;
use crate::config::Tls;

/// Shared by all addresses of an upstream, and by who watches its files.
pub struct Current {
    tls: Tls,
    watched: WatchedFiles,
    config: Mutex<Arc<ClientConfig>>,
}

// === impl Current ===

impl Current {
    /// And what is doubtful about it.
    pub fn read(tls: &Tls) -> Result<(Arc<Self>, Vec<String>), TlsError> {
        let watched = WatchedFiles::new(tls.files());
        let found = client_config(tls)?;
        Ok((Arc::new(Self { tls: tls.clone(), watched, config: Mutex::new(found.value) }), found.doubts))
    }

    pub fn get(&self) -> Arc<ClientConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is to be watched.
    pub fn files(&self) -> WatchedFiles {
        self.watched.clone()
    }

    /// Reads all of its files again. When something is wrong with them, what was read before stays in use. The new configuration knows no
    /// TLS session of the old one, so that nobody resumes what a new list has revoked.
    pub fn reload(&self) -> Result<Vec<String>, TlsError> {
        let found = client_config(&self.tls)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = found.value;
        Ok(found.doubts)
    }
}
