//! The access rules while the gateway runs: an ACL file that changes is read again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::access::{Access, Policy};
use crate::base::watched_files::{self, WatchedFiles};
use crate::config::{AclSource, Config};

pub fn of(config: &Config) -> Access {
    Access::new(policy(config))
}

pub fn policy(config: &Config) -> Policy {
    let open: Vec<_> = config.broker.listeners.iter().filter(|listener| listener.is_open_without_rules()).collect();
    let exposed = open.iter().filter(|listener| !listener.bind.ip().is_loopback());
    let exposed = exposed.map(|listener| listener.name.clone()).collect();
    let open = open.iter().map(|listener| listener.name.clone()).collect();
    Policy { rules: config.access.rules.clone(), open, exposed, denied_publish: config.access.denied_publish }
}

/// After a reload. Sessions that came through an open listener which is no more may do what they could: their devices come back through
/// another one, and what waits for them until then is theirs.
pub fn policy_after(running: &Policy, config: &Config) -> Policy {
    let mut next = policy(config);
    let is_gone = |name: &&String| config.broker.listeners.iter().all(|listener| listener.name != **name);
    next.open.extend(running.open.iter().filter(is_gone).cloned());
    next.exposed.extend(running.exposed.iter().filter(is_gone).cloned());
    next
}

/// None without a file that could change.
pub fn watch(
    config: &Config,
    access: &Arc<Access>,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let source = config.access.acl_file.clone()?;
    let files = WatchedFiles::new(vec![source.path.clone()]);
    let reader = Arc::new(Reader { access: access.clone(), source, turn: Mutex::default(), stop: stop.clone() });
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
    /// Another configuration has another file.
    stop: CancellationToken,
}

impl Reader {
    /// A file that is wrong, half written or gone changes nothing.
    fn read(&self) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match self.source.read() {
            Ok(acl) => {
                self.access.replace_acl(acl, || !self.stop.is_cancelled());
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
