//! What a tool says on stderr, on ours: crates that somebody else has written are quoted in it.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

use crate::base::plain::Plain;

/// Runs it to its end. It sees no terminal, and so makes no colours, which could not be told from those of a crate.
pub fn run(command: &mut Command) -> io::Result<ExitStatus> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(mut words) = child.stderr.take() {
        // Nobody may listen any more: the tool finds that out, too, and ends.
        let _ = io::copy(&mut words, &mut Plain::new(io::stderr()));
    }
    child.wait()
}

/// All of what it said, in a sentence of one line.
pub fn one_line(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_one() {
        assert_eq!(one_line(b"error: a\n\n  b\r\n"), "error: a b");
    }
}
