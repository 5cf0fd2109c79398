//! The contract `tidegate:plugin`, as Rust: what `wit/` says, generated.
//!
//! Generated from the world that has everything. A component exports `batched`, `timer` and `manifest` or not: the interfaces are looked up one by
//! one, so the smaller world needs no second set of the same types.
//!
//! Types that go both ways exist twice: `…Param` borrows what the host hands in (nothing is copied but into the guest's
//! memory), `…Result` owns what came out.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin-full",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});

pub use self::tidegate::plugin::{context, log, metrics, state, types};
pub use exports::tidegate::plugin::{batched, lifecycle, manifest, single, timer};

/// The contract of this host. Tested against `wit/`.
pub const VERSION: &str = "0.1.0";

/// Whose names carry the version.
pub const PACKAGE: &str = "tidegate:plugin";

/// Whether this host keeps the contract that a component was built for. While it is 0.x, the minor number is the contract.
pub fn speaks(version: &str) -> bool {
    let minor = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    minor(version) == minor(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_in_wit() {
        let wit = include_str!("../../../wit/types.wit");
        assert!(wit.contains(&format!("package {PACKAGE}@{VERSION};")));
    }

    #[test]
    fn a_patch_is_spoken_and_a_minor_is_not() {
        assert!(speaks("0.1.0") && speaks("0.1.7"));
        assert!(!speaks("0.2.0") && !speaks("1.1.0") && !speaks(""));
    }
}
