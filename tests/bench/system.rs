//! What is measured: this gateway, a mosquitto that bridges, or a wire.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;

use crate::device::Device;
use crate::tls::{self, Door};
use crate::upstream::Upstream;
use crate::usage::{Activity, Usage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The gateway: JSON filter and conversion in a plugin, `sync = "group"`.
    Tidegate,
    /// The same gateway, and devices with TLS.
    Tls,
    /// The gateway with a binding without plugins: what the plugin costs is the difference.
    Plain,
    /// Another build of the gateway, with the same plugin.
    OtherBuild,
    /// mosquitto as it comes, with a bridge: no processing, no sync, queues without limit so that it loses nothing.
    Mosquitto,
    /// Devices connected to the upstream: what the load generator itself takes.
    Direct,
}

/// It spends no time on telling what it does, and none on a disk. As many messages of a client may be under way as with the gateway.
const QUIET: &str = "persistence false\nmax_queued_messages 0\nmax_inflight_messages 100\nlog_type information\n\
                     connection_messages false\n";

static OTHER_BUILD: OnceLock<PathBuf> = OnceLock::new();

/// A system that runs between its devices and its upstream. Ends when dropped.
pub struct System {
    pub upstream: Upstream,
    devices: SocketAddr,
    /// Where they connect with TLS, when they do.
    door: Option<Door>,
    running: Running,
}

enum Running {
    Tidegate(Gateway),
    /// `None` once it is stopped.
    OtherBuild(Option<Gateway>),
    Mosquitto(Mosquitto),
    Nothing,
}

// === impl System ===

impl System {
    /// Started, and connected to its upstream.
    pub fn start(kind: Kind) -> Self {
        let upstream = Upstream::start();
        let mut door = None;
        let (devices, running) = match kind {
            Kind::Tls => {
                let (gateway, with_tls) = tls::gateway(&config(upstream.address(), true));
                gateway.expect_plugins();
                door = Some(with_tls);
                (gateway.address(), Running::Tidegate(gateway))
            }
            Kind::Tidegate => tidegate(&config(upstream.address(), true)),
            Kind::Plain => tidegate(&config(upstream.address(), false)),
            Kind::OtherBuild => started_other_build(&config(upstream.address(), true)),
            Kind::Mosquitto => mosquitto(upstream.address()),
            Kind::Direct => return Self { devices: upstream.address(), door, upstream, running: Running::Nothing },
        };
        soon("the system is connected to its upstream", || upstream.connections() > 0);
        Self { upstream, devices, door, running }
    }

    /// Where devices connect.
    pub fn devices(&self) -> SocketAddr {
        self.devices
    }

    pub fn connect(&self, publisher: usize, qos: u8) -> Device {
        match &self.door {
            Some(door) => Device::over_tls(door, publisher, qos),
            None => Device::connect(self.devices, publisher, qos),
        }
    }

    pub fn usage(&self) -> Usage {
        self.pid().map(Usage::of).unwrap_or_default()
    }

    pub fn activity(&self) -> Activity {
        self.pid().map(Activity::of).unwrap_or_default()
    }

    fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Tidegate(gateway) | Running::OtherBuild(Some(gateway)) => Some(gateway.pid()),
            Running::Mosquitto(bridge) => bridge.pid(),
            Running::OtherBuild(None) | Running::Nothing => None,
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Running::OtherBuild(gateway) = &mut self.running
            && !std::thread::panicking()
        {
            gateway.take().into_iter().for_each(Gateway::stop_another_version);
        }
    }
}

const PLUGIN: &str = r#"
        [plugins.reading]
        component = "plugins/reading.wasm"
        config = { min = -40.0, max = 85.0 }
        "#;

/// The configuration of the standard table.
pub fn config(upstream: SocketAddr, with_plugin: bool) -> String {
    let (plugin, plugins) = if with_plugin { (PLUGIN, r#"plugins = ["reading"]"#) } else { ("", "") };
    format!(
        r#"
        [upstreams.up]
        url = "mqtt://{upstream}"
        protocol = 4
        {plugin}
        [[bindings]]
        name = "bench"
        topic = "bench/+"
        {plugins}
        to = [{{ upstream = "up", topic = "{{topic}}" }}]
        "#
    )
}

/// Once, before the first [`Kind::OtherBuild`] is started.
pub fn use_other_build(program: PathBuf) {
    OTHER_BUILD.get_or_init(|| program);
}

fn started_other_build(config: &str) -> (SocketAddr, Running) {
    let program = OTHER_BUILD.get().cloned();
    let launch = Launch { program: Some(program.expect("the other build was named")), ..Launch::default() };
    let gateway = Gateway::launch(&Arc::new(Home::new(config)), &launch);
    gateway.expect_plugins();
    (gateway.address(), Running::OtherBuild(Some(gateway)))
}

fn tidegate(config: &str) -> (SocketAddr, Running) {
    let gateway = Gateway::launch(&Arc::new(Home::new(config)), &Launch::default());
    gateway.expect_plugins();
    (gateway.address(), Running::Tidegate(gateway))
}

fn mosquitto(upstream: SocketAddr) -> (SocketAddr, Running) {
    let bridge = Mosquitto::bridge(upstream, QUIET, "topic # out 2\n");
    (bridge.address(), Running::Mosquitto(bridge))
}
