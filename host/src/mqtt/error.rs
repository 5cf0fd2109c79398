//! Why a packet was refused.

use super::Reason;

/// A packet that breaks the protocol. The connection that sent it is beyond repair: where its next packet begins is
/// not known, or not to be trusted, so there is no way back to decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}: {reason}")]
pub struct DecodeError {
    /// What an MQTT 5 client is told, in CONNACK before the session stands and in DISCONNECT after.
    pub reason: Reason,
    /// For the log. Never a part of the packet: a hostile client does not write our log.
    pub detail: &'static str,
}

/// Cannot be parsed by the specification (MQTT 5, section 1.2).
pub(super) const fn malformed(detail: &'static str) -> DecodeError {
    DecodeError { reason: Reason::MALFORMED_PACKET, detail }
}

/// Can be parsed, and is not allowed, or not here and now (MQTT 5, section 1.2).
pub(super) const fn protocol(detail: &'static str) -> DecodeError {
    DecodeError { reason: Reason::PROTOCOL_ERROR, detail }
}
