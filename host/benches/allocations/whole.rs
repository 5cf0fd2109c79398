//! A gateway in this process, a device before it and an upstream behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tidegate::app::Gateway;
use tidegate_tests::eventually::soon;
use tidegate_tests::wire::{self, Connect, Version};
use tokio::runtime::Runtime;

use crate::config::config;
use crate::row;
use crate::shared::messages::{TOPIC, json};
use crate::shared::tally::Row;
use crate::upstream;

/// As many as a client may have unacknowledged.
const WINDOW: usize = 100;

const WINDOWS: usize = 100;

const ACK_BYTES: usize = 4;

struct Device {
    stream: TcpStream,
    packets: Vec<u8>,
    acks: Vec<u8>,
    qos: u8,
}

pub fn rows() -> Vec<Row> {
    let runtime = Runtime::new().expect("a runtime");
    (0..=2).map(|qos| whole(&runtime, qos)).collect()
}

fn whole(runtime: &Runtime, qos: u8) -> Row {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = config(folder.path(), upstream::start(), true);
    let gateway = runtime.block_on(Gateway::start(config)).unwrap_or_else(|error| panic!("{error:#}"));
    let mut device = Device::connect(gateway.addresses().first().expect("a listener").1, qos);
    let forwarded = || gateway.counters().totals().forwarded as usize;
    let mut pass = |windows: usize| {
        let goal = forwarded() + windows * WINDOW;
        for left in (0..windows).rev() {
            device.publish();
            // At QoS 0 nobody else says that it is time for more.
            soon("a window is forwarded", || forwarded() + left * WINDOW >= goal);
        }
    };
    pass(WINDOWS / 10);
    let row = row(&format!("the whole way, QoS {qos}"), WINDOWS * WINDOW, || pass(WINDOWS));
    runtime.block_on(gateway.stop());
    row
}

// === impl Device ===

impl Device {
    fn connect(gateway: SocketAddr, qos: u8) -> Self {
        let mut stream = TcpStream::connect(gateway).expect("a gateway that listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.write_all(&Connect::new(Version::V4, "device").encode()).expect("CONNECT");
        stream.read_exact(&mut [0; ACK_BYTES]).expect("CONNACK");
        let packet = |id| wire::publish(Version::V4, TOPIC, json()).qos(qos, if qos > 0 { id } else { 0 }).encode();
        let packets = (1..=WINDOW as u16).flat_map(packet).collect();
        Self { stream, packets, acks: vec![0; WINDOW * ACK_BYTES], qos }
    }

    /// A window of messages, until the last is acknowledged.
    fn publish(&mut self) {
        self.stream.write_all(&self.packets).expect("PUBLISH");
        if self.qos > 0 {
            self.stream.read_exact(&mut self.acks).expect("PUBACK or PUBREC");
        }
        if self.qos == 2 {
            self.acks.chunks_exact_mut(ACK_BYTES).for_each(|ack| ack[0] = 0x62);
            self.stream.write_all(&self.acks).expect("PUBREL");
            self.stream.read_exact(&mut self.acks).expect("PUBCOMP");
        }
    }
}
