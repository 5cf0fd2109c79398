//! Our CONNACK, SUBACK and UNSUBACK in rumqttd's words, and its encoders.
//!
//! Its writers panic on a reason that the other version has, and on properties in 3.1.1. The mappings here are total:
//! a reason that a packet does not have becomes the nearest that it has.

use bytes::BytesMut;
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as theirs, ConnectReturnCode, Protocol, SubscribeReasonCode, UnsubAckReason};

use super::Reason;
use super::packet::{ConnAck, ReasonList, Version};

pub(super) fn connack(ours: &ConnAck, version: Version, out: &mut BytesMut) {
    let code = match version {
        Version::V311 => connack_v311(ours.reason),
        Version::V5 => connack_v5(ours.reason),
    };
    // A refusal never claims a session [MQTT-3.2.2-6].
    let session_present = ours.session_present && ours.reason == Reason::SUCCESS;
    let properties = (version == Version::V5).then(|| theirs::ConnAckProperties {
        session_expiry_interval: ours.session_expiry,
        receive_max: ours.receive_maximum,
        max_packet_size: ours.maximum_packet_size,
        assigned_client_identifier: ours.assigned_client_id.clone(),
        topic_alias_max: ours.topic_alias_maximum,
        server_keep_alive: ours.server_keep_alive,
        reason_string: ours.reason_string.clone(),
        ..Default::default()
    });
    write(theirs::Packet::ConnAck(theirs::ConnAck { session_present, code }, properties), version, out);
}

pub(super) fn suback(ours: &ReasonList, version: Version, out: &mut BytesMut) {
    let code = match version {
        Version::V311 => suback_v311,
        Version::V5 => suback_v5,
    };
    let return_codes = ours.reasons.iter().copied().map(code).collect();
    write(theirs::Packet::SubAck(theirs::SubAck { pkid: ours.packet_id, return_codes }, None), version, out);
}

/// In 3.1.1 only the packet identifier is written.
pub(super) fn unsuback(ours: &ReasonList, version: Version, out: &mut BytesMut) {
    let reasons = ours.reasons.iter().copied().map(unsuback_v5).collect();
    write(theirs::Packet::UnsubAck(theirs::UnsubAck { pkid: ours.packet_id, reasons }, None), version, out);
}

/// The only error is a packet that is too long to be written. Half of it would be worse than none.
fn write(packet: theirs::Packet, version: Version, out: &mut BytesMut) {
    let before = out.len();
    let written = match version {
        Version::V311 => V4.write(packet, out),
        Version::V5 => V5.write(packet, out),
    };
    if written.is_err() {
        out.truncate(before);
    }
}

fn connack_v311(reason: Reason) -> ConnectReturnCode {
    match reason.connack_v311() {
        0 => ConnectReturnCode::Success,
        1 => ConnectReturnCode::RefusedProtocolVersion,
        2 => ConnectReturnCode::ClientIdentifierNotValid,
        4 => ConnectReturnCode::BadUserNamePassword,
        5 => ConnectReturnCode::NotAuthorized,
        _ => ConnectReturnCode::ServiceUnavailable,
    }
}

fn connack_v5(reason: Reason) -> ConnectReturnCode {
    match reason {
        Reason::SUCCESS => ConnectReturnCode::Success,
        Reason::MALFORMED_PACKET => ConnectReturnCode::MalformedPacket,
        Reason::PROTOCOL_ERROR => ConnectReturnCode::ProtocolError,
        Reason::IMPLEMENTATION_SPECIFIC_ERROR => ConnectReturnCode::ImplementationSpecificError,
        Reason::UNSUPPORTED_PROTOCOL_VERSION => ConnectReturnCode::UnsupportedProtocolVersion,
        Reason::CLIENT_IDENTIFIER_NOT_VALID => ConnectReturnCode::ClientIdentifierNotValid,
        Reason::BAD_USER_NAME_OR_PASSWORD => ConnectReturnCode::BadUserNamePassword,
        Reason::NOT_AUTHORIZED => ConnectReturnCode::NotAuthorized,
        // A CONNACK cannot say that the server is shutting down; this comes nearest.
        Reason::SERVER_UNAVAILABLE | Reason::SERVER_SHUTTING_DOWN => ConnectReturnCode::ServerUnavailable,
        Reason::SERVER_BUSY => ConnectReturnCode::ServerBusy,
        Reason::BAD_AUTHENTICATION_METHOD => ConnectReturnCode::BadAuthenticationMethod,
        Reason::TOPIC_NAME_INVALID => ConnectReturnCode::TopicNameInvalid,
        Reason::PACKET_TOO_LARGE => ConnectReturnCode::PacketTooLarge,
        Reason::QUOTA_EXCEEDED => ConnectReturnCode::QuotaExceeded,
        Reason::PAYLOAD_FORMAT_INVALID => ConnectReturnCode::PayloadFormatInvalid,
        _ => ConnectReturnCode::UnspecifiedError,
    }
}

fn suback_v311(reason: Reason) -> SubscribeReasonCode {
    match reason {
        Reason::SUCCESS => SubscribeReasonCode::QoS0,
        Reason::GRANTED_QOS_1 => SubscribeReasonCode::QoS1,
        Reason::GRANTED_QOS_2 => SubscribeReasonCode::QoS2,
        _ => SubscribeReasonCode::Failure,
    }
}

fn suback_v5(reason: Reason) -> SubscribeReasonCode {
    match reason {
        Reason::IMPLEMENTATION_SPECIFIC_ERROR => SubscribeReasonCode::ImplementationSpecific,
        Reason::NOT_AUTHORIZED => SubscribeReasonCode::NotAuthorized,
        Reason::TOPIC_FILTER_INVALID => SubscribeReasonCode::TopicFilterInvalid,
        Reason::PACKET_IDENTIFIER_IN_USE => SubscribeReasonCode::PkidInUse,
        Reason::QUOTA_EXCEEDED => SubscribeReasonCode::QuotaExceeded,
        Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED => SubscribeReasonCode::SharedSubscriptionsNotSupported,
        // Success, or "unspecified error": both versions write it with the same byte.
        other => suback_v311(other),
    }
}

fn unsuback_v5(reason: Reason) -> UnsubAckReason {
    match reason {
        Reason::SUCCESS => UnsubAckReason::Success,
        Reason::NO_SUBSCRIPTION_EXISTED => UnsubAckReason::NoSubscriptionExisted,
        Reason::IMPLEMENTATION_SPECIFIC_ERROR => UnsubAckReason::ImplementationSpecificError,
        Reason::NOT_AUTHORIZED => UnsubAckReason::NotAuthorized,
        Reason::TOPIC_FILTER_INVALID => UnsubAckReason::TopicFilterInvalid,
        Reason::PACKET_IDENTIFIER_IN_USE => UnsubAckReason::PacketIdentifierInUse,
        _ => UnsubAckReason::UnspecifiedError,
    }
}
