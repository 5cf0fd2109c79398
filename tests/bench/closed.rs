//! A closed loop: each device keeps a window full for some time. Throughput, and what it costs.

use std::thread;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::figures::{Faults, Throughput};
use crate::system::{Kind, System};
use crate::upstream::Upstream;

/// Messages of one device that are under way. The gateway's default Receive Maximum.
const WINDOW: usize = 100;

/// QoS 0 has no window of its own. All devices together: a bridge of mosquitto leaves Nagle's algorithm on, and with few under way
/// it would wait for delayed acknowledgements and not for a processor.
const WINDOW_QOS_0: usize = 2_000;

/// A system that has not forwarded everything loses when nothing has arrived for so long.
const SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub qos: u8,
    pub publishers: usize,
    /// How long devices send.
    pub time: Duration,
}

// === impl Closed ===

impl Closed {
    pub fn run(self, kind: Kind) -> Throughput {
        self.measure(&System::start(kind))
    }

    pub fn measure(self, system: &System) -> Throughput {
        let (before, arrived) = (system.usage(), system.upstream.total());
        let start = Instant::now();
        let sent = self.drive(system, start);
        await_arrivals(&system.upstream, arrived + sent.iter().sum::<u64>());
        let after = system.usage();
        let arrivals = system.upstream.take_arrivals();
        let took = arrivals.last().map_or(Duration::ZERO, |last| last.at - start);
        Throughput {
            rate: arrivals.len() as f64 / took.as_secs_f64(),
            cpu_per_million: (after.cpu - before.cpu) * 1e6 / arrivals.len() as f64,
            peak_mib: after.peak as f64 / 1024.0,
            faults: Faults::of(&arrivals, &sent),
        }
    }

    /// How many each publisher has sent.
    pub fn drive(self, system: &System, start: Instant) -> Vec<u64> {
        let end = start + self.time;
        thread::scope(|scope| {
            let drive = |publisher| {
                let upstream = &system.upstream;
                scope.spawn(move || {
                    let device = system.connect(publisher, self.qos);
                    match self.qos {
                        0 => fill(device, publisher, WINDOW_QOS_0 / self.publishers, upstream, end),
                        _ => acknowledged(device, end),
                    }
                })
            };
            let devices: Vec<_> = (0..self.publishers).map(drive).collect();
            devices.into_iter().map(|device| device.join().expect("a device that does not panic")).collect()
        })
    }
}

/// QoS 1 and 2: an ack makes room.
fn acknowledged(mut device: Device, end: Instant) -> u64 {
    let mut under_way = 0;
    loop {
        if Instant::now() < end {
            device.queue(WINDOW - under_way);
            under_way = WINDOW;
        }
        device.flush();
        if under_way == 0 {
            return device.sent().into();
        }
        let Some(complete) = device.read_acks() else { panic!("{under_way} messages without an ack") };
        under_way -= complete;
    }
}

/// QoS 0: arrivals make room, or a system that drops would seem to be the fastest. It is woken when half of its window is free.
fn fill(mut device: Device, publisher: usize, window: usize, upstream: &Upstream, end: Instant) -> u64 {
    while Instant::now() < end {
        let under_way = u64::from(device.sent()).saturating_sub(upstream.arrived(publisher)) as usize;
        device.queue(window.saturating_sub(under_way));
        device.flush();
        upstream.await_arrivals(publisher, u64::from(device.sent()).saturating_sub(window as u64 / 2));
    }
    device.sent().into()
}

/// `sent` in all rounds.
fn await_arrivals(upstream: &Upstream, sent: u64) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < sent && since.elapsed() < SILENCE {
        thread::sleep(Duration::from_millis(1));
        let now = upstream.total();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
}
