//! The log as the journal of systemd takes it: one datagram for each line, with its fields beside the text.
//!
//! ```text
//! MESSAGE=disconnected client="sensor-7"     PRIORITY=6        SYSLOG_IDENTIFIER=tidegate
//! TARGET=tidegate::ingress::connection       CODE_FILE=…       TIDEGATE_CLIENT=sensor-7
//! ```
//!
//! Ours and not `tracing-journald`: that one sends from whoever speaks, with a socket that blocks, so that a journal that stands still would stop
//! devices. This one writes to where the log goes, a bounded queue with a thread of its own (`base/log_writer`).

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where it listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// Of the name of a field, by the journal.
const MAX_NAME: usize = 64;

/// Each `write` is one datagram.
pub struct JournalSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// `writer` makes something that takes a datagram as a whole.
pub struct Journal<F>(pub F);

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    /// As text, behind the message.
    beside: String,
    own: Vec<u8>,
}

// === impl JournalSocket ===

impl JournalSocket {
    pub fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Not connected for good: a journal that was restarted listens on another socket at the same path.
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned() })
    }
}

impl Write for JournalSocket {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.socket.send_to(datagram, &self.path)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Journal ===

impl<S: Subscriber, W: Write, F: Fn() -> W + 'static> Layer<S> for Journal<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // What has no room is counted by the writer.
        let _ = self.0().write_all(&fields.datagram(event));
    }
}

// === impl Fields ===

impl Fields {
    fn datagram(self, event: &Event<'_>) -> Vec<u8> {
        let (metadata, mut datagram) = (event.metadata(), self.own);
        put(&mut datagram, "MESSAGE", format!("{}{}", self.message, self.beside).trim_start());
        put(&mut datagram, "PRIORITY", priority(*metadata.level()));
        put(&mut datagram, "SYSLOG_IDENTIFIER", "tidegate");
        put(&mut datagram, "TARGET", metadata.target());
        metadata.file().into_iter().for_each(|file| put(&mut datagram, "CODE_FILE", file));
        metadata.line().into_iter().for_each(|line| put(&mut datagram, "CODE_LINE", &line.to_string()));
        datagram
    }

    fn note(&mut self, field: &Field, value: &str, shown: fmt::Arguments<'_>) {
        if field.name() == "message" {
            return self.message.push_str(value);
        }
        // A `String` takes whatever is written.
        let _ = write!(self.beside, " {}={shown}", field.name());
        put(&mut self.own, &name(field.name()), value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value, format_args!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.note(field, &text, format_args!("{text}"));
    }
}

/// Of syslog.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

fn name(field: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "TIDEGATE_".chars().chain(field.chars().map(plain)).take(MAX_NAME).collect()
}

/// `NAME=value`; where the value has several lines, with its length before it.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    /// What a journal at this place hears of what is said.
    fn heard(say: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = Journal(move || JournalSocket::at(&path).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let mut buffer = vec![0; 4_096];
        let length = journal.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn each_event_is_a_datagram_with_its_fields_by_name() {
        let heard = heard(|| tracing::warn!(client = "sensor-7", count = 3, "gone"));
        let lines: Vec<_> = heard.lines().collect();
        for field in [
            "MESSAGE=gone client=\"sensor-7\" count=3",
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=tidegate",
            "TIDEGATE_CLIENT=sensor-7",
            "TIDEGATE_COUNT=3",
            concat!("TARGET=", module_path!()),
        ] {
            assert!(lines.contains(&field), "{field} in {heard}");
        }
        assert!(heard.contains("CODE_FILE=") && heard.contains("CODE_LINE="));
    }

    #[test]
    fn a_value_of_several_lines_begins_no_field_of_its_own() {
        let heard = heard(|| tracing::info!(topic = "a\nPRIORITY=0", "x"));
        assert!(heard.contains("TIDEGATE_TOPIC\n\u{c}\0\0\0\0\0\0\0a\nPRIORITY=0\n"), "{heard:?}");
    }

    #[test]
    fn without_a_journal_there_is_an_error() {
        assert!(JournalSocket::at(Path::new("/nowhere/socket")).is_err());
    }
}
