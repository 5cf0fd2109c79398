//! WebSocket beside TCP, on one gateway and in turns: what a message and an idle connection cost it.

use std::net::SocketAddr;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::websocket::{BINARY, Tunnel, WebSocket};
use tidegate_tests::wire::{self, Connect, V4};

use crate::device::Device;
use crate::figures::median;
use crate::usage::Usage;

#[derive(clap::Args)]
pub struct Options {
    /// Idle ones, of each kind.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// At QoS 1, in each round and of each kind.
    #[arg(long, default_value_t = 100_000)]
    messages: u32,
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// Messages under way.
const WINDOW: usize = 100;

/// About a message: clients send each in a frame of its own.
const FRAME_BYTES: usize = 100;

pub fn run(options: &Options) {
    let connections = 2 * options.connections + 10;
    let config = format!(
        "[broker.listeners.web]\nbind = \"127.0.0.1:0\"\ntransport = \"websocket\"\n[broker.limits]\nmax_connections = {connections}\n"
    );
    let gateway = Gateway::start(&config);
    let (tcp, web) = (gateway.listener("local"), gateway.listener("web"));
    let tunnel = Tunnel::to(web, FRAME_BYTES);
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..options.rounds {
        for (address, figures) in [tcp, tunnel.address()].into_iter().zip(&mut figures) {
            figures.push(cpu_of_a_message(&gateway, address, options.messages));
        }
    }
    let [over_tcp, in_frames] = figures.map(median);
    println!(
        "CPU of a message at QoS 1: TCP {over_tcp:.2} µs, WebSocket {in_frames:.2} µs, ratio {:.3}",
        in_frames / over_tcp
    );
    let (tcp_kib, kept) = memory(&gateway, options.connections, |number| Device::connect(tcp, number, 1));
    let (web_kib, also_kept) = memory(&gateway, options.connections, |number| idle_websocket(web, number));
    println!("memory of an idle connection: TCP {tcp_kib:.2} KiB, WebSocket {web_kib:.2} KiB");
    drop((kept, also_kept));
}

/// In microseconds.
fn cpu_of_a_message(gateway: &Gateway, address: SocketAddr, messages: u32) -> f64 {
    let mut device = Device::connect(address, 0, 1);
    let before = Usage::of(gateway.pid()).cpu;
    let (mut under_way, mut done) = (0, 0);
    while done < messages as usize {
        let more = (WINDOW - under_way).min(messages as usize - device.sent() as usize);
        device.queue(more);
        device.flush();
        let complete = device.read_acks().expect("acks");
        under_way = under_way + more - complete;
        done += complete;
    }
    let cpu = Usage::of(gateway.pid()).cpu - before;
    device.close();
    cpu * 1e6 / f64::from(messages)
}

/// KiB of each.
fn memory<T>(gateway: &Gateway, count: usize, open: impl Fn(usize) -> T) -> (f64, Vec<T>) {
    let before = Usage::of(gateway.pid()).resident;
    let opened = (0..count).map(open).collect();
    let after = Usage::of(gateway.pid()).resident;
    (after.saturating_sub(before) as f64 / count as f64, opened)
}

fn idle_websocket(address: SocketAddr, number: usize) -> WebSocket {
    let mut socket = WebSocket::open(address);
    socket.send_frame(BINARY, &Connect::new(V4, &format!("web-{number}")).encode());
    socket.expect_packet(wire::CONNACK);
    socket
}
