//! Which exchange has a packet id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Ids are put in by us, so that nobody can choose them to collide: no keyed hash is needed, and it would cost more than the rest of
/// the way of an ack.
#[derive(Debug, Default)]
pub(super) struct ById(HashMap<u16, u64, BuildHasherDefault<Spread>>);

/// Spreads a packet id over all bits, of which a hash table uses both ends.
#[derive(Default)]
struct Spread(u64);

// === impl ById ===

impl ById {
    pub fn get(&self, packet_id: u16) -> Option<u64> {
        self.0.get(&packet_id).copied()
    }

    pub fn has(&self, packet_id: u16) -> bool {
        self.0.contains_key(&packet_id)
    }

    pub fn insert(&mut self, packet_id: u16, number: u64) {
        self.0.insert(packet_id, number);
    }

    pub fn remove(&mut self, packet_id: u16) {
        self.0.remove(&packet_id);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

// === impl Spread ===

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u16((*byte).into()));
    }

    fn write_u16(&mut self, id: u16) {
        // By the golden ratio, as is usual.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
