//! The unit file that is shipped, as systemd itself reads it. `systemd-analyze` comes with systemd: `apt-get install systemd`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::binary;
use tidegate_tests::process::{Finished, finish};

/// What `systemd-analyze security` may say at most, in tenths.
const EXPOSURE: &str = "20";

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    // As it is installed, but for programs that are not there while it is tested.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let installed = text().replace("/usr/bin/tidegate", &binary::tidegate().display().to_string());
    let unit = folder.path().join("tidegate.service");
    fs::write(&unit, installed).expect("a file in a temporary folder");
    let finished = analyze(&["verify", "--man=no"], &unit);
    assert_eq!((finished.code, finished.err.trim()), (Some(0), ""), "{}", finished.out);
}

#[test]
fn an_intruder_finds_little_in_the_service() {
    let threshold = format!("--threshold={EXPOSURE}");
    let finished = analyze(&["security", "--offline=true", "--no-pager", &threshold], &path());
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    assert!(finished.out.contains("Overall exposure level"), "{}", finished.out);
    println!("{}", finished.out.lines().last().unwrap_or_default());
}

#[test]
fn exit_codes_that_starting_again_does_not_mend_are_those_of_the_command_line() {
    assert!(text().contains("RestartPreventExitStatus=2 78\n"));
    let wrong = binary::run(&["run", "--nonsense"], Path::new("/"));
    assert_eq!(wrong.code, Some(2));
}

fn analyze(args: &[&str], unit: &Path) -> Finished {
    finish("systemd-analyze", Command::new("systemd-analyze").args(args).arg(unit))
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/tidegate.service")
}

fn text() -> String {
    fs::read_to_string(path()).expect("the unit is in the repository")
}
