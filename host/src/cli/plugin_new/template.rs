//! The files of a new plugin. What stands in them is also told in `docs/plugins-of-your-own.md`, and its commands are run by a test.

use super::Name;

/// Where the name of the plugin goes.
const PLACE: &str = "NAME";

const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/manifest.toml")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("gateway.toml", include_str!("template/gateway.toml")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
];

/// What is printed: the commands, in the order in which they are typed.
const NEXT_STEPS: &str = include_str!("template/next-steps.txt");

/// Paths in the folder of the plugin, and texts.
pub fn files(name: &Name) -> impl Iterator<Item = (&'static str, String)> {
    FILES.iter().map(|(file, text)| (*file, named(text, name)))
}

pub fn next_steps(name: &Name) -> String {
    named(NEXT_STEPS, name)
}

fn named(text: &str, name: &Name) -> String {
    text.replace(PLACE, name.as_str())
}
