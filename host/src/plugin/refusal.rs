//! Why a component is not loaded: each reason with what to do about it.

use std::path::{Path, PathBuf};

use super::contract::{PACKAGE, VERSION};
use super::text::printable;

/// Names of imports in one refusal, and the bytes of each.
const MOST_NAMES: usize = 8;
const MAX_NAME_BYTES: usize = 160;

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
    #[error(
        "is larger than {limit} bytes: build it without debug information, or raise `component_size` under `[engine.limits]`"
    )]
    TooLarge { limit: usize },
    #[error(
        "has {found} {what}, {by} allows {limit}: a plugin does not need as many, unless its language brings its runtime along"
    )]
    TooMuch { what: &'static str, found: usize, limit: usize, by: &'static str },
    #[error(
        "is compiled, and this machine does not let its code run: memory that was written must not be executed. Under systemd remove `MemoryDenyWriteExecute=` from the unit; or set `backend = \"pulley\"` under `[engine]`, which needs none and is some 30 times slower"
    )]
    ExecutionDenied,
    #[error("is not compiled: {0}; `[engine.limits]` has `compile_memory` and `compile_time`")]
    NotCompiled(String),
    #[error(
        "is not the pinned file: its digest is {found}, `sha256` says {pinned}; if the file was changed on purpose, put its digest there"
    )]
    WrongDigest { pinned: String, found: String },
    #[error(
        "is not signed, and `trust.require_signature` is set: there is no `{}`; make it with `minisign -S -H -m FILE`",
        signature.display()
    )]
    Unsigned { signature: PathBuf },
    #[error("has a signature file that cannot be read: {0}; get it anew from who signed, or sign again")]
    SignatureDamaged(String),
    #[error("has a signature of the kind that minisign made before 0.10: sign it again with `minisign -S -H -m FILE`")]
    SignatureOutdated,
    #[error(
        "was signed with key {signer}, which is not among `[trust.keys]`: {}; add its public key there if you trust its owner",
        trusted.join(", ")
    )]
    UnknownKey { signer: String, trusted: Vec<String> },
    #[error(
        "is not what key `{key}` signed: the file or its signature was changed since; get both anew from who signed, and ask how it came here"
    )]
    WrongSignature { key: String },
    #[error(
        "was signed under another name, `{signed_as}`: another plugin may be in its place; name the file so if it is the right one"
    )]
    OtherFile { signed_as: String },
    #[error("has a signature whose comment has `{word}`: {advice}; sign it again")]
    SignatureComment { word: String, advice: &'static str },
    #[error(
        "is `{to}`, but `{from}` ran here before: an older version may have a hole that the newer one closed; to go back on purpose, write `downgrade_to = \"{to}\"` under the plugin"
    )]
    Downgrade { from: String, to: String },
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
    /// It can go away while the gateway runs: a file that is put there, a machine that has room again. What else is wrong with a
    /// component needs another file, and somebody who looks.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Missing
                | Self::Unreadable(_)
                | Self::NotCompiled(_)
                | Self::Unsigned { .. }
                | Self::SignatureDamaged(_)
        )
    }

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

/// The first of them, cut where they are long, and how many more there are: a component chooses its words, and brings as many as it likes.
fn quoted(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).map(|name| format!("`{}`", printable(name, MAX_NAME_BYTES)));
    let more = names.len().saturating_sub(MOST_NAMES);
    let more = (more > 0).then(|| format!("and {more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_of_a_size_to_be_read_whatever_the_component_wants() {
        let wants: Vec<_> = (0..90_000).map(|number| format!("wasi:{}/{number}", "x".repeat(1_000))).collect();
        let problem = Problem::NotGranted { wants: wants.clone(), line: None, offered_to_none: wants };
        let words = problem.to_string();
        assert!(words.len() < 4_000 && words.contains("and 89992 more"), "{} bytes: {words}", words.len());
    }
}
