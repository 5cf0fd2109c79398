//! What an upstream's sender finds of the session that an earlier process had there.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::image::Image;
use super::key::Key;
use super::wire::{Fields, WireError, put_text};
use crate::mqtt::sender::Released;

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

pub(super) fn restore(image: &Image, upstream: &Arc<str>) -> Recovered {
    let value = image.state().entries().get(&Key::Upstream { name: upstream.clone() });
    let Some(session) = value.and_then(|value| UpstreamSession::decode(value).ok()) else {
        return Recovered::default();
    };
    let sent_below = image.track(upstream).map_or(0, |track| track.after_incomplete(session.window.into()));
    let mut released = image.released(upstream);
    released.sort_unstable_by_key(|released| released.turn);
    Recovered { session: Some(session), sent_below, released }
}

// === impl UpstreamSession ===

impl UpstreamSession {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        put_text(&mut out, &self.client_id);
        put_text(&mut out, &self.url);
        out.put_u16_le(self.window);
        out.freeze()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(bytes);
        let version = fields.u8()?;
        if ![WITHOUT_URL, VERSION].contains(&version) {
            return Err(WireError::Unknown { what: "version of an upstream's session", tag: version });
        }
        let client_id = fields.text()?.to_owned();
        let url = if version == VERSION { fields.text()?.to_owned() } else { String::new() };
        Ok(Self { client_id, url, window: fields.u16()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_reads_as_it_was_written_and_another_version_is_no_session() {
        let session = UpstreamSession { client_id: "gw".into(), url: "mqtt://a:1883".into(), window: 100 };
        let mut bytes = session.encode().to_vec();
        assert_eq!(UpstreamSession::decode(&bytes), Ok(session));
        bytes[0] = 9;
        assert!(UpstreamSession::decode(&bytes).is_err());
    }

    #[test]
    fn a_session_of_the_first_version_is_read_and_is_at_no_known_place() {
        let read = UpstreamSession::decode(&[1, 2, 0, b'g', b'w', 100, 0]).unwrap();
        assert_eq!(read, UpstreamSession { client_id: "gw".into(), url: String::new(), window: 100 });
    }
}
