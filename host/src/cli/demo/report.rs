//! The summary on stdout: what happened, and whether it was right.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::figures::{grouped, milliseconds, percentile};
use super::plan::Plan;
use super::table::{Table, micros_per_message};
use super::tracker::{Arrival, Tracker};
use super::verdict::Check;
use crate::message::QoS;
use crate::operate::WatchedPlugin;

#[derive(Debug, Serialize)]
pub struct Report {
    pub passed: bool,
    pub messages: u64,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
    pub per_qos: Vec<PerQoS>,
    pub plugins: Vec<PluginTime>,
    pub checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
pub struct PerQoS {
    pub qos: u8,
    pub sent: u64,
    /// That the plugins had to filter.
    pub filtered: u64,
    /// That the sink got with this QoS.
    pub arrived: u64,
}

#[derive(Debug, Serialize)]
pub struct PluginTime {
    pub name: String,
    pub messages: u64,
    /// Crossings into the guest: many messages may cross together.
    pub calls: u64,
    pub micros_per_message: f64,
}

// === impl Report ===

impl Report {
    pub fn new(table: &Table, took: Duration, arrivals: &[Arrival], checks: Vec<Check>) -> Self {
        let mut latencies: Vec<_> = arrivals.iter().map(|arrival| arrival.latency).collect();
        let mut percent = |percent| percentile(&mut latencies, percent).as_secs_f64() * 1e3;
        let messages = table.counters.totals().received;
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let plugins = table.plugins.iter().map(|WatchedPlugin { name, stats }| PluginTime {
            name: name.clone(),
            messages: stats.messages.get(),
            calls: stats.calls.count(),
            micros_per_message: micros_per_message(stats),
        });
        Self {
            passed: checks.iter().all(|check| check.passed),
            messages,
            seconds: took.as_secs_f64(),
            messages_per_second: messages as f64 / took.as_secs_f64().max(0.001),
            latency_p50_ms: percent(50),
            latency_p99_ms: percent(99),
            per_qos: qos.map(|qos| PerQoS::of(qos, &table.plan, &table.tracker, arrivals)).into(),
            plugins: plugins.collect(),
            checks,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (messages, rate) = (grouped(self.messages), grouped(self.messages_per_second as u64));
        writeln!(f, "{messages} recorded readings in {:.1} s, {rate} per second", self.seconds)?;
        let milliseconds = |ms: f64| milliseconds(Duration::from_secs_f64(ms / 1e3));
        let (p50, p99) = (milliseconds(self.latency_p50_ms), milliseconds(self.latency_p99_ms));
        writeln!(f, "latency from device to sink: p50 {p50}, p99 {p99}\n")?;
        writeln!(f, "{:>5}{:>12}{:>12}{:>12}", "QoS", "sent", "filtered", "arrived")?;
        for PerQoS { qos, sent, filtered, arrived } in &self.per_qos {
            let (sent, filtered, arrived) = (grouped(*sent), grouped(*filtered), grouped(*arrived));
            writeln!(f, "{qos:>5}{sent:>12}{filtered:>12}{arrived:>12}")?;
        }
        writeln!(f, "\n{:<12}{:>12}{:>12}{:>16}", "plugin", "messages", "calls", "per message")?;
        for PluginTime { name, messages, calls, micros_per_message } in &self.plugins {
            let (messages, calls) = (grouped(*messages), grouped(*calls));
            writeln!(f, "{name:<12}{messages:>12}{calls:>12}{:>16}", format!("{micros_per_message:.1} µs"))?;
        }
        writeln!(f)?;
        self.checks.iter().try_for_each(|check| write!(f, "{check}"))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, passed, detail } = self;
        let sign = if *passed { "ok    " } else { "FAILED" };
        let separator = if detail.is_empty() { "" } else { ": " };
        writeln!(f, "{sign}  {name}{separator}{detail}")
    }
}

// === impl PerQoS ===

impl PerQoS {
    fn of(qos: QoS, plan: &Plan, tracker: &Tracker, arrivals: &[Arrival]) -> Self {
        let devices = || plan.devices.iter().enumerate().filter(move |(_, device)| device.qos == qos);
        let filtered = |(_, device): (usize, &super::plan::Device)| {
            device.messages.iter().filter(|planned| planned.expected.is_none()).count() as u64
        };
        Self {
            qos: qos as u8,
            sent: devices().filter_map(|(index, _)| tracker.track(index)).map(|track| track.sent.get()).sum(),
            filtered: devices().map(filtered).sum(),
            arrived: arrivals.iter().filter(|arrival| arrival.qos == qos).count() as u64,
        }
    }
}
