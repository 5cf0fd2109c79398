//! What the spool keeps for us: the session at the upstream, and which QoS 2 messages the server has received in it.

use bytes::{BufMut, BytesMut};

use crate::mqtt::sender::Released;
use crate::spool::wire::{Fields, put_text};
use crate::spool::{Mark, Queue, SinkState, WireError};

const VERSION: u8 = 2;
/// Did not say where the session was.
const WITHOUT_URL: u8 = 1;

/// The session that an upstream keeps for us, as it was remembered when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSession {
    /// A session belongs to a client id: under another one it is not there.
    pub client_id: String,
    /// And to a server: at another one it is not there, either. Empty in what was written when an upstream had one url only;
    /// then nobody knows, and nothing is taken for granted.
    pub url: String,
    /// How many messages could be in flight.
    pub window: u16,
}

/// What may have been sent in that session and is not completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub session: Option<UpstreamSession>,
    /// Messages below this number may have been sent.
    pub sent_below: u64,
    /// The QoS 2 messages that the upstream has received, in the order in which it said so.
    pub released: Vec<Released>,
}

/// Nothing, when what is there cannot be read: then the session is begun anew.
pub fn recovered(queue: &Queue) -> Recovered {
    let found = queue.recovered();
    let Some(session) = found.state.and_then(|state| UpstreamSession::decode(&state).ok()) else {
        return Recovered::default();
    };
    let released = found.marks.into_iter().map(Released::from).collect();
    Recovered { session: Some(session), sent_below: found.sent_below, released }
}

// === impl UpstreamSession ===

impl UpstreamSession {
    pub fn encode(&self) -> SinkState {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        put_text(&mut out, &self.client_id);
        put_text(&mut out, &self.url);
        SinkState { bytes: out.freeze(), under_way: self.window }
    }

    fn decode(state: &SinkState) -> Result<Self, WireError> {
        let mut fields = Fields::new(&state.bytes);
        let version = fields.u8()?;
        if ![WITHOUT_URL, VERSION].contains(&version) {
            return Err(WireError::Unknown { what: "version of an upstream's session", tag: version });
        }
        let client_id = fields.text()?.to_owned();
        let url = if version == VERSION { fields.text()?.to_owned() } else { String::new() };
        Ok(Self { client_id, url, window: state.under_way })
    }
}

// === impl Released ===

/// Its sequence is the value of the mark.
impl From<Mark> for Released {
    fn from(Mark { number, value }: Mark) -> Self {
        Self { number, sequence: value }
    }
}

impl From<Released> for Mark {
    fn from(Released { number, sequence }: Released) -> Self {
        Self { number, value: sequence }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_session_reads_as_it_was_written_and_another_version_is_no_session() {
        let session = UpstreamSession { client_id: "gw".into(), url: "mqtt://a:1883".into(), window: 100 };
        let mut state = session.encode();
        assert_eq!(UpstreamSession::decode(&state), Ok(session));
        state.bytes = [&[9], &state.bytes[1..]].concat().into();
        assert!(UpstreamSession::decode(&state).is_err());
    }

    #[test]
    fn a_session_of_the_first_version_is_read_and_is_at_no_known_place() {
        let state = SinkState { bytes: Bytes::from_static(&[1, 2, 0, b'g', b'w']), under_way: 100 };
        let read = UpstreamSession::decode(&state).unwrap();
        assert_eq!(read, UpstreamSession { client_id: "gw".into(), url: String::new(), window: 100 });
    }
}
