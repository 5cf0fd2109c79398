//! Everything that the device side writes down goes through here, in one order.
//!
//! A record may carry pending deliveries. They get their numbers here, and they are released into their mailboxes when the record is
//! safe. Numbering and committing are one step under one lock: the order of numbers is the order in the log and the order in
//! the mailbox, before a restart and after it.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Bus, PendingDelivery};
use crate::base::clock;
use crate::config::UpstreamId;
use crate::spool::{Change, InFlight, Place, Receipt, Record, Spool};

pub struct Journal {
    spool: Spool,
    bus: Arc<Bus>,
    order: Mutex<()>,
    in_flight: Arc<InFlight>,
    #[cfg(test)]
    written: Mutex<Written>,
    /// The disk stands still: what is committed waits.
    #[cfg(test)]
    stalled: Mutex<Option<Vec<Record>>>,
}

/// What a restart would find, and the records that made it.
#[cfg(test)]
#[derive(Default)]
struct Written {
    state: std::collections::BTreeMap<crate::spool::Key, crate::spool::Value>,
    records: Vec<Vec<Change>>,
}

// === impl Journal ===

impl Journal {
    pub fn new(spool: Spool, bus: Arc<Bus>) -> Self {
        Self {
            spool,
            bus,
            order: Mutex::default(),
            in_flight: Arc::default(),
            #[cfg(test)]
            written: Mutex::default(),
            #[cfg(test)]
            stalled: Mutex::default(),
        }
    }

    pub(super) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The line of dead letters, when the spool has one.
    pub fn dead_letters(&self) -> Option<UpstreamId> {
        self.spool.dead_letters()
    }

    /// Bytes of the largest record.
    pub fn max_record(&self) -> usize {
        self.spool.max_record()
    }

    /// Whether a record goes into a segment, with so many bytes more.
    pub fn fits_beside(&self, record: &Record, more: usize) -> bool {
        self.spool.fits_beside(record, more)
    }

    /// Nothing of this record is kept, and whoever waits for it is told.
    pub fn refuse(&self, record: Record) {
        self.spool.refuse(record);
    }

    /// Never blocks: it holds its lock for the time of numbering, and the spool takes a record at once.
    pub fn commit(&self, mut record: Record, pending_deliveries: Vec<PendingDelivery>) {
        if pending_deliveries.is_empty() {
            return self.to_spool(record);
        }
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(numbered) = self.number(&mut record, pending_deliveries) {
            record.receipt = record.receipt.after(move || numbered.into_iter().for_each(PendingDelivery::release));
        }
        self.to_spool(record);
    }

    /// Numbers deliveries, and writes them into the record. `None` when the record would be larger than a segment.
    fn number(
        &self,
        record: &mut Record,
        mut pending_deliveries: Vec<PendingDelivery>,
    ) -> Option<Vec<PendingDelivery>> {
        let own = record.changes.len();
        record.changes.extend(pending_deliveries.iter_mut().filter_map(|pending_delivery| self.seal(pending_delivery)));
        if self.spool.fits(record) {
            return Some(pending_deliveries);
        }
        record.changes.truncate(own);
        self.drop_for_subscribers(pending_deliveries);
        None
    }

    fn to_spool(&self, record: Record) {
        #[cfg(test)]
        self.remember(&record.changes);
        #[cfg(test)]
        if let Some(waiting) = &mut *self.stalled.lock().unwrap() {
            return waiting.push(record);
        }
        self.spool.commit(record);
    }

    /// So many subscribers, or with such names, that the record would be larger than a segment: as with a mailbox that is full.
    fn drop_for_subscribers(&self, pending_deliveries: Vec<PendingDelivery>) {
        let subscribers = pending_deliveries.len();
        self.bus.counters().subscriber_dropped.add(subscribers as u64);
        let detail = "what waits for all of them does not fit into one record of the spool";
        tracing::error!(subscribers, "dropped for them: {detail}");
    }

    /// Its number and what is to be written; of another member of its group, when the session of this one has ended.
    fn seal(&self, pending_delivery: &mut PendingDelivery) -> Option<Change> {
        loop {
            if let Some(change) = pending_delivery.seal() {
                return Some(change);
            }
            *pending_delivery = self.bus.pass_on(&pending_delivery.orphan()?, clock::now())?;
        }
    }

    /// Small state alone. No changes are safe at once, without a record.
    pub fn change(&self, changes: Vec<Change>, receipt: Receipt) {
        if changes.is_empty() {
            return receipt.nothing_to_keep();
        }
        self.commit(Record::changes(changes, receipt), Vec::new());
    }

    /// The same of a session that begins, leaves or ends, counted for its client.
    pub fn change_session(&self, client: &Arc<str>, changes: Vec<Change>, receipt: Receipt) {
        if changes.is_empty() {
            return receipt.nothing_to_keep();
        }
        let part = self.in_flight.add(client, &changes);
        let hold = [Place::InFlight(Box::new(part))].into_iter().collect();
        self.commit(Record { hold, ..Record::changes(changes, receipt) }, Vec::new());
    }

    /// What waits of such changes.
    pub fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Each by itself: a frame has a largest size, and all retained messages together may exceed it. `progress` with the last one: written
    /// before, it would tell a restart that all of them are there.
    pub fn deliver(&self, pending_deliveries: Vec<PendingDelivery>, mut progress: Option<Change>) {
        let last = pending_deliveries.len().saturating_sub(1);
        for (index, pending_delivery) in pending_deliveries.into_iter().enumerate() {
            let changes = if index == last { progress.take().into_iter().collect() } else { Vec::new() };
            self.commit(Record { changes, ..Record::default() }, vec![pending_delivery]);
        }
        self.change(progress.into_iter().collect(), Receipt::none());
    }
}

#[cfg(test)]
impl Journal {
    /// From now on nothing becomes safe.
    pub fn stall(&self) {
        *self.stalled.lock().unwrap() = Some(Vec::new());
    }

    /// While this lives, whoever writes waits, in the midst of what it does.
    pub fn hold(&self) -> std::sync::MutexGuard<'_, impl Sized> {
        self.written.lock().unwrap()
    }

    fn remember(&self, changes: &[Change]) {
        let mut written = self.written.lock().unwrap();
        written.records.push(changes.to_vec());
        for change in changes {
            match &change.value {
                Some(value) => written.state.insert(change.key.clone(), value.clone()),
                None => written.state.remove(&change.key),
            };
        }
    }

    /// What has been written and not deleted, as a spool gives it back.
    pub fn state(&self) -> Vec<(crate::spool::Key, crate::spool::Value)> {
        self.written.lock().unwrap().state.clone().into_iter().collect()
    }

    pub fn records(&self) -> usize {
        self.written.lock().unwrap().records.len()
    }

    pub fn record(&self, index: usize) -> Vec<Change> {
        self.written.lock().unwrap().records[index].clone()
    }
}
