//! What is about one connection to another broker.

use super::Scope::Bridge;
use super::{Keyword, asked, missing, needless};

const INSIDE: &str = "bindings are inside the gateway: there is no client of it that would have to log in";
const ALWAYS: &str = "an upstream is connected always";
const DEAD: &str = "`keep_alive` and `ack_timeout` find out that a connection is dead";
const STATE: &str = "nobody is told of the state of an upstream by a message";
const WATCH: &str = "ask `tidegate status`, or watch the metrics of the upstream";
const CIPHERS: &str = "TLS 1.3 and 1.2 are offered with ECDHE and AES-GCM or ChaCha20, and nothing else";

pub const KEYWORDS: &[Keyword] = &[
    asked("address", Bridge),
    asked("addresses", Bridge),
    asked("bridge_alpn", Bridge),
    needless("bridge_attempt_unsubscribe", Bridge, "nothing is subscribed at an upstream"),
    missing(
        "bridge_bind_address",
        Bridge,
        &[],
        "the kernel chooses the address that a connection comes from",
        "add a route to the upstream with this source address: `ip route add … src …`",
    ),
    asked("bridge_cafile", Bridge),
    asked("bridge_capath", Bridge),
    asked("bridge_certfile", Bridge),
    missing("bridge_ciphers", Bridge, &[], CIPHERS, "see that the other broker offers one of these"),
    missing("bridge_ciphers_tls1.3", Bridge, &[], CIPHERS, "see that the other broker offers one of these"),
    asked("bridge_identity", Bridge),
    asked("bridge_insecure", Bridge),
    asked("bridge_keyfile", Bridge),
    missing(
        "bridge_max_packet_size",
        Bridge,
        &["0"],
        "an upstream of MQTT 5 says itself what it takes",
        "lower `max_packet_size` in [broker.limits], or write `protocol = 5` if the other broker speaks it",
    ),
    needless("bridge_max_topic_alias", Bridge, "topics are sent in full"),
    asked("bridge_outgoing_retain", Bridge),
    asked("bridge_protocol_version", Bridge),
    asked("bridge_psk", Bridge),
    needless("bridge_receive_maximum", Bridge, "nothing is subscribed at an upstream"),
    needless("bridge_reload_type", Bridge, "the gateway starts anew with another configuration"),
    missing(
        "bridge_require_ocsp",
        Bridge,
        &["false", "0"],
        "OCSP is not asked for",
        "give a list of revoked certificates instead: `crl` of the upstream",
    ),
    asked("bridge_session_expiry_interval", Bridge),
    needless("bridge_tcp_keepalive", Bridge, DEAD),
    needless("bridge_tcp_user_timeout", Bridge, DEAD),
    asked("bridge_tls_use_os_certs", Bridge),
    missing(
        "bridge_tls_version",
        Bridge,
        &["tlsv1.2"],
        "TLS 1.3 and 1.2 are offered, always both and nothing older",
        "see that the other broker speaks one of these",
    ),
    needless("cleansession", Bridge, "the session at the upstream is kept always: QoS 2 is exactly once in it"),
    asked("clientid", Bridge),
    asked("connection", Bridge),
    needless("idle_timeout", Bridge, ALWAYS),
    asked("keepalive_interval", Bridge),
    needless("local_cleansession", Bridge, INSIDE),
    needless("local_clientid", Bridge, INSIDE),
    needless("local_password", Bridge, INSIDE),
    needless("local_username", Bridge, INSIDE),
    missing("notification_topic", Bridge, &[], STATE, WATCH),
    missing("notifications", Bridge, &["false", "0"], STATE, WATCH),
    missing("notifications_local_only", Bridge, &["false", "0"], STATE, WATCH),
    asked("password", Bridge),
    asked("remote_clientid", Bridge),
    asked("remote_password", Bridge),
    asked("remote_username", Bridge),
    needless("restart_timeout", Bridge, "the gateway tries again after some seconds, up to a minute, with jitter"),
    asked("round_robin", Bridge),
    missing(
        "start_type",
        Bridge,
        &["automatic"],
        ALWAYS,
        "nothing, if the link bears that; what is sent waits in the spool while it is down",
    ),
    needless("threshold", Bridge, ALWAYS),
    asked("topic", Bridge),
    needless(
        "try_private",
        Bridge,
        "messages of MQTT 5 count the gateways that they have crossed; MQTT 3.1.1 has no place for that",
    ),
    asked("username", Bridge),
];
