//! What a package installs beside the binary: its configuration, completions and manual pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate_tests::binary;
use tidegate_tests::process::finish;

const INSTALLED_PLUGINS: &str = "/usr/share/tidegate/plugins/";
const DATA: &str = "/var/lib/tidegate";

#[test]
fn the_configuration_of_the_package_is_right_as_it_is_and_with_its_example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/debian/gateway.toml");
    let shipped = fs::read_to_string(path).expect("it is in the repository");
    assert!(shipped.contains(INSTALLED_PLUGINS) && shipped.contains(DATA));
    // A setting stands behind three spaces, a command behind five.
    let setting = |line: &str| line.strip_prefix("#   ").filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    let example: String = shipped.lines().map(|line| setting(line).unwrap_or(line.to_owned()) + "\n").collect();
    assert!(example.contains("\n[[bindings]]\n"), "{example}");
    for config in [shipped, example] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config.replace(INSTALLED_PLUGINS, &format!("{}/", binary::plugins().display()));
        let config = config.replace(DATA, &folder.path().join("data").display().to_string());
        fs::write(folder.path().join("gateway.toml"), config).expect("a file in a temporary folder");
        let checked = binary::run(&["check", "--offline", "--strict", "-c", "gateway.toml"], folder.path());
        assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = binary::run(&["completions", "bash"], folder.path());
    assert_eq!(script.code, Some(0), "{}", script.err);
    fs::write(folder.path().join("tidegate.bash"), script.out).expect("a file in a temporary folder");
    for (words, completed) in
        [("tidegate expl", "explain"), ("tidegate spool req", "requeue"), ("tidegate check --str", "--strict")]
    {
        let last = words.split(' ').count() - 1;
        let word = words.rsplit(' ').next().unwrap_or_default();
        let ask = format!(
            "set -u; source tidegate.bash; COMP_WORDS=({words}); COMP_CWORD={last}; _tidegate tidegate {word} x; echo ${{COMPREPLY[@]}}"
        );
        let answer = finish("bash", Command::new("bash").args(["--norc", "-c", &ask]).current_dir(folder.path()));
        assert_eq!(answer.out.trim(), completed, "{words}: {}", answer.err);
    }
}

#[test]
fn a_shell_that_is_not_known_is_named_with_those_that_are() {
    let refused = binary::run(&["completions", "csh"], Path::new("/"));
    assert_eq!(refused.code, Some(2));
    for shell in ["bash", "zsh", "fish"] {
        assert!(refused.err.contains(shell), "{}", refused.err);
    }
}

#[test]
fn manual_pages_are_written_where_they_are_wanted_and_a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = binary::run(&["man", "--out", "new/man1"], folder.path());
    assert_eq!(written.code, Some(0), "{}", written.err);
    assert!(folder.path().join("new/man1/tidegate-spool-stat.1").exists());
    fs::write(folder.path().join("file"), "").expect("a file in a temporary folder");
    let refused = binary::run(&["man", "--out", "file"], folder.path());
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("no pages can be written into file"), "{}", refused.err);
}
