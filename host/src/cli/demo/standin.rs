//! A gateway in this process, owned: the one that is shown, and the one that stands in for the upstream broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::Gateway;
use crate::chain::Standing;
use crate::config::Config;
use crate::metrics::Counters;
use crate::operate::{WatchedPlugin, WatchedUpstream};

const PATIENCE: Duration = Duration::from_secs(10);
/// Its first start compiles the plugins, on a small machine for minutes.
const COMPILED: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(20);

/// A gateway and the task that runs it.
pub struct Running {
    pub address: SocketAddr,
    pub counters: Arc<Counters>,
    pub plugins: Vec<WatchedPlugin>,
    standings: Vec<Standing>,
    upstreams: Vec<WatchedUpstream>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

// === impl Running ===

impl Running {
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let gateway = Gateway::start(config).await?;
        let (_, address) = *gateway.addresses().first().context("a gateway without a listener")?;
        let counters = gateway.counters().clone();
        let (plugins, upstreams) = (gateway.plugins(), gateway.upstreams().to_vec());
        let (standings, stop) = (gateway.standings(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(gateway.run(stopped));
        Ok(Self { address, counters, plugins, standings, upstreams, stop, task })
    }

    /// Returns when every plugin has started, and every upstream is connected.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let started = async {
            while self.standings.iter().any(Standing::is_starting) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let started = tokio::time::timeout(COMPILED, started).await;
        started.with_context(|| format!("plugins are not compiled and started within {COMPILED:?}"))?;
        if let Some(stopped) = self.standings.iter().find_map(Standing::stopped) {
            bail!("{}", stopped.why);
        }
        for WatchedUpstream { name, status, .. } in &mut self.upstreams {
            let connected = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.connected)).await;
            connected.with_context(|| format!("upstream `{name}` was not reached within {PATIENCE:?}"))??;
        }
        Ok(())
    }

    /// Resolves when it ends without having been stopped.
    pub async fn died(&mut self) -> anyhow::Result<()> {
        match (&mut self.task).await? {
            Ok(()) => bail!("the gateway ended by itself"),
            error => error,
        }
    }

    /// In good order: what is inside goes out first.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        // One that has died was noticed by `died`, and its task gives nothing a second time.
        if self.task.is_finished() { Ok(()) } else { self.task.await? }
    }
}
