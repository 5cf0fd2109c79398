//! What TLS costs: for a message, for a connection at rest, for a thousand devices that come back at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tidegate_tests::gateway::{Gateway, Home, Launch, address};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::tls::{Authority, Client};

use crate::closed::Closed;
use crate::device::Device;
use crate::figures::{Throughput, median};
use crate::system::Kind;
use crate::usage::Usage;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of one round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    #[arg(long, default_value_t = 1_000)]
    storm: usize,
}

/// Devices of a storm that are in the middle of coming back.
const AT_ONCE: usize = 100;

/// An honest device publishes so often.
const EVERY: Duration = Duration::from_millis(2);

/// Where devices connect, and what they know of it.
pub struct Door {
    pub address: SocketAddr,
    pub client: Arc<ClientConfig>,
}

pub fn run(options: &Options) {
    let rounds: Vec<_> = (0..options.rounds).map(|round| pair(round, options.seconds)).collect();
    let ratio = |part: fn(&Throughput) -> f64| median(rounds.iter().map(|(tls, plain)| part(tls) / part(plain)));
    println!(
        "QoS 1, 20 publishers, TLS against plain: {:.3}x CPU for a message, {:.3}x throughput",
        ratio(|of| of.cpu_per_million),
        ratio(|of| of.rate)
    );
    at_rest(options.connections);
    let storms: Vec<_> =
        (0..options.rounds).map(|_| (storm_here(options.storm), storm_at_mosquitto(options.storm))).collect();
    let ratio = |part: fn(&Storm) -> f64| median(storms.iter().map(|(here, there)| part(here) / part(there)));
    let slower =
        |of: fn(&(Storm, Storm)) -> &Storm| median(storms.iter().map(|pair| of(pair).during / of(pair).before));
    println!(
        "{} devices come back: {:.2}x of the time that mosquitto takes, {:.2}x of its CPU; PUBACK p99 of an honest device meanwhile: {:.1}x of before here, {:.1}x there",
        options.storm,
        ratio(|of| of.took),
        ratio(|of| of.cpu),
        slower(|pair| &pair.0),
        slower(|pair| &pair.1)
    );
}

/// With and without TLS, the first of them by turns.
fn pair(round: usize, seconds: u64) -> (Throughput, Throughput) {
    let closed = Closed { qos: 1, publishers: 20, time: Duration::from_secs(seconds) };
    if round.is_multiple_of(2) {
        let tls = closed.run(Kind::Tls);
        return (tls, closed.run(Kind::Tidegate));
    }
    let plain = closed.run(Kind::Tidegate);
    (closed.run(Kind::Tls), plain)
}

/// A gateway with a listener for TLS beside the plain one.
pub fn gateway(config: &str) -> (Gateway, Door) {
    let ca = Authority::new("bench");
    let home = Home::new(&format!(
        "[broker.listeners.tls]\nbind = \"127.0.0.1:0\"\ntls = {{ cert = \"gw.pem\", key = \"gw.key\" }}\n{config}"
    ));
    ca.server().write(home.path(), "gw");
    let gateway = Gateway::launch(&Arc::new(home), &Launch::default());
    gateway.expect_log(&["listening listener=tls"]);
    let here = |line: &str| if line.contains("listener=tls ") { address(line) } else { None };
    let address = gateway.log().find(here).expect("it listens");
    (gateway, Door { address, client: Client::new(&ca).config() })
}

fn at_rest(count: usize) {
    let (gateway, door) = gateway(&format!("[broker.limits]\nmax_connections = {}\n", count + 10));
    let before = Usage::of(gateway.pid()).resident;
    let mut devices: Vec<_> = (0..count).map(|number| Device::over_tls(&door, number, 1)).collect();
    for device in &mut devices {
        device.queue(1);
        device.flush();
        device.read_acks().expect("an ack");
    }
    let after = Usage::of(gateway.pid()).resident;
    println!("{count} TLS connections, used once: {:.1} KiB each", (after - before) as f64 / count as f64);
}

/// Seconds.
struct Storm {
    took: f64,
    cpu: f64,
    /// PUBACK p99 of an honest device.
    before: f64,
    during: f64,
}

fn storm_here(count: usize) -> Storm {
    let (gateway, door) = gateway("[broker.limits]\nmax_connections = 2000\n");
    storm(&door, gateway.pid(), count)
}

fn storm_at_mosquitto(count: usize) -> Storm {
    let ca = Authority::new("bench");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cert, key) = ca.server().write(folder.path(), "gw");
    let mut mosquitto = Mosquitto::stopped();
    let shown = |path: &Path| path.display().to_string();
    mosquitto.restart_with(&format!(
        "log_type none\nlog_type information\nconnection_messages false\ncertfile {}\nkeyfile {}\n",
        shown(&cert),
        shown(&key)
    ));
    let door = Door { address: mosquitto.address(), client: Client::new(&ca).config() };
    storm(&door, mosquitto.pid().expect("it runs"), count)
}

fn storm(door: &Door, pid: u32, count: usize) -> Storm {
    let mut honest = Device::over_tls(door, count, 1);
    let before = p99(&mut honest, |already| already < 500);
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (cpu, start) = (Usage::of(pid).cpu, Instant::now());
    let (took, during) = thread::scope(|scope| {
        let come_back = || {
            let mut devices = Vec::new();
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= count {
                    return devices;
                }
                devices.push(Device::over_tls(door, number, 1));
            }
        };
        let devices: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(come_back)).collect();
        let honest = scope.spawn(|| p99(&mut honest, |_| !over.load(Relaxed)));
        // All of them stay until the last one is there.
        let devices: Vec<_> = devices.into_iter().map(|thread| thread.join().expect("let in")).collect();
        let took = start.elapsed();
        over.store(true, Relaxed);
        drop(devices);
        (took, honest.join().expect("an ack for each"))
    });
    Storm { took: took.as_secs_f64(), cpu: Usage::of(pid).cpu - cpu, before, during }
}

/// Of the time from a message to its ack, in seconds.
fn p99(device: &mut Device, goes_on: impl Fn(usize) -> bool) -> f64 {
    let mut delays = Vec::new();
    while goes_on(delays.len()) {
        let sent = Instant::now();
        device.queue(1);
        device.flush();
        device.read_acks().expect("an ack");
        delays.push(sent.elapsed());
        thread::sleep(EVERY);
    }
    delays.sort();
    delays.get(delays.len() * 99 / 100).map_or(0.0, Duration::as_secs_f64)
}
