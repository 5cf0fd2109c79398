//! Which folder a command is about.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::app::SPOOL;
use crate::base::timeline::{self, AnchorFile};
use crate::config::{self, Config, DeadLetters, Spool};
use crate::dead_letter::FOLDER;
use crate::operate::admin::client::Admin;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Where {
    /// The configuration of the gateway
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its data folder, when there is no configuration at hand
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A data folder, and the limits that hold there.
pub struct Place {
    pub data_dir: PathBuf,
    pub spool_limits: Spool,
    pub letter_limits: DeadLetters,
    /// Whether there is a configuration at hand, and whom it names.
    pub has_config: bool,
    pub names: Names,
}

#[derive(Default)]
pub struct Names {
    pub upstreams: Vec<String>,
    pub bindings: Vec<String>,
    pub plugins: Vec<String>,
}

// === impl Where ===

impl Where {
    fn place(&self) -> anyhow::Result<Place> {
        match (&self.config, &self.data_dir) {
            (Some(file), _) => Ok(Place::of(config::load(file)?)),
            (None, Some(dir)) => Ok(Place::at(dir.clone())),
            (None, None) => bail!("name the configuration with -c FILE, or the data folder with --data-dir DIR"),
        }
    }

    /// Where none has run yet.
    pub fn find_or_make(&self) -> anyhow::Result<Place> {
        let place = self.place()?;
        let dir = &place.data_dir;
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        Ok(place)
    }

    pub fn find(&self) -> anyhow::Result<Place> {
        let place = self.place()?;
        if !place.data_dir.is_dir() {
            bail!("there is no folder `{}`: has this gateway ever run?", place.data_dir.display());
        }
        // What is written there has its own time.
        timeline::begin(AnchorFile::read(&place.data_dir).as_ref());
        Ok(place)
    }
}

// === impl Place ===

impl Place {
    pub fn spool(&self) -> PathBuf {
        self.data_dir.join(SPOOL)
    }

    pub fn letters(&self) -> PathBuf {
        self.data_dir.join(FOLDER)
    }

    /// The one that runs there. `otherwise` is said where none does: what it means, or what to do.
    pub fn gateway(&self, otherwise: &str) -> anyhow::Result<Admin> {
        let Some(admin) = Admin::connect(&self.data_dir)? else {
            bail!("no gateway runs on `{}`{otherwise}", self.data_dir.display());
        };
        Ok(admin)
    }

    fn of(config: Config) -> Self {
        let names = Names {
            upstreams: config.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
            bindings: config.bindings.iter().map(|binding| binding.name.to_string()).collect(),
            plugins: config.plugins.iter().map(|plugin| plugin.name.clone()).collect(),
        };
        let Config { gateway, spool, dead_letters, .. } = config;
        Self { data_dir: gateway.data_dir, spool_limits: spool, letter_limits: dead_letters, has_config: true, names }
    }

    /// Without a configuration.
    pub fn at(data_dir: PathBuf) -> Self {
        let (spool_limits, letter_limits) = (Spool::default(), DeadLetters::default());
        Self { data_dir, spool_limits, letter_limits, has_config: false, names: Names::default() }
    }
}
