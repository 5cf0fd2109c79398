//! A little work of each room, always the same and in one thread: what is counted.

use bytes::BytesMut;
use tidegate::chain::Outcome;
use tidegate::message::QoS;
use tidegate::plugin::LoadedPlugin;
use tidegate::spool::{decode_message, encode_message};
use tidegate_tests::wire::Version;

use super::messages::{self, BATCH};
use super::{bindings, codec, native, plugins};

pub struct Work {
    pub name: &'static str,
    /// Of one round.
    pub messages: usize,
    /// Sets everything up; what it returns is one round, and may be called again and again.
    pub prepare: fn() -> Round,
}

pub type Round = Box<dyn FnMut()>;

/// In the order in which a message meets it.
pub const ALL: [Work; 13] = [
    Work { name: "decode, MQTT 3.1.1, QoS 1", messages: BATCH, prepare: || decode(Version::V4) },
    Work { name: "decode, MQTT 5, QoS 1", messages: BATCH, prepare: || decode(Version::V5) },
    Work { name: "encode, MQTT 3.1.1, QoS 1", messages: BATCH, prepare: || encode(Version::V4) },
    Work { name: "match: search 10,000 filters", messages: BATCH, prepare: search },
    Work { name: "match: look up, 10,000 bindings", messages: BATCH, prepare: look_up },
    Work { name: "plugin: forward, alone", messages: 1, prepare: || cross(plugins::forwarding(), 1) },
    Work { name: "plugin: forward, 32 in a batch", messages: BATCH, prepare: || cross(plugins::forwarding(), BATCH) },
    Work { name: "plugin: replace, 32 in a batch", messages: BATCH, prepare: || cross(plugins::replacing(), BATCH) },
    Work { name: "plugin: JSON, alone", messages: 1, prepare: || cross(plugins::reading(), 1) },
    Work { name: "plugin: JSON, 32 in a batch", messages: BATCH, prepare: || cross(plugins::reading(), BATCH) },
    Work { name: "the same JSON, native", messages: BATCH, prepare: native },
    Work { name: "chain: JSON, 32 in a batch", messages: BATCH, prepare: chain },
    Work { name: "spool: encode and decode", messages: BATCH, prepare: spool },
];

fn decode(version: Version) -> Round {
    let (mut codec, packets) = (codec::codec(version), messages::packets(version, 1, BATCH));
    let mut buffer = BytesMut::new();
    Box::new(move || {
        buffer.extend_from_slice(&packets);
        codec::decode(&mut codec, &mut buffer);
    })
}

fn encode(version: Version) -> Round {
    let (codec, packet, mut out) = (codec::codec(version), codec::outgoing(QoS::AtLeastOnce), BytesMut::new());
    Box::new(move || codec::encode(&codec, &packet, &mut out))
}

const FILTERS: usize = 10_000;

fn search() -> Round {
    let (trie, names) = (bindings::trie(&bindings::filters(FILTERS)), bindings::names(FILTERS));
    Box::new(move || bindings::search(&trie, &names))
}

fn look_up() -> Round {
    let (table, names) = (bindings::table(&bindings::filters(FILTERS)), bindings::names(FILTERS));
    Box::new(move || bindings::look_up(&table, &names))
}

fn cross(plugin: LoadedPlugin, count: usize) -> Round {
    let (mut instance, batch) = (plugins::instance(&plugin), messages::batch(&messages::json(), count));
    Box::new(move || plugins::cross(&mut instance, &batch))
}

fn native() -> Round {
    let payload = messages::json();
    Box::new(move || (0..BATCH).for_each(|_| assert!(native::filter_and_convert(payload.as_bytes()).is_some())))
}

fn chain() -> Round {
    let (mut chain, batch) = (plugins::chain(&plugins::reading()), messages::batch(&messages::json(), BATCH));
    Box::new(move || {
        let done = chain.run(batch.clone());
        assert!(done.iter().all(|done| matches!(done.outcome, Outcome::Outputs(_))));
    })
}

/// A message as it stands in the log, written and read back.
fn spool() -> Round {
    let (message, mut out) = (messages::message(&messages::json(), QoS::AtLeastOnce), BytesMut::new());
    Box::new(move || {
        for _ in 0..BATCH {
            out.clear();
            encode_message(&message, &mut out);
            assert!(decode_message(&out).is_ok());
        }
    })
}
