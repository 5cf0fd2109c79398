//! A PUBLISH of 256 bytes: in as a connection reads it, many in one buffer; out into a buffer for one write.

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput};
use tidegate::message::QoS;
use tidegate_tests::wire::Version;

use crate::shared::codec::{codec, decode, encode, outgoing};
use crate::shared::messages::{self, BATCH};

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (version, name) in [(Version::V4, "3.1.1"), (Version::V5, "5")] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let level = qos as u8;
            let (mut codec, packets) = (codec(version), messages::packets(version, level, BATCH));
            group.bench_function(format!("decode, MQTT {name}, QoS {level}"), |bencher| {
                let read = || BytesMut::from(packets.as_slice());
                bencher.iter_batched(read, |mut buffer| decode(&mut codec, &mut buffer), BatchSize::SmallInput);
            });
            let (packet, mut out) = (outgoing(qos), BytesMut::new());
            group.bench_function(format!("encode, MQTT {name}, QoS {level}"), |bencher| {
                bencher.iter(|| encode(&codec, &packet, &mut out));
            });
        }
    }
    group.finish();
}
