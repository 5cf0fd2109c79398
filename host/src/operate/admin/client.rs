//! The command's side: one question, one answer.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::request::{Request, Response};
use super::socket::with_path;

/// Longer than the gateway gives itself.
const PATIENCE: Duration = Duration::from_secs(150);

/// A gateway that runs.
pub struct Admin(UnixStream);

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the gateway does not answer: {0}")]
    Io(#[from] io::Error),
    #[error("the gateway's answer makes no sense: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the gateway says: {0}")]
    Refused(String),
}

// === impl Admin ===

impl Admin {
    /// `None` when no gateway listens there.
    pub fn connect(data_dir: &Path) -> io::Result<Option<Self>> {
        match with_path(data_dir, |path| UnixStream::connect(path)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Some(Self(stream)))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn ask(&mut self, request: &Request) -> Result<serde_json::Value, AskError> {
        self.say(request)?;
        hear(&mut BufReader::new(&self.0))?.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof).into())
    }

    /// One answer after the other, each after so long at the most, until the gateway ends it.
    pub fn listen(
        mut self,
        request: &Request,
        patience: Duration,
    ) -> Result<impl Iterator<Item = Result<serde_json::Value, AskError>> + use<>, AskError> {
        self.say(request)?;
        self.0.set_read_timeout(Some(patience))?;
        let mut answers = BufReader::new(self.0);
        Ok(std::iter::from_fn(move || hear(&mut answers).transpose()))
    }

    fn say(&mut self, request: &Request) -> Result<(), AskError> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        Ok(self.0.write_all(&line)?)
    }
}

/// None at the end.
fn hear(answers: &mut impl BufRead) -> Result<Option<serde_json::Value>, AskError> {
    let mut answer = String::new();
    if answers.read_line(&mut answer)? == 0 {
        return Ok(None);
    }
    match serde_json::from_str(&answer)? {
        Response::Ok(value) => Ok(Some(value)),
        Response::Error(error) => Err(AskError::Refused(error)),
    }
}
