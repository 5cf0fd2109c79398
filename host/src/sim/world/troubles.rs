//! What goes wrong, when its time has come.

use std::sync::atomic::Ordering;

use super::World;
use crate::base::clock;
use crate::sim::broker::{Mood, Terms};
use crate::sim::coverage::happened;
use crate::sim::plan::{Change, What};
use crate::sim::story::tell;
use crate::spool::log::sim::Fault;

impl World<'_> {
    pub(super) async fn begin(&mut self, index: usize) {
        let what = self.plan.troubles[index].what.clone();
        tell!("trouble", "{what:?}");
        let disk = self.around.disk.clone();
        match what {
            What::Kill => self.kill(false).await,
            What::PowerCut => self.kill(true).await,
            What::Stop => self.stop().await,
            What::Settings(change) => self.change(change, true).await,
            What::DiskFull => disk.fill(),
            What::DiskSlow(ms) => self.around.disk_latency_ms.store(ms, Ordering::Relaxed),
            What::DiskFails(calls) => disk.fail_at(calls, Fault::Eio),
            What::DiskCrash(calls) => disk.fail_at(calls, Fault::Crash),
            What::Cut(upstream) => self.around.brokers[upstream].cut(),
            What::Vanish(upstream) => self.around.brokers[upstream].vanish(),
            What::Forgets(upstream) => self.around.brokers[upstream].forget(),
            What::CutDevice(device) => self.handles[device].cut.notify_waiters(),
            What::ClockJump(ms) => clock::simulated::set(Some(clock::unix_ms().saturating_add_signed(ms))),
            ref what => {
                self.mood(what, true);
                self.terms(what);
            }
        }
        happened(what.name());
    }

    pub(super) async fn end(&mut self, index: usize) {
        let what = &self.plan.troubles[index].what;
        tell!("trouble", "{what:?} is over");
        match what {
            What::DiskFull => self.around.disk.set_capacity(None),
            What::DiskSlow(_) => self.around.disk_latency_ms.store(0, Ordering::Relaxed),
            What::DiskFails(_) | What::DiskCrash(_) => self.around.disk.no_fault(),
            What::Settings(change) => self.change(*change, false).await,
            what => self.mood(what, false),
        }
    }

    /// What a broker does wrong from now on, or no more.
    fn mood(&self, what: &What, on: bool) {
        if let What::WrongAcks(upstream) = *what {
            self.lowered(upstream);
        }
        let set = |upstream: usize, change: &dyn Fn(&mut Mood)| self.around.brokers[upstream].mood(|mood| change(mood));
        match *what {
            What::Away(upstream) => set(upstream, &|mood| mood.away = on),
            What::Deaf(upstream) => set(upstream, &|mood| mood.deaf = on),
            What::Slow(upstream, ms) => set(upstream, &|mood| mood.slow_ms = if on { ms } else { 0 }),
            What::LosesAcks(upstream, chance) => set(upstream, &|mood| mood.loses_acks = if on { chance } else { 0 }),
            What::Refuses(upstream, chance) => set(upstream, &|mood| mood.refuses = if on { chance } else { 0 }),
            What::WrongAcks(upstream) => {
                let always = self.plan.upstreams[upstream].acks_wrong;
                set(upstream, &|mood| mood.wrong_acks = on || always);
            }
            _ => {}
        }
    }

    /// Terms that have fallen stay where they are.
    fn terms(&self, what: &What) {
        let set =
            |upstream: usize, change: &dyn Fn(&mut Terms)| self.around.brokers[upstream].terms(|terms| change(terms));
        match *what {
            What::MaxQos(upstream, qos) => {
                self.lowered(upstream);
                set(upstream, &|terms| terms.max_qos = qos);
            }
            What::NoRetain(upstream) => set(upstream, &|terms| terms.retain = false),
            What::Window(upstream, most) => set(upstream, &|terms| terms.receive_maximum = most),
            What::PacketSize(upstream, bytes) => set(upstream, &|terms| terms.packet_size = Some(bytes)),
            _ => {}
        }
    }

    /// Where QoS 2 is not to be had, a message goes at less, and less is what is promised.
    fn lowered(&self, upstream: usize) {
        let name = self.around.brokers[upstream].plan.name.clone();
        self.around.oracle.book().forgetful.insert(name);
    }

    /// Another configuration needs another process.
    pub(super) async fn change(&mut self, change: Change, on: bool) {
        match change {
            // It stays.
            Change::MaxBytes(_) | Change::DropQos0First if !on => return,
            Change::MaxBytes(bytes) => self.settings.spool_bytes = bytes,
            Change::DropQos0First => self.settings.drops_qos0_first = true,
            Change::WithoutLast => {
                self.settings.without_last = on;
                let last = self.plan.upstreams.last().map(|last| last.name.as_str());
                self.around.oracle.absent(last.filter(|_| on));
            }
        }
        self.stop().await;
    }
}

// === impl What ===

impl What {
    /// Without what it is about.
    fn name(&self) -> &'static str {
        match self {
            Self::Kill => "the process is killed",
            Self::PowerCut => "the power is cut",
            Self::Stop => "the process is stopped",
            Self::DiskFull => "the disk is full",
            Self::DiskSlow(_) => "the disk is slow",
            Self::DiskFails(_) => "the disk is about to fail",
            Self::DiskCrash(_) => "the machine is about to go off",
            Self::Away(_) => "an upstream goes",
            Self::Slow(..) => "an upstream is slow",
            Self::Cut(_) => "an upstream cuts connections",
            Self::Deaf(_) => "an upstream is about not to read",
            Self::Vanish(_) => "an upstream is about to vanish",
            Self::Forgets(_) => "an upstream forgets its sessions",
            Self::LosesAcks(..) => "an upstream is about to lose acks",
            Self::Refuses(..) => "an upstream is about to refuse",
            Self::WrongAcks(_) => "an upstream is about to give wrong acks",
            Self::MaxQos(..) => "Maximum QoS falls",
            Self::NoRetain(_) => "retain is not available any more",
            Self::Window(..) => "Receive Maximum falls",
            Self::PacketSize(..) => "Maximum Packet Size falls",
            Self::CutDevice(_) => "a device is about to lose its connection",
            Self::ClockJump(_) => "the wall clock jumps",
            Self::Settings(Change::MaxBytes(_)) => "the spool is made smaller",
            Self::Settings(Change::WithoutLast) => "an upstream is not configured for a while",
            Self::Settings(Change::DropQos0First) => "`when_full` and `qos0` change",
        }
    }
}
