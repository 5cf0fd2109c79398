//! The files of the checkout, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// Not ours, or made by a build.
const SKIPPED: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

#[derive(Clone)]
pub struct File {
    /// From the root of the checkout, with `/`.
    pub path: String,
    pub text: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below `folder` with one of these endings. Others are not read.
pub fn files(folder: &str, endings: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    visit(&root().join(folder), &mut |path| {
        if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            let text = fs::read_to_string(path).unwrap();
            found.push(File { path: relative(path), text });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no file below `{folder}` ends with {endings:?}");
    found
}

/// The paths of everything in the checkout, folders included.
pub fn paths() -> Vec<String> {
    let mut found = Vec::new();
    visit(&root(), &mut |path| found.push(relative(path)));
    let folders: Vec<_> = found.iter().flat_map(|path| ancestors(path)).collect();
    found.extend(folders);
    found.sort();
    found.dedup();
    found
}

fn ancestors(path: &str) -> Vec<String> {
    path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect()
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() { visit(&path, each) } else { each(&path) }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}
