//! The compiler in a process of its own, seen from the gateway: bytes in, code or a reason out, within a time.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use super::child::{Job, REFUSED};
use super::settings::Settings;
use crate::config::CompileLimits;
use crate::plugin::refusal::Problem;
use crate::plugin::text::printable;

/// This program, also after its file was replaced by a newer one: the code must be of this version.
const SELF: &str = "/proc/self/exe";

/// For a program that runs under an instrument, which has its own file behind [`SELF`].
static OTHER_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// mimalloc sets a GiB of address space aside before it is asked for the first byte: all that this process may have.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");

/// Of a reason, when it is shown.
const MAX_REASON: usize = 512;

/// Before the first component is compiled.
pub fn use_program(file: PathBuf) {
    OTHER_PROGRAM.get_or_init(|| file);
}

pub fn compile(settings: Settings, limits: &CompileLimits, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let job = Job { settings, memory: limits.memory as u64, seconds: limits.time.as_secs() };
    let mut command = Command::new(OTHER_PROGRAM.get().map_or(Path::new(SELF), PathBuf::as_path));
    command
        .args(job.args())
        .env_clear()
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let answer = talk(&mut child, limits, bytes);
    // Dead already, unless it has not answered in time; either way it is gone after this.
    let _ = child.kill();
    let status = child.wait().map_err(failed)?;
    let code = answer?;
    match status.code() {
        Some(0) => Ok(code),
        Some(REFUSED) => Err(Problem::Malformed(printable(&String::from_utf8_lossy(&code), MAX_REASON))),
        _ => Err(Problem::NotCompiled(ended(status))),
    }
}

/// Writing and reading at once: a pipe holds 64 KiB, and the compiler writes when it has read everything.
fn talk(child: &mut Child, limits: &CompileLimits, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Problem::NotCompiled("the compiler has no pipes".to_owned()));
    };
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(1);
        let reader = thread::Builder::new().name("compiled-code".into());
        reader.spawn_scoped(scope, move || drop(sender.send(read(output, limits.memory)))).map_err(failed)?;
        let writer = thread::Builder::new().name("component-bytes".into());
        // When the other side is gone its exit code says why.
        writer.spawn_scoped(scope, move || drop(input.write_all(bytes))).map_err(failed)?;
        match receiver.recv_timeout(limits.time) {
            Ok(answer) => answer.map_err(failed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                // Its death closes both pipes, and so ends both threads.
                let _ = child.kill();
                Err(Problem::NotCompiled(format!("it takes longer than {:?}", limits.time)))
            }
        }
    })
}

fn read(output: impl Read, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut code = Vec::new();
    output.take(limit as u64).read_to_end(&mut code)?;
    Ok(code)
}

fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) if signal == rustix::process::Signal::XCPU.as_raw() => {
            "it takes too much processor time".to_owned()
        }
        Some(signal) if signal == rustix::process::Signal::ABORT.as_raw() => "it takes too much memory".to_owned(),
        _ => format!("the compiler ended with {status}"),
    }
}

fn failed(error: std::io::Error) -> Problem {
    Problem::NotCompiled(format!("the compiler cannot be run: {error}"))
}
