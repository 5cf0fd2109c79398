//! The ack that waits: resolved when everything that a message caused is safe.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Resolved;

/// A share of the promise to ack one inbound message.
///
/// A message that matches two bindings, or is republished, has several outcomes: each takes a share with
/// [`Receipt::split`] and gives it back with [`Receipt::resolve`]. When the last share is given back, the ticket goes to the
/// connection that waits for it, which then acks. A share that is dropped instead is never resolved and the ack is never
/// sent: the device keeps the message and sends it again. One that is refused is answered as such. Losing a share is therefore safe; inventing one is not possible.
#[derive(Debug, Default)]
#[must_use = "a receipt that is dropped is an ack that never comes"]
pub struct Receipt(Share);

#[derive(Debug, Default)]
enum Share {
    #[default]
    None,
    /// The whole promise, as usual.
    All(Done),
    One(Arc<Shared>),
    /// Of records that have become one.
    Several(Vec<Receipt>),
}

#[derive(Debug)]
struct Shared {
    outstanding: AtomicUsize,
    is_refused: AtomicBool,
    done: Done,
}

enum Done {
    Ticket { ticket: u64, done: Resolved },
    Call(Mutex<Option<Box<dyn FnOnce() + Send>>>),
}

impl Receipt {
    /// The whole promise; `ticket` arrives at `done` when it is kept.
    pub fn new(ticket: u64, done: Resolved) -> Self {
        Self(Share::All(Done::Ticket { ticket, done }))
    }

    /// Something to do as soon as it is safe, on the thread that made it safe: it must be short, and commit nothing.
    pub fn call(then: impl FnOnce() + Send + 'static) -> Self {
        Self(Share::All(Done::Call(Mutex::new(Some(Box::new(then))))))
    }

    /// Nobody waits: QoS 0, and what the gateway itself says.
    pub fn none() -> Self {
        Self(Share::None)
    }

    pub fn is_none(&self) -> bool {
        matches!(self.0, Share::None)
    }

    /// One more share of the same promise.
    pub fn split(&mut self) -> Self {
        let shared = match std::mem::take(&mut self.0) {
            Share::None => return Self::none(),
            Share::All(done) => {
                Arc::new(Shared { outstanding: AtomicUsize::new(1), is_refused: AtomicBool::new(false), done })
            }
            Share::One(shared) => shared,
            several @ Share::Several(_) => return Self(several).split_several(self),
        };
        shared.outstanding.fetch_add(1, Ordering::Relaxed);
        self.0 = Share::One(shared.clone());
        Self(Share::One(shared))
    }

    /// As one promise, whose shares they are.
    fn split_several(self, rest: &mut Self) -> Self {
        *rest = Self::call(move || self.keep_promise());
        rest.split()
    }

    /// Both promises: their records have become one.
    pub(in crate::spool) fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Share::None, one) | (one, Share::None) => Self(one),
            (Share::Several(mut several), one) => {
                several.push(Self(one));
                Self(Share::Several(several))
            }
            (one, other) => Self(Share::Several(vec![Self(one), Self(other)])),
        }
    }

    /// How many promises it is.
    pub(in crate::spool) fn count(&self) -> usize {
        match &self.0 {
            Share::None => 0,
            Share::All(_) | Share::One(_) => 1,
            Share::Several(several) => several.len(),
        }
    }

    /// This share is safe: its record is durable, or makes no difference any more. Only the spool says so.
    pub(in crate::spool) fn resolve(self) {
        self.keep_promise();
    }

    /// There is nothing that would have to be safe: no binding, no subscriber, no change. Never for what was dropped: that is
    /// [`Receipt::refuse`], or no answer at all.
    pub fn nothing_to_keep(self) {
        self.keep_promise();
    }

    /// The same promise, and something to do before it is kept, on the thread that made it safe: see [`Receipt::call`].
    pub fn after(self, then: impl FnOnce() + Send + 'static) -> Self {
        Self::call(move || {
            then();
            self.keep_promise();
        })
    }

    fn keep_promise(self) {
        match self.0 {
            Share::None => {}
            Share::All(done) => done.happen(),
            Share::One(shared) => shared.give_back(),
            Share::Several(several) => several.into_iter().for_each(Self::keep_promise),
        }
    }

    /// This share can never be safe: whoever waits is told so, when no other share is out. What is called when it is safe is not called.
    pub fn refuse(self) {
        match self.0 {
            Share::None => {}
            Share::All(done) => done.refuse(),
            Share::One(shared) => {
                shared.is_refused.store(true, Ordering::Release);
                shared.give_back();
            }
            Share::Several(several) => several.into_iter().for_each(Self::refuse),
        }
    }
}

// === impl Shared ===

impl Shared {
    fn give_back(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if self.is_refused.load(Ordering::Acquire) { self.done.refuse() } else { self.done.happen() }
    }
}

// === impl Done ===

impl Done {
    fn refuse(&self) {
        if let Self::Ticket { ticket, done } = self {
            done.push_refused(*ticket);
        }
    }

    fn happen(&self) {
        match self {
            // A session that is gone needs no ack; its device will send the message again.
            Self::Ticket { ticket, done } => done.push(*ticket),
            Self::Call(then) => {
                let then = then.lock().unwrap_or_else(PoisonError::into_inner).take();
                then.into_iter().for_each(|then| then());
            }
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket { ticket, .. } => f.debug_tuple("Ticket").field(ticket).finish(),
            Self::Call(_) => f.write_str("Call"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ack_waits_for_the_last_share() {
        let acks = Resolved::default();
        let mut receipt = Receipt::new(7, acks.clone());
        let share = receipt.split();
        receipt.resolve();
        assert!(acks.try_next().is_none());
        share.resolve();
        assert_eq!(acks.try_next(), Some(7));
    }

    #[test]
    fn a_share_that_is_lost_never_acks() {
        let acks = Resolved::default();
        let mut receipt = Receipt::new(7, acks.clone());
        drop(receipt.split());
        receipt.resolve();
        assert!(acks.try_next().is_none());
    }

    #[test]
    fn one_refused_share_refuses_the_whole_when_the_last_is_given_back() {
        let acks = Resolved::default();
        let mut receipt = Receipt::new(7, acks.clone());
        let share = receipt.split();
        share.refuse();
        assert!(acks.try_next().is_none());
        receipt.resolve();
        assert_eq!((acks.try_next(), acks.take_refused(7), acks.take_refused(7)), (Some(7), true, false));
        Receipt::new(8, acks.clone()).resolve();
        assert_eq!((acks.try_next(), acks.take_refused(8)), (Some(8), false));
    }

    #[test]
    fn a_call_happens_once_when_all_of_it_is_safe() {
        let acks = Resolved::default();
        let done = acks.clone();
        let mut receipt = Receipt::call(move || done.push(7));
        let share = receipt.split();
        receipt.resolve();
        assert!(acks.try_next().is_none());
        share.resolve();
        assert_eq!(acks.try_next(), Some(7));
    }
}
