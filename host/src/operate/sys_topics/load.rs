//! `$SYS/broker/load/…`: so many in a minute, as a moving average over 1, 5 and 15 minutes, like the load of a Unix system and by mosquitto's
//! arithmetic.
//!
//! ```text
//! rate = (count now - count before) * 60 s / elapsed            average' = rate + e^(-elapsed / minutes) * (average - rate)
//! ```

use std::time::Duration;

use super::readings::Totals;
use super::topics::named;

const SPANS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

#[derive(Clone, Copy)]
struct Measured {
    name: &'static str,
    count: fn(&Totals) -> u64,
}

#[derive(Debug, Default)]
pub(super) struct Loads {
    /// None before the first look.
    before: Option<(Totals, Duration)>,
    averages: [[f64; SPANS.len()]; MEASURED.len()],
}

const MEASURED: [Measured; 9] = [
    Measured { name: "messages/received", count: |of| of.messages_received },
    Measured { name: "messages/sent", count: |of| of.messages_sent },
    Measured { name: "publish/dropped", count: |of| of.publish_dropped },
    Measured { name: "publish/received", count: |of| of.publish_received },
    Measured { name: "publish/sent", count: |of| of.publish_sent },
    Measured { name: "bytes/received", count: |of| of.bytes_received },
    Measured { name: "bytes/sent", count: |of| of.bytes_sent },
    Measured { name: "sockets", count: |of| of.sockets },
    Measured { name: "connections", count: |of| of.connections },
];

// === impl Loads ===

impl Loads {
    /// All of them, with their topics; zeros at the first look.
    pub fn next(&mut self, totals: &Totals, uptime: Duration) -> Vec<(String, String)> {
        let (before, then) = self.before.replace((*totals, uptime)).unwrap_or((*totals, uptime));
        let elapsed = uptime.saturating_sub(then).as_secs_f64();
        let mut told = Vec::with_capacity(MEASURED.len() * SPANS.len());
        for (Measured { name, count }, averages) in MEASURED.iter().zip(&mut self.averages) {
            let passed = count(totals).saturating_sub(count(&before)) as f64;
            for ((span, seconds), average) in SPANS.iter().zip(averages) {
                if elapsed > 0.0 {
                    let rate = passed * 60.0 / elapsed;
                    *average = rate + (-elapsed / seconds).exp() * (*average - rate);
                }
                told.push(named(&format!("load/{name}/{span}"), format!("{average:.2}")));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(10);

    fn connections(count: u64) -> Totals {
        Totals { connections: count, ..Totals::default() }
    }

    /// Of connections, over 1, 5 and 15 minutes.
    fn look(loads: &mut Loads, count: u64, uptime: Duration) -> [f64; 3] {
        let told = loads.next(&connections(count), uptime);
        assert_eq!(told.len(), 27);
        ["1min", "5min", "15min"].map(|span| {
            let topic = format!("$SYS/broker/load/connections/{span}");
            told.iter().find(|(name, _)| *name == topic).unwrap().1.parse().unwrap()
        })
    }

    #[test]
    fn a_steady_rate_becomes_its_average_and_an_end_is_forgotten_by_the_minute() {
        let (mut loads, mut now) = (Loads::default(), Duration::ZERO);
        assert_eq!(look(&mut loads, 7, now), [0.0; 3]);
        // Two in ten seconds, for an hour.
        for round in 1..=360 {
            now += LOOK;
            look(&mut loads, 7 + 2 * round, now);
        }
        let steady = look(&mut loads, 7 + 722, now + LOOK);
        assert!((steady[0] - 12.0).abs() < 0.02 && (steady[1] - 12.0).abs() < 0.02 && steady[2] > 11.5, "{steady:?}");
        let after = look(&mut loads, 7 + 722, now + LOOK + Duration::from_secs(60));
        assert!((after[0] - 12.0 / std::f64::consts::E).abs() < 0.02 && after[2] > 10.5, "{after:?}");
    }

    #[test]
    fn it_is_mosquittos_number() {
        // Of mosquitto 2.0 with an interval of 3 s: two connections before its first look that counted.
        let mut loads = Loads::default();
        look(&mut loads, 0, Duration::ZERO);
        assert_eq!(look(&mut loads, 2, Duration::from_secs(3)), [1.95, 0.40, 0.13]);
        assert_eq!(look(&mut loads, 2, Duration::from_secs(6)), [1.86, 0.39, 0.13]);
    }
}
