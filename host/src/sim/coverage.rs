//! What really went wrong in a run, and how often: a hazard that never happens would find nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

pub type Happened = BTreeMap<&'static str, u64>;

thread_local! {
    static HAPPENED: RefCell<Happened> = const { RefCell::new(BTreeMap::new()) };
}

pub fn happened(what: &'static str) {
    count(what, 1);
}

pub fn count(what: &'static str, times: u64) {
    if times > 0 {
        HAPPENED.with_borrow_mut(|happened| *happened.entry(what).or_default() += times);
    }
}

/// All since the last time, on this thread.
pub fn take() -> Happened {
    HAPPENED.take()
}

/// Of many runs.
pub fn add(all: &mut Happened, of_one: &Happened) {
    of_one.iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
}

/// What 200 seeds have to hold.
pub const EXPECTED: &[&str] = &[
    "the process is killed",
    "the power is cut",
    "the process is stopped",
    "the disk is full",
    "the disk is slow",
    "the disk is about to fail",
    "the machine is about to go off",
    "an upstream goes",
    "an upstream is slow",
    "an upstream cuts connections",
    "an upstream is away",
    "an upstream does not read",
    "an upstream vanishes",
    "an upstream forgets its sessions",
    "an upstream closes on a message",
    "an upstream closes on a PUBREL",
    "an address acknowledges nothing",
    "a message is refused by an ack",
    "an ack is lost",
    "the wrong ack",
    "Maximum QoS falls",
    "retain is not available any more",
    "Receive Maximum falls",
    "Maximum Packet Size falls",
    "a device loses its connection",
    "a device is told that it has too much open",
    "a member of a group ends its session",
    "a message goes to another member of its group",
    "a subscriber closes on a message",
    "a message is given up for a subscriber",
    "a message becomes a dead letter of its upstream",
    "the disk fails, and the process ends",
    "a write is torn",
    "the wall clock jumps",
    "the spool is made smaller",
    "an upstream is not configured for a while",
    "`when_full` and `qos0` change",
    "a message is retained",
    "a retained message is cleared",
    "somebody looks at what is retained",
    "a device with a will dies",
    "a will is published",
];
