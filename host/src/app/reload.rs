//! A reload: the configuration is read again, compared with what runs, and what can change now is changed.
//!
//! ```text
//!  asked ──▶ read and check the file ──▶ plan ──▶ open what it points to, bind ──▶ ready │ carried out
//!            └────────── a task of its own: any of it may fail or take its time ───────┘ │ in one go, nothing can fail
//! ```
//!
//! One at a time. While one is prepared the gateway goes on; whoever asks meanwhile waits. What was prepared and is not carried out is
//! dropped, with the ports that were bound for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::identities;
use super::ingress::PreparedIngress;
use super::listeners::{Listeners, Open};
use crate::auth::Passwords;
use crate::config::{self, Config, Plan, Severity};
use crate::operate::{ReloadReport, ReloadRequest, Reloads};
use crate::setup::changes::{self, Changes, Plugins};
use crate::setup::installation::Installation;
use crate::setup::{self, Doors};

/// Reads the configuration again when it is asked to.
pub struct Reloader {
    /// As it was named at the start: paths in it begin at its folder, and have to be the same as then. None where the configuration does
    /// not come from a file.
    file: Option<PathBuf>,
    installation: Installation,
    running: Arc<Config>,
    ask: Reloads,
    asked: mpsc::Receiver<ReloadRequest>,
    preparing: Option<(ReloadRequest, JoinHandle<Result<Ready, String>>)>,
}

/// Everything that could fail has been done.
pub struct Ready {
    pub plan: Plan,
    /// With the code that plugins have.
    pub running: Config,
    pub next: Config,
    pub ingress: PreparedIngress,
    pub changes: Changes,
    pub warnings: Vec<String>,
}

/// What runs, for who prepares another one.
#[derive(Clone)]
pub struct Now {
    pub listeners: Vec<Open>,
    pub passwords: Option<Arc<Passwords>>,
    pub plugins: Plugins,
}

/// What is looked at on a thread that may wait.
struct Looked {
    plan: Plan,
    running: Config,
    next: Config,
    doors: Doors,
    changes: Changes,
}

// === impl Reloader ===

impl Reloader {
    pub fn new(running: Config, installation: Installation) -> Self {
        let (ask, asked) = Reloads::new();
        Self { file: None, installation, running: Arc::new(running), ask, asked, preparing: None }
    }

    pub fn read_from(&mut self, file: &Path) {
        self.file = Some(file.to_owned());
    }

    pub fn running(&self) -> &Config {
        &self.running
    }

    pub fn handle(&self) -> Reloads {
        self.ask.clone()
    }

    /// The next one that is ready to be carried out, or why it is not. May be dropped and called again at any time.
    pub async fn next(&mut self, now: &Now) -> (ReloadRequest, Result<Ready, String>) {
        loop {
            if let Some((_, task)) = &mut self.preparing {
                // A panic in it has ended the process.
                let ready = task.await.unwrap_or_else(|error| Err(error.to_string()));
                if let Some((request, _)) = self.preparing.take() {
                    return (request, ready);
                }
            }
            // We hold a sender ourselves.
            let Some(request) = self.asked.recv().await else { return std::future::pending().await };
            self.preparing = Some((request, tokio::spawn(self.prepare(now.clone()))));
        }
    }

    /// What runs from now on.
    pub fn runs(&mut self, config: Config) {
        self.running = Arc::new(config);
    }

    pub fn report(&self, dry_run: bool, prepared: &Result<Ready, String>) -> ReloadReport {
        let file = self.file.as_deref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let file = file.map_or(String::new(), |file| file.display().to_string());
        match prepared {
            Ok(ready) => {
                let (plan, warnings) = (ready.plan.clone(), ready.warnings.clone());
                ReloadReport { file, refused: None, dry_run, plan, warnings }
            }
            Err(why) => ReloadReport { dry_run, ..ReloadReport::refused(file, why) },
        }
    }

    fn prepare(&self, now: Now) -> impl Future<Output = Result<Ready, String>> + use<> {
        let (file, running, installation) = (self.file.clone(), self.running.clone(), self.installation.clone());
        async move {
            let file = file.ok_or("this gateway was not started with a configuration file")?;
            let looking = tokio::task::spawn_blocking(move || look(&file, &running, &installation, &now.plugins));
            let Looked { plan, running, next, doors, changes } = looking.await.map_err(|error| error.to_string())??;
            let Doors { users, tls } = doors;
            let listeners = Listeners::prepare(&next.broker.listeners, tls, &now.listeners).await;
            let listeners = listeners.map_err(|error| format!("{error:#}"))?;
            let (users, passwords) = match (users, now.passwords) {
                (None, _) => (None, None),
                (users, Some(passwords)) => (users, Some(passwords)),
                (Some(users), None) => (None, Some(identities::open(users).map_err(|error| format!("{error:#}"))?)),
            };
            let warnings = warnings(&next);
            Ok(Ready {
                plan,
                running,
                next,
                ingress: PreparedIngress { listeners, users, passwords },
                changes,
                warnings,
            })
        }
    }
}

/// On a thread that may wait for disks: the file, and what it points to. With what will run afterwards.
fn look(file: &Path, running: &Config, installation: &Installation, plugins: &Plugins) -> Result<Looked, String> {
    let mut wanted = config::load(file).map_err(|problems| problems.in_lines(Severity::Error).join("; "))?;
    installation.complete(&mut wanted.upstreams);
    let mut running = running.clone();
    plugins.loader.tell_code(&mut running, &mut wanted);
    let plan = config::plan(&running, &wanted);
    let next = config::taken_over(&running, &wanted);
    let doors = setup::doors(&next).map_err(|refusals| refusals.0.join("; "))?;
    let changes = changes::prepare(&running, &next, plugins).map_err(|refusals| refusals.0.join("; "))?;
    Ok(Looked { plan, running, next: Config { warnings: wanted.warnings, ..next }, doors, changes })
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.in_lines(Severity::Warning).into_iter().chain(setup::exposed(config)).collect()
}
