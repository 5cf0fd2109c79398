//! MQTT 5 through `rumqttc::v5::mqttbytes::v5`.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{self, Packet, PubRelReason};

use super::frame::Frame;
use super::{EncodeError, Incoming, Outgoing, UNEXPECTED, UNREADABLE};
use crate::message::QoS;
use crate::mqtt::{Ack, ConnAck, DecodeError, Reason};

pub(super) fn encode(packet: Outgoing<'_>, max: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    if let Outgoing::Disconnect(reason) = packet
        && reason != Reason::SUCCESS
    {
        // rumqttc has no name for some reasons.
        out.extend_from_slice(&[0xE0, 1, reason.0]);
        return Ok(());
    }
    let packet = match packet {
        Outgoing::PubAck(id) => Packet::PubAck(v5::PubAck::new(id, None)),
        Outgoing::PubRec(id) => Packet::PubRec(v5::PubRec::new(id, None)),
        Outgoing::PubRel(ack) => Packet::PubRel(to_pubrel(ack)),
        Outgoing::PubComp(id) => Packet::PubComp(v5::PubComp::new(id, None)),
        Outgoing::PingReq => Packet::PingReq(v5::PingReq),
        Outgoing::Disconnect(_) => {
            Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection))
        }
        Outgoing::Connect(_) | Outgoing::Publish(_) | Outgoing::Subscribe(..) | Outgoing::Unsubscribe(..) => {
            return Err(EncodeError::Impossible);
        }
    };
    let size = packet.size();
    if size > max {
        return Err(EncodeError::TooLarge { size, max });
    }
    packet.write(out, None).map(drop).map_err(|error| EncodeError::Codec(error.to_string()))
}

pub(super) fn decode(frame: Frame) -> Result<Incoming, DecodeError> {
    // CONNACK, PUBACK to PUBCOMP, PINGRESP, DISCONNECT. No AUTH, because no method was offered.
    let kind = frame.packet_type();
    if !matches!(kind, 2 | 4..=7 | 13 | 14) {
        return Err(UNEXPECTED);
    }
    frame.check_flags()?;
    if let Some(short) = short_form(kind, frame.body()) {
        return Ok(short);
    }
    let (connack_reason, ack_reason, disconnect_reason) = (reason(&frame, 1), reason(&frame, 2), reason(&frame, 0));
    let ack = |packet_id| Ack { packet_id, reason: ack_reason };
    match read(frame)? {
        Packet::ConnAck(ack) => Ok(Incoming::ConnAck(Box::new(from_connack(ack, connack_reason)))),
        Packet::PubAck(packet) => Ok(Incoming::PubAck(ack(packet.pkid))),
        Packet::PubRec(packet) => Ok(Incoming::PubRec(ack(packet.pkid))),
        Packet::PubRel(packet) => Ok(Incoming::PubRel(packet.pkid)),
        Packet::PubComp(packet) => Ok(Incoming::PubComp(ack(packet.pkid))),
        Packet::PingResp(_) => Ok(Incoming::PingResp),
        Packet::Disconnect(packet) => {
            let properties = packet.properties.map(|all| (all.reason_string, all.server_reference));
            let (text, server) = properties.unwrap_or_default();
            Ok(Incoming::Disconnect { reason: disconnect_reason, text, server })
        }
        _ => Err(UNEXPECTED),
    }
}

/// Acks, and short forms, which are read here: a DISCONNECT without properties (section 3.14.2.1), and the CONNACK of a server of
/// 3.1.1. One that lets us in has not understood what it was asked.
fn short_form(kind: u8, body: &[u8]) -> Option<Incoming> {
    match (kind, body) {
        // rumqttc refuses reason codes that it does not know; what follows the reason is of no interest.
        (4, [high, low, rest @ ..]) => Some(Incoming::PubAck(ack(*high, *low, rest))),
        (5, [high, low, rest @ ..]) => Some(Incoming::PubRec(ack(*high, *low, rest))),
        (7, [high, low, rest @ ..]) => Some(Incoming::PubComp(ack(*high, *low, rest))),
        (14, []) => Some(disconnect(Reason::SUCCESS)),
        (14, [reason]) => Some(disconnect(Reason(*reason))),
        (2, [_, code]) => {
            let reason = reason_of_v311(*code);
            Some(Incoming::ConnAck(Box::new(ConnAck { reason, ..ConnAck::default() })))
        }
        _ => None,
    }
}

fn disconnect(reason: Reason) -> Incoming {
    Incoming::Disconnect { reason, text: None, server: None }
}

/// What a return code of 3.1.1 says to a client of version 5.
fn reason_of_v311(code: u8) -> Reason {
    match code {
        2 => Reason::CLIENT_IDENTIFIER_NOT_VALID,
        3 => Reason::SERVER_UNAVAILABLE,
        4 => Reason::BAD_USER_NAME_OR_PASSWORD,
        5 => Reason::NOT_AUTHORIZED,
        0x80..=0xFF => Reason(code),
        _ => Reason::UNSUPPORTED_PROTOCOL_VERSION,
    }
}

fn ack(high: u8, low: u8, rest: &[u8]) -> Ack {
    Ack {
        packet_id: u16::from_be_bytes([high, low]),
        reason: rest.first().map_or(Reason::SUCCESS, |code| Reason(*code)),
    }
}

fn read(mut frame: Frame) -> Result<Packet, DecodeError> {
    Packet::read(&mut frame.bytes, None).map_err(|_| UNREADABLE)
}

/// The reason code in its place on the wire; left out, it is success (section 3.4.2.1).
fn reason(frame: &Frame, place: usize) -> Reason {
    frame.body().get(place).map_or(Reason::SUCCESS, |code| Reason(*code))
}

fn to_pubrel(ack: Ack) -> v5::PubRel {
    let mut pubrel = v5::PubRel::new(ack.packet_id, None);
    if ack.reason == Reason::PACKET_IDENTIFIER_NOT_FOUND {
        pubrel.reason = PubRelReason::PacketIdentifierNotFound;
    }
    pubrel
}

fn from_connack(ack: v5::ConnAck, reason: Reason) -> ConnAck {
    let session_present = ack.session_present;
    let Some(properties) = ack.properties else { return ConnAck { session_present, reason, ..ConnAck::default() } };
    ConnAck {
        session_present,
        reason,
        reason_string: properties.reason_string,
        receive_maximum: properties.receive_max,
        maximum_qos: properties.max_qos.and_then(QoS::from_bits),
        retain_available: properties.retain_available.map(|available| available != 0),
        maximum_packet_size: properties.max_packet_size,
        server_keep_alive: properties.server_keep_alive,
        server_reference: properties.server_reference,
        ..ConnAck::default()
    }
}
