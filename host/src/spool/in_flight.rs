//! Bytes of changes to sessions that wait to be written, by client.
//!
//! A session that begins, leaves or ends changes the state, and nothing of a lane holds its device back: beside a log that is full, a device that
//! comes and goes would fill the memory with what waits. So what waits is counted for each client, and a client who has too much of it
//! is let in again when it is written ([`InFlight::room`]). Others are not: each has a limit of its own.
//!
//! Over the limit of all together, only those wait who would add much: who bring a will, and who have something waiting already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Change, Key};
use crate::base::ledger;

/// Of one client: what it changes in a thousand connections. Wills that wait for their delay are not among it, of which one is kept.
const MAX_OF_CLIENT: usize = 1 << 20;

/// Of all clients.
const MAX: usize = 32 << 20;

/// What a record takes in memory beside what it changes.
const RECORD: usize = 256;

#[derive(Debug, Default)]
pub struct InFlight {
    waiting: Mutex<Waiting>,
    less: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    of: HashMap<Arc<str>, usize>,
    all: usize,
}

/// What one record adds. Given back with it.
#[derive(Debug)]
pub struct Part {
    in_flight: Arc<InFlight>,
    client: Arc<str>,
    bytes: usize,
}

/// What a will has beyond is on the account of all clients.
fn weight(change: &Change) -> usize {
    match change.key {
        Key::Will { .. } => change.weight().min(ledger::FREE),
        _ => change.weight(),
    }
}

// === impl InFlight ===

impl InFlight {
    /// Always: what has happened is written.
    pub fn add(self: &Arc<Self>, client: &Arc<str>, changes: &[Change]) -> Part {
        self.add_bytes(client, changes.iter().map(weight).sum())
    }

    fn add_bytes(self: &Arc<Self>, client: &Arc<str>, bytes: usize) -> Part {
        let bytes = RECORD + bytes;
        let mut waiting = self.lock();
        waiting.all += bytes;
        *waiting.of.entry(client.clone()).or_default() += bytes;
        Part { in_flight: self.clone(), client: client.clone(), bytes }
    }

    /// Waits until a client may change something: with a will, when there is room for all; with little, when there is room for itself.
    pub async fn room(&self, client: &str, brings_will: bool) {
        self.until(|waiting| waiting.has_room(client, brings_will)).await;
    }

    /// Waits until a client that is there may go on.
    pub async fn own_room(&self, client: &str) {
        self.until(|waiting| !waiting.is_over(client)).await;
    }

    /// Whether a client that is there has to wait.
    pub fn is_over(&self, client: &str) -> bool {
        self.lock().is_over(client)
    }

    async fn until(&self, has_room: impl Fn(&Waiting) -> bool) {
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            // What becomes less from here on is heard.
            less.as_mut().enable();
            if has_room(&self.lock()) {
                return;
            }
            less.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    fn has_room(&self, client: &str, brings_will: bool) -> bool {
        !self.is_over(client) && (self.all < MAX || !(brings_will || self.of.contains_key(client)))
    }

    fn is_over(&self, client: &str) -> bool {
        self.of.get(client).is_some_and(|own| *own >= MAX_OF_CLIENT)
    }

    fn remove(&mut self, client: &Arc<str>, bytes: usize) {
        self.all -= bytes;
        if let Some(own) = self.of.get_mut(client) {
            *own -= bytes;
            if *own == 0 {
                self.of.remove(client);
            }
        }
    }
}

// === impl Part ===

impl Part {
    /// It has become one record with another of the same client, of so many bytes together, and so many receipts.
    pub(super) fn absorb(&mut self, other: Self, bytes: usize, receipts: usize) {
        drop(other);
        let bytes = RECORD * receipts.max(1) + bytes;
        let mut waiting = self.in_flight.lock();
        waiting.remove(&self.client, self.bytes);
        waiting.all += bytes;
        *waiting.of.entry(self.client.clone()).or_default() += bytes;
        self.bytes = bytes;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.client, self.bytes);
        self.in_flight.less.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_free(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn who_has_too_much_waiting_waits_until_it_is_less_and_nobody_else_does() {
        let in_flight = Arc::<InFlight>::default();
        let (greedy, honest): (Arc<str>, Arc<str>) = ("greedy".into(), "honest".into());
        let parts: Vec<Part> = (0..2).map(|_| in_flight.add_bytes(&greedy, MAX_OF_CLIENT / 2)).collect();
        let mut room = pin!(in_flight.room(&greedy, false));
        assert!(!is_free(room.as_mut()));
        assert!(is_free(pin!(in_flight.room(&honest, true))));
        drop(parts);
        assert!(is_free(room));
        let left = in_flight.lock();
        assert_eq!((left.of.len(), left.all), (0, 0));
    }

    #[test]
    fn with_too_much_of_all_a_client_without_will_comes_in_and_one_with_a_will_waits() {
        let in_flight = Arc::<InFlight>::default();
        let clients = (0..).map(|of| Arc::<str>::from(format!("client{of}")));
        let _parts: Vec<Part> =
            clients.take(MAX / MAX_OF_CLIENT).map(|client| in_flight.add_bytes(&client, MAX_OF_CLIENT)).collect();
        assert!(!is_free(pin!(in_flight.room("new", true))));
        assert!(is_free(pin!(in_flight.room("new", false))));
    }

    #[test]
    fn two_records_that_become_one_count_as_one() {
        let (in_flight, client) = (Arc::<InFlight>::default(), Arc::<str>::from("client"));
        let (mut one, other) = (in_flight.add_bytes(&client, 100), in_flight.add_bytes(&client, 100));
        one.absorb(other, 110, 1);
        assert_eq!(in_flight.lock().all, RECORD + 110);
        drop(one);
        assert_eq!(in_flight.lock().all, 0);
    }
}
