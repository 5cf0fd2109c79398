//! Those who wait behind the front of a lane, by client: deficit round robin, by the bytes of what is served.
//!
//! A queue is made when a client begins to wait for the first time, and stays with it while there are few: there is no allocation for each message.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::job::Work;

/// What a client is served when it is its turn, in bytes: some messages, because what is behind the lane (the log, acks, sockets) is cheaper for
/// several of one client than for one of each.
const QUANTUM: usize = 16 << 10;

/// What the largest counts: a turn comes after so many of the others at the latest.
const MAX_COST: usize = 64 * QUANTUM;

/// Queues that stay when nobody waits; how many jobs each has room for, the usual window of a device, and all of them.
const SPARE: usize = 64;
const SPARE_JOBS: usize = 128;
const ALL_SPARE_JOBS: usize = 4_096;

/// Clients that are found without their names being looked at, as far as they do not meet in a place.
const NEAR: usize = 128;

/// Longer names do not stay.
const LONG_NAME: usize = 256;

pub(super) struct Clients {
    queues: Vec<Queue>,
    /// Of `queues`, those that have something, in the order of their turns.
    ring: VecDeque<usize>,
    /// Where the queue of a client is, also when it is empty.
    of: HashMap<Arc<str>, usize>,
    /// Queues of nobody.
    free: Vec<usize>,
    /// Where those of a name in this place of memory were last: a connection has one name for all of its messages.
    near: [u32; NEAR],
    /// What the smallest message counts, because each costs a call.
    least: usize,
    /// Whose a tick is.
    clock: Option<Arc<str>>,
}

struct Queue {
    /// None when it is free.
    client: Option<Arc<str>>,
    work: VecDeque<Work>,
    /// Of the next messages.
    credit: usize,
}

// === impl Clients ===

impl Clients {
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// `burst` is what a client has in one turn of its small messages at most.
    pub fn push(&mut self, work: Work, burst: usize) {
        self.least = QUANTUM / burst.max(1);
        let at = match work.client() {
            Some(client) => self.queue_of(client),
            None => {
                let clock = self.clock.get_or_insert_with(|| "".into()).clone();
                self.queue_of(&clock)
            }
        };
        if let Some(queue) = self.queues.get_mut(at) {
            if queue.work.is_empty() {
                queue.credit = QUANTUM;
                self.ring.push_back(at);
            }
            queue.work.push_back(work);
        }
    }

    fn queue_of(&mut self, client: &Arc<str>) -> usize {
        let guess = guess(client);
        let at = self.near.get(guess).map_or(0, |at| *at as usize);
        let near = self.queues.get(at).and_then(|queue| queue.client.as_ref());
        if near.is_some_and(|near| Arc::ptr_eq(near, client)) {
            return at;
        }
        let at = self.of.get(client).copied().unwrap_or_else(|| self.begin(client.clone()));
        if let (Some(queue), Some(near)) = (self.queues.get_mut(at), self.near.get_mut(guess)) {
            // The same name; the next message comes with this one.
            queue.client = Some(client.clone());
            *near = at as u32;
        }
        at
    }

    fn begin(&mut self, client: Arc<str>) -> usize {
        let at = self.free.pop().unwrap_or(self.queues.len());
        match self.queues.get_mut(at) {
            Some(queue) => queue.client = Some(client.clone()),
            None => self.queues.push(Queue { client: Some(client.clone()), work: VecDeque::new(), credit: 0 }),
        }
        self.of.insert(client, at);
        at
    }

    /// Of the client whose turn it is.
    pub fn peek(&mut self) -> Option<&Work> {
        loop {
            let at = *self.ring.front()?;
            let queue = self.queues.get_mut(at)?;
            if queue.credit >= cost(queue.work.front()?, self.least) || self.ring.len() == 1 {
                return self.queues.get(at)?.work.front();
            }
            queue.credit += QUANTUM;
            self.rotate();
        }
    }

    /// The same, which goes.
    pub fn pop(&mut self) -> Option<Work> {
        let at = *self.ring.front()?;
        let queue = self.queues.get_mut(at)?;
        let work = queue.work.pop_front()?;
        queue.credit = queue.credit.saturating_sub(cost(&work, self.least));
        if queue.work.is_empty() {
            self.end(at);
        }
        Some(work)
    }

    fn rotate(&mut self) {
        if let Some(first) = self.ring.pop_front() {
            self.ring.push_back(first);
        }
    }

    /// It is the first of the ring, and has nothing any more.
    fn end(&mut self, at: usize) {
        self.ring.pop_front();
        let are_many = self.queues.len() > SPARE;
        let room = || self.queues.iter().map(|queue| queue.work.capacity()).sum::<usize>();
        if self.ring.is_empty() && (are_many || room() > ALL_SPARE_JOBS) {
            return *self = Self::default();
        }
        let Some(queue) = self.queues.get_mut(at) else { return };
        if queue.work.capacity() > SPARE_JOBS {
            queue.work = VecDeque::new();
        }
        if let Some(client) = queue.client.take_if(|client| are_many || client.len() > LONG_NAME) {
            self.of.remove(&client);
            self.free.push(at);
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            ring: VecDeque::new(),
            of: HashMap::new(),
            free: Vec::new(),
            near: [0; NEAR],
            least: QUANTUM,
            clock: None,
        }
    }
}

/// By where it is in memory.
fn guess(client: &Arc<str>) -> usize {
    let at = client.as_ptr() as usize as u64;
    // Multiplied by the golden ratio, which parts what lies side by side.
    (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % NEAR
}

fn cost(work: &Work, least: usize) -> usize {
    work.weight().clamp(least, MAX_COST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::envelope_of;
    use crate::chain::{Job, Rank};
    use crate::plugin::Envelope;

    fn work(client: &str, bytes: usize) -> Work {
        let Envelope { message, origin } = envelope_of(client, &"x".repeat(bytes));
        Work::Job(Job {
            message,
            origin,
            may_wait: true,
            rank: Rank::Client,
            done: Box::new(|_: crate::chain::Done| ()),
        })
    }

    /// Whose are served, in order.
    fn served(clients: &mut Clients, most: usize) -> Vec<String> {
        let name = |work: Work| work.client().map(|client| client.to_string()).unwrap_or_default();
        std::iter::from_fn(|| clients.peek().is_some().then(|| clients.pop()).flatten()).map(name).take(most).collect()
    }

    #[test]
    fn clients_are_served_in_turn_however_much_one_of_them_has() {
        let mut clients = Clients::default();
        (0..1_000).for_each(|_| clients.push(work("greedy", 10), 1));
        (0..2).for_each(|_| clients.push(work("a", 10), 1));
        clients.push(work("b", 10), 1);
        assert_eq!(served(&mut clients, 6), ["greedy", "a", "b", "greedy", "a", "greedy"]);
    }

    #[test]
    fn a_turn_is_some_small_messages_of_a_client() {
        let mut clients = Clients::default();
        (0..100).for_each(|_| clients.push(work("greedy", 10), 16));
        (0..2).for_each(|_| clients.push(work("a", 10), 16));
        let served = served(&mut clients, 34);
        let of_a: Vec<_> = (0..34).filter(|at| served[*at] == "a").collect();
        assert_eq!(of_a, [16, 17]);
    }

    #[test]
    fn who_sends_large_messages_has_as_many_bytes_as_others_and_no_more() {
        let mut clients = Clients::default();
        (0..10).for_each(|_| clients.push(work("large", 160_000), 1));
        (0..1_000).for_each(|_| clients.push(work("small", 10), 1));
        let large = served(&mut clients, 110).iter().filter(|client| **client == "large").count();
        assert!((9..=11).contains(&large), "{large} beside a hundred small ones");
    }

    #[test]
    fn what_is_larger_than_a_share_has_its_turn_all_the_same() {
        let mut clients = Clients::default();
        clients.push(work("large", 10 << 20), 1);
        (0..1_000).for_each(|_| clients.push(work("small", 10), 1));
        assert!(served(&mut clients, 66).contains(&"large".to_owned()));
    }

    #[test]
    fn names_that_are_new_each_time_leave_no_memory_behind() {
        let mut clients = Clients::default();
        for round in 0..3 {
            (0..1_000).for_each(|number| clients.push(work(&format!("{round}-{number}"), 10), 1));
            assert_eq!(served(&mut clients, usize::MAX).len(), 1_000);
            assert!(clients.is_empty() && clients.queues.is_empty() && clients.of.is_empty());
        }
        for _ in 0..1_000 {
            clients.push(work("one", 10), 1);
            assert_eq!(served(&mut clients, 2), ["one"]);
        }
        assert_eq!(clients.queues.len(), 1, "its queue is used again");
    }

    #[test]
    fn beside_somebody_who_always_waits_new_names_use_the_same_queues() {
        let mut clients = Clients::default();
        clients.push(work("patient", 10), 1);
        for number in 0..10_000 {
            clients.push(work(&number.to_string(), 10), 1);
            clients.push(work("patient", 10), 1);
            assert_eq!(served(&mut clients, 2).len(), 2);
        }
        assert_eq!(served(&mut clients, 2), ["patient"]);
        clients.push(work(&"x".repeat(60_000), 10), 1);
        assert_eq!(served(&mut clients, 1).len(), 1);
        assert!(clients.of.keys().all(|name| name.len() < 60_000));
        assert!(clients.queues.len() <= SPARE + 2 && clients.of.len() <= SPARE + 2, "{}", clients.queues.len());
    }
}
