//! The live table on stderr: redrawn in place where somebody looks, else a line now and then.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::time::Duration;

use super::figures::{grouped, milliseconds, percentile};
use super::plan::Plan;
use super::tracker::Tracker;
use crate::base::plain::plain;
use crate::metrics::{Counters, Totals};
use crate::mqtt::Version;
use crate::operate::WatchedPlugin;
use crate::plugin::PluginStats;

const REDRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(1);

pub struct Table {
    pub plan: Arc<Plan>,
    pub tracker: Arc<Tracker>,
    pub counters: Arc<Counters>,
    pub plugins: Vec<WatchedPlugin>,
    terminal: bool,
    /// Lines on the screen, to be drawn over.
    drawn: usize,
}

// === impl Table ===

impl Table {
    pub fn new(plan: Arc<Plan>, tracker: Arc<Tracker>, counters: Arc<Counters>, plugins: Vec<WatchedPlugin>) -> Self {
        Self { plan, tracker, counters, plugins, terminal: io::stderr().is_terminal(), drawn: 0 }
    }

    /// Until it is dropped.
    pub async fn show(&mut self) {
        let mut every = tokio::time::interval(if self.terminal { REDRAW_EVERY } else { LINE_EVERY });
        loop {
            every.tick().await;
            self.draw();
        }
    }

    pub fn draw(&mut self) {
        let text = if self.terminal { self.table() } else { self.line() };
        let up = match self.drawn {
            0 => String::new(),
            // Up, and clear to the end of the screen.
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        // Whoever closed stderr does not look.
        let _ = write!(io::stderr(), "{up}{}", plain(&text));
        self.drawn = if self.terminal { text.lines().count() } else { 0 };
    }

    fn table(&self) -> String {
        let mut text = format!("\n  {:<18}{:>10}{:>5}{:>12}{:>12}\n", "device", "MQTT", "QoS", "in", "out");
        for (index, device) in self.plan.devices.iter().enumerate() {
            let Some(track) = self.tracker.track(index) else { continue };
            let protocol = match device.protocol {
                Version::V311 => "3.1.1",
                Version::V5 => "5",
            };
            let (name, qos) = (&device.name, device.qos as u8);
            let (into, out) = (grouped(track.completed.get()), grouped(track.arrived.get()));
            let _ = writeln!(text, "  {name:<18}{protocol:>10}{qos:>5}{into:>12}{out:>12}");
        }
        let _ = write!(text, "\n  {}\n  {}\n\n", self.line().trim_end(), self.plugin_times());
        text
    }

    fn line(&self) -> String {
        let Totals { received, filtered, forwarded, .. } = self.counters.totals();
        let mut latencies = self.tracker.latencies();
        let rate = received as f64 / self.tracker.elapsed().as_secs_f64().max(0.001);
        format!(
            "{} in, {} filtered, {} out, {} per second; latency p50 {}, p99 {}\n",
            grouped(received),
            grouped(filtered),
            grouped(forwarded),
            grouped(rate as u64),
            milliseconds(percentile(&mut latencies, 50)),
            milliseconds(percentile(&mut latencies, 99)),
        )
    }

    fn plugin_times(&self) -> String {
        let times = self
            .plugins
            .iter()
            .map(|WatchedPlugin { name, stats }| format!("{name} {:.1} µs", micros_per_message(stats)));
        format!("plugins, per message: {}", times.collect::<Vec<_>>().join(", "))
    }
}

/// Time inside the plugin, the crossing included.
pub fn micros_per_message(stats: &PluginStats) -> f64 {
    stats.calls.sum().as_secs_f64() * 1e6 / stats.messages.get().max(1) as f64
}
