//! The password file: opened once, asked by the listeners that want passwords, read again when it changes.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::auth::{Passwords, Users};
use crate::base::watched_files::{WatchedFiles, watch};
use crate::config::{Auth, Config};
use crate::ingress::identities::Identities;
use crate::ingress::registry::Registry;

/// None where no listener asks for passwords.
pub fn open(config: &Config, users: Option<Users>) -> anyhow::Result<Option<Arc<Passwords>>> {
    let Some((path, users)) = config.access.passwords.clone().zip(users) else { return Ok(None) };
    let passwords = Passwords::new(path, users).context("threads that look at passwords cannot start")?;
    Ok(Some(Arc::new(passwords)))
}

/// What one listener asks of its clients.
pub fn of(listener: &str, config: &Config, passwords: Option<&Arc<Passwords>>) -> Identities {
    let Some(spec) = config.broker.listeners.iter().find(|spec| spec.name == listener) else {
        return Identities::default();
    };
    let passwords = passwords.filter(|_| spec.auth == Auth::Password).cloned();
    Identities { passwords, client_ids: spec.client_ids.clone() }
}

/// Until `stop`.
pub async fn watch_passwords(passwords: Arc<Passwords>, registry: Arc<Registry>, stop: CancellationToken) {
    let files = WatchedFiles::new(vec![passwords.path().to_owned()]);
    let again = Arc::new(move || reload(&passwords, &registry));
    // It may have changed while the spool was read.
    let first = again.clone();
    let _ = tokio::task::spawn_blocking(move || first()).await;
    watch(files, stop, move || again()).await;
}

/// Who is not in a new file any more, or has another password there, is sent away at once: a password is changed because somebody else
/// knows it, and a user is removed because of what it does now. Gives whether the file is in use.
fn reload(passwords: &Passwords, registry: &Registry) -> bool {
    let reloaded = match passwords.reload() {
        Ok(reloaded) => reloaded,
        Err(error) => {
            tracing::error!("{error}; what was read before stays in use");
            return false;
        }
    };
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
    true
}
