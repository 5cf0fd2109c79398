//! How much each binding has in the line of one upstream, for a share that several of them use.
//!
//! Counted where messages come into memory and leave it. What is in the log alone is counted by [`super::unread`].

use std::sync::Arc;

use super::Entry;

type Binding = Option<Arc<str>>;

/// Few: as many as write to this upstream. Compared by address first, which is what they are as usual.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<(Binding, u64)>);

fn is_same(one: &Binding, other: &Binding) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

// === impl Parts ===

impl Parts {
    pub fn add(&mut self, binding: &Binding, bytes: u64) {
        match self.find(binding) {
            Some(index) => self.0.iter_mut().skip(index).take(1).for_each(|(_, part)| *part += bytes),
            None => self.0.push((binding.clone(), bytes)),
        }
    }

    pub fn place(&mut self, entry: &Entry) {
        self.add(&entry.binding, entry.message.weight() as u64);
    }

    pub fn complete(&mut self, entry: &Entry) {
        if let Some((_, part)) = self.find(&entry.binding).and_then(|index| self.0.get_mut(index)) {
            *part = part.saturating_sub(entry.message.weight() as u64);
        }
    }

    pub fn of(&self, binding: &Binding) -> u64 {
        self.find(binding).and_then(|index| self.0.get(index)).map_or(0, |(_, part)| *part)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn names(&self) -> impl Iterator<Item = &Binding> {
        self.0.iter().map(|(name, _)| name)
    }

    fn find(&self, binding: &Binding) -> Option<usize> {
        let place = |is: fn(&Binding, &Binding) -> bool| self.0.iter().position(|(name, _)| is(name, binding));
        place(is_same).or_else(|| place(PartialEq::eq))
    }
}
