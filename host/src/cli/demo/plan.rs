//! What the devices will say, and what has to arrive: worked out before anything runs, by other code than the plugins'.
//!
//! The expectation is arithmetic on the recorded numbers and knows nothing of JSON, WebAssembly or MQTT. That the
//! deadband's answer depends on what passed before it makes it a check of order as well.

use super::series::{Kind, Reading, Sensor};
use crate::message::QoS;
use crate::mqtt::Version;

/// Fahrenheit by which a temperature has to move to be news. Recorders round to about half of it.
pub const MOVED: f64 = 1.0;

/// Percent of relative humidity from which on things get mouldy.
pub const DAMP: f64 = 60.0;

/// Below this, topics of the upstream.
pub const UPSTREAM_ROOT: &str = "sites";

pub const GATEWAY_ID: &str = "demo";

#[derive(Debug)]
pub struct Plan {
    pub devices: Vec<Device>,
}

/// A sensor as an MQTT client.
#[derive(Debug)]
pub struct Device {
    pub name: String,
    pub topic: String,
    pub upstream_topic: String,
    pub qos: QoS,
    pub protocol: Version,
    pub messages: Vec<Planned>,
}

#[derive(Debug, PartialEq)]
pub struct Planned {
    pub payload: String,
    /// The value that has to arrive, unrounded; `None` when the plugins have to filter the message.
    pub expected: Option<f64>,
}

// === impl Plan ===

impl Plan {
    pub fn of(sensors: &[Sensor]) -> Self {
        Self { devices: sensors.iter().map(Device::of).collect() }
    }

    pub fn messages(&self) -> impl Iterator<Item = &Planned> {
        self.devices.iter().flat_map(|device| &device.messages)
    }

    pub fn sent(&self) -> u64 {
        self.messages().count() as u64
    }

    pub fn to_forward(&self) -> u64 {
        self.messages().filter(|planned| planned.expected.is_some()).count() as u64
    }
}

// === impl Device ===

impl Device {
    /// Each station has its own QoS and each kind of sensor its own protocol: all six combinations.
    fn of(sensor: &Sensor) -> Self {
        let qos = match sensor.station {
            "ewr" => QoS::AtMostOnce,
            "jfk" => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let (kind, protocol, expected) = match sensor.kind {
            Kind::Temperature => ("temperature", Version::V311, celsius_when_moved(&sensor.readings)),
            Kind::Humidity => ("humidity", Version::V5, when_damp(&sensor.readings)),
        };
        let topic = format!("weather/{}/{kind}", sensor.station);
        let say = |(n, (reading, expected)): (usize, (&Reading, Option<f64>))| Planned {
            payload: payload(n, qos, sensor.kind, reading),
            expected,
        };
        Self {
            name: format!("{}-{kind}", sensor.station),
            upstream_topic: format!("{UPSTREAM_ROOT}/{GATEWAY_ID}/{topic}"),
            topic,
            qos,
            protocol,
            messages: sensor.readings.iter().zip(expected).enumerate().map(say).collect(),
        }
    }
}

/// Each message says its number and the QoS it was sent with, so that whoever gets it can tell.
fn payload(n: usize, qos: QoS, kind: Kind, reading: &Reading) -> String {
    let Reading { hour, text, .. } = reading;
    let field = match kind {
        Kind::Temperature => "fahrenheit",
        Kind::Humidity => "humidity",
    };
    format!(r#"{{"n":{n},"qos":{},"hour":"{hour}","{field}":{text}}}"#, qos as u8)
}

fn celsius_when_moved(readings: &[Reading]) -> Vec<Option<f64>> {
    let mut last: Option<f64> = None;
    let news = |reading: &Reading| {
        let moved = last.is_none_or(|last| (reading.value - last).abs() > MOVED);
        moved.then(|| {
            last = Some(reading.value);
            (reading.value - 32.0) * 5.0 / 9.0
        })
    };
    readings.iter().map(news).collect()
}

fn when_damp(readings: &[Reading]) -> Vec<Option<f64>> {
    readings.iter().map(|reading| (reading.value >= DAMP).then_some(reading.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::series::recorded;

    fn readings(values: &[f64]) -> Vec<Reading> {
        values.iter().map(|value| Reading { hour: "h", text: "0", value: *value }).collect()
    }

    #[test]
    fn a_temperature_is_news_when_it_left_the_band_around_the_last_news() {
        let expected = celsius_when_moved(&readings(&[32.0, 33.0, 33.1, 32.0, 50.0]));
        let passed: Vec<_> = expected.iter().map(Option::is_some).collect();
        assert_eq!(passed, [true, false, true, true, true]);
        assert_eq!((expected[0], expected[4]), (Some(0.0), Some(10.0)));
    }

    #[test]
    fn a_humidity_is_news_from_the_damp_on() {
        assert_eq!(when_damp(&readings(&[59.99, 60.0, 100.0])), [None, Some(60.0), Some(100.0)]);
    }

    #[test]
    fn much_is_forwarded_and_much_is_filtered_at_each_qos() {
        let plan = Plan::of(&recorded(usize::MAX).unwrap());
        for device in &plan.devices {
            let forwarded = device.messages.iter().filter(|planned| planned.expected.is_some()).count();
            let share = forwarded as f64 / device.messages.len() as f64;
            assert!((0.3..0.7).contains(&share), "{}: {share}", device.name);
        }
        let combinations: std::collections::HashSet<_> =
            plan.devices.iter().map(|device| (device.qos, device.protocol == Version::V5)).collect();
        assert_eq!(combinations.len(), 6);
    }

    #[test]
    fn a_payload_has_the_recorded_digits() {
        let plan = Plan::of(&recorded(1).unwrap());
        let said: Vec<_> = plan.devices.iter().map(|device| device.messages[0].payload.as_str()).collect();
        assert_eq!(said[0], r#"{"n":0,"qos":0,"hour":"2013-01-01T06:00Z","fahrenheit":39.02}"#);
        assert_eq!(said[5], r#"{"n":0,"qos":2,"hour":"2013-01-01T06:00Z","humidity":57.33}"#);
    }
}
