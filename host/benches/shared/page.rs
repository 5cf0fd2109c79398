//! `docs/performance-parts.md`: what stands there between two marks is written by these programs.

use std::fs;
use std::path::PathBuf;

use tidegate_tests::machine;

const END: &str = "<!-- end -->";

pub fn load() -> String {
    fs::read_to_string(path()).expect("the page can be read")
}

pub fn write(command: &str, text: &str) {
    let page = load();
    let (before, _, after) = split(&page, command);
    let machine = machine::describe();
    fs::write(path(), format!("{before}\n{machine}.\n\n{text}{after}")).expect("the page can be written");
}

/// What stands before, in, and after the place of the program that `command` starts.
pub fn split<'a>(page: &'a str, command: &str) -> (&'a str, &'a str, &'a str) {
    let begin = format!("<!-- begin: {command} -->");
    let at = page.find(&begin).unwrap_or_else(|| panic!("the page has no `{begin}`")) + begin.len();
    let length = page[at..].find(END).unwrap_or_else(|| panic!("`{begin}` has no `{END}`"));
    (&page[..at], &page[at..at + length], &page[at + length..])
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance-parts.md")
}
