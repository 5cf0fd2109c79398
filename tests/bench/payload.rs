//! What devices send: 256 bytes of JSON with an identity of fixed width, so that a message is made by writing digits.

use tidegate_tests::wire::{self, Version};

pub const BYTES: usize = 256;

/// `"PP-NNNNNNNN"`: publisher and number.
const IDENTITY: &str = "00-00000000";
const BEFORE_IDENTITY: &[u8] = br#""id":""#;

/// A PUBLISH that is changed in place for each message.
pub struct Template {
    packet: Vec<u8>,
    identity: usize,
    packet_id: Option<usize>,
}

// === impl Template ===

impl Template {
    pub fn new(publisher: usize, qos: u8) -> Self {
        let topic = format!("bench/{publisher:02}");
        let packet = wire::publish(Version::V4, &topic, json()).qos(qos, u16::from(qos > 0)).encode();
        let identity = find_identity(&packet).expect("the payload has an identity");
        // Fixed header (1 + 2 bytes of length for packets of 128 to 16,383 bytes), then the topic.
        let packet_id = (qos > 0).then_some(3 + 2 + topic.len());
        let mut template = Self { packet, identity, packet_id };
        template.write_number(0, 2, publisher);
        template
    }

    /// The bytes of message `number`, valid until the next one.
    pub fn message(&mut self, number: u32, packet_id: u16) -> &[u8] {
        self.write_number(3, 8, number as usize);
        if let Some(at) = self.packet_id {
            self.packet[at..at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
        &self.packet
    }

    fn write_number(&mut self, offset: usize, digits: usize, mut number: usize) {
        for place in (0..digits).rev() {
            self.packet[self.identity + offset + place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

/// Publisher and number of a message that arrived.
pub fn identity(payload: &[u8]) -> Option<(usize, u32)> {
    let at = find_identity(payload)?;
    let text = std::str::from_utf8(payload.get(at..at + IDENTITY.len())?).ok()?;
    let (publisher, number) = text.split_once('-')?;
    Some((publisher.parse().ok()?, number.parse().ok()?))
}

fn find_identity(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(BEFORE_IDENTITY.len())
        .position(|window| window == BEFORE_IDENTITY)
        .map(|at| at + BEFORE_IDENTITY.len())
}

fn json() -> String {
    let head = format!(
        r#"{{"id":"{IDENTITY}","celsius":21.5,"humidity":48.25,"device":"press-07","site":"hall-3","firmware":"4.11.2","state":"running","alarms":[],"note":""#
    );
    let padding = "x".repeat(BYTES - head.len() - 2);
    format!("{head}{padding}\"}}")
}
