//! Our own SUBSCRIBE and UNSUBSCRIBE, to an upstream. One filter each, so that each is answered by itself.

use bytes::BytesMut;

use crate::mqtt::Version;
use crate::mqtt::packet::{RetainHandling, SubscribeOptions, SubscribeRequest};
use crate::mqtt::wire::{self, Counter, Sink};

const SUBSCRIBE: u8 = 0x82;
const UNSUBSCRIBE: u8 = 0xA2;

/// Appends the packet. `None`, and nothing is appended, when the filter is longer than MQTT can say.
pub(in crate::mqtt) fn encode(
    packet_id: u16,
    request: &SubscribeRequest,
    version: Version,
    out: &mut BytesMut,
) -> Option<()> {
    let options = match version {
        Version::V311 => request.options.qos as u8,
        Version::V5 => request.options.bits(),
    };
    packet(SUBSCRIBE, packet_id, (&request.filter, Some(options)), version, out)
}

/// The same of UNSUBSCRIBE.
pub(in crate::mqtt) fn encode_unsubscribe(
    packet_id: u16,
    filter: &str,
    version: Version,
    out: &mut BytesMut,
) -> Option<()> {
    packet(UNSUBSCRIBE, packet_id, (filter, None), version, out)
}

fn packet(first: u8, packet_id: u16, filter: (&str, Option<u8>), version: Version, out: &mut BytesMut) -> Option<()> {
    let mut counter = Counter::default();
    write(packet_id, filter, version, &mut counter);
    let remaining = counter.total()?;
    out.reserve(wire::packet_size(remaining)?);
    out.bytes(&[first]);
    out.varint(remaining);
    write(packet_id, filter, version, out);
    Some(())
}

fn write(packet_id: u16, (filter, options): (&str, Option<u8>), version: Version, out: &mut impl Sink) {
    out.bytes(&packet_id.to_be_bytes());
    if version == Version::V5 {
        // No properties.
        out.bytes(&[0]);
    }
    out.field(filter.as_bytes());
    if let Some(options) = options {
        out.bytes(&[options]);
    }
}

// === impl SubscribeOptions ===

impl SubscribeOptions {
    /// The byte of MQTT 5, section 3.8.3.1.
    pub fn bits(self) -> u8 {
        let handling = match self.retain_handling {
            RetainHandling::SendAtSubscribe => 0,
            RetainHandling::SendIfNew => 1,
            RetainHandling::DoNotSend => 2,
        };
        self.qos as u8 | u8::from(self.no_local) << 2 | u8::from(self.retain_as_published) << 3 | handling << 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;

    fn request() -> SubscribeRequest {
        let options = SubscribeOptions {
            qos: QoS::ExactlyOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::SendIfNew,
        };
        SubscribeRequest { filter: "a/+".into(), options }
    }

    /// Golden bytes: a decoder of ours reads what we write, and would share its mistakes.
    #[test]
    fn both_are_written_field_by_field() {
        let written = |version| {
            let mut out = BytesMut::new();
            encode(9, &request(), version, &mut out).unwrap();
            encode_unsubscribe(10, "a/+", version, &mut out).unwrap();
            out
        };
        assert_eq!(written(Version::V311)[..], *b"\x82\x08\0\x09\0\x03a/+\x02\xA2\x07\0\x0A\0\x03a/+");
        assert_eq!(written(Version::V5)[..], *b"\x82\x09\0\x09\0\0\x03a/+\x1E\xA2\x08\0\x0A\0\0\x03a/+");
    }

    #[test]
    fn a_filter_that_no_packet_can_carry_is_not_written() {
        let mut out = BytesMut::from(&b"before"[..]);
        let long = SubscribeRequest { filter: "x".repeat(65_536), ..request() };
        assert_eq!((encode(1, &long, Version::V5, &mut out), &out[..]), (None, &b"before"[..]));
    }
}
