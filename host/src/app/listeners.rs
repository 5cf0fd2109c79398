//! The listeners that run, and how a reload makes others of them.
//!
//! - One that is as before gets a new door all the same, because the limits of its connections may be others: for who comes from then on.
//! - One that takes an address over from another has the socket of that: nobody finds the port closed in between.
//! - What can fail, [`Listeners::prepare`] does; [`Listeners::apply`] cannot.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::identities;
use super::tasks::Tasks;
use crate::access::Access;
use crate::auth::Passwords;
use crate::base::clock;
use crate::base::current::Current;
use crate::base::rate_limit::RateLimit;
use crate::base::watched_files;
use crate::bindings::Dispatcher;
use crate::bus::Bus;
use crate::config::{self, BrokerLimits, ListenerChange};
use crate::ingress::Shutdown;
use crate::ingress::addresses::Addresses;
use crate::ingress::connection::{Context, Drains};
use crate::ingress::door::Door;
use crate::ingress::listener::{Doorway, Listener};
use crate::ingress::registry::Registry;
use crate::ingress::tls::Acceptor;
use crate::metrics::Counters;

pub struct Listeners {
    /// In the order of the configuration.
    running: Vec<Running>,
    common: Common,
}

/// What all connections share, whatever listener they came through.
pub struct Common {
    pub access: Arc<Access>,
    pub passwords: Option<Arc<Passwords>>,
    pub limits: BrokerLimits,
    pub bus: Arc<Bus>,
    pub dispatcher: Arc<Dispatcher>,
    pub registry: Arc<Registry>,
    pub counters: Arc<Counters>,
    pub parked_bytes: Arc<AtomicUsize>,
    pub drains: Arc<Drains>,
    pub complaints: Arc<RateLimit>,
    pub addresses: Arc<Addresses>,
    pub places: Arc<Semaphore>,
}

struct Running {
    spec: config::Listener,
    /// Its task has it: the port is free when that has ended.
    socket: Weak<TcpListener>,
    address: SocketAddr,
    tls: Option<Arc<Acceptor>>,
    doorway: Doorway,
    /// Of its connections.
    shutdown: Shutdown,
    /// Of the listener itself.
    stop: CancellationToken,
    /// Of those who look at its TLS files.
    watch: CancellationToken,
}

/// A place where somebody listens, for who prepares a reload.
#[derive(Clone)]
pub struct Open {
    spec: config::Listener,
    socket: Weak<TcpListener>,
}

/// A listener as it is going to be.
pub enum Prepared {
    /// Where it is.
    Kept(config::Listener, Option<Box<Acceptor>>),
    New(Listener),
}

// === impl Listeners ===

impl Listeners {
    pub fn start(listeners: Vec<Listener>, common: Common, tasks: &mut Tasks) -> Self {
        let mut all = Self { running: Vec::new(), common };
        for listener in listeners {
            let running = all.begin(listener, tasks);
            all.running.push(running);
        }
        all
    }

    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.running.iter().map(|one| (one.spec.name.clone(), one.address)).collect()
    }

    /// Of listeners that have TLS.
    pub fn tls(&self) -> Vec<Arc<Acceptor>> {
        self.running.iter().filter_map(|one| one.tls.clone()).collect()
    }

    pub fn common(&self) -> &Common {
        &self.common
    }

    pub fn open(&self) -> Vec<Open> {
        self.running.iter().map(|one| Open { spec: one.spec.clone(), socket: one.socket.clone() }).collect()
    }

    /// What these are going to be. `tls` has one for each of them, in their order.
    pub async fn prepare(
        specs: &[config::Listener],
        tls: Vec<Option<Acceptor>>,
        open: &[Open],
    ) -> anyhow::Result<Vec<Prepared>> {
        let mut prepared = Vec::new();
        for (spec, tls) in specs.iter().zip(tls) {
            let stays = open.iter().any(|one| one.spec.name == spec.name && one.spec.bind == spec.bind);
            if stays {
                prepared.push(Prepared::Kept(spec.clone(), tls.map(Box::new)));
                continue;
            }
            let tls = tls.map(Arc::new);
            let place = open.iter().find(|one| one.leaves_its_place_to(spec, specs));
            let listener = match place.and_then(|one| one.socket.upgrade()) {
                Some(socket) => Listener::at(socket, spec, tls)?,
                None => Listener::bind(spec, tls).await?,
            };
            prepared.push(Prepared::New(listener));
        }
        Ok(prepared)
    }

    /// `limits` and `passwords` are for who connects from now on.
    pub fn apply(
        &mut self,
        prepared: Vec<Prepared>,
        limits: BrokerLimits,
        passwords: Option<Arc<Passwords>>,
        tasks: &mut Tasks,
    ) {
        self.common.addresses.set_limits(&limits, clock::now());
        (self.common.limits, self.common.passwords) = (limits, passwords);
        let mut before = std::mem::take(&mut self.running);
        for one in prepared {
            let running = match one {
                Prepared::New(listener) => Some(self.begin(listener, tasks)),
                Prepared::Kept(spec, tls) => {
                    let found = before.iter().position(|one| one.spec.name == spec.name);
                    found.map(|place| self.go_on(before.remove(place), spec, tls, tasks))
                }
            };
            self.running.extend(running);
        }
        before.into_iter().for_each(Running::end);
    }

    fn begin(&self, listener: Listener, tasks: &mut Tasks) -> Running {
        let (spec, address, socket) = (listener.spec().clone(), listener.address(), Arc::downgrade(listener.socket()));
        Listener::tell_doubts(&spec, address);
        let (tls, shutdown) = (listener.tls().cloned(), Shutdown::below(tasks.stop_token()));
        let (stop, watch) = (tasks.token(), tasks.token());
        let doorway = Arc::new(Current::new(self.door(&spec, tls.clone(), shutdown.clone())));
        watch_tls(tls.as_ref(), &watch, tasks);
        let run = listener.run(doorway.clone(), self.common.places.clone(), stop.clone());
        tasks.spawn(format!("listener `{}`", spec.name), &stop, run);
        Running { spec, socket, address, tls, doorway, shutdown, stop, watch }
    }

    /// The same socket, for connections of another kind.
    fn go_on(
        &self,
        mut one: Running,
        spec: config::Listener,
        tls: Option<Box<Acceptor>>,
        tasks: &mut Tasks,
    ) -> Running {
        let change = config::change_of(&one.spec, &spec);
        // They have been read for this: files that have changed in the last two seconds are in use from now on, too.
        match (&one.tls, tls) {
            (Some(running), Some(new)) if change == ListenerChange::Unchanged => running.take_over(*new),
            (_, new) => {
                one.watch.cancel();
                (one.tls, one.watch) = (new.map(Arc::from), tasks.token());
                watch_tls(one.tls.as_ref(), &one.watch, tasks);
            }
        }
        if change == ListenerChange::AllConnections {
            one.shutdown.withdraw();
            one.shutdown = Shutdown::below(tasks.stop_token());
        }
        if change != ListenerChange::Unchanged {
            Listener::tell_doubts(&spec, one.address);
        }
        one.doorway.set(self.door(&spec, one.tls.clone(), one.shutdown.clone()));
        Running { spec, ..one }
    }

    fn door(&self, spec: &config::Listener, tls: Option<Arc<Acceptor>>, shutdown: Shutdown) -> Door {
        let common = &self.common;
        let context = Context {
            access: common.access.clone(),
            limits: common.limits.clone(),
            mqtt_3_1: spec.mqtt_3_1,
            identities: identities::of(spec, common.passwords.as_ref()),
            bus: common.bus.clone(),
            dispatcher: common.dispatcher.clone(),
            registry: common.registry.clone(),
            metrics: common.counters.listeners.of(&spec.name),
            parked_bytes: common.parked_bytes.clone(),
            drains: common.drains.clone(),
            complaints: common.complaints.clone(),
            addresses: common.addresses.clone(),
        };
        Door::new(spec, tls, Arc::new(context), shutdown)
    }
}

// === impl Running ===

impl Running {
    fn end(self) {
        tracing::info!(listener = %self.spec.name, address = %self.address, "listens no more");
        self.stop.cancel();
        self.watch.cancel();
        self.shutdown.withdraw();
    }
}

// === impl Open ===

impl Open {
    /// Whether this address is the one that `spec` wants, and its listener does not stay there. Port 0 is another port each time.
    fn leaves_its_place_to(&self, spec: &config::Listener, all: &[config::Listener]) -> bool {
        let stays = || all.iter().any(|one| one.name == self.spec.name && one.bind == self.spec.bind);
        self.spec.bind == spec.bind && spec.bind.port() != 0 && !stays()
    }
}

/// Its files, and its calendar.
fn watch_tls(acceptor: Option<&Arc<Acceptor>>, stop: &CancellationToken, tasks: &mut Tasks) {
    let Some(acceptor) = acceptor else { return };
    let reloading = acceptor.clone();
    let watching = watched_files::watch(acceptor.files(), stop.clone(), move || reloading.reload());
    tasks.spawn("watch of TLS files", stop, watching);
    tasks.spawn("calendar of certificates", stop, acceptor.clone().watch_ends(stop.clone()));
}
