//! CONNECT and CONNACK: what the device asks for, what it gets. Pure.
//!
//! Who the device is was asked before ([`super::connection`]); what it may have as a session says [`super::registry`].

use std::sync::Arc;
use std::time::Duration;

use super::session::{Link, TOPIC_ALIAS_MAXIMUM};
use crate::access::Permit;
use crate::auth::User;
use crate::config::BrokerLimits;
use crate::mqtt::{ConnAck, Connect, Reason, Version, Will};
use crate::topic::TopicName;

/// The longest client identifier in bytes. The specification demands 23 [MQTT-3.1.3-5]; UUIDs and certificate names fit.
pub const MAX_CLIENT_ID_BYTES: usize = 1_024;

/// What the remaining length of the fixed header can say, with that header (MQTT 5, section 2.1.4).
pub const LARGEST_PACKET: usize = 268_435_455 + 5;

/// What both sides agreed to.
#[derive(Debug)]
pub struct Terms {
    pub version: Version,
    pub client_id: String,
    /// The line of the password file that its user was proved by. Who it is says `permit`.
    pub login: Option<Arc<User>>,
    pub clean_start: bool,
    /// How long the session outlives the connection.
    pub session_expiry: Duration,
    /// `None` when the device switched it off.
    pub keep_alive: Option<Duration>,
    pub will: Option<Will>,
    /// Of a will that nobody will hear of, because only the gateway publishes there: as with any message, that is no reason to keep its device
    /// out. mosquitto's bridges have such a will, below `$SYS/`.
    pub denied_will: Option<TopicName>,
    /// Of who has connected. Open until its connection says who that is.
    pub permit: Permit,
    /// The largest packet that the device takes.
    pub peer_maximum_packet_size: usize,
    pub peer_receive_maximum: u16,
    pub receive_maximum: u16,
    assigned: bool,
    asked_expiry: Option<u32>,
}

/// Why a CONNECT gets no session, for the device, and for who owns it.
pub type Refusal = (Reason, &'static str);

/// `assign` makes a client identifier for a device that has none.
pub fn negotiate(
    mut connect: Connect,
    limits: &BrokerLimits,
    assign: impl FnOnce() -> String,
) -> Result<Terms, Refusal> {
    if connect.authentication_method.is_some() {
        return Err((Reason::BAD_AUTHENTICATION_METHOD, "extended authentication (AUTH) is not offered"));
    }
    if connect.client_id.len() > MAX_CLIENT_ID_BYTES {
        return Err((Reason::CLIENT_IDENTIFIER_NOT_VALID, "the client identifier is longer than 1,024 bytes"));
    }
    let assigned = connect.client_id.is_empty();
    if assigned && connect.is_3_1 {
        // Its section 3.1 wants 1 to 23 characters. Longer ones are taken, as later versions allow.
        let detail = "MQTT 3.1 has no empty client identifier: give the device one";
        return Err((Reason::CLIENT_IDENTIFIER_NOT_VALID, detail));
    }
    if assigned && connect.version == Version::V311 && !connect.clean_start {
        // Nobody could ever come back to that session 3.1.1 [MQTT-3.1.3-8].
        let detail = "an empty client identifier needs Clean Session in MQTT 3.1.1: give the device an identifier";
        return Err((Reason::CLIENT_IDENTIFIER_NOT_VALID, detail));
    }
    let is_denied = |will: &mut Will| super::session::is_gateways_own(&will.message.topic);
    let denied_will = connect.will.take_if(is_denied).map(|will| will.message.topic);
    Ok(Terms {
        version: connect.version,
        session_expiry: session_expiry(&connect, limits.max_session_expiry),
        client_id: if assigned { assign() } else { connect.client_id },
        login: None,
        clean_start: connect.clean_start,
        keep_alive: (connect.keep_alive > 0).then(|| Duration::from_secs(connect.keep_alive.into())),
        will: connect.will,
        denied_will,
        permit: Permit::default(),
        peer_maximum_packet_size: connect.maximum_packet_size.map_or(LARGEST_PACKET, |size| size as usize),
        peer_receive_maximum: connect.receive_maximum.unwrap_or(u16::MAX).min(limits.receive_maximum),
        receive_maximum: limits.receive_maximum,
        assigned,
        asked_expiry: connect.session_expiry,
    })
}

/// 3.1.1 knows only "ends with the connection" and "for ever"; nothing lasts for ever here.
fn session_expiry(connect: &Connect, longest: Duration) -> Duration {
    match connect.version {
        Version::V311 if connect.clean_start => Duration::ZERO,
        Version::V311 => longest,
        Version::V5 => Duration::from_secs(connect.session_expiry.unwrap_or(0).into()).min(longest),
    }
}

impl Terms {
    /// Who it has proved to be.
    pub fn user(&self) -> Option<&Arc<str>> {
        self.permit.identity().user.as_ref()
    }

    pub fn link(&self) -> Link {
        let link = Link::new(self.version, self.receive_maximum, self.peer_receive_maximum);
        link.with(self.permit.clone())
    }

    /// One and a half times the keep-alive: then the device is taken for gone [MQTT-3.1.2-22].
    pub fn silence_allowed(&self) -> Option<Duration> {
        self.keep_alive.map(|keep_alive| keep_alive * 3 / 2)
    }

    pub fn connack(&self, session_present: bool, limits: &BrokerLimits) -> ConnAck {
        let granted = u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX);
        ConnAck {
            session_present,
            reason: Reason::SUCCESS,
            assigned_client_id: self.assigned.then(|| self.client_id.clone()),
            // Only when it is not what the device asked for (MQTT 5, section 3.2.2.3.2).
            session_expiry: (self.asked_expiry.unwrap_or(0) != granted).then_some(granted),
            receive_maximum: Some(self.receive_maximum),
            maximum_packet_size: u32::try_from(limits.max_packet_size).ok(),
            topic_alias_maximum: Some(TOPIC_ALIAS_MAXIMUM),
            ..ConnAck::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, QoS};

    fn limits() -> BrokerLimits {
        BrokerLimits {
            memory: 1 << 30,
            max_connections: Some(10),
            max_connections_per_address: None,
            max_new_connections_per_second: None,
            max_messages_per_second: None,
            max_bytes_per_second: None,
            max_packet_size: 1_000,
            handshake_timeout: Duration::from_secs(1),
            receive_maximum: 20,
            max_queued_messages: 10,
            max_queued_bytes: 10_000,
            max_queued_bytes_total: 10_000,
            max_subscriptions_per_client: 10,
            max_sessions: 10,
            max_session_expiry: Duration::from_secs(100),
            max_retained_messages: 10,
            max_retained_bytes: 10_000,
            strict_utf8: false,
        }
    }

    fn connect(version: Version) -> Connect {
        Connect { clean_start: false, keep_alive: 10, ..Connect::new(version, "dev") }
    }

    fn agree(connect: Connect) -> Result<Terms, Reason> {
        negotiate(connect, &limits(), || "assigned".into()).map_err(|(reason, _)| reason)
    }

    #[test]
    fn a_session_lasts_as_long_as_its_version_says_and_never_longer_than_the_cap() {
        let expiry = |connect: Connect| agree(connect).unwrap().session_expiry.as_secs();
        assert_eq!(expiry(connect(Version::V311)), 100);
        assert_eq!(expiry(Connect { clean_start: true, ..connect(Version::V311) }), 0);
        assert_eq!(expiry(connect(Version::V5)), 0);
        assert_eq!(expiry(Connect { session_expiry: Some(50), ..connect(Version::V5) }), 50);
        assert_eq!(expiry(Connect { session_expiry: Some(u32::MAX), ..connect(Version::V5) }), 100);
    }

    #[test]
    fn an_expiry_other_than_asked_for_is_told_to_the_device() {
        let told = |asked| {
            let connect = Connect { session_expiry: asked, ..connect(Version::V5) };
            agree(connect).unwrap().connack(false, &limits()).session_expiry
        };
        assert_eq!(told(Some(50)), None);
        assert_eq!(told(Some(500)), Some(100));
        assert_eq!(told(None), None);
    }

    #[test]
    fn an_empty_identifier_is_assigned_unless_3_1_1_wants_to_come_back() {
        let nameless = |version, clean_start| {
            agree(Connect { client_id: String::new(), clean_start, ..connect(version) }).map(|terms| terms.client_id)
        };
        assert_eq!(nameless(Version::V5, false), Ok("assigned".into()));
        assert_eq!(nameless(Version::V311, true), Ok("assigned".into()));
        assert_eq!(nameless(Version::V311, false), Err(Reason::CLIENT_IDENTIFIER_NOT_VALID));
    }

    #[test]
    fn a_device_of_3_1_needs_an_identifier_which_may_be_longer_than_its_specification_says() {
        let named = |client_id: String| {
            agree(Connect { client_id, clean_start: true, is_3_1: true, ..connect(Version::V311) }).map(|_| ())
        };
        assert_eq!(named(String::new()), Err(Reason::CLIENT_IDENTIFIER_NOT_VALID));
        assert_eq!(named("x".repeat(24)), Ok(()));
    }

    #[test]
    fn keep_alive_0_means_that_silence_is_allowed() {
        assert_eq!(agree(connect(Version::V5)).unwrap().silence_allowed(), Some(Duration::from_secs(15)));
        assert_eq!(agree(Connect { keep_alive: 0, ..connect(Version::V5) }).unwrap().silence_allowed(), None);
    }

    #[test]
    fn a_will_on_a_topic_of_the_gateway_is_left_out_and_keeps_nobody_out() {
        for version in [Version::V311, Version::V5] {
            let message =
                Message::new(TopicName::parse("$SYS/broker/connection/b/state").unwrap(), "0", QoS::AtLeastOnce);
            let with_will = Connect { will: Some(Will { message, delay: 0 }), ..connect(version) };
            let terms = agree(with_will).unwrap();
            assert_eq!((terms.will, terms.denied_will.is_some()), (None, true));
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_with_its_own_reason() {
        let method = Connect { authentication_method: Some("SCRAM".into()), ..connect(Version::V5) };
        assert_eq!(agree(method).unwrap_err(), Reason::BAD_AUTHENTICATION_METHOD);
        let long = Connect { client_id: "x".repeat(MAX_CLIENT_ID_BYTES + 1), ..connect(Version::V5) };
        assert_eq!(agree(long).unwrap_err(), Reason::CLIENT_IDENTIFIER_NOT_VALID);
    }
}
