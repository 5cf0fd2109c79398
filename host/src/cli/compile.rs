//! `tidegate compile`: what the gateway starts when it has a component to compile. Hidden, because it is no use to people: the
//! code is for the gateway that asked, and no other command reads it from a file.

use std::io::{Write, stdin};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config::Backend;
use crate::plugin::{CompileJob, CompileSettings};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_enum)]
    backend: BackendName,
    #[arg(long)]
    inlining: bool,
    /// Bytes of address space
    #[arg(long)]
    memory: u64,
    /// Of processor time
    #[arg(long)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BackendName {
    Cranelift,
    Pulley,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let backend = match args.backend {
        BackendName::Cranelift => Backend::Cranelift,
        BackendName::Pulley => Backend::Pulley,
    };
    let settings = CompileSettings { backend, inlining: args.inlining };
    let job = CompileJob { settings, memory: args.memory, seconds: args.seconds };
    Ok(job.run(stdin().lock(), out)?)
}
