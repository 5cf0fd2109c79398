//! After an outage: how fast a backlog goes upstream, and what a device notices of it.

use std::time::{Duration, Instant};

use crate::closed::Closed;
use crate::device::Device;
use crate::figures::Latency;
use crate::system::{Kind, System};

#[derive(clap::Args)]
pub struct Options {
    /// How long twenty devices fill the spool.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Acks that are timed before the outage ends, for comparison.
const QUIET_ACKS: usize = 2000;

/// Beside the publishers of the backlog.
const LIVE: usize = 90;

pub fn run(options: &Options) {
    let system = System::start(Kind::Tidegate);
    system.upstream.leave();
    let backlog = Closed { qos: 1, publishers: 20, time: Duration::from_secs(options.seconds) };
    let waiting = backlog.drive(&system, Instant::now()).iter().sum::<u64>() - system.upstream.total();
    let mut live = Device::connect(system.devices(), LIVE, 1);
    let quiet = acks(&mut live, |count| count < QUIET_ACKS);
    system.upstream.take_arrivals();
    system.upstream.come_back();
    tidegate_tests::eventually::soon("the gateway is connected again", || system.upstream.connections() > 1);

    let (start, before, cpu) = (Instant::now(), system.upstream.total(), system.usage().cpu);
    let busy = acks(&mut live, |_| system.upstream.total() - before < waiting);
    let (took, cpu) = (start.elapsed(), system.usage().cpu - cpu);
    println!(
        "backlog: {waiting} messages of 256 B at QoS 1, in {took:.2?}: {:.0} msg/s",
        waiting as f64 / took.as_secs_f64()
    );
    println!("CPU: {:.1} s for a million", cpu * 1e6 / waiting as f64);
    println!(
        "a live device's PUBACK: before p50 {:.2?} p99 {:.2?}; while it drains p50 {:.2?} p99 {:.2?}: {:.1}x",
        quiet.p50,
        quiet.p99,
        busy.p50,
        busy.p99,
        busy.p50.as_secs_f64() / quiet.p50.as_secs_f64()
    );
    println!("memory: {} MiB at most", system.usage().peak / 1024);
}

/// One message after the other, each when the one before is acknowledged.
fn acks(device: &mut Device, go_on: impl Fn(usize) -> bool) -> Latency {
    let mut delays = Vec::new();
    while go_on(delays.len()) {
        let start = Instant::now();
        device.queue(1);
        device.flush();
        device.read_acks().expect("the system acknowledges");
        delays.push(start.elapsed());
    }
    Latency::of(delays, 0)
}
