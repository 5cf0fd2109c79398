//! The access rules while the gateway runs: an ACL file that changes is read again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::{Access, Rules};
use crate::base::watched_files;
use crate::config::{AclSource, Config};

pub fn of(config: &Config) -> Arc<Access> {
    let open: Vec<_> = config.broker.listeners.iter().filter(|listener| listener.is_open_without_rules()).collect();
    let exposed = open.iter().filter(|listener| !listener.bind.ip().is_loopback());
    let exposed = exposed.map(|listener| listener.name.clone()).collect();
    let open = open.iter().map(|listener| listener.name.clone()).collect();
    Arc::new(Access::new(config.access.rules.clone(), open, config.access.denied_publish).exposing(exposed))
}

/// None without a file that could change.
pub fn watch(
    config: &Config,
    access: &Arc<Access>,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let source = config.access.acl_file.clone()?;
    let (paths, access) = (vec![source.path.clone()], access.clone());
    Some(async move {
        let (again, read) = (access.clone(), source.clone());
        // It may have changed since the configuration was read. A panic in it has ended the process.
        let _ = tokio::task::spawn_blocking(move || _ = reload(&again, &read)).await;
        let reload_and_tell = move || {
            if reload(&access, &source) {
                tracing::info!(file = %source.name, "access rules are read again: they hold from now on, for those who are connected as well");
            }
        };
        watched_files::watch(paths, stop, reload_and_tell).await;
    })
}

/// A file that is wrong, half written or gone changes nothing.
fn reload(access: &Access, source: &AclSource) -> bool {
    match source.read() {
        Ok(acl) => {
            access.replace(Rules { rules: access.rules().rules.clone(), acl: Some(acl) });
            true
        }
        Err(error) => {
            tracing::error!(file = %source.name, "access rules are not read again, and those from before hold: {error}");
            false
        }
    }
}
