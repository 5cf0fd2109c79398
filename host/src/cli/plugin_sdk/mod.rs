//! `tidegate plugin sdk`: the SDK for plugins in Rust, as a crate in a folder. So a plugin is built anywhere, with the SDK of the gateway
//! that it is for; the contract, `wit`, is in it (docs/decisions/0075).

mod manifest;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

/// The name of the crate, and of the folder unless another is asked for.
pub const NAME: &str = "tidegate-plugin";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make
    #[arg(default_value = NAME)]
    folder: PathBuf,
}

/// Files of the SDK with their text, compiled in.
macro_rules! of_the_sdk {
    ($($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../../../plugin-sdk/", $file)))),*]
    };
}

/// All but its manifest. A test compares this list with the folder.
const FILES: &[(&str, &str)] = of_the_sdk! {
    "README.md"
    "src/bindings.rs"
    "src/error.rs"
    "src/export.rs"
    "src/guest/batch.rs"
    "src/guest/columns.rs"
    "src/guest/mod.rs"
    "src/lib.rs"
    "src/log.rs"
    "src/message/made.rs"
    "src/message/mod.rs"
    "src/metrics.rs"
    "src/origin.rs"
    "src/output.rs"
    "src/plugin.rs"
    "src/pointer/edit.rs"
    "src/pointer/mod.rs"
    "src/pointer/select.rs"
    "src/state.rs"
    "src/testing.rs"
    "src/testing/gateway.rs"
    "wit/guest.wit"
    "wit/host.wit"
    "wit/types.wit"
    "wit/worlds.wit"
};

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    new_folder(&args.folder, write)?;
    let path = toml::Value::String(args.folder.display().to_string());
    writeln!(out, "{NAME} = {{ path = {path} }}")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the crate into a folder that is there.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let manifest = manifest::standing_alone()?;
    let files = FILES.iter().copied().chain([("Cargo.toml", manifest.as_str())]);
    files.into_iter().try_for_each(|(file, text)| write_file(&folder.join(file), text))
}

/// A file, with the folders above it.
pub fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// A folder that was not there before, filled; or none, when that fails. Nothing of anybody else's is written over.
pub fn new_folder(path: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let shown = path.display();
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("`{shown}` is there already: name another folder, or take that one away first")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("cannot make the folder `{shown}`: there is no folder above it")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make the folder `{shown}`")),
    }
    let filled = fill(path);
    if filled.is_err() {
        // What was made a moment ago; the first error says more than one of this would.
        let _ = fs::remove_dir_all(path);
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::PluginLimits;

    /// The files of the crate that are published, but the manifest.
    fn published(folder: &Path, from: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            match name.as_str() {
                "Cargo.toml" | "proptest-regressions" => {}
                _ if path.is_dir() => published(folder, &path, found),
                _ => drop(found.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_of_the_sdk_is_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-sdk");
        let mut there = BTreeSet::new();
        published(&folder, &folder, &mut there);
        assert_eq!(FILES.iter().map(|(file, _)| (*file).to_owned()).collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn a_tester_refuses_at_the_limits_of_the_gateway() {
        let number = |file: &str, name: &str| -> usize {
            let (_, text) = FILES.iter().find(|(named, _)| *named == file).unwrap();
            let (_, rest) = text.split_once(&format!("const {name}: usize = ")).unwrap();
            rest.split(';').next().unwrap().replace('_', "").parse().unwrap()
        };
        let (limits, outputs) = (PluginLimits::default(), "src/testing/gateway.rs");
        assert_eq!(number(outputs, "MAX_OUTPUTS"), limits.max_outputs);
        assert_eq!(number(outputs, "MAX_OUTPUT_BYTES"), limits.max_output_bytes);
        assert_eq!(number(outputs, "MAX_ITEM_BYTES"), limits.max_item_bytes);
        assert_eq!(number(outputs, "MAX_FIELD_BYTES"), crate::topic::MAX_BYTES);
        assert_eq!(number(outputs, "MAX_TOPIC_LEVELS"), crate::topic::MAX_LEVELS);
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sdk");
        fs::write(&path, "mine").unwrap();
        let error = run(&Args { folder: path.clone() }, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.ends_with("is there already: name another folder, or take that one away first"), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }

    #[test]
    fn a_folder_that_could_not_be_filled_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half");
        let failed = new_folder(&path, |half| {
            write_file(&half.join("a/b"), "1")?;
            bail!("no space")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no space");
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_in_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = new_folder(&folder.path().join("a/b"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.ends_with("there is no folder above it"), "{error}");
    }
}
