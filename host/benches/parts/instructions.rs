//! How many instructions a little work of each room takes, counted by callgrind: this program again, under valgrind.
//!
//! Not `gungraun`, which does this well: it keeps what it compares with below `target`, and its runner is a program to install. What
//! a page in the repository is compared with had to be read from its output, and that is as long as reading callgrind's.

use std::fs::Permissions;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use tidegate::plugin;
use tidegate_tests::binary;

use crate::shared::tally::{Row, Tally};
use crate::shared::work::{self, Round, Work};

const COMMAND: &str = "cargo bench --workspace --bench parts -- instructions --write";

/// rustix asks the kernel (Linux 6.4 and later) by `prctl` where its page of clocks is, and valgrind 3.19 lets that pass: the page is not there
/// under valgrind. Refused, it reads `/proc/self/auxv`, which valgrind answers.
const UNSEEN: [&str; 9] =
    ["--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:error=EINVAL"];

/// A process for each work, because callgrind counts until the end.
pub fn run(is_written: bool) -> ExitCode {
    let row = |work: &Work| Row { name: work.name.to_owned(), counts: vec![count(work)] };
    Tally { command: COMMAND, columns: &["instructions"], rows: work::ALL.iter().map(row).collect() }.settle(is_written)
}

/// In that process: a round that warms up, and one that is counted.
pub fn round_of(name: &str) -> ExitCode {
    plugin::compile_with(compiler().expect("a script beside the plugins"));
    let Some(work) = work::ALL.iter().find(|work| work.name == name) else { return ExitCode::FAILURE };
    let mut round = (work.prepare)();
    round();
    counted(&mut round);
    ExitCode::SUCCESS
}

/// The compiler, under valgrind too: its processor has fewer instructions than the machine's, and code that uses the others does not run here.
/// So the counts are those of one kind of processor, whichever it is.
fn compiler() -> std::io::Result<PathBuf> {
    let script = binary::shared_folder().join("compile-under-valgrind");
    let program = std::env::current_exe()?;
    // The gateway starts its compiler without PATH.
    let text = format!(
        "#!/bin/sh\nexec /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin valgrind -q --tool=none '{}' \"$@\"\n",
        program.display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    Ok(script)
}

/// Callgrind knows this function by its name.
#[inline(never)]
fn counted(round: &mut Round) {
    round();
    // What is called last would be jumped to, and not return here.
    black_box(());
}

fn count(work: &Work) -> f64 {
    let out = binary::shared_folder().join("callgrind.out");
    let program = std::env::current_exe().expect("this program");
    let status = Command::new("strace")
        .args(UNSEEN)
        .args([
            "valgrind",
            "--tool=callgrind",
            "--quiet",
            "--collect-atstart=no",
            "--toggle-collect=*instructions::counted*",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["round", work.name])
        .status();
    let status = status.expect("valgrind and strace can be run: `apt-get install valgrind strace`");
    assert!(status.success(), "`{}` under valgrind: {status}", work.name);
    let text = std::fs::read_to_string(out).expect("what callgrind wrote");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).and_then(|total| total.trim().parse().ok());
    total.map_or(f64::NAN, |total: f64| total / work.messages as f64)
}
