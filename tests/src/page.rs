//! What a page of the documentation tells somebody to type, typed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary;
use crate::process::{Finished, finish};

/// The blocks of a page in one language, in their order.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begins = format!("```{language}\n");
    page.split(&begins).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// A shell in a folder, with `tidegate` in its path.
pub fn shell(folder: &Path, script: &str) -> Command {
    let tools = binary::tidegate().parent().expect("it is in a folder").display().to_string();
    let mut sh = Command::new("sh");
    sh.args(["-e", "-c", script]).current_dir(folder);
    sh.env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap_or_default()));
    sh
}

/// Runs a block to its end; it has to succeed.
pub fn typed(folder: &Path, script: &str) -> Finished {
    let finished = finish("sh", &mut shell(folder, script));
    assert_eq!(finished.code, Some(0), "{script}\n{finished:?}");
    finished
}

/// A shell of somebody who writes a plugin: cargo has what this machine has already, and a target folder that all such tests share.
pub fn author(folder: &Path, script: &str) -> Command {
    let mut sh = shell(folder, script);
    sh.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", authors_target());
    sh
}

pub fn authors_target() -> PathBuf {
    binary::shared_folder().join("authors")
}

/// What an author types, run to its end. Without a deadline: a first build takes as long as it takes.
pub fn typed_by_author(folder: &Path, script: &str) -> Finished {
    // The shipped plugins have been built then, and cargo has all crates that a plugin needs.
    binary::plugins();
    let output = author(folder, script).output().expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let finished = Finished { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    assert_eq!(finished.code, Some(0), "{script}\n{}\n{}", finished.out, finished.err);
    finished
}
