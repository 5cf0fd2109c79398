//! Those who wait behind the front of a lane, by client: deficit round robin, by the bytes of what is served.
//!
//! A queue is made when a client begins to wait, and its memory is used again by the next one: there is no allocation for each message.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::job::Work;

/// What a client is served when it is its turn, in bytes; and what the smallest message counts, because each costs a call.
const QUANTUM: usize = 4 << 10;

/// What the largest counts: a turn comes after so many of the others at the latest.
const MAX_COST: usize = 64 * QUANTUM;

/// Queues that stay when nobody waits, and how many jobs they have room for.
const SPARE: usize = 64;
const SPARE_JOBS: usize = 16;

#[derive(Default)]
pub(super) struct Clients {
    queues: Vec<Queue>,
    /// Of `queues`, those that have something, in the order of their turns.
    ring: VecDeque<usize>,
    /// The same, by name.
    waiting: HashMap<Arc<str>, usize>,
    free: Vec<usize>,
    /// Where the last one was put: what a device sends comes in one go.
    last: usize,
    /// Whose a tick is.
    clock: Option<Arc<str>>,
}

struct Queue {
    client: Arc<str>,
    /// Empty when it is free.
    work: VecDeque<Work>,
    /// Of the next messages.
    credit: usize,
}

// === impl Clients ===

impl Clients {
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub fn push(&mut self, work: Work) {
        let at = match work.client() {
            Some(client) => self.queue_of(client),
            None => {
                let clock = self.clock.get_or_insert_with(|| "".into()).clone();
                self.queue_of(&clock)
            }
        };
        if let Some(queue) = self.queues.get_mut(at) {
            queue.work.push_back(work);
            self.last = at;
        }
    }

    fn queue_of(&mut self, client: &Arc<str>) -> usize {
        let is_last = |queue: &&Queue| !queue.work.is_empty() && Arc::ptr_eq(&queue.client, client);
        if self.queues.get(self.last).filter(is_last).is_some() {
            return self.last;
        }
        match self.waiting.get(client) {
            Some(at) => *at,
            None => self.begin(client.clone()),
        }
    }

    fn begin(&mut self, client: Arc<str>) -> usize {
        let at = self.free.pop().unwrap_or(self.queues.len());
        match self.queues.get_mut(at) {
            Some(queue) => (queue.client, queue.credit) = (client.clone(), QUANTUM),
            None => self.queues.push(Queue { client: client.clone(), work: VecDeque::new(), credit: QUANTUM }),
        }
        self.waiting.insert(client, at);
        self.ring.push_back(at);
        at
    }

    /// Of the client whose turn it is.
    pub fn pop(&mut self) -> Option<Work> {
        loop {
            let at = *self.ring.front()?;
            let queue = self.queues.get_mut(at)?;
            let cost = queue.work.front().map_or(0, cost);
            if queue.credit < cost && self.ring.len() > 1 {
                queue.credit += QUANTUM;
                self.ring.rotate_left(1);
                continue;
            }
            queue.credit = queue.credit.saturating_sub(cost);
            let work = queue.work.pop_front();
            if queue.work.is_empty() {
                self.end(at);
            }
            return work;
        }
    }

    /// It is the first of the ring, and has nothing any more.
    fn end(&mut self, at: usize) {
        self.ring.pop_front();
        if let Some(queue) = self.queues.get_mut(at) {
            self.waiting.remove(&queue.client);
            if queue.work.capacity() > SPARE_JOBS {
                queue.work = VecDeque::new();
            }
            self.free.push(at);
        }
        if self.ring.is_empty() && self.queues.len() > SPARE {
            *self = Self::default();
        }
    }
}

fn cost(work: &Work) -> usize {
    work.weight().clamp(QUANTUM, MAX_COST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::envelope_of;
    use crate::chain::{Job, Rank};
    use crate::plugin::Envelope;

    fn work(client: &str, bytes: usize) -> Work {
        let Envelope { message, origin } = envelope_of(client, &"x".repeat(bytes));
        Work::Job(Job { message, origin, may_wait: true, rank: Rank::Client, done: Box::new(|_| ()) })
    }

    /// Whose are served, in order.
    fn served(clients: &mut Clients, most: usize) -> Vec<String> {
        let name = |work: Work| work.client().map(|client| client.to_string()).unwrap_or_default();
        std::iter::from_fn(|| clients.pop()).map(name).take(most).collect()
    }

    #[test]
    fn clients_are_served_in_turn_however_much_one_of_them_has() {
        let mut clients = Clients::default();
        (0..1_000).for_each(|_| clients.push(work("greedy", 10)));
        (0..2).for_each(|_| clients.push(work("a", 10)));
        clients.push(work("b", 10));
        assert_eq!(served(&mut clients, 6), ["greedy", "a", "b", "greedy", "a", "greedy"]);
    }

    #[test]
    fn who_sends_large_messages_has_as_many_bytes_as_others_and_no_more() {
        let mut clients = Clients::default();
        (0..10).for_each(|_| clients.push(work("large", 40_000)));
        (0..1_000).for_each(|_| clients.push(work("small", 10)));
        let large = served(&mut clients, 110).iter().filter(|client| **client == "large").count();
        assert!((9..=11).contains(&large), "{large} beside a hundred small ones");
    }

    #[test]
    fn what_is_larger_than_a_share_has_its_turn_all_the_same() {
        let mut clients = Clients::default();
        clients.push(work("large", 10 << 20));
        (0..1_000).for_each(|_| clients.push(work("small", 10)));
        assert!(served(&mut clients, 66).contains(&"large".to_owned()));
    }

    #[test]
    fn names_that_are_new_each_time_leave_no_memory_behind() {
        let mut clients = Clients::default();
        for round in 0..3 {
            (0..1_000).for_each(|number| clients.push(work(&format!("{round}-{number}"), 10)));
            assert_eq!(served(&mut clients, usize::MAX).len(), 1_000);
            assert!(clients.is_empty() && clients.queues.is_empty() && clients.waiting.is_empty());
        }
        for _ in 0..1_000 {
            clients.push(work("one", 10));
            assert_eq!(served(&mut clients, 2), ["one"]);
        }
        assert_eq!(clients.queues.len(), 1, "its queue is used again");
    }
}
