//! `tidegate completions`: what a shell needs to complete commands and options, made of the same definition that the command line is
//! read with.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use super::Cli;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell; packages put it where the shell looks for it, anybody else sources it: `source <(tidegate completions bash)`
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    out.write_all(&script(args.shell))?;
    Ok(ExitCode::SUCCESS)
}

/// In memory first: `generate` panics where it cannot write, and `tidegate completions bash | head` is no error.
fn script(shell: Shell) -> Vec<u8> {
    let (mut command, name, mut script) = (Cli::command(), "tidegate", Vec::new());
    match shell {
        Shell::Bash => generate(Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(Fish, &mut command, name, &mut script),
    }
    script
}

#[cfg(test)]
mod tests {
    use super::super::manual::tests::{Shown, shown};
    use super::*;

    #[test]
    fn every_shell_completes_every_command_and_every_option() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for Shown { page, options } in shown() {
                let command = page.rsplit('-').next().unwrap();
                assert!(script.contains(command), "{shell:?} has no `{page}`");
                for option in options {
                    // Fish names an option without its dashes.
                    let written = [format!("--{option}"), format!("-l {option}")];
                    assert!(written.iter().any(|one| script.contains(one)), "{shell:?}: {page} has no `--{option}`");
                }
            }
        }
    }
}
