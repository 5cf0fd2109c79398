//! The unit file that is shipped, as systemd itself reads it. `systemd-analyze` comes with systemd: `apt-get install systemd`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::gateway::{Gateway, Home, Launch};
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

/// Why `MemoryDenyWriteExecute` is off, and where it can be on, as the comment of the unit says.
#[test]
fn with_pulley_no_page_becomes_executable_and_with_cranelift_code_does() {
    assert!(text().contains("MemoryDenyWriteExecute=no") && text().contains("backend = \"pulley\""));
    assert_eq!(made_executable("pulley"), Vec::<String>::new());
    let by_cranelift = made_executable("cranelift");
    assert!(!by_cranelift.is_empty(), "it is what the other half of this test would see");
    assert!(by_cranelift.iter().all(|call| !call.contains("PROT_WRITE")), "never both at once: {by_cranelift:?}");
}

/// The calls by which a gateway with a plugin has made pages executable.
fn made_executable(backend: &str) -> Vec<String> {
    let home = Arc::new(Home::exactly(&format!(
        "[gateway]\ndata_dir = \"data\"\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n[engine]\nbackend = \"{backend}\"\n\
         [plugins.p]\ncomponent = \"plugins/threshold.wasm\"\nconfig = {{ min = 0 }}\n\
         [[bindings]]\nname = \"b\"\ntopic = \"t\"\nplugins = [\"p\"]\nto = [{{ local = true, topic = \"o\" }}]\n"
    )));
    let trace = home.path().join("calls");
    let calls = "trace=mprotect,pkey_mprotect,mmap";
    let under = ["strace", "-D", "-f", "-e", calls, "-o"].map(str::to_owned).into_iter();
    let under = under.chain([trace.display().to_string()]).collect();
    let gateway = Gateway::launch(&home, &Launch { under, ..Launch::default() });
    gateway.expect_plugins();
    let pid = gateway.pid().to_string();
    gateway.stop();
    let written = || fs::read_to_string(&trace).expect("strace writes it: apt-get install strace");
    // strace ends a moment after the gateway.
    let is_end = |line: &str| line.starts_with(&pid) && line.contains("+++ exited");
    let calls = eventually("strace ends", SOON, || Some(written()).filter(|calls| calls.lines().any(is_end)));
    // Programs and libraries are mapped so from their files, which is allowed.
    let is_executable = |call: &&str| call.contains("PROT_EXEC") && !call.contains("MAP_DENYWRITE");
    calls.lines().filter(is_executable).map(str::to_owned).collect()
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
