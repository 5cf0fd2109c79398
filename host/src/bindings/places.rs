//! What bounds the inputs of a binding, and what an input holds meanwhile.
//!
//! An input takes a place in the lane, and one for each KiB of it, until its chain is done. One that has to be kept takes the
//! same among the records until the spool has admitted what became of it. QoS 0 takes none of those: it never waits for the
//! spool, so that it must not wait behind those who do.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::chain::{LANE_CAPACITY, Lane};
use crate::control::config;
use crate::message::{Message, QoS};

/// Inputs of one binding whose records are not admitted: as many as a lane holds.
const MAX_RECORDS: usize = LANE_CAPACITY;

/// The memory of the inputs in a lane, and that of the records that wait, each in KiB. The counts alone would let a thousand
/// of the largest messages wait.
const MAX_KIB: u32 = 16 * 1_024;

#[derive(Debug)]
pub struct Places {
    lane: Option<Arc<Semaphore>>,
    lane_kib: Arc<Semaphore>,
    records: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    /// QoS 0 as well, because a destination raises it.
    keeps_all: bool,
}

/// The places of one input, in all its bindings.
#[derive(Debug, Default)]
pub struct Held {
    /// Until its chains are done.
    pub chain: Vec<OwnedSemaphorePermit>,
    /// Until its record is admitted.
    pub record: Vec<OwnedSemaphorePermit>,
}

impl Places {
    pub fn new(spec: &config::Binding, lane: Option<&Lane>) -> Self {
        Self {
            lane: lane.map(|lane| lane.capacity().clone()),
            lane_kib: Arc::new(Semaphore::new(MAX_KIB as usize)),
            records: Arc::new(Semaphore::new(MAX_RECORDS)),
            kib: Arc::new(Semaphore::new(MAX_KIB as usize)),
            keeps_all: spec.to.iter().any(|to| to.qos > Some(QoS::AtMostOnce)),
        }
    }

    /// For what is kept for local subscribers alone: retained messages, deliveries to sessions that survive a restart.
    pub fn local() -> Self {
        Self {
            lane: None,
            lane_kib: Arc::new(Semaphore::new(MAX_KIB as usize)),
            records: Arc::new(Semaphore::new(MAX_RECORDS)),
            kib: Arc::new(Semaphore::new(MAX_KIB as usize)),
            keeps_all: true,
        }
    }

    pub fn try_take(&self, message: &Message, held: &mut Held) -> Result<(), TryAcquireError> {
        if self.is_kept(message) {
            held.record.push(self.records.clone().try_acquire_owned()?);
            held.record.push(self.kib.clone().try_acquire_many_owned(kib(message))?);
        }
        if let Some(lane) = &self.lane {
            held.chain.push(lane.clone().try_acquire_owned()?);
            held.chain.push(self.lane_kib.clone().try_acquire_many_owned(kib(message))?);
        }
        Ok(())
    }

    /// The same in the same order, with patience.
    pub async fn take(&self, message: &Message, held: &mut Held) -> Result<(), AcquireError> {
        if self.is_kept(message) {
            held.record.push(self.records.clone().acquire_owned().await?);
            held.record.push(self.kib.clone().acquire_many_owned(kib(message)).await?);
        }
        if let Some(lane) = &self.lane {
            held.chain.push(lane.clone().acquire_owned().await?);
            held.chain.push(self.lane_kib.clone().acquire_many_owned(kib(message)).await?);
        }
        Ok(())
    }

    fn is_kept(&self, message: &Message) -> bool {
        message.qos > QoS::AtMostOnce || self.keeps_all
    }
}

impl Held {
    /// The chains are done: what the record keeps. A plugin may have made QoS 1 of QoS 0; the places in the lanes then bound
    /// those records.
    pub fn for_record(self, keeps_something: bool) -> Vec<OwnedSemaphorePermit> {
        if self.record.is_empty() && keeps_something { self.chain } else { self.record }
    }
}

/// Never more than there are: the largest message gets through alone.
pub(super) fn kib(message: &Message) -> u32 {
    u32::try_from(message.weight() / 1_024 + 1).unwrap_or(u32::MAX).min(MAX_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::{Binding, FaultPolicy, OnError};
    use crate::topic::TopicName;

    fn places() -> Places {
        let spec = Binding {
            name: "b".into(),
            filters: vec![],
            plugins: vec![],
            tick: None,
            on_error: OnError::Drop,
            faults: FaultPolicy::default(),
            to: vec![],
        };
        Places::new(&spec, None)
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
    fn large_messages_are_bounded_by_their_size_and_the_largest_gets_through_alone() {
        let (places, mut held) = (places(), Held::default());
        let taken =
            (0..100).take_while(|_| places.try_take(&message(QoS::ExactlyOnce, 1 << 20), &mut held).is_ok()).count();
        assert_eq!(taken, 15);
        drop(held);
        assert!(places.try_take(&message(QoS::ExactlyOnce, 100 << 20), &mut Held::default()).is_ok());
    }
}
