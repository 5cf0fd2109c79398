//! Sessions and wills that come and go beside a spool that is full: what they change waits for room, and must not fill the memory.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, Properties, V5, Will, id};

const MIB: usize = 1 << 20;

/// `broker.limits.memory`: what clients may hold.
const MEMORY: usize = 16 * MIB;

/// Beside what is charged: the allowance for everything else.
const MOST: usize = MEMORY * 3 / 2 + 32 * MIB;

/// Eight times what 4,000 sessions say of themselves when they begin and end.
const MOST_WRITTEN: u64 = 128 << 20;

const CONFIG: &str =
    "[spool]\nmax_bytes = \"16MiB\"\n\n[broker.limits]\nmemory = \"16MiB\"\nhandshake_timeout = \"2s\"\n\n";
const BINDING: &str = "[[bindings]]\nname = \"up\"\ntopic = \"up/#\"\nto = [{ upstream = \"cloud\" }]\n";

/// As large as the packet limit allows, about.
const WILL_BYTES: usize = 200_000;

/// A gateway whose upstream is away, and whose spool is full; and a device that is honest and idle.
struct Full {
    gateway: Gateway,
    idle: Raw,
    before: usize,
    written_before: u64,
    _away: Mosquitto,
}

/// Bytes that a process has had written to a disk.
fn written(gateway: &Gateway) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", gateway.pid())).expect("what it has read and written");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).expect("a number")
}

fn with_will(client: &str, expiry: u32, delay: u32) -> Connect {
    // A payload has 65,535 bytes at most, and properties as many as the packet has room for.
    let part = "w".repeat(WILL_BYTES / 4);
    let properties = Properties::new().long(id::WILL_DELAY, delay);
    let properties = properties.user("a", &part).user("b", &part).user("c", &part);
    let will = Will::new("up/will", &part).qos(1).with(properties);
    Connect::new(V5, client).persistent(expiry).will(will)
}

/// DISCONNECT with 0x04: its will stays.
fn leave_with_will(mut device: Raw) {
    device.send(&[0xE0, 0x01, 0x04]);
    while !matches!(device.next(Duration::from_secs(5)), Next::Closed) {}
}

// === impl Full ===

impl Full {
    fn new() -> Self {
        let away = Mosquitto::stopped();
        let home = Arc::new(Home::new(&format!("{CONFIG}{}{BINDING}", away.upstream("cloud", 5))));
        let gateway = Gateway::launch(&home, &Launch::default());
        let mut filler = Raw::clean(gateway.address(), V5, "filler");
        let mut is_acked = |bytes: usize, id: u16| {
            filler.send(&wire::publish(V5, "up/x", vec![b'x'; bytes]).qos(1, id).encode());
            matches!(filler.next(Duration::from_secs(2)), Next::Packet(_))
        };
        (1..2_000).take_while(|id| is_acked(100_000, *id)).count();
        let idle = Raw::clean(gateway.address(), V5, "idle");
        let (before, written_before) = (gateway.memory(), written(&gateway));
        Self { gateway, idle, before, written_before, _away: away }
    }

    /// Connects, as often as it is let in; the reason of CONNACK.
    fn connect(&self, connect: &Connect) -> Option<(Raw, u8)> {
        let mut device = Raw::open(self.gateway.address(), V5);
        device.send(&connect.encode());
        match device.next(Duration::from_secs(10)) {
            Next::Packet(packet) => Some((device, packet.reason())),
            _ => None,
        }
    }

    fn check(&mut self, sent: usize) {
        let grown = self.gateway.memory().saturating_sub(self.before);
        assert!(grown < MOST, "{} MiB more, of {} MiB that were sent", grown / MIB, sent / MIB);
        let written = written(&self.gateway) - self.written_before;
        assert!(written < MOST_WRITTEN, "{} MiB written, of {} MiB", written / MIB as u64, sent / MIB);
        let asked = Instant::now();
        self.idle.send(wire::PING);
        self.idle.expect(wire::PINGRESP);
        assert!(asked.elapsed() < Duration::from_secs(5), "an idle device waits for its PINGRESP");
    }
}

#[test]
fn a_delayed_will_that_is_set_and_replaced_beside_a_full_spool_waits_once() {
    let mut full = Full::new();
    let mut sent = 0;
    for _ in 0..800 {
        let (device, reason) = full.connect(&with_will("coming and going", 3_600, 3_600)).expect("CONNACK");
        assert_eq!(reason, 0, "its session is small, and is known");
        leave_with_will(device);
        sent += WILL_BYTES;
    }
    full.check(sent);
}

#[test]
fn wills_of_sessions_that_end_beside_a_full_spool_are_charged_until_they_are_in_it() {
    let mut full = Full::new();
    let (mut sent, mut refused) = (0, Vec::new());
    // Each CONNECT ends the session before: its will is due.
    for round in 0..600 {
        let connect = with_will(&format!("ending {}", round % 8), 3_600, 3_600).clean(true);
        let Some((device, reason)) = full.connect(&connect) else { continue };
        sent += WILL_BYTES;
        match reason {
            0 => leave_with_will(device),
            reason => refused.push(reason),
        }
        if refused.len() >= 8 {
            break;
        }
    }
    full.check(sent);
    assert!(refused.iter().all(|reason| [0x97, 0x89].contains(reason)), "{refused:02x?}");
    // Without a will there is nothing to charge.
    Raw::clean(full.gateway.address(), V5, "honest");
}

#[test]
fn wills_of_clients_that_are_away_are_charged() {
    let mut full = Full::new();
    let mut refused = None;
    let mut held = 0;
    while refused.is_none() && held < 300 {
        match full.connect(&with_will(&format!("away {held}"), 3_600, 3_600)) {
            Some((device, 0)) => {
                leave_with_will(device);
                held += 1;
            }
            Some((_, reason)) => refused = Some(reason),
            // The account was used up before its CONNECT was there.
            None => refused = Some(0x97),
        }
    }
    full.check(held * WILL_BYTES);
    assert_eq!(refused, Some(0x97));
    assert!((60..100).contains(&held), "16 MiB have room for about 90 of 200 kB: {held}");
}

#[test]
fn wills_that_become_due_beside_a_full_spool_are_charged_and_their_clients_wait() {
    let mut full = Full::new();
    let (mut sent, mut refused) = (0, Vec::new());
    for _ in 0..4 {
        for client in 0..40 {
            // Due within two seconds, while the session goes on.
            let Some((device, reason)) = full.connect(&with_will(&format!("due {client}"), 3_600, 1)) else {
                refused.push(0x97);
                break;
            };
            sent += WILL_BYTES;
            match reason {
                0 => leave_with_will(device),
                reason => refused.push(reason),
            }
            if refused.len() > 4 {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(2_200));
    }
    full.check(sent);
    assert!(!refused.is_empty(), "{} MiB of wills were taken, of 16", sent / MIB);
    assert!(refused.iter().all(|reason| [0x97, 0x89].contains(reason)), "{refused:02x?}");
    Raw::clean(full.gateway.address(), V5, "honest");
}

#[test]
fn subscriptions_that_are_not_written_hold_the_client_that_sends_them() {
    let mut full = Full::new();
    let filters: Vec<String> = (0..180).map(|index| format!("{index}/{}", "f".repeat(1_000))).collect();
    let asked: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
    let mut sent = 0;
    let mut connections = Vec::new();
    for _ in 0..4 {
        let Some((mut device, 0)) = full.connect(&Connect::new(V5, "greedy").persistent(3_600)) else { continue };
        let subscribes = wire::subscribe(V5, 1, &Properties::new(), &asked).repeat(40);
        sent += device.send_within(&subscribes, Duration::from_secs(1));
        connections.push(device);
    }
    full.check(sent);
}

#[test]
fn sessions_that_begin_and_end_beside_a_full_spool_leave_nothing() {
    let mut full = Full::new();
    let mut sent = 0;
    for round in 0..4_000 {
        let client = format!("{round}{}", "c".repeat(1_000));
        let Some((mut device, 0)) = full.connect(&Connect::new(V5, &client).persistent(60)) else { continue };
        // DISCONNECT with a session expiry of 0.
        device.send(&[0xE0, 0x07, 0x00, 0x05, id::SESSION_EXPIRY, 0, 0, 0, 0]);
        sent += client.len();
    }
    full.check(sent);
}
