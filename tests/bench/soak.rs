//! Memory over many messages: it must be flat.

use std::time::Duration;

use crate::closed::Closed;
use crate::system::{Kind, System};

#[derive(clap::Args)]
pub struct Options {
    /// Millions of messages.
    #[arg(long, default_value_t = 10)]
    millions: u64,
    #[arg(long, default_value_t = 1)]
    qos: u8,
}

/// Until caches, pools and the allocator have what they need.
const WARM_UP: u64 = 1_000_000;

pub fn run(options: &Options) {
    let system = System::start(Kind::Tidegate);
    let part = Closed { qos: options.qos, publishers: 20, time: Duration::from_secs(5) };
    let mut warm = None;
    println!("{:>12} {:>10}", "messages", "RSS MiB");
    while system.upstream.total() < options.millions * 1_000_000 {
        let round = part.measure(&system);
        assert_eq!(round.faults.missing, 0, "messages are missing");
        let resident = system.usage().resident as f64 / 1024.0;
        println!("{:>12} {resident:>10.1}", system.upstream.total());
        if system.upstream.total() > WARM_UP {
            warm.get_or_insert(resident);
        }
    }
    let (warm, end) = (warm.unwrap_or_default(), system.usage().resident as f64 / 1024.0);
    println!("after the first million {warm:.1} MiB, at the end {end:.1} MiB: {:+.1} %", (end / warm - 1.0) * 100.0);
}
