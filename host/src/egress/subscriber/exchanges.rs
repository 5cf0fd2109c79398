//! The identities of QoS 2 messages that an upstream has sent and not released [MQTT-4.3.3-10], as the log has them.
//!
//! Each has the number of its session in its key. A message that is still in a chain when its session is lost puts its identity
//! later than that of the next session's message with the same identifier: under one key, the next process would know the wrong one.

use std::sync::Arc;

use bytes::Bytes;

use crate::mqtt::receiver::Receiver;
use crate::spool::{Change, Key, Source, Value};

/// All that there is to say of one is its key.
const VERSION: &[u8] = &[1];

pub struct Exchanges {
    upstream: Arc<str>,
    /// The number of the session, and whose it is there.
    session: Arc<str>,
}

/// Whether it is one of this upstream, whatever its session.
pub fn is_of(key: &Key, name: &str) -> bool {
    matches!(key, Key::Qos2 { source: Source::Upstream(upstream), .. } if **upstream == *name)
}

// === impl Exchanges ===

impl Exchanges {
    pub fn new(upstream: Arc<str>, client_id: &str, generation: u32) -> Self {
        Self { upstream, session: format!("{generation}:{client_id}").into() }
    }

    /// Safe together with what its message has caused, or not at all.
    pub fn put(&self, packet_id: u16) -> Change {
        Change::put(self.key(packet_id), Bytes::from_static(VERSION))
    }

    /// Released, or its session has ended.
    pub fn end(&self, packet_id: u16) -> Change {
        Change::delete(self.key(packet_id))
    }

    /// Those of this session that an earlier process has left.
    pub fn restore(&self, state: &[(Key, Value)], receiver: &mut Receiver) {
        let own = state.iter().filter_map(|(key, _)| self.packet_id(key));
        own.for_each(|packet_id| receiver.restore(packet_id));
    }

    /// Those of other sessions, which nobody will ask for.
    pub fn stale(&self, state: &[(Key, Value)]) -> Vec<Change> {
        let stale = state.iter().filter(|(key, _)| self.packet_id(key).is_none());
        stale.map(|(key, _)| Change::delete(key.clone())).collect()
    }

    fn packet_id(&self, key: &Key) -> Option<u16> {
        match key {
            Key::Qos2 { client, packet_id, .. } if is_of(key, &self.upstream) && *client == self.session => {
                Some(*packet_id)
            }
            _ => None,
        }
    }

    fn key(&self, packet_id: u16) -> Key {
        let source = Source::Upstream(self.upstream.clone());
        Key::Qos2 { source, client: self.session.clone(), packet_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;

    fn state(changes: &[Change]) -> Vec<(Key, Value)> {
        changes.iter().map(|change| (change.key.clone(), change.value.clone().unwrap_or_default())).collect()
    }

    #[test]
    fn an_identity_is_found_again_in_its_own_session_and_ended_in_another() {
        let (one, next) = (Exchanges::new("cloud".into(), "gw", 1), Exchanges::new("cloud".into(), "gw", 2));
        let left = state(&[one.put(7), next.put(8)]);
        let mut receiver = Receiver::default();
        next.restore(&left, &mut receiver);
        assert!(!receiver.is_new(QoS::ExactlyOnce, 8) && receiver.is_new(QoS::ExactlyOnce, 7));
        assert_eq!(next.stale(&left), [one.end(7)]);
    }

    #[test]
    fn another_upstream_and_a_device_have_identities_of_their_own() {
        let (cloud, edge) = (Exchanges::new("cloud".into(), "gw", 1), Exchanges::new("edge".into(), "gw", 1));
        let device = Key::Qos2 { source: Source::Devices, client: "1:gw".into(), packet_id: 9 };
        assert!(is_of(&cloud.put(7).key, "cloud") && !is_of(&edge.put(7).key, "cloud") && !is_of(&device, "cloud"));
    }
}
