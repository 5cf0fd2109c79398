//! What the others lose when one upstream has filled its share of the spool: two gateways, alike but for that, in turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{PUBACK, V5, publish};

use super::attack::Attack;
use super::floods::{fill, full_share};
use crate::report::Report;

const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_millis(1_500);
const DEVICES: usize = 8;
const WINDOW: u16 = 50;

/// Of what they have beside a share that is not full; said only, and a failure when no busy machine explains it.
const GOAL: f64 = 0.95;
const LEAST: f64 = 0.8;

const BINDING: &str = "[[bindings]]\nname = \"honest\"\ntopic = \"honest/#\"\nto = [{ upstream = \"cloud\" }]\n";

struct Site {
    gateway: Gateway,
    upstream: Upstream,
    sent: usize,
}

pub fn run() -> (Report, Option<String>) {
    let title = "One upstream with a full share of the spool";
    let mut report =
        Report::new(title, &["round", "messages a second beside a full share", "beside an empty one", "ratio"]);
    let [mut full, mut empty] = [Site::start(), Site::start()];
    let mut attack = Attack::new(full.gateway.address());
    fill(&mut attack);
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|round| pair(&mut report, round, &mut full, &mut empty)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = (ratios[(ROUNDS - 1) / 2] + ratios[ROUNDS / 2]) / 2.0;
    report.say(&format!("Devices of the other upstream have {median:.2} times the throughput, the median of {ROUNDS} pairs; the goal is {GOAL}."));
    (report, (median < LEAST).then(|| format!("full share: {median:.2} times the throughput")))
}

fn pair(report: &mut Report, round: usize, full: &mut Site, empty: &mut Site) -> f64 {
    let (beside_full, beside_empty) = if round.is_multiple_of(2) {
        let rate = full.rate();
        (rate, empty.rate())
    } else {
        let rate = empty.rate();
        (full.rate(), rate)
    };
    let ratio = beside_full / beside_empty;
    let cells = [format!("{beside_full:.0}"), format!("{beside_empty:.0}"), format!("{ratio:.2}")];
    report.row(&[&(round + 1).to_string(), &cells[0], &cells[1], &cells[2]]);
    ratio
}

// === impl Site ===

impl Site {
    fn start() -> Self {
        let upstream = Upstream::start();
        let config = format!("{}{BINDING}{}", upstream.config(5), full_share());
        let gateway = Gateway::launch(&Arc::new(Home::new(&config)), &Launch::default());
        Self { gateway, upstream, sent: 0 }
    }

    /// Messages a second that are acknowledged. All have arrived when it returns.
    fn rate(&mut self) -> f64 {
        let (address, start) = (self.gateway.address(), Instant::now());
        let devices: Vec<_> =
            (0..DEVICES).map(|number| thread::spawn(move || publish_for(ROUND, address, number))).collect();
        let acknowledged: usize =
            devices.into_iter().map(|device| device.join().expect("a device that is served")).sum();
        let rate = acknowledged as f64 / start.elapsed().as_secs_f64();
        self.sent += acknowledged;
        self.upstream.wait_for(self.sent);
        rate
    }
}

/// A window of them under way; how many were acknowledged, which are all.
fn publish_for(time: Duration, gateway: SocketAddr, number: usize) -> usize {
    let (mut device, topic) = (Raw::clean(gateway, V5, &format!("honest{number}")), format!("honest/{number}"));
    let message = publish(V5, &topic, "x".repeat(100));
    let (end, mut acknowledged) = (Instant::now() + time, 0);
    let packets: Vec<Vec<u8>> = (1..=WINDOW).map(|packet_id| message.clone().qos(1, packet_id).encode()).collect();
    device.send(&packets.concat());
    while Instant::now() < end {
        let packet_id = device.expect(PUBACK).packet_id();
        acknowledged += 1;
        device.send(&packets[usize::from(packet_id) - 1]);
    }
    (0..WINDOW).for_each(|_| drop(device.expect(PUBACK)));
    acknowledged + usize::from(WINDOW)
}
