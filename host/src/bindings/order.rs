//! Outcomes leave in the order in which their messages were taken up by the lanes that remember, and where the configuration asks for it, in
//! that in which their client sent them.
//!
//! A plugin that counted message 1 and then message 2 knows "2" when both are done. Were the record of message 2 written first,
//! a crash between the two would leave a count that includes a message which comes again, or the older record would put an
//! older count over a newer one. Usually nothing of the kind can happen: a lane is a sequence. It happens when message 1 also
//! matched another binding, whose slow plugin it still waits for.
//!
//! So each input that enters lanes with memory takes a **ticket**, which stands in one line for each of them, and its outcome
//! leaves when it is complete and at the head of all its lines. The price: such a lane also waits for what its messages wait for
//! elsewhere. Lanes without memory take no part, and pay nothing.
//!
//! **`order = "client"`** of a binding puts its inputs also into a line of their client, for protocols that number across topics: what
//! a slow plugin of one binding is about then holds back what the client has sent to others. A client has such a line for each hop: what is
//! republished is a message of its own.
//!
//! **A lane serves its clients in turn** ([`chain::Rank`](crate::chain::Rank)), and not in the order in which they came. So the tickets of one lane go to its inputs in
//! the order in which it takes them up: an input whose ticket stands in one line alone has the place of another one of its lane then, and no
//! line knows the difference. An input with a ticket in two lines keeps it, and is passed by nobody.
//!
//! - **No circles.** Tickets are given and jobs pushed under one lock, so that two inputs meet in the same order in every line.
//! - **One leaves at a time**, on the thread that completed the line, without the lock: what leaves may enter again (a message that
//!   is republished).
//! - An input that is never complete, because the gateway stops, holds those behind it for ever: they have seen what it changed, so
//!   that they must not be safe before it. Their devices send them again.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::BindingId;

/// A place in the order. Given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub NonZeroU64);

/// What leaves in order among its like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    Binding(BindingId),
    Client { client: Arc<str>, hops: u8 },
}

/// The lines, and who stands in them.
pub(super) struct Order<T>(Mutex<State<T>>);

struct State<T> {
    next: NonZeroU64,
    /// Those of clients are there while somebody stands in them.
    lines: BTreeMap<Line, VecDeque<Ticket>>,
    waiting: BTreeMap<Ticket, Waiting<T>>,
    /// Those that may have come to the head of their lines.
    candidates: VecDeque<Ticket>,
    /// Somebody lets them leave.
    busy: bool,
}

struct Waiting<T> {
    lines: Vec<Line>,
    complete: Option<T>,
}

// === impl Order ===

impl<T> Order<T> {
    /// Takes a place in these lines, at least one, and pushes the jobs meanwhile.
    pub fn enter<R>(&self, lines: Vec<Line>, push: impl FnOnce(Ticket) -> R) -> R {
        let mut state = self.lock();
        let ticket = Ticket(state.next);
        state.next = state.next.saturating_add(1);
        for line in &lines {
            state.lines.entry(line.clone()).or_default().push_back(ticket);
        }
        state.waiting.insert(ticket, Waiting { lines, complete: None });
        push(ticket)
    }

    /// This one is complete: lets it leave, and all that waited for it, each by `leave`.
    pub fn complete(&self, ticket: Ticket, outcome: T, mut leave: impl FnMut(T)) {
        let mut state = self.lock();
        if let Some(waiting) = state.waiting.get_mut(&ticket) {
            waiting.complete = Some(outcome);
        }
        state.candidates.push_back(ticket);
        if state.busy {
            return;
        }
        state.busy = true;
        while let Some(outcome) = state.first() {
            drop(state);
            leave(outcome);
            state = self.lock();
        }
        state.busy = false;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Whatever panicked ends the process.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        let state = State {
            next: NonZeroU64::MIN,
            lines: BTreeMap::new(),
            waiting: BTreeMap::new(),
            candidates: VecDeque::new(),
            busy: false,
        };
        Self(Mutex::new(state))
    }
}

// === impl State ===

impl<T> State<T> {
    /// Takes one that may leave. Who may not becomes a candidate again when what is before it leaves, or when it is complete.
    fn first(&mut self) -> Option<T> {
        while let Some(ticket) = self.candidates.pop_front() {
            if let Some(outcome) = self.take(ticket) {
                return Some(outcome);
            }
        }
        None
    }

    fn take(&mut self, ticket: Ticket) -> Option<T> {
        let waiting = self.waiting.get_mut(&ticket)?;
        let heads = |line: &Line| self.lines.get(line).and_then(VecDeque::front) == Some(&ticket);
        if !waiting.lines.iter().all(heads) {
            return None;
        }
        let outcome = waiting.complete.take()?;
        for line in self.waiting.remove(&ticket).map(|waiting| waiting.lines).unwrap_or_default() {
            let Some(tickets) = self.lines.get_mut(&line) else { continue };
            tickets.pop_front();
            self.candidates.extend(tickets.front());
            if tickets.is_empty() && matches!(line, Line::Client { .. }) {
                self.lines.remove(&line);
            }
        }
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Who leaves, when the tickets of `lines` are completed in the order of `completed`.
    fn leaving(lines: &[&[usize]], completed: &[usize]) -> Vec<Vec<usize>> {
        let order = Order::default();
        let ids = |lines: &&[usize]| lines.iter().copied().map(BindingId).map(Line::Binding).collect();
        let tickets: Vec<_> = lines.iter().map(|lines| order.enter(ids(lines), |ticket| ticket)).collect();
        let leave = |index: &usize| {
            let mut left = Vec::new();
            order.complete(tickets[*index], *index, |outcome| left.push(outcome));
            left
        };
        completed.iter().map(leave).collect()
    }

    #[test]
    fn an_outcome_waits_for_the_one_before_it_in_its_line() {
        assert_eq!(leaving(&[&[0], &[0], &[0]], &[2, 1, 0]), [vec![], vec![], vec![0, 1, 2]]);
        assert_eq!(leaving(&[&[0], &[0]], &[0, 1]), [[0], [1]]);
    }

    #[test]
    fn lines_wait_for_each_other_only_where_they_meet() {
        assert_eq!(leaving(&[&[0], &[1], &[1]], &[1, 2, 0]), [[1], [2], [0]]);
        assert_eq!(leaving(&[&[0, 1], &[1], &[0]], &[1, 2, 0]), [vec![], vec![], vec![0, 2, 1]]);
    }

    #[test]
    fn what_leaves_may_enter_again() {
        let order = Order::default();
        let line = || vec![Line::Binding(BindingId(0))];
        let first = order.enter(line(), |ticket| ticket);
        let (mut left, mut again) = (Vec::new(), None);
        order.complete(first, "first", |outcome| {
            left.push(outcome);
            if outcome == "first" {
                let second = order.enter(line(), |ticket| ticket);
                order.complete(second, "second", |_| again = Some("left by itself"));
            }
        });
        assert_eq!((left, again), (vec!["first", "second"], None));
    }

    #[test]
    fn a_client_without_messages_has_no_line() {
        let order = Order::default();
        let line = |client: &str| Line::Client { client: client.into(), hops: 0 };
        let tickets = ["a", "b", "a"].map(|client| order.enter(vec![line(client)], |ticket| ticket));
        let mut left = Vec::new();
        order.complete(tickets[2], 2, |outcome| left.push(outcome));
        order.complete(tickets[1], 1, |outcome| left.push(outcome));
        assert_eq!((&left[..], order.lock().lines.len()), (&[1][..], 1));
        order.complete(tickets[0], 0, |outcome| left.push(outcome));
        assert_eq!((&left[..], order.lock().lines.len()), (&[1, 0, 2][..], 0));
    }

    proptest! {
        #[test]
        fn everybody_leaves_once_and_in_the_order_of_every_line(
            lines in prop::collection::vec(prop::collection::btree_set(0usize..4, 1..4), 1..30),
            seed in any::<u64>(),
        ) {
            let lines: Vec<Vec<usize>> = lines.into_iter().map(|lines| lines.into_iter().collect()).collect();
            let mut completed: Vec<usize> = (0..lines.len()).collect();
            completed.sort_by_key(|index| seed.wrapping_mul(*index as u64 * 2 + 1).rotate_left(17));
            let slices: Vec<&[usize]> = lines.iter().map(Vec::as_slice).collect();
            let left: Vec<usize> = leaving(&slices, &completed).concat();
            prop_assert_eq!(left.len(), lines.len());
            for line in 0..4 {
                let of_line: Vec<_> = left.iter().filter(|index| lines[**index].contains(&line)).collect();
                prop_assert!(of_line.is_sorted());
            }
        }
    }
}
