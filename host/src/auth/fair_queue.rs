//! What waits for a thread, in turns: each address has its own queue, so that one that sends a thousand passwords waits a thousand turns, and
//! the next address one.

use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub struct FairQueue<T> {
    of: HashMap<u64, VecDeque<T>>,
    /// Those with something in it, in the order of their turns.
    turns: VecDeque<u64>,
    length: usize,
    most: usize,
}

// === impl FairQueue ===

impl<T> FairQueue<T> {
    pub fn new(most: usize) -> Self {
        Self { of: HashMap::new(), turns: VecDeque::new(), length: 0, most }
    }

    /// What has no room any more, if anything: the last of whoever has most waiting, which may be this one.
    pub fn push(&mut self, address: u64, item: T) -> Option<T> {
        let queue = self.of.entry(address).or_default();
        if queue.is_empty() {
            self.turns.push_back(address);
        }
        queue.push_back(item);
        self.length += 1;
        if self.length > self.most { self.shed() } else { None }
    }

    pub fn pop(&mut self) -> Option<T> {
        let address = self.turns.pop_front()?;
        let queue = self.of.get_mut(&address)?;
        let item = queue.pop_front()?;
        self.length -= 1;
        match queue.is_empty() {
            true => drop(self.of.remove(&address)),
            false => self.turns.push_back(address),
        }
        Some(item)
    }

    fn shed(&mut self) -> Option<T> {
        let (address, queue) = self.of.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        let (address, item) = (*address, queue.pop_back()?);
        self.length -= 1;
        if queue.is_empty() {
            self.of.remove(&address);
            self.turns.retain(|turn| *turn != address);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &mut FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn addresses_take_turns_and_each_has_its_own_order() {
        let mut queue = FairQueue::new(100);
        for (address, item) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (3, 31)] {
            assert_eq!(queue.push(address, item), None);
        }
        assert_eq!(all(&mut queue), [10, 20, 30, 11, 31, 12]);
        assert!(queue.of.is_empty() && queue.turns.is_empty() && queue.length == 0);
    }

    #[test]
    fn with_too_many_the_last_of_who_has_most_goes() {
        let mut queue = FairQueue::new(4);
        (0..4).for_each(|item| assert_eq!(queue.push(1, item), None));
        assert_eq!(queue.push(1, 4), Some(4));
        assert_eq!(queue.push(2, 20), Some(3));
        assert_eq!(queue.push(2, 21), Some(2));
        assert_eq!(all(&mut queue), [0, 20, 1, 21]);
        let mut none = FairQueue::new(0);
        assert_eq!((none.push(1, 1), none.pop()), (Some(1), None));
        assert!(none.turns.is_empty());
    }
}
