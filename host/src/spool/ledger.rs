//! The books: which record is admitted, which waits, and in what order. Plain data behind the spool's mutex.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::line::{Line, Need};
use super::{Entry, Fate, Output, Position, Receipt, Record};
use crate::control::config;
use crate::control::counters::Counters;

pub(super) struct Ledger {
    lines: Vec<Line>,
    arrivals: Vec<Arc<Notify>>,
    /// Records without room, in commit order.
    waiting: VecDeque<Waiting>,
    last: Position,
    limits: config::Spool,
    counters: Arc<Counters>,
}

struct Waiting {
    record: Record,
    needs: Vec<Need>,
}

/// A record that has been admitted: what is left to do once the mutex is free.
pub(super) struct Settled {
    receipt: Receipt,
    hold: Vec<OwnedSemaphorePermit>,
}

// === impl Settled ===

impl Settled {
    pub fn settle(self) {
        self.receipt.resolve();
        drop(self.hold);
    }
}

// === impl Ledger ===

impl Ledger {
    pub fn new(arrivals: Vec<Arc<Notify>>, limits: config::Spool, counters: Arc<Counters>) -> Self {
        let lines = arrivals.iter().map(|_| Line::default()).collect();
        Self { lines, arrivals, waiting: VecDeque::new(), last: Position::START, limits, counters }
    }

    pub fn commit(&mut self, record: Record) -> Option<Settled> {
        if record.outputs.iter().any(|output| output.upstream >= self.lines.len()) {
            tracing::error!("an output names an upstream that does not exist; its message is not acknowledged");
            return None;
        }
        self.counters.committed.add(record.outputs.len() as u64);
        let needs = needs(&record.outputs);
        let free =
            needs.iter().all(|need| self.line(need).is_some_and(|line| line.waiters == 0) && self.has_room(need));
        if free {
            return Some(self.admit(record));
        }
        self.count_waiters(&needs, |waiters| waiters + 1);
        self.waiting.push_back(Waiting { record, needs });
        None
    }

    /// Takes an entry out under its fate, and admits what now has room.
    pub fn complete(&mut self, upstream: usize, position: Position, fate: Fate) -> Vec<Settled> {
        let Some(line) = self.lines.get_mut(upstream) else { return Vec::new() };
        if !line.complete(position) {
            return Vec::new();
        }
        fate.counter(&self.counters).increment();
        if line.waiters == 0 {
            return Vec::new();
        }
        self.admit_waiting()
    }

    pub fn read(&self, upstream: usize, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        self.lines.get(upstream).map_or_else(Vec::new, |line| line.read(after, max, max_bytes))
    }

    pub fn has_after(&self, upstream: usize, after: Position) -> bool {
        self.lines.get(upstream).is_some_and(|line| line.has_after(after))
    }

    pub fn len(&self, upstream: usize) -> usize {
        self.lines.get(upstream).map_or(0, Line::len)
    }

    pub fn waiting(&self) -> usize {
        let admitted: usize = self.lines.iter().map(Line::len).sum();
        let waiting: usize = self.waiting.iter().map(|waiting| waiting.record.outputs.len()).sum();
        admitted + waiting
    }

    /// From the oldest on. A record that still has no room closes all of its upstreams to those behind it.
    fn admit_waiting(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        let mut closed = vec![false; self.lines.len()];
        let mut index = 0;
        while let Some(Waiting { needs, .. }) = self.waiting.get(index)
            && closed.contains(&false)
        {
            let open = |need: &Need| closed.get(need.upstream) == Some(&false) && self.has_room(need);
            if !needs.iter().all(open) {
                needs.iter().for_each(|need| close(&mut closed, need));
                index += 1;
                continue;
            }
            let Some(Waiting { record, needs }) = self.waiting.remove(index) else { break };
            self.count_waiters(&needs, |waiters| waiters - 1);
            settled.push(self.admit(record));
        }
        settled
    }

    fn admit(&mut self, record: Record) -> Settled {
        for output in record.outputs {
            let upstream = output.upstream;
            self.place(output);
            if let Some(arrivals) = self.arrivals.get(upstream) {
                arrivals.notify_one();
            }
        }
        Settled { receipt: record.receipt, hold: record.hold }
    }

    fn place(&mut self, output: Output) {
        self.last.0 += 1;
        let kept = output.is_kept();
        let Some(line) = self.lines.get_mut(output.upstream) else { return };
        let entry = Entry { position: self.last, message: output.message, arrived: output.arrived };
        if kept {
            return line.keep(entry);
        }
        let dropped = line.ring(entry, self.limits.max_qos0_messages, self.limits.max_bytes);
        self.counters.dropped_full.add(dropped as u64);
    }

    fn line(&self, need: &Need) -> Option<&Line> {
        self.lines.get(need.upstream)
    }

    fn has_room(&self, need: &Need) -> bool {
        let (messages, bytes) = (self.limits.max_messages, self.limits.max_bytes);
        self.line(need).is_some_and(|line| line.has_room(need, messages, bytes))
    }

    fn count_waiters(&mut self, needs: &[Need], count: impl Fn(usize) -> usize) {
        for need in needs {
            if let Some(line) = self.lines.get_mut(need.upstream) {
                line.waiters = count(line.waiters);
            }
        }
    }
}

fn close(closed: &mut [bool], need: &Need) {
    if let Some(closed) = closed.get_mut(need.upstream) {
        *closed = true;
    }
}

/// What the QoS 1 and 2 outputs of a record need, one sum for each upstream.
fn needs(outputs: &[Output]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for output in outputs.iter().filter(|output| output.is_kept()) {
        let index = needs.iter().position(|need| need.upstream == output.upstream).unwrap_or_else(|| {
            needs.push(Need { upstream: output.upstream, ..Need::default() });
            needs.len() - 1
        });
        if let Some(need) = needs.get_mut(index) {
            need.messages += 1;
            need.bytes += output.message.weight();
        }
    }
    needs
}
