//! The small durable state: every key with its value, and how much that is.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::BytesMut;

use super::frame::{put_entry, put_list};
use super::key::Key;
use super::shared::Sharing;
use super::value::Value;

/// Values are shared with whoever put them.
#[derive(Debug, Default)]
pub(super) struct State {
    entries: BTreeMap<Key, Value>,
    bytes: u64,
}

/// About the bytes of an entry in a checkpoint.
fn weight(key: &Key, value: &Value) -> u64 {
    of_key(key) + value.weight() as u64
}

fn of_key(key: &Key) -> u64 {
    const FIELDS: u64 = 16;
    FIELDS + key.text_len() as u64
}

// === impl State ===

impl State {
    pub fn entries(&self) -> &BTreeMap<Key, Value> {
        &self.entries
    }

    /// About what a checkpoint of it takes on the disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn put(&mut self, key: Key, value: Value) {
        let (of_key, added) = (of_key(&key), weight(&key, &value));
        // One search: it compares a dozen keys.
        if let Some(before) = self.entries.insert(key, value) {
            self.bytes = self.bytes.saturating_sub(of_key + before.weight() as u64);
        }
        self.bytes += added;
    }

    pub fn remove(&mut self, key: &Key) {
        if let Some(value) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(weight(key, &value));
        }
    }

    /// The entries after a key, as many as go into a piece of `most` bytes, and at least one: as the body of a frame, and the last
    /// key in it. None at the end.
    pub fn encode_after(&self, after: Option<&Key>, most: usize) -> Option<(BytesMut, Key)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut last, mut left) = (None, most as u64);
        let entries = self.entries.range::<Key, _>((from, Bound::Unbounded)).take_while(|(key, value)| {
            let (is_first, weight) = (last.is_none(), weight(key, value));
            let fits = is_first || weight <= left;
            left = left.saturating_sub(weight);
            if fits {
                last = Some(*key);
            }
            fits
        });
        let mut out = BytesMut::new();
        let entries: Vec<_> = entries.collect();
        let mut sharing = Sharing::default();
        put_list(&mut out, entries, |out, (key, value)| put_entry(out, key, value, &mut sharing));
        last.map(|last| (out, last.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::wire::Fields;

    fn key(number: u64) -> Key {
        Key::Queued { client: "device".into(), number }
    }

    #[test]
    fn pieces_hold_every_entry_once_in_order_and_none_is_larger_than_asked_but_for_a_large_value() {
        let mut state = State::default();
        for number in 0..100 {
            state.put(key(number), vec![7; if number == 50 { 5_000 } else { 100 }].into());
        }
        let (mut after, mut seen) = (None, Vec::new());
        while let Some((piece, last)) = state.encode_after(after.as_ref(), 1_000) {
            let mut fields = Fields::new(&piece);
            let entries = fields.list(|fields| fields.entry(&mut Default::default())).unwrap();
            assert!(piece.len() <= 1_000 || entries.len() == 1, "{} bytes", piece.len());
            seen.extend(entries.into_iter().map(|(key, _)| key));
            after = Some(last);
        }
        assert_eq!(seen, (0..100).map(key).collect::<Vec<_>>());
    }

    #[test]
    fn its_weight_follows_what_is_put_replaced_and_removed() {
        let mut state = State::default();
        state.put(key(1), vec![0; 1_000].into());
        let one = state.bytes();
        assert!((1_000..1_100).contains(&one));
        state.put(key(1), vec![0; 10].into());
        assert_eq!(state.bytes(), one - 990);
        state.remove(&key(1));
        state.remove(&key(1));
        assert_eq!(state.bytes(), 0);
    }
}
