//! rumqttd's decoders, and what they say in our words. Only packets that have passed the guard come here.
//!
//! rumqttd has one vocabulary for both versions, so this is one file: a 3.1.1 packet is one without properties.

use std::str;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as theirs, Protocol};

use super::error::DecodeError;
use super::guard::Credentials;
use super::packet::*;
use super::topic;
use crate::message::{Message, Properties, QoS};

pub(super) fn connect(packet: BytesMut, version: Version, who: Credentials) -> Result<Connect, DecodeError> {
    let theirs::Packet::Connect(connect, properties, will, will_properties, _) = read(packet, version)? else {
        return Err(DecodeError::GUARD_GAP);
    };
    let properties = properties.as_ref();
    Ok(Connect {
        version,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        username: who.username,
        password: who.password,
        will: will.map(|will| self::will(will, will_properties)).transpose()?,
        session_expiry: properties.and_then(|p| p.session_expiry_interval),
        receive_maximum: properties.and_then(|p| p.receive_maximum),
        maximum_packet_size: properties.and_then(|p| p.max_packet_size),
        topic_alias_maximum: properties.and_then(|p| p.topic_alias_max).unwrap_or_default(),
        authentication_method: properties.and_then(|p| p.authentication_method.clone()),
    })
}

pub(super) fn subscribe(packet: BytesMut, version: Version) -> Result<Subscribe, DecodeError> {
    let theirs::Packet::Subscribe(subscribe, properties) = read(packet, version)? else {
        return Err(DecodeError::GUARD_GAP);
    };
    Ok(Subscribe {
        packet_id: subscribe.pkid,
        subscription_id: properties.and_then(|p| p.id).and_then(|id| u32::try_from(id).ok()),
        requests: subscribe.filters.into_iter().map(request).collect(),
    })
}

pub(super) fn unsubscribe(packet: BytesMut, version: Version) -> Result<Unsubscribe, DecodeError> {
    match read(packet, version)? {
        theirs::Packet::Unsubscribe(theirs, _) => Ok(Unsubscribe { packet_id: theirs.pkid, filters: theirs.filters }),
        _ => Err(DecodeError::GUARD_GAP),
    }
}

/// Adds payload and properties to what is already known of an MQTT 5 PUBLISH.
pub(super) fn publish(packet: BytesMut, known: Publish) -> Result<Publish, DecodeError> {
    let theirs::Packet::Publish(publish, Some(theirs)) = read(packet, Version::V5)? else {
        return Err(DecodeError::GUARD_GAP);
    };
    let topic_alias = theirs.topic_alias;
    let properties = Properties {
        payload_is_utf8: theirs.payload_format_indicator == Some(1),
        expiry: theirs.message_expiry_interval,
        content_type: theirs.content_type,
        response_topic: theirs.response_topic,
        correlation_data: theirs.correlation_data,
        user: theirs.user_properties,
    };
    Ok(Publish { payload: publish.payload, topic_alias, properties: shared(properties), ..known })
}

pub(super) fn disconnect(packet: BytesMut, known: Disconnect) -> Result<Disconnect, DecodeError> {
    let theirs::Packet::Disconnect(_, Some(theirs)) = read(packet, Version::V5)? else {
        return Err(DecodeError::GUARD_GAP);
    };
    Ok(Disconnect { session_expiry: theirs.session_expiry_interval, reason_string: theirs.reason_string, ..known })
}

fn read(mut packet: BytesMut, version: Version) -> Result<theirs::Packet, DecodeError> {
    let size = packet.len();
    match version {
        Version::V311 => V4.read_mut(&mut packet, size),
        Version::V5 => V5.read_mut(&mut packet, size),
    }
    .map_err(|_| DecodeError::GUARD_GAP)
}

/// A will lives as long as its connection. Its bytes are copied, so that it does not keep the first read buffer of
/// each of some thousand connections alive.
fn will(will: theirs::LastWill, theirs: Option<theirs::LastWillProperties>) -> Result<Will, DecodeError> {
    let name = str::from_utf8(&will.topic).map_err(|_| DecodeError::GUARD_GAP)?;
    let mut message = Message::new(topic::name(name)?, Bytes::copy_from_slice(&will.message), qos(will.qos));
    message.retain = will.retain;
    let delay = theirs.as_ref().and_then(|p| p.delay_interval).unwrap_or_default();
    message.properties = theirs.and_then(|theirs| {
        shared(Properties {
            payload_is_utf8: theirs.payload_format_indicator == Some(1),
            expiry: theirs.message_expiry_interval,
            content_type: theirs.content_type,
            response_topic: theirs.response_topic,
            correlation_data: theirs.correlation_data.map(|data| Bytes::copy_from_slice(&data)),
            user: theirs.user_properties,
        })
    });
    Ok(Will { message, delay })
}

fn request(filter: theirs::Filter) -> SubscribeRequest {
    let options = SubscribeOptions {
        qos: qos(filter.qos),
        no_local: filter.nolocal,
        retain_as_published: filter.preserve_retain,
        retain_handling: match filter.retain_forward_rule {
            theirs::RetainForwardRule::OnEverySubscribe => RetainHandling::SendAtSubscribe,
            theirs::RetainForwardRule::OnNewSubscribe => RetainHandling::SendIfNew,
            theirs::RetainForwardRule::Never => RetainHandling::DoNotSend,
        },
    };
    SubscribeRequest { filter: filter.path, options }
}

/// A packet may have properties and the message none: a topic alias stays with the connection.
fn shared(properties: Properties) -> Option<Arc<Properties>> {
    (!properties.is_empty()).then(|| Arc::new(properties))
}

fn qos(qos: theirs::QoS) -> QoS {
    match qos {
        theirs::QoS::AtMostOnce => QoS::AtMostOnce,
        theirs::QoS::AtLeastOnce => QoS::AtLeastOnce,
        theirs::QoS::ExactlyOnce => QoS::ExactlyOnce,
    }
}
