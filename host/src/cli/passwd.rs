//! `tidegate passwd`: sets the password of a user, or takes the user out. The password is never on the command line, where everybody on the
//! machine can read it.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};

use super::spool::escape;
use crate::auth::edit::{self, Edited};
use crate::auth::passwords::MAX_PASSWORD_BYTES;
use crate::auth::{Hash, random_salt, users};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The password file: `passwords` of the configuration. It is made when it is not there
    file: PathBuf,
    /// The user
    user: String,
    /// Take the user out
    #[arg(short = 'D', long, conflicts_with = "stdin")]
    delete: bool,
    /// Read the password from stdin, one line, instead of asking for it at the terminal
    #[arg(long)]
    stdin: bool,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if args.delete {
        return delete(args, out);
    }
    users::check_name(&args.user).with_context(|| format!("{} cannot be a user", escape(&args.user)))?;
    let password = if args.stdin { from_stdin()? } else { from_terminal(&args.user)? };
    ensure!(!password.is_empty(), "the password is empty");
    ensure!(password.len() <= MAX_PASSWORD_BYTES, "the password is longer than {MAX_PASSWORD_BYTES} bytes");
    let salt = random_salt().context("this machine gives no random numbers")?;
    let edited = edit::set(&args.file, &args.user, &Hash::new(&password, salt)).with_context(|| cannot(args))?;
    let done = if edited == Edited::Added { "added" } else { "changed" };
    writeln!(
        out,
        "{}: {} is {done}; a gateway that runs takes it over in some seconds",
        shown(args),
        escape(&args.user)
    )?;
    Ok(ExitCode::SUCCESS)
}

fn delete(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match edit::remove(&args.file, &args.user).with_context(|| cannot(args))? {
        Edited::Nothing => bail!("{} has no user {}", shown(args), escape(&args.user)),
        _ => {
            let user = escape(&args.user);
            writeln!(
                out,
                "{}: {user} is removed; a gateway that runs sends its clients away in some seconds",
                shown(args)
            )?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn from_stdin() -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    // What is beyond is too long, and told so.
    let most = MAX_PASSWORD_BYTES as u64 + 3;
    io::stdin().lock().take(most).read_until(b'\n', &mut line).context("the password cannot be read from stdin")?;
    while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

/// Twice: nobody sees what was typed.
fn from_terminal(user: &str) -> anyhow::Result<Vec<u8>> {
    const NO_TERMINAL: &str = "there is no terminal to ask at: give the password on stdin, with `--stdin`";
    ensure!(io::stdin().is_terminal(), NO_TERMINAL);
    let password = rpassword::prompt_password(format!("password of {}: ", escape(user))).context(NO_TERMINAL)?;
    let again = rpassword::prompt_password("once more: ").context(NO_TERMINAL)?;
    ensure!(password == again, "the two are not the same; nothing was changed");
    Ok(password.into_bytes())
}

fn shown(args: &Args) -> std::path::Display<'_> {
    args.file.display()
}

fn cannot(args: &Args) -> String {
    format!("the password file {} cannot be changed: who owns it or its folder can do so", shown(args))
}
