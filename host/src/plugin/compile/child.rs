//! The compiler in a process of its own, seen from inside: limit myself, read, compile, write, end.

use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::settings::Settings;
use crate::config::Backend;

/// What the gateway says on the command line, and the process obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub settings: Settings,
    /// Of address space.
    pub memory: u64,
    /// Of processor time. There is one thread, so wall time is more than that.
    pub seconds: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("cannot limit this process: {0}")]
    Limit(#[from] rustix::io::Errno),
    #[error("cannot read the component or write the code: {0}")]
    Pipe(#[from] std::io::Error),
}

/// The bytes are no component that compiles; the output says why. `EX_DATAERR` of sysexits.
pub const REFUSED: i32 = 65;

// === impl Job ===

impl Job {
    pub fn args(&self) -> Vec<String> {
        let backend = match self.settings.backend {
            Backend::Cranelift => "cranelift",
            Backend::Pulley => "pulley",
        };
        let mut args: Vec<String> = ["compile", "--backend", backend].map(str::to_owned).to_vec();
        args.extend(["--memory".to_owned(), self.memory.to_string(), "--seconds".to_owned(), self.seconds.to_string()]);
        args.extend(self.settings.inlining.then(|| "--inlining".to_owned()));
        args
    }

    pub fn run(&self, mut input: impl Read, mut output: impl Write) -> Result<ExitCode, JobError> {
        self.limit()?;
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        match self.settings.compile(&bytes) {
            Ok(code) => {
                output.write_all(&code)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                write!(output, "{}", error.root_cause())?;
                Ok(ExitCode::from(REFUSED as u8))
            }
        }
    }

    /// Before the first byte is read, and without a way back: the hard limits are limits too. Not `nice`: the devices of a binding wait
    /// for its compiler, on a busy machine too long for its deadline; and one thread leaves the other cores to the others.
    fn limit(&self) -> Result<(), JobError> {
        // Of a gateway that was killed nobody takes the code.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let exactly = |most| Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(Resource::As, exactly(self.memory))?;
        // The soft one is a signal that can be told from others, the hard one is SIGKILL.
        setrlimit(
            Resource::Cpu,
            Rlimit { current: Some(self.seconds), maximum: Some(self.seconds.saturating_add(1)) },
        )?;
        // It writes into a pipe, and nowhere else.
        setrlimit(Resource::Fsize, exactly(0))?;
        setrlimit(Resource::Core, exactly(0))?;
        Ok(())
    }
}
