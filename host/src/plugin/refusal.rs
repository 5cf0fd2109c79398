//! Why a component is not loaded: each reason with what to do about it.

use std::path::{Path, PathBuf};

use super::contract::{PACKAGE, VERSION};
use super::limits::MAX_COMPONENT_BYTES;

#[derive(Debug, thiserror::Error)]
#[error("`{}` {problem}", path.display())]
pub struct LoadError {
    pub path: PathBuf,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("does not exist: build it with `tidegate plugin build`, or correct `component`")]
    Missing,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is larger than {MAX_COMPONENT_BYTES} bytes: build it with `--release`, without debug information")]
    TooLarge,
    #[error(
        "is not the pinned file: its digest is {found}, `sha256` says {pinned}; if the file was changed on purpose, put its digest there"
    )]
    WrongDigest { pinned: String, found: String },
    #[error("is not WebAssembly: `component` must name the `.wasm` file that `tidegate plugin build` made")]
    NotWasm,
    #[error("is WebAssembly text: translate it with `wasm-tools parse`")]
    Text,
    #[error("is a core module, not a component: build it for `wasm32-wasip2`, as `tidegate plugin build` does")]
    CoreModule,
    #[error("is precompiled native code, which is never run from a file: use the `.wasm` file that it was made from")]
    Precompiled,
    #[error("is damaged: {0}; build it again")]
    Malformed(String),
    #[error(
        "was built for contract `{PACKAGE}` {found}, this tidegate has {VERSION}: build it against the SDK of this version"
    )]
    OtherContract { found: String },
    #[error("wants what it is not granted: {}; {}", quoted(.wants), advice(.line.as_deref(), .offered_to_none))]
    NotGranted {
        wants: Vec<String>,
        /// What to write to be granted all that can be; none, when nothing can.
        line: Option<String>,
        /// Of what it wants.
        offered_to_none: Vec<String>,
    },
    #[error("is a component but not a plugin, it does not export {}: write `export!(YourPlugin);` at its end", quoted(.0))]
    MissingExports(Vec<String>),
    #[error("does not fit contract `{PACKAGE}` {VERSION}: {0}; build it again")]
    Mismatch(String),
}

// === impl Problem ===

impl Problem {
    pub(super) fn at(self, path: &Path) -> LoadError {
        LoadError { path: path.to_owned(), problem: self }
    }
}

fn advice(line: Option<&str>, offered_to_none: &[String]) -> String {
    let add = line.map(|line| format!("if it shall have it, write `{line}` in its table"));
    let remove = (!offered_to_none.is_empty()).then(|| {
        let names = quoted(offered_to_none);
        format!("{names} is offered to no plugin (no network, files or environment): remove what uses it")
    });
    add.into_iter().chain(remove).collect::<Vec<_>>().join("; ")
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
