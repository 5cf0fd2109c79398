//! What the spool keeps for us: the session at the upstream, and which QoS 2 messages the server has received in it.

use bytes::{BufMut, BytesMut};

use crate::mqtt::sender::Released;
use crate::spool::wire::{Fields, put_text};
use crate::spool::{Mark, Queue, SinkState, WireError};

/// With what was subscribed to, where something was.
const SUBSCRIBED: u8 = 3;
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
    /// Which one it is of those that we had there. Where nothing is subscribed to, nobody asks, and it is 0.
    pub generation: u32,
    /// What the server has said that we are subscribed to in it.
    pub subscribed: Vec<Granted>,
}

/// A subscription that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub filter: String,
    /// As the byte of MQTT 5, section 3.8.3.1.
    pub options: u8,
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
        let has_subscribed = self.generation > 0 || !self.subscribed.is_empty();
        out.put_u8(if has_subscribed { SUBSCRIBED } else { VERSION });
        put_text(&mut out, &self.client_id);
        put_text(&mut out, &self.url);
        if has_subscribed {
            out.put_u32_le(self.generation);
            out.put_u16_le(u16::try_from(self.subscribed.len()).unwrap_or(u16::MAX));
            for Granted { filter, options } in self.subscribed.iter().take(usize::from(u16::MAX)) {
                put_text(&mut out, filter);
                out.put_u8(*options);
            }
        }
        SinkState { bytes: out.freeze(), under_way: self.window }
    }

    fn decode(state: &SinkState) -> Result<Self, WireError> {
        let mut fields = Fields::new(&state.bytes);
        let version = fields.u8()?;
        if ![WITHOUT_URL, VERSION, SUBSCRIBED].contains(&version) {
            return Err(WireError::Unknown { what: "version of an upstream's session", tag: version });
        }
        let client_id = fields.text()?.to_owned();
        let url = if version == WITHOUT_URL { String::new() } else { fields.text()?.to_owned() };
        let generation = if version == SUBSCRIBED { fields.u32()? } else { 0 };
        let mut subscribed = Vec::new();
        let count = if version == SUBSCRIBED { fields.u16()? } else { 0 };
        for _ in 0..count {
            subscribed.push(Granted { filter: fields.text()?.to_owned(), options: fields.u8()? });
        }
        Ok(Self { client_id, url, window: state.under_way, generation, subscribed })
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
        let session = UpstreamSession {
            client_id: "gw".into(),
            url: "mqtt://a:1883".into(),
            window: 100,
            generation: 0,
            subscribed: Vec::new(),
        };
        let granted = |filter: &str| Granted { filter: filter.into(), options: 0x1E };
        let subscribed = vec![granted("a/#"), granted("$share/g/b/+")];
        let with = UpstreamSession { generation: 7, subscribed, ..session.clone() };
        assert_eq!(UpstreamSession::decode(&with.encode()), Ok(with));
        let mut state = session.encode();
        assert_eq!(state.bytes.first(), Some(&2), "as it was written before anything could be subscribed to");
        assert_eq!(UpstreamSession::decode(&state), Ok(session));
        state.bytes = [&[9], &state.bytes[1..]].concat().into();
        assert!(UpstreamSession::decode(&state).is_err());
    }

    #[test]
    fn a_session_of_the_first_version_is_read_and_is_at_no_known_place() {
        let state = SinkState { bytes: Bytes::from_static(&[1, 2, 0, b'g', b'w']), under_way: 100 };
        let read = UpstreamSession::decode(&state).unwrap();
        let (client_id, url, subscribed) = ("gw".into(), String::new(), Vec::new());
        assert_eq!(read, UpstreamSession { client_id, url, window: 100, generation: 0, subscribed });
    }
}
