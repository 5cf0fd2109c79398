//! MQTT 3.1.1 through `rumqttc::mqttbytes::v4`. Properties have no place here and are dropped.

use bytes::BytesMut;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{self, ConnectReturnCode, Packet};

use super::frame::Frame;
use super::{EncodeError, Incoming, Outgoing, UNEXPECTED, UNREADABLE};
use crate::mqtt::{Ack, ConnAck, DecodeError, Reason};

pub(super) fn encode(packet: Outgoing<'_>, max: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    let packet = match packet {
        Outgoing::PubAck(id) => Packet::PubAck(v4::PubAck::new(id)),
        Outgoing::PubRec(id) => Packet::PubRec(v4::PubRec::new(id)),
        Outgoing::PubRel(ack) => Packet::PubRel(v4::PubRel::new(ack.packet_id)),
        Outgoing::PubComp(id) => Packet::PubComp(v4::PubComp::new(id)),
        Outgoing::PingReq => Packet::PingReq,
        Outgoing::Disconnect(_) => Packet::Disconnect,
        Outgoing::Connect(_) | Outgoing::Publish(_) | Outgoing::Subscribe(..) | Outgoing::Unsubscribe(..) => {
            return Err(EncodeError::Impossible);
        }
    };
    packet.write(out, max).map(drop).map_err(|error| match error {
        Error::OutgoingPacketTooLarge { pkt_size, max } => EncodeError::TooLarge { size: pkt_size, max },
        other => EncodeError::Codec(other.to_string()),
    })
}

pub(super) fn decode(mut frame: Frame) -> Result<Incoming, DecodeError> {
    // CONNACK, PUBACK to PUBCOMP, PINGRESP. The server of 3.1.1 does not say goodbye.
    let kind = frame.packet_type();
    if !matches!(kind, 2 | 4..=7 | 13) {
        return Err(UNEXPECTED);
    }
    frame.check_flags()?;
    if let (2, [_, code, ..]) = (kind, frame.body())
        && *code >= 0x80
    {
        // A server of MQTT 5 alone refuses 3.1.1 in its own words.
        let connack = ConnAck { reason: Reason(*code), ..ConnAck::default() };
        return Ok(Incoming::ConnAck(Box::new(connack)));
    }
    let ok = |packet_id| Ack { packet_id, reason: Reason::SUCCESS };
    match Packet::read(&mut frame.bytes, super::MAX_INCOMING).map_err(|_| UNREADABLE)? {
        Packet::ConnAck(ack) => Ok(Incoming::ConnAck(Box::new(from_connack(&ack)))),
        Packet::PubAck(ack) => Ok(Incoming::PubAck(ok(ack.pkid))),
        Packet::PubRec(ack) => Ok(Incoming::PubRec(ok(ack.pkid))),
        Packet::PubRel(ack) => Ok(Incoming::PubRel(ack.pkid)),
        Packet::PubComp(ack) => Ok(Incoming::PubComp(ok(ack.pkid))),
        Packet::PingResp => Ok(Incoming::PingResp),
        _ => Err(UNEXPECTED),
    }
}

fn from_connack(ack: &v4::ConnAck) -> ConnAck {
    let reason = match ack.code {
        ConnectReturnCode::Success => Reason::SUCCESS,
        ConnectReturnCode::RefusedProtocolVersion => Reason::UNSUPPORTED_PROTOCOL_VERSION,
        ConnectReturnCode::BadClientId => Reason::CLIENT_IDENTIFIER_NOT_VALID,
        ConnectReturnCode::ServiceUnavailable => Reason::SERVER_UNAVAILABLE,
        ConnectReturnCode::BadUserNamePassword => Reason::BAD_USER_NAME_OR_PASSWORD,
        ConnectReturnCode::NotAuthorized => Reason::NOT_AUTHORIZED,
    };
    ConnAck { session_present: ack.session_present, reason, ..ConnAck::default() }
}
