//! The access rules while the gateway runs: an ACL file that changes is read again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::access::{Access, Rules};
use crate::base::watched_files::{self, WatchedFiles};
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
    let files = WatchedFiles::new(vec![source.path.clone()]);
    let reader = Arc::new(Reader { access: access.clone(), source, turn: Mutex::default() });
    let first = reader.clone();
    let read_and_tell = move || {
        let is_read = reader.read();
        if is_read {
            let file = &reader.source.name;
            tracing::info!(%file, "access rules are read again: they hold from now on, for those who are connected as well");
        }
        is_read
    };
    let changes = watched_files::watch(files, stop, read_and_tell);
    // It may have changed since the configuration was read.
    let once = async {
        // A panic in it has ended the process.
        let _ = tokio::task::spawn_blocking(move || first.read()).await;
    };
    Some(async {
        once.await;
        changes.await;
    })
}

/// Reads the file, one at a time: who has read last has the last word.
struct Reader {
    access: Arc<Access>,
    source: AclSource,
    turn: Mutex<()>,
}

impl Reader {
    /// A file that is wrong, half written or gone changes nothing.
    fn read(&self) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match self.source.read() {
            Ok(acl) => {
                self.access.replace(Rules { rules: self.access.rules().rules.clone(), acl: Some(acl) });
                true
            }
            Err(error) => {
                let file = &self.source.name;
                tracing::error!(%file, "access rules are not read again, and those from before hold: {error}");
                false
            }
        }
    }
}
