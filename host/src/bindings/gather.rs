//! One input, several bindings: waits for the outcome of each, whatever the order they come in.

use std::sync::{Mutex, PoisonError};

use smallvec::{SmallVec, smallvec};

use super::account::Account;
use super::dispatcher::Dispatcher;
use super::order::Ticket;
use super::places::Held;
use super::route::Inbound;
use super::table::Bindings;
use crate::bus::Kept;
use crate::chain::{Done, Finisher, Lane, Rank, Taken};

/// An input on its way through its chains.
#[derive(Debug)]
pub(super) struct Gather {
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    outcomes: Vec<Option<Done>>,
    missing: usize,
    /// Taken by the last outcome.
    input: Option<Box<Input>>,
}

/// An input and all that goes with it until its record is committed.
#[derive(Debug)]
pub(super) struct Input {
    pub inbound: Inbound,
    /// What its local delivery leaves to be written.
    pub kept: Kept,
    pub bindings: Bindings,
    pub held: Held,
    pub account: Account,
    /// Its place in the order of the lanes that remember, when it is in one.
    pub ticket: Option<Ticket>,
    /// It stands in several lines with it.
    pub is_fixed: bool,
}

/// An input with the outcome of each of its bindings, in file order.
pub(super) struct Gathered {
    pub input: Box<Input>,
    pub outcomes: SmallVec<[Done; 1]>,
}

impl Input {
    /// Nothing but its device waits for it: no message that caused it, and none behind it in an order.
    pub(super) fn may_wait(&self) -> bool {
        self.ticket.is_none() && self.inbound.origin.hops == 0
    }

    /// In one of its lanes.
    pub(super) fn rank(&self, lane: &Lane) -> Rank {
        match self.ticket.filter(|_| lane.is_stateful()) {
            Some(_) if self.is_fixed => Rank::Fixed,
            Some(ticket) => Rank::Placed(ticket.0),
            None => Rank::Client,
        }
    }

    /// A lane has taken it up.
    fn take(&mut self, taken: Taken) {
        self.ticket = taken.place.map(Ticket).or(self.ticket);
    }
}

/// In its only lane.
impl Finisher<Done> for Input {
    fn finish(self: Box<Self>, of: Done) {
        Dispatcher::complete(Gathered::of_one(self, of));
    }
}

impl Gathered {
    pub(super) fn of_one(mut input: Box<Input>, done: Done) -> Self {
        input.take(done.taken);
        Self { input, outcomes: smallvec![done] }
    }
}

impl Gather {
    pub(super) fn new(input: Box<Input>) -> Self {
        let missing = input.bindings.len();
        Self { slots: Mutex::new(Slots { outcomes: vec![None; missing], missing, input: Some(input) }) }
    }

    /// Files one outcome; with the last one, everything comes out.
    pub(super) fn put(&self, slot: usize, outcome: Done) -> Option<Gathered> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.input.iter_mut().for_each(|input| input.take(outcome.taken));
        let place = slots.outcomes.get_mut(slot)?;
        if place.replace(outcome).is_none() {
            slots.missing -= 1;
        }
        if slots.missing > 0 {
            return None;
        }
        let input = slots.input.take()?;
        Some(Gathered { input, outcomes: slots.outcomes.drain(..).flatten().collect() })
    }
}
