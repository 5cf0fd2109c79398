//! PUBLISH to the upstream, in the encoder that writes it to devices: the packet is the same in both directions.
//!
//! Not by rumqttc: its packet wants a topic of its own, so that each message would be given a copy of its name to be written
//! once. That what is written is what rumqttc reads is what the tests of this room say.

use bytes::BytesMut;

use super::EncodeError;
use crate::message::Message;
use crate::mqtt::{self, Version};

/// A message to be sent, and what its exchange adds. `packet_id` is 0 at QoS 0, which has no exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub packet_id: u16,
    pub dup: bool,
    pub message: Message,
}

pub(super) fn encode(version: Version, publish: &Publish, max: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    let Publish { packet_id, dup, message } = publish;
    let packet = mqtt::Publish {
        is_too_deep: false,
        dup: *dup,
        packet_id: *packet_id,
        topic: Some(message.topic.clone()),
        topic_alias: None,
        subscription_ids: Vec::new(),
        payload: message.payload.clone(),
        qos: message.qos,
        retain: message.retain,
        properties: message.properties.clone(),
    };
    match mqtt::publish::size(&packet, version) {
        usize::MAX => Err(EncodeError::Impossible),
        size if size > max => Err(EncodeError::TooLarge { size, max }),
        _ => {
            mqtt::publish::encode(&packet, version, out);
            Ok(())
        }
    }
}
