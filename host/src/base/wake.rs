//! Wakes that wait for the end of a turn.
//!
//! To wake a thread or a task costs more than to handle a message, and whoever is woken by the first message of a batch finds
//! one message and is woken again for the next. So what works in turns batches the wakes of its thread for the time of one: a connection for
//! what one read gave, a lane for what one call into a plugin gave, the committer for what one sync made safe. What they hand on
//! meanwhile lies where it belongs at once, and whoever is awake takes it; whoever sleeps is woken when the turn is over.
//!
//! Nothing is held back by that but the wake of a sleeper, for the rest of a turn that computes and does not wait. The guard
//! cannot be held over an `await`: it is not [`Send`].

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

/// Somebody who may sleep. Called once for each time it was asked for, by any thread, without locks held.
pub trait Wake: Send + Sync {
    fn wake(&self);
}

/// A turn of this thread; it ends when this is dropped. Turns nest, the outermost counts.
pub struct WakeBatch(PhantomData<*const ()>);

#[derive(Default)]
struct Held {
    turns: usize,
    wakes: Vec<Arc<dyn Wake>>,
    /// Each once.
    few: Vec<Arc<dyn Wake>>,
}

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

pub fn batch_wakes() -> WakeBatch {
    HELD.with_borrow_mut(|held| held.turns += 1);
    WakeBatch(PhantomData)
}

/// At the end of the turn, or now when there is none. For sleepers of whom there are many: they ask once until they are woken, and
/// nothing here looks for repetitions.
pub fn wake<W: Wake + 'static>(sleeper: &Arc<W>) {
    hold(sleeper, |held, sleeper| held.wakes.push(sleeper));
}

/// The same for one of the few, however often it is asked for in a turn. A turn holds back its own wakes and no other thread's: that
/// one may be preempted, or write to a log that nobody reads.
pub fn wake_once<W: Wake + 'static>(sleeper: &Arc<W>) {
    hold(sleeper, |held, sleeper| {
        if !held.few.iter().any(|other| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(&sleeper))) {
            held.few.push(sleeper);
        }
    });
}

fn hold<W: Wake + 'static>(sleeper: &Arc<W>, hold: impl FnOnce(&mut Held, Arc<dyn Wake>)) {
    let is_held = HELD.with_borrow_mut(|held| {
        let is_batched = held.turns > 0;
        if is_batched {
            hold(held, sleeper.clone());
        }
        is_batched
    });
    if !is_held {
        sleeper.wake();
    }
}

// === impl WakeBatch ===

impl Drop for WakeBatch {
    fn drop(&mut self) {
        let is_over = HELD.with_borrow_mut(|held| {
            held.turns -= 1;
            held.turns == 0
        });
        // One by one, without the borrow: a wake may have a turn of its own.
        while is_over && let Some(sleeper) = HELD.with_borrow_mut(Held::next) {
            sleeper.wake();
        }
    }
}

// === impl Held ===

impl Held {
    fn next(&mut self) -> Option<Arc<dyn Wake>> {
        self.wakes.pop().or_else(|| self.few.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[derive(Default)]
    struct Sleeper(AtomicUsize);

    impl Wake for Sleeper {
        fn wake(&self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_wake_is_held_until_the_outermost_turn_is_over() {
        let sleeper = Arc::new(Sleeper::default());
        let turn = batch_wakes();
        drop(batch_wakes());
        wake(&sleeper);
        drop(batch_wakes());
        assert_eq!(sleeper.0.load(SeqCst), 0);
        drop(turn);
        assert_eq!(sleeper.0.load(SeqCst), 1);
        drop(batch_wakes());
        assert_eq!(sleeper.0.load(SeqCst), 1);
    }

    #[test]
    fn one_of_the_few_is_woken_once_for_a_turn() {
        let (one, other) = (Arc::new(Sleeper::default()), Arc::new(Sleeper::default()));
        let turn = batch_wakes();
        [&one, &other, &one, &one].into_iter().for_each(wake_once);
        drop(turn);
        assert_eq!([&one, &other].map(|sleeper| sleeper.0.load(SeqCst)), [1, 1]);
    }

    #[test]
    fn without_a_turn_and_on_other_threads_a_wake_is_at_once() {
        let sleeper = Arc::new(Sleeper::default());
        wake(&sleeper);
        assert_eq!(sleeper.0.load(SeqCst), 1);
        let _turn = batch_wakes();
        std::thread::scope(|scope| scope.spawn(|| wake(&sleeper)).join().unwrap());
        assert_eq!(sleeper.0.load(SeqCst), 2);
    }
}
