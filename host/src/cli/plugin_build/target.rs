//! The wasm target of the toolchain, added when it is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::heard;
use crate::base::log_writer::say;

/// The target whose output is a component.
pub const TRIPLE: &str = "wasm32-wasip2";

/// Makes sure that the toolchain of this folder can build for the target.
///
/// Asked of rustc and not of rustup: a toolchain from a distribution has the target in the same place.
pub fn ensure(folder: &Path, quiet: bool) -> anyhow::Result<()> {
    if installed(folder)? {
        return Ok(());
    }
    if !quiet {
        say(&format!("adding the target {TRIPLE}, which plugins are built for"));
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TRIPLE]).current_dir(folder).stdout(Stdio::null());
    match heard::run(&mut rustup) {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("plugins need the target {TRIPLE} and it could not be added: run `rustup target add {TRIPLE}`"),
    }
}

fn installed(folder: &Path) -> anyhow::Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TRIPLE]).current_dir(folder);
    let output = rustc.output().context("cannot run rustc: install Rust from https://rustup.rs")?;
    if !output.status.success() {
        bail!("this rustc does not know the target {TRIPLE}: use Rust 1.82 or newer");
    }
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
