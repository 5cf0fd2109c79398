//! The one door through which native code comes in, and the one place in this program where `unsafe` is allowed.

use wasmtime::Engine;
use wasmtime::component::Component;

/// `code` must have been made by [`super::Settings::compile`] on this machine and not changed since.
#[expect(unsafe_code, reason = "wasmtime cannot check that native code is what its compiler made; the callers can")]
pub fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes become instructions of this process, so they must be our compiler's own. There are two callers, both
    // in `super`. One hands over what the compiling process wrote into a pipe that only it held, a moment ago: the same
    // executable as this one. The other hands over an entry of the cache whose seal it has checked in memory (`super::cache`):
    // the seal is made only around such bytes, with a key that only this user can read. In both cases the bytes are this
    // process's own copy, which nobody can change between the check and the use; that is why no file is mapped here. Code
    // of another version of wasmtime, or for other settings or another machine, wasmtime finds itself and refuses.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The lint is `deny` in this package and not `forbid`, or this file could not be excepted from it: so nobody else may.
    #[test]
    fn this_is_the_only_file_that_is_excepted_from_the_lint() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let word = ["unsafe", "code"].join("_");
        let excepted: Vec<_> =
            sources(&root).filter(|path| fs::read_to_string(path).unwrap().contains(&word)).collect();
        assert_eq!(excepted, [root.join("plugin/compile/native.rs")]);
    }

    fn sources(folder: &Path) -> Box<dyn Iterator<Item = PathBuf>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        Box::new(entries.flat_map(|path| -> Box<dyn Iterator<Item = PathBuf>> {
            match path.is_dir() {
                true => sources(&path),
                false => Box::new(path.extension().is_some_and(|ending| ending == "rs").then_some(path).into_iter()),
            }
        }))
    }
}
