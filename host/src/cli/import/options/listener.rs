//! What is about one listener.

use super::Scope::Listener;
use super::{Keyword, asked, missing, needless};

const CIPHERS: &str = "TLS 1.3 and 1.2 are offered with ECDHE and AES-GCM or ChaCha20, and nothing else";
const ALIASES: &str = "the gateway has its own bound on topic aliases";

pub const KEYWORDS: &[Keyword] = &[
    missing(
        "accept_protocol_versions",
        Listener,
        &["4,5", "5,4"],
        "MQTT 3.1.1 and 5 are both accepted by every listener",
        "access rules say what a device may do, whatever it speaks",
    ),
    asked("bind_address", Listener),
    asked("bind_interface", Listener),
    asked("cafile", Listener),
    asked("capath", Listener),
    asked("certfile", Listener),
    missing("ciphers", Listener, &[], CIPHERS, "look for devices that offer only others: they do not get in"),
    missing("ciphers_tls1.3", Listener, &[], CIPHERS, "look for devices that offer only others: they do not get in"),
    asked("crlfile", Listener),
    needless("dhparamfile", Listener, "keys are exchanged with elliptic curves, which need no such file"),
    missing(
        "disable_client_cert_date_checks",
        Listener,
        &["false", "0"],
        "certificates that are expired are refused",
        "give these devices new certificates",
    ),
    missing(
        "http_dir",
        Listener,
        &[],
        "the gateway serves no files",
        "let a web server serve them, and name its address in `origins` of this listener",
    ),
    asked("keyfile", Listener),
    asked("listener", Listener),
    asked("max_connections", Listener),
    missing("max_qos", Listener, &["2"], "devices choose their QoS", "set it in the devices"),
    missing("maximum_qos", Listener, &["2"], "devices choose their QoS", "set it in the devices"),
    needless("max_topic_alias", Listener, ALIASES),
    needless("max_topic_alias_broker", Listener, ALIASES),
    asked("mount_point", Listener),
    asked("port", Listener),
    asked("protocol", Listener),
    asked("psk_hint", Listener),
    asked("require_certificate", Listener),
    asked("socket_domain", Listener),
    asked("tls_engine", Listener),
    asked("tls_engine_kpass_sha1", Listener),
    asked("tls_keyform", Listener),
    missing(
        "tls_version",
        Listener,
        &["tlsv1.2"],
        "TLS 1.3 and 1.2 are offered, always both and nothing older",
        "look for devices that speak TLS 1.1 at most: they do not get in",
    ),
    asked("use_identity_as_username", Listener),
    asked("use_subject_as_username", Listener),
    asked("use_username_as_clientid", Listener),
    asked("websockets_origin", Listener),
];
