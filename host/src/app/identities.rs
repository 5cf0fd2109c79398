//! The password file: opened once, asked by the listeners that want passwords, read again when it changes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Passwords, Users};
use crate::base::watched_files::{WatchedFiles, watch};
use crate::config::{Auth, Listener};
use crate::ingress::identities::Identities;
use crate::ingress::registry::Registry;

pub fn open(users: Users) -> anyhow::Result<Arc<Passwords>> {
    Ok(Arc::new(Passwords::new(users).context("threads that look at passwords cannot start")?))
}

/// What one listener asks of its clients.
pub fn of(spec: &Listener, passwords: Option<&Arc<Passwords>>) -> Identities {
    let passwords = passwords.filter(|_| spec.auth == Auth::Password).cloned();
    Identities { passwords, client_ids: spec.client_ids.clone() }
}

/// Until `stop`.
pub async fn watch_passwords(
    path: PathBuf,
    passwords: Arc<Passwords>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) {
    let files = WatchedFiles::new(vec![path.clone()]);
    let until = stop.clone();
    let again = Arc::new(move || match auth::file::read(&path) {
        Ok(users) => {
            replace(&passwords, users, &registry, || !until.is_cancelled());
            true
        }
        Err(error) => {
            tracing::error!("{error}; what was read before stays in use");
            false
        }
    });
    // It may have changed while the spool was read.
    let first = again.clone();
    let _ = tokio::task::spawn_blocking(move || first()).await;
    watch(files, stop, move || again()).await;
}

/// Who is not among these any more, or has another password there, is sent away at once: a password is changed because somebody else
/// knows it, and a user is removed because of what it does now.
pub fn replace(passwords: &Passwords, users: Users, registry: &Registry, is_wanted: impl FnOnce() -> bool) {
    let Some(reloaded) = passwords.replace_if(users, is_wanted) else { return };
    let sent_away = registry.revoke(&reloaded.ended);
    if reloaded.has_changed {
        let (users, ended) = (reloaded.users, reloaded.ended.len());
        tracing::info!(
            users,
            ended,
            sent_away,
            "the password file has changed: users whose password is another one, or who are gone, connect again"
        );
    }
}
