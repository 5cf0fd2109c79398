//! A child process whose output is kept, and which never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::eventually::{SOON, eventually};

pub struct Process {
    name: String,
    child: Child,
    out: Lines,
    err: Lines,
}

/// Lines that a child has written so far.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

/// What a program that ended by itself left behind.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

// === impl Process ===

impl Process {
    /// Starts it with both outputs kept and nothing to read.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::start_with(name, command.stdin(Stdio::null()))
    }

    /// The same, with the standard input that the command has.
    pub fn start_with(name: &str, command: &mut Command) -> Self {
        Self::start_talking_to(name, command, Stdio::piped())
    }

    /// The same, with its standard error where the test wants it; piped, it is kept.
    pub fn start_talking_to(name: &str, command: &mut Command, stderr: Stdio) -> Self {
        let started = command.stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{}", cannot_start(command, &error)));
        let (out, err) = (Lines::default(), Lines::default());
        collect(child.stdout.take().expect("piped"), out.clone());
        child.stderr.take().into_iter().for_each(|stderr| collect(stderr, err.clone()));
        Self { name: name.to_owned(), child, out, err }
    }

    pub fn out(&self) -> &Lines {
        &self.out
    }

    pub fn err(&self) -> &Lines {
        &self.err
    }

    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for the end that the process finds by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends; it said:\n{}", self.name, self.err.text());
        eventually(&what, SOON, || self.has_ended())
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let kib: Option<usize> =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        1024 * kib.unwrap_or_else(|| panic!("no VmRSS in {status}"))
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// By the shell's own `kill`: std can only send SIGKILL, and one signal is not worth a dependency.
    pub fn signal(&self, signal: &str) {
        let line = format!("kill -{signal} {}", self.child.id());
        let sent = Command::new("sh").arg("-c").arg(&line).status();
        assert!(sent.is_ok_and(|status| status.success()), "{line}: {} has ended already", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {} wrote ---\n{}{}---", self.name, self.out.text(), self.err.text());
        }
    }
}

// === impl Lines ===

impl Lines {
    pub fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    pub fn text(&self) -> String {
        self.lock().iter().map(|line| format!("{line}\n")).collect()
    }

    /// The first line of which `found` makes something.
    pub fn find<T>(&self, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.lock().iter().find_map(|line| found(line))
    }

    pub fn count(&self, counts: impl Fn(&str) -> bool) -> usize {
        self.lock().iter().filter(|line| counts(line)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a program to its end.
pub fn finish(name: &str, command: &mut Command) -> Finished {
    let mut process = Process::start(name, command);
    let code = process.wait().code();
    // The readers end with the pipes, a moment after the process.
    let settled = || Arc::strong_count(&process.out.0) == 1 && Arc::strong_count(&process.err.0) == 1;
    crate::eventually::soon("the pipes of a program that ended close", settled);
    Finished { code, out: process.out.text(), err: process.err.text() }
}

fn collect(pipe: impl Read + Send + 'static, lines: Lines) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            lines.lock().push(text);
            line.clear();
        }
    });
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let advice = if program.contains("mosquitto") { ": apt-get install mosquitto mosquitto-clients" } else { "" };
    format!("cannot start `{program}` ({error}){advice}")
}
