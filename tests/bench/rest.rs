//! What the gateway takes when nothing happens: to start, with five plugins, with many connections, with many bindings.

use std::time::{Duration, Instant};

use tidegate_tests::gateway::Gateway;

use crate::device::Device;
use crate::figures::median;
use crate::upstream::Upstream;
use crate::usage::Usage;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    #[arg(long, default_value_t = 10_000)]
    bindings: usize,
}

const STARTS: usize = 9;

/// The shipped ones, each with a configuration that it accepts.
const FIVE_PLUGINS: &str = r#"
[plugins.threshold]
component = "plugins/threshold.wasm"
config = { field = "/celsius", min = -40.0, max = 85.0 }
[plugins.deadband]
component = "plugins/deadband.wasm"
config = { field = "/celsius", absolute = 0.5 }
[plugins.convert]
component = "plugins/convert.wasm"
config = { fields = [{ path = "/celsius", from = "celsius", to = "fahrenheit" }] }
[plugins.redact]
component = "plugins/redact.wasm"
config = { remove = ["/note"] }
[plugins.rename]
component = "plugins/rename.wasm"
config = { rules = [{ from = "bench/+device", to = "new/{device}" }] }

[[bindings]]
name = "five"
topic = "bench/+"
plugins = ["threshold", "deadband", "convert", "redact", "rename"]
"#;

pub fn run(options: &Options) {
    let upstream = Upstream::start();
    let to = "to = [{ upstream = \"up\", topic = \"{topic}\" }]\n";
    let up = format!("[upstreams.up]\nurl = \"mqtt://{}\"\n", upstream.address());
    let five = format!("{up}{FIVE_PLUGINS}{to}");
    Gateway::start(&five).expect_plugins(); // Compiles, once.
    let start = || {
        let (start, gateway) = (Instant::now(), Gateway::start(&five));
        (start.elapsed(), Usage::of(gateway.pid()).resident)
    };
    let starts: Vec<(Duration, u64)> = (0..STARTS).map(|_| start()).collect();
    println!(
        "start to listening, five plugins, warm cache: {:.0} ms (median of {STARTS})",
        median(starts.iter().map(|one| one.0.as_secs_f64() * 1e3))
    );
    println!(
        "memory at rest, five plugins, warm cache: {:.1} MiB",
        median(starts.iter().map(|one| one.1 as f64)) / 1024.0
    );
    connections(
        &format!("[broker.limits]\nmax_connections = {}\n{five}", options.connections + 10),
        options.connections,
    );
    let many: String = (0..options.bindings)
        .map(|n| format!("[[bindings]]\nname = \"b{n}\"\ntopic = \"site/{n}/+/temperature\"\n{to}"))
        .collect();
    let (start, gateway) = (Instant::now(), Gateway::start(&format!("{up}{many}")));
    println!(
        "{} bindings: start {:.0?}, {:.1} MiB",
        options.bindings,
        start.elapsed(),
        Usage::of(gateway.pid()).resident as f64 / 1024.0
    );
}

fn connections(config: &str, count: usize) {
    let gateway = Gateway::start(config);
    let before = Usage::of(gateway.pid()).resident;
    let devices: Vec<Device> = (0..count).map(|n| Device::connect(gateway.address(), n, 1)).collect();
    let mut used = 0;
    for mut device in devices.iter().map(Device::answering).take(count) {
        device.queue(1);
        device.flush();
        used += device.read_acks().expect("an ack");
    }
    let after = Usage::of(gateway.pid()).resident;
    println!(
        "{count} connections, {used} of them used once: {:.1} KiB each, {:.1} MiB in all",
        (after - before) as f64 / count as f64,
        after as f64 / 1024.0
    );
}
