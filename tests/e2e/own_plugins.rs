//! An author has the gateway and Rust, and no checkout: plugins are made, tested, built and run in folders of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tidegate_tests::binary;
use tidegate_tests::eventually::soon;
use tidegate_tests::page::{author, authors_target, blocks, typed_by_author};
use tidegate_tests::ports;
use tidegate_tests::process::{Finished, Process, finish};

const PAGE: &str = include_str!("../../docs/plugins-of-your-own.md");
const README: &str = include_str!("../../README.md");

/// Made by a package, or of another form there: `plugin sdk` has no use for it.
const OF_PACKAGES: [&str; 4] = ["Cargo.toml", "Cargo.toml.orig", "Cargo.lock", ".cargo_vcs_info.json"];

fn empty_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    assert!(!folder.path().starts_with(repository), "an author is outside of the repository: {:?}", folder.path());
    folder
}

fn file(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder in a temporary folder");
    fs::write(path, text).expect("a file in a temporary folder");
}

/// The commands of a text, one a line, without what is said about them.
fn commands(text: &str) -> Vec<String> {
    let without_comment = |line: &str| line.split(" # ").next().unwrap_or_default().trim().to_owned();
    text.lines().map(without_comment).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_plugin_of_the_readme_is_built_from_an_empty_folder_and_does_what_it_says() {
    let folder = empty_folder();
    let folder = folder.path();
    let section = README.split("## A plugin in fifteen lines").nth(1).expect("the section");
    file(folder, "src/lib.rs", blocks(section, "rust")[0]);
    file(folder, "Cargo.toml", blocks(section, "toml")[0]);
    let line = typed_by_author(folder, "tidegate plugin sdk").out;
    assert!(blocks(section, "toml")[0].contains(line.trim()), "{line}");
    typed_by_author(folder, "tidegate plugin build --out .");
    file(
        folder,
        "gateway.toml",
        "plugins.range = { component = \"range.wasm\", config = { min = 0.0, max = 40.0 } }\n\
         [[bindings]]\nname = \"b\"\ntopic = \"a\"\nplugins = [\"range\"]\nto = [{ local = true, topic = \"b\" }]\n",
    );
    let tested = typed_by_author(folder, "printf '[a] 21.5\\n[a] 50\\n' | tidegate test -c gateway.toml");
    assert_eq!(tested.out.trim(), "[b] 21.5", "{}", tested.err);
}

#[test]
fn the_page_on_plugins_leads_from_nothing_to_a_message_through_a_plugin() {
    let folder = empty_folder();
    let page = PAGE.replace("1884", &ports::free().to_string());
    let [new, offline, run, subscribe, publish, sdk, newer] = blocks(&page, "sh")[..] else {
        panic!("the page has other blocks")
    };
    let printed = typed_by_author(folder.path(), new).out;
    let next = [offline, run, subscribe, publish].map(commands).concat().join("\n");
    let port = subscribe.split(' ').nth(2).expect("the port");
    assert_eq!(commands(&printed.replace("1884", port))[1..].join("\n"), next, "the page has what is printed");

    let plugin = folder.path().join("comfort");
    let config = fs::read_to_string(plugin.join("gateway.toml")).expect("it was made");
    file(&plugin, "gateway.toml", &config.replace("1884", port));
    let tried = typed_by_author(folder.path(), offline);
    assert!(tried.out.contains("3 passed") && tried.out.ends_with("[plausible/sensors/1] 21.5\n"), "{}", tried.out);
    live(&plugin, [run, subscribe, publish]);

    // In a crate that was there before: the same line, another folder for the SDK.
    let line = typed_by_author(folder.path(), sdk).out;
    assert_eq!(line.trim(), "tidegate-plugin = { path = \"tidegate-plugin\" }");
    typed_by_author(&plugin, newer);
}

/// A reading arrives, and those that the page names do not.
fn live(plugin: &Path, [run, subscribe, publish]: [&str; 3]) {
    let mut gateway = Process::start("tidegate run", &mut author(plugin, &format!("exec {run}")));
    soon("it listens", || gateway.err().text().contains("listening") || gateway.has_ended().is_some());
    let subscriber = Process::start("mosquitto_sub", &mut author(plugin, &format!("exec {subscribe}")));
    let sent = |payload: &str| {
        let device = finish("mosquitto_pub", &mut author(plugin, &publish.replace("21.5", payload)));
        assert_eq!(device.code, Some(0), "{device:?}");
    };
    sent("180");
    sent("open");
    soon("a reading arrives", || {
        sent("21.5");
        !subscriber.out().text().is_empty()
    });
    assert!(subscriber.out().text().lines().all(|line| line == "21.5"), "{}", subscriber.out().text());
    gateway.terminate();
    assert!(gateway.wait().success());
}

#[test]
fn the_package_of_the_sdk_is_clean_and_is_what_the_binary_writes() {
    let folder = empty_folder();
    let folder = folder.path();
    typed_by_author(folder, "tidegate plugin sdk written");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    // Built from the package alone, too. Dirty: whoever tests has changes that are not committed.
    let packed = typed_by_author(repository, "cargo package --package tidegate-plugin --allow-dirty");
    assert!(!packed.err.contains("warning"), "{}", packed.err);
    let package = authors_target().join("package");
    let version = env!("CARGO_PKG_VERSION");
    typed_by_author(folder, &format!("tar xf {}/tidegate-plugin-{version}.crate", package.display()));
    assert!(folder.join(format!("tidegate-plugin-{version}/wit/worlds.wit")).is_file());
    let but = OF_PACKAGES.map(|name| format!("-x {name}")).join(" ");
    typed_by_author(folder, &format!("diff -r {but} written tidegate-plugin-{version}"));
}

#[test]
fn a_new_plugin_is_refused_with_what_to_do_and_leaves_nothing() {
    let folder = empty_folder();
    let folder = folder.path();
    file(folder, "mine", "kept");
    let new = |name: &str| -> Finished {
        finish(
            "tidegate plugin new",
            Command::new(binary::tidegate()).args(["plugin", "new", "--", name]).current_dir(folder),
        )
    };
    for (name, code, told) in [
        ("Range", 2, "a name begins with a letter from a to z"),
        ("../range", 2, "a path is no name"),
        ("", 2, "a plugin needs a name"),
        ("match", 2, "is a word of Rust"),
        ("serde", 2, "is the name of a crate that every plugin is made with: add to it, such as `my-serde`"),
        ("mine", 1, "`mine` is there already: name another folder, or take that one away first"),
    ] {
        let refused = new(name);
        assert_eq!(refused.code, Some(code), "{name}: {refused:?}");
        assert!(refused.err.contains(told), "{name}: {}", refused.err);
    }
    let left: Vec<_> = fs::read_dir(folder).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["mine"]);
    assert_eq!(fs::read_to_string(folder.join("mine")).expect("it is there"), "kept");
}

#[test]
fn a_plugin_made_inside_of_another_workspace_is_its_own() {
    let folder = empty_folder();
    let folder = folder.path();
    file(folder, "Cargo.toml", "[workspace]\nmembers = [\"other\"]\n");
    file(folder, "other/Cargo.toml", "[package]\nname = \"other\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    file(folder, "other/src/lib.rs", "");
    typed_by_author(folder, "tidegate plugin new nested");
    typed_by_author(&folder.join("nested"), "cargo metadata --no-deps --format-version 1");
}
