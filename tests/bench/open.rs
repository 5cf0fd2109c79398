//! An open loop: messages are due at fixed times, whatever the system does, and their latency counts from when they were
//! due. A load generator that waits for a slow system would hide how slow it is ("coordinated omission", Gil Tene).

use std::thread;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::figures::Latency;
use crate::system::{Kind, System};

/// Left to a system to forward the last ones.
const AFTERWARDS: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
pub struct Open {
    pub qos: u8,
    pub publishers: usize,
    /// Messages a second of all publishers together.
    pub rate: u64,
    pub time: Duration,
}

// === impl Open ===

impl Open {
    pub fn run(self, kind: Kind) -> Latency {
        self.measure(&System::start(kind))
    }

    pub fn measure(self, system: &System) -> Latency {
        let mut devices: Vec<Device> =
            (0..self.publishers).map(|publisher| Device::connect(system.devices(), publisher, self.qos)).collect();
        let answering: Vec<_> = devices.iter().map(|device| answer(device.answering())).collect();
        let start = Instant::now() + Duration::from_millis(10);
        let sent = self.send(&mut devices, start);
        thread::sleep(AFTERWARDS);
        devices.iter().for_each(Device::close);
        answering.into_iter().for_each(|thread| drop(thread.join()));
        let arrivals = system.upstream.take_arrivals();
        let due = |publisher: usize, number: u32| {
            start + self.due(u64::from(number) * self.publishers as u64 + publisher as u64)
        };
        let delays = arrivals.iter().map(|one| one.at.saturating_duration_since(due(one.publisher, one.number)));
        Latency::of(delays.collect(), sent.saturating_sub(arrivals.len() as u64))
    }

    /// One after the other, each when it is due.
    fn send(self, devices: &mut [Device], start: Instant) -> u64 {
        let count = self.rate * self.time.as_secs();
        for message in 0..count {
            let wait = (start + self.due(message)).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
            let device = &mut devices[(message % self.publishers as u64) as usize];
            device.queue(1);
            device.flush();
        }
        count
    }

    fn due(self, message: u64) -> Duration {
        Duration::from_nanos(message * 1_000_000_000 / self.rate)
    }
}

/// Reads acks, and answers those that want an answer, until the connection ends.
fn answer(mut device: Device) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while device.read_acks().is_some() {
            device.flush_quietly();
        }
    })
}
