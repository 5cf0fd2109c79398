//! Which crates are plugins: those whose library is a `cdylib`, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::{cargo, heard};

/// The plugin crates of one workspace.
#[derive(Debug)]
pub struct Crates {
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
    /// The name of each package and of its library, which is the file's.
    pub plugins: BTreeSet<(String, String)>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// The plugin crates in these folders, by workspace. No folder means: here, or all that the workspace ships.
pub fn find(dirs: &[PathBuf]) -> anyhow::Result<Vec<Crates>> {
    let mut workspaces: BTreeMap<PathBuf, Crates> = BTreeMap::new();
    let here = [PathBuf::from(".")];
    let asked = if dirs.is_empty() { &here } else { dirs };
    for dir in asked {
        let metadata = Metadata::of(dir)?;
        let folder = fs::canonicalize(dir)?;
        let found = if dirs.is_empty() { metadata.usual(&folder) } else { metadata.plugins_below(&folder) };
        if found.is_empty() {
            bail!("no plugin crate in {}: a plugin's Cargo.toml says `[lib] crate-type = [\"cdylib\"]`", dir.display());
        }
        let root = metadata.workspace_root.clone();
        let crates = workspaces.entry(root).or_insert_with(|| Crates::of(metadata));
        crates.plugins.extend(found);
    }
    Ok(workspaces.into_values().collect())
}

// === impl Crates ===

impl Crates {
    fn of(metadata: Metadata) -> Self {
        let Metadata { workspace_root, target_directory, .. } = metadata;
        Self { workspace_root, target_directory, plugins: BTreeSet::new() }
    }

    /// `plugin` when the workspace defines it, since size matters more to a component than to a gateway; or `release`.
    pub fn profile(&self) -> &'static str {
        let manifest = fs::read_to_string(self.workspace_root.join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = manifest.parse().unwrap_or_default();
        let defined = manifest.get("profile").and_then(|profiles| profiles.get("plugin")).is_some();
        if defined { "plugin" } else { "release" }
    }
}

// === impl Metadata ===

impl Metadata {
    fn of(dir: &Path) -> anyhow::Result<Self> {
        if !dir.is_dir() {
            bail!("{} is no folder: name the folders of plugin crates", dir.display());
        }
        let output = cargo(dir)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("cannot run cargo: install Rust from https://rustup.rs")?;
        if !output.status.success() {
            bail!("{} is no cargo package: {}", dir.display(), heard::one_line(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("cannot read what `cargo metadata` says")
    }

    /// At the root of a workspace, or in a folder without plugins: what the workspace ships in `plugins/`.
    fn usual(&self, folder: &Path) -> BTreeSet<(String, String)> {
        let here = self.plugins_below(folder);
        let shipped = self.plugins_below(&self.workspace_root.join("plugins"));
        let at_root = folder == self.workspace_root;
        if here.is_empty() || (at_root && !shipped.is_empty()) { shipped } else { here }
    }

    fn plugins_below(&self, folder: &Path) -> BTreeSet<(String, String)> {
        let below = |package: &&Package| package.manifest_path.starts_with(folder);
        self.packages.iter().filter(below).filter_map(Package::plugin).collect()
    }
}

// === impl Package ===

impl Package {
    fn plugin(&self) -> Option<(String, String)> {
        let library = self.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))?;
        // Cargo names the file in snake case, whatever the library is called.
        Some((self.name.clone(), library.name.replace('-', "_")))
    }
}
