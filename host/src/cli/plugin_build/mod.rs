//! `tidegate plugin build`: from plugin crates to components, with nothing to install by hand.
//!
//! 1. Which crates: `crates` asks `cargo metadata`, so that workspaces, renamed libraries and target folders are
//!    cargo's business and not guessed here.
//! 2. The wasm target: `target` adds it when it is missing.
//! 3. One `cargo build` for each workspace, then each component is copied to its place under its package's name.
//!
//! Plain cargo and the `wasm32-wasip2` target make components; no other tool is needed.

mod crates;
mod heard;
mod target;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use sha2::{Digest, Sha256};

use crates::Crates;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of plugin crates [default: this one, or all of the workspace's `plugins/`]
    dirs: Vec<PathBuf>,
    /// Where the components go [default: `plugins` in the workspace's target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say nothing but the result
    #[arg(short, long)]
    quiet: bool,
}

/// A component that stands ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The name of its package.
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// In hexadecimal, as `sha256` of `[plugins.NAME]` takes it.
    pub sha256: String,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    for built in build_plugins(&args.dirs, args.out.as_deref(), args.quiet)? {
        write!(out, "{}", built.as_toml())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the plugin crates of these folders; none means the current folder, or all plugins of its workspace.
///
/// `out` defaults to `plugins` in the target folder of each workspace. `quiet` silences cargo unless it fails.
pub fn build_plugins(dirs: &[PathBuf], out: Option<&Path>, quiet: bool) -> anyhow::Result<Vec<Built>> {
    let mut built = Vec::new();
    for crates in crates::find(dirs)? {
        target::ensure(&crates.workspace_root, quiet)?;
        let profile = crates.profile();
        compile(&crates, profile, quiet)?;
        let out = out.map_or_else(|| crates.target_directory.join("plugins"), Path::to_path_buf);
        fs::create_dir_all(&out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        for (package, library) in &crates.plugins {
            let made = crates.target_directory.join(target::TRIPLE).join(profile).join(format!("{library}.wasm"));
            built.push(place(package, &made, &out)?);
        }
    }
    Ok(built)
}

fn compile(crates: &Crates, profile: &str, quiet: bool) -> anyhow::Result<()> {
    let mut command = cargo(&crates.workspace_root);
    command.args(["build", "--lib", "--target", target::TRIPLE, "--profile", profile]);
    for (package, _) in &crates.plugins {
        command.args(["--package", package]);
    }
    if quiet {
        command.arg("--quiet");
    }
    // Cargo talks on stderr; its stdout is empty here, so ours stays data.
    let status = heard::run(&mut command).context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not build the plugins: its errors are above");
    }
    Ok(())
}

/// Copies under another name first: a gateway that watches the folder never reads half a component.
fn place(package: &str, made: &Path, out: &Path) -> anyhow::Result<Built> {
    let code = fs::read(made).with_context(|| format!("cargo was to make {}", made.display()))?;
    let path = out.join(format!("{package}.wasm"));
    let unfinished = out.join(format!(".{package}.wasm.part"));
    fs::write(&unfinished, &code)
        .and_then(|()| fs::rename(&unfinished, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let sha256 = Sha256::digest(&code).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Built { name: package.to_owned(), path, bytes: code.len() as u64, sha256 })
}

/// The cargo that runs us, when one does: `cargo run -- demo` and its plugins then use the same toolchain.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(folder);
    command
}

// === impl Built ===

impl Built {
    /// Ready to be pasted into a configuration.
    fn as_toml(&self) -> String {
        let path = toml::Value::String(self.path.display().to_string());
        let (name, size, sha256) = (&self.name, ByteSize(self.bytes), &self.sha256);
        format!("[plugins.{name}]\ncomponent = {path}  # {size}\nsha256 = \"{sha256}\"\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"my-plugin\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                            [lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";

    fn crate_of(folder: &Path, manifest: &str, source: &str) -> PathBuf {
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src/lib.rs"), source).unwrap();
        folder.to_owned()
    }

    #[test]
    fn a_crate_becomes_a_component_with_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let dir = crate_of(folder.path(), MANIFEST, "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> i32 { 42 }");
        let built = build_plugins(&[dir], Some(&folder.path().join("out")), true).unwrap();
        let [built] = built.as_slice() else { panic!("one plugin: {built:?}") };
        let code = fs::read(&built.path).unwrap();
        // Version 13 of layer 1: a component, not a core module.
        assert_eq!(&code[..8], b"\0asm\x0d\0\x01\0");
        assert_eq!(built.path, folder.path().join("out/my-plugin.wasm"));
        assert_eq!(built.bytes, code.len() as u64);
        assert_eq!(built.sha256, format!("{:x}", Sha256::digest(&code)));
        toml::from_str::<toml::Table>(&built.as_toml()).unwrap();
    }

    #[test]
    fn a_crate_that_does_not_compile_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let dir = crate_of(folder.path(), MANIFEST, "this is no Rust");
        assert!(build_plugins(&[dir], None, true).is_err());
    }

    #[test]
    fn a_folder_without_a_plugin_says_what_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = crate_of(folder.path(), &MANIFEST.replace("cdylib", "rlib"), "");
        let error = build_plugins(&[dir], None, true).unwrap_err().to_string();
        assert!(error.contains("crate-type = [\"cdylib\"]"), "{error}");
    }
}
