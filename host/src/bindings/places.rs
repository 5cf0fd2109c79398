//! What bounds the inputs of a binding, and what an input holds meanwhile.
//!
//! An input has one place in each of its bindings. One that has to be kept holds it until the spool has admitted what became of
//! it. QoS 0 holds one of its own kind until its chain is done: it never waits for the spool, so that it must not wait behind those
//! who do.
//!
//! What a message causes in turn, by being republished, waits for places of its own kind: each binding has as many for each hop. A
//! message keeps its places until what it caused has its own and is admitted ([`super::internal`]), so that pressure travels back
//! through any number of stages. Places of a hop are waited for by those of the hop before only, and the last hop causes
//! nothing: nobody waits in a circle, even where bindings do.
//!
//! A place is counted in KiB, and none is smaller than the part of a lane that a message is. So one semaphore bounds number
//! and memory: two would be two more atomic operations for each message.

use std::sync::Arc;

use tokio::sync::{AcquireError, Semaphore, TryAcquireError};

use crate::chain::{LANE_CAPACITY, Lane};
use crate::config;
use crate::message::{Message, QoS};
use crate::spool::{Hold, Place};

/// The memory of the inputs of one binding that wait for their records, and that of its QoS 0 inputs in the lane.
const MAX_KIB: u32 = 16 * 1_024;

/// What a small message counts: as many of them as a lane holds fill it. More would only make latency.
const MIN_KIB: u32 = MAX_KIB / LANE_CAPACITY as u32;

#[derive(Debug)]
pub struct Places {
    /// None without a lane: nobody waits there.
    qos0: Option<Arc<Semaphore>>,
    kept: Arc<Semaphore>,
    /// QoS 0 as well, because a destination raises it.
    keeps_all: bool,
}

/// The places of one input, in all its bindings.
#[derive(Debug, Default)]
pub struct Held {
    /// Until its chains are done.
    pub chain: Hold,
    /// Until its record is admitted.
    pub record: Hold,
}

impl Places {
    pub fn new(spec: &config::Binding, lane: Option<&Lane>) -> Self {
        Self { qos0: lane.map(|_| all()), kept: all(), keeps_all: keeps_all(spec) }
    }

    /// Of the same binding with other destinations: who has places there keeps them.
    pub fn of_changed(&self, spec: &config::Binding) -> Self {
        Self { qos0: self.qos0.clone(), kept: self.kept.clone(), keeps_all: keeps_all(spec) }
    }

    /// For what is kept for local subscribers alone: retained messages, deliveries to sessions that survive a restart.
    pub fn local() -> Self {
        Self { qos0: None, kept: all(), keeps_all: true }
    }

    pub fn try_take(&self, message: &Message, held: &mut Held) -> Result<(), TryAcquireError> {
        if let Some((places, held)) = self.of(message, held) {
            held.push(places.clone().try_acquire_many_owned(kib(message).max(MIN_KIB))?.into());
        }
        Ok(())
    }

    /// The same with patience.
    pub async fn take(&self, message: &Message, held: &mut Held) -> Result<(), AcquireError> {
        if let Some((places, held)) = self.of(message, held) {
            held.push(places.clone().acquire_many_owned(kib(message).max(MIN_KIB)).await?.into());
        }
        Ok(())
    }

    fn of<'a>(&self, message: &Message, held: &'a mut Held) -> Option<(&Arc<Semaphore>, &'a mut Hold)> {
        if message.qos > QoS::AtMostOnce || self.keeps_all {
            Some((&self.kept, &mut held.record))
        } else {
            Some((self.qos0.as_ref()?, &mut held.chain))
        }
    }
}

impl Held {
    /// The chains are done: what the record keeps. A plugin may have made QoS 1 of QoS 0; the places in the lanes then bound
    /// those records, and are how the spool knows their bindings.
    pub fn for_record(self, keeps_something: bool) -> Hold {
        let Self { chain, mut record } = self;
        if keeps_something && !record.iter().any(Place::is_own) {
            record.extend(chain);
        }
        record
    }
}

/// QoS 0 as well.
fn keeps_all(spec: &config::Binding) -> bool {
    spec.to.iter().any(|to| to.qos > Some(QoS::AtMostOnce))
}

fn all() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_KIB as usize))
}

/// Never more than there are: the largest message gets through alone.
fn kib(message: &Message) -> u32 {
    u32::try_from(message.weight() / 1_024 + 1).unwrap_or(u32::MAX).min(MAX_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Binding, FaultPolicy, OnError};
    use crate::topic::TopicName;

    fn places() -> Places {
        let spec = Binding {
            name: "b".into(),
            from: None,
            filters: vec![],
            plugins: vec![],
            tick: None,
            on_error: OnError::Drop,
            faults: FaultPolicy::default(),
            order: Default::default(),
            on_start_failure: Default::default(),
            to: vec![],
        };
        Places::new(&spec, None)
    }

    fn places_of_a_lane() -> Places {
        Places { qos0: Some(all()), ..places() }
    }

    fn message(qos: QoS, bytes: usize) -> Message {
        Message::new(TopicName::parse("t").unwrap(), vec![0; bytes], qos)
    }

    #[test]
    fn qos_0_does_not_wait_behind_records_that_wait_for_the_spool() {
        let (places, mut held) = (places(), Held::default());
        while places.try_take(&message(QoS::AtLeastOnce, 10), &mut held).is_ok() {}
        assert!(places.try_take(&message(QoS::AtMostOnce, 10), &mut held).is_ok());
    }

    #[test]
    fn what_a_plugin_raises_keeps_its_own_places_beside_those_of_its_cause() {
        let (places, mut cause, mut held) = (places_of_a_lane(), Held::default(), Held::default());
        places.try_take(&message(QoS::AtLeastOnce, 10), &mut cause).unwrap();
        places.try_take(&message(QoS::AtMostOnce, 10), &mut held).unwrap();
        held.record.push(Place::Cause(Arc::new(cause.record)));
        assert!(held.for_record(true).iter().any(Place::is_own));
    }

    #[test]
    fn as_many_small_messages_wait_as_a_lane_holds() {
        let (places, mut held) = (places(), Held::default());
        let taken = (0..).take_while(|_| places.try_take(&message(QoS::AtLeastOnce, 10), &mut held).is_ok()).count();
        assert_eq!(taken, LANE_CAPACITY);
    }

    #[test]
    fn large_messages_are_bounded_by_their_size_and_the_largest_gets_through_alone() {
        let (places, mut held) = (places(), Held::default());
        let taken =
            (0..100).take_while(|_| places.try_take(&message(QoS::ExactlyOnce, 1 << 20), &mut held).is_ok()).count();
        assert_eq!(taken, 15);
        drop(held);
        assert!(places.try_take(&message(QoS::ExactlyOnce, 100 << 20), &mut Held::default()).is_ok());
    }
}
