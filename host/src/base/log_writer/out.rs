//! Writes one line after the other, whatever became of the one before.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

/// A descriptor that somebody else has made non-blocking is tried again after this.
const PAUSE: Duration = Duration::from_millis(10);

/// Where the lines go, and what its last write left there.
pub struct Out<W> {
    writer: W,
    /// The last line ended in its middle.
    is_torn: bool,
}

// === impl Out ===

impl<W: Write> Out<W> {
    pub fn new(writer: W) -> Self {
        Self { writer, is_torn: false }
    }

    /// Whole, or an error.
    pub fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write_rest(b"\n")?;
        }
        self.write_rest(line)
    }

    fn write_rest(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
