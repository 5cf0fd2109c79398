//! Everybody who connects, each a task.

use tokio::task::JoinSet;

use super::World;
use crate::sim::device::{Device, Handle};
use crate::sim::keeper::Keeper;
use crate::sim::mortal::Mortal;
use crate::sim::rude::Rude;
use crate::sim::subscriber::Subscriber;
use crate::sim::watcher::Watcher;

impl World<'_> {
    /// In the order in which troubles count them: devices, then subscribers.
    pub(super) fn people(&mut self) -> JoinSet<()> {
        let (mut tasks, plan) = (JoinSet::new(), self.plan);
        let names: Vec<String> = plan.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        let (gate, oracle) = (self.around.gate.clone(), self.around.oracle.clone());
        for plan in &plan.devices {
            let device = Device::new(plan, names.clone(), gate.clone(), oracle.clone());
            self.come(&mut tasks, device.handle(), device.run());
        }
        for plan in &plan.subscribers {
            let subscriber = Subscriber::new(plan, gate.clone(), oracle.clone());
            self.come(&mut tasks, subscriber.handle(), subscriber.run());
        }
        self.keepers(&mut tasks);
        self.mortals(&mut tasks);
        if plan.has_rude_device {
            tasks.spawn(Rude { gate, oracle, receive_maximum: plan.receive_maximum }.run());
        }
        tasks
    }

    fn keepers(&mut self, tasks: &mut JoinSet<()>) {
        let (plan, gate, shelf) = (self.plan, self.around.gate.clone(), self.shelf.clone());
        for plan in &plan.keepers {
            let keeper = Keeper::new(plan, gate.clone(), shelf.clone());
            self.come(tasks, keeper.handle(), keeper.run());
        }
        for plan in &plan.watchers {
            let watcher = Watcher::new(plan, gate.clone(), self.around.oracle.clone(), shelf.clone());
            self.come(tasks, watcher.handle(), watcher.run());
        }
    }

    fn mortals(&mut self, tasks: &mut JoinSet<()>) {
        let (plan, gate, fates) = (self.plan, self.around.gate.clone(), self.fates.clone());
        if plan.mortals.is_empty() {
            return;
        }
        let widow = Subscriber::of_wills(gate.clone(), self.around.oracle.clone(), fates.clone());
        self.come(tasks, widow.handle(), widow.run());
        for plan in &plan.mortals {
            let mortal = Mortal::new(plan, gate.clone(), fates.clone());
            self.come(tasks, mortal.handle(), mortal.run());
        }
    }

    fn come(&mut self, tasks: &mut JoinSet<()>, handle: Handle, run: impl Future<Output = ()> + Send + 'static) {
        self.handles.push(handle);
        tasks.spawn(run);
    }
}
