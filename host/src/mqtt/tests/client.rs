//! The other side: writes the packets that only a client sends. Written from the specification, with nothing of the
//! code under test.

use bytes::{BufMut, BytesMut};

use super::*;
use crate::message::Properties;

pub fn encode(packet: &Packet, version: Version) -> Vec<u8> {
    match packet {
        Packet::Connect(connect) => framed(0x10, self::connect(connect)),
        Packet::Subscribe(subscribe) => framed(0x82, self::subscribe(subscribe, version)),
        Packet::Unsubscribe(unsubscribe) => framed(0xA2, self::unsubscribe(unsubscribe, version)),
        Packet::PingReq => vec![0xC0, 0],
        Packet::Disconnect(_) if version == V311 => vec![0xE0, 0],
        // Both sides send these, and write them the same way.
        other => super::encode(version, other).to_vec(),
    }
}

fn connect(connect: &Connect) -> BytesMut {
    let v5 = connect.version == V5;
    let mut out = BytesMut::from(&b"\0\x04MQTT"[..]);
    out.put_u8(if v5 { 5 } else { 4 });
    out.put_u8(flags(connect));
    out.put_u16(connect.keep_alive);
    if v5 {
        properties(&mut out, connect_properties(connect));
    }
    text(&mut out, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        if v5 {
            let mut block = message_properties(will.message.properties.as_deref());
            if will.delay > 0 {
                block.put_u8(24);
                block.put_u32(will.delay);
            }
            properties(&mut out, block);
        }
        text(&mut out, will.message.topic.as_str().as_bytes());
        text(&mut out, &will.message.payload);
    }
    connect.username.iter().for_each(|name| text(&mut out, name.as_bytes()));
    connect.password.iter().for_each(|password| text(&mut out, &password.0));
    out
}

fn flags(connect: &Connect) -> u8 {
    let will =
        connect.will.as_ref().map_or(0, |will| 4 | (will.message.qos as u8) << 3 | u8::from(will.message.retain) << 5);
    let username = u8::from(connect.username.is_some()) << 7;
    let password = u8::from(connect.password.is_some()) << 6;
    username | password | will | u8::from(connect.clean_start) << 1
}

fn connect_properties(connect: &Connect) -> BytesMut {
    let mut out = BytesMut::new();
    if let Some(value) = connect.session_expiry {
        out.put_u8(17);
        out.put_u32(value);
    }
    if let Some(value) = connect.receive_maximum {
        out.put_u8(33);
        out.put_u16(value);
    }
    if let Some(value) = connect.maximum_packet_size {
        out.put_u8(39);
        out.put_u32(value);
    }
    if connect.topic_alias_maximum > 0 {
        out.put_u8(34);
        out.put_u16(connect.topic_alias_maximum);
    }
    if let Some(method) = &connect.authentication_method {
        out.put_u8(21);
        text(&mut out, method.as_bytes());
    }
    out
}

fn message_properties(properties: Option<&Properties>) -> BytesMut {
    let mut out = BytesMut::new();
    let Some(properties) = properties else { return out };
    for (name, value) in &properties.user {
        out.put_u8(38);
        text(&mut out, name.as_bytes());
        text(&mut out, value.as_bytes());
    }
    if let Some(is_utf8) = properties.payload_is_utf8 {
        out.put_slice(&[1, is_utf8.into()]);
    }
    if let Some(expiry) = properties.expiry {
        out.put_u8(2);
        out.put_u32(expiry);
    }
    if let Some(value) = &properties.content_type {
        out.put_u8(3);
        text(&mut out, value.as_bytes());
    }
    if let Some(value) = &properties.response_topic {
        out.put_u8(8);
        text(&mut out, value.as_bytes());
    }
    if let Some(value) = &properties.correlation_data {
        out.put_u8(9);
        text(&mut out, value);
    }
    out
}

fn subscribe(subscribe: &Subscribe, version: Version) -> BytesMut {
    let mut out = BytesMut::from(&subscribe.packet_id.to_be_bytes()[..]);
    if version == V5 {
        let mut block = BytesMut::new();
        if let Some(id) = subscribe.subscription_id {
            block.put_u8(11);
            varint(&mut block, id as usize);
        }
        properties(&mut out, block);
    }
    for request in &subscribe.requests {
        let options = &request.options;
        let retain = (options.retain_handling as u8) << 4;
        let flags = u8::from(options.no_local) << 2 | u8::from(options.retain_as_published) << 3;
        text(&mut out, request.filter.as_bytes());
        out.put_u8(options.qos as u8 | flags | retain);
    }
    out
}

fn unsubscribe(unsubscribe: &Unsubscribe, version: Version) -> BytesMut {
    let mut out = BytesMut::from(&unsubscribe.packet_id.to_be_bytes()[..]);
    if version == V5 {
        out.put_u8(0);
    }
    unsubscribe.filters.iter().for_each(|filter| text(&mut out, filter.as_bytes()));
    out
}

fn framed(first: u8, body: BytesMut) -> Vec<u8> {
    let mut out = BytesMut::from(&[first][..]);
    properties(&mut out, body);
    out.to_vec()
}

fn properties(out: &mut BytesMut, block: BytesMut) {
    varint(out, block.len());
    out.put_slice(&block);
}

fn text(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

fn varint(out: &mut BytesMut, mut value: usize) {
    while value > 127 {
        out.put_u8((value % 128) as u8 | 0x80);
        value /= 128;
    }
    out.put_u8(value as u8);
}
