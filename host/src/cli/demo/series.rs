//! The recorded series (`host/data/README.md`), read as the sensors that recorded it.

use anyhow::Context as _;

/// Into the binary: the demo needs no file beside it.
const RECORDED: &str = include_str!("../../../data/weather-2013.csv");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Temperature,
    Humidity,
}

/// One instrument of one station.
#[derive(Debug)]
pub struct Sensor {
    pub station: &'static str,
    pub kind: Kind,
    pub readings: Vec<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub hour: &'static str,
    /// As it was recorded, digit by digit.
    pub text: &'static str,
    pub value: f64,
}

/// In the order of the file's columns.
const SENSORS: [(&str, Kind); 6] = [
    ("ewr", Kind::Temperature),
    ("ewr", Kind::Humidity),
    ("jfk", Kind::Temperature),
    ("jfk", Kind::Humidity),
    ("lga", Kind::Temperature),
    ("lga", Kind::Humidity),
];

/// What the sensors recorded in the first `hours` of the series.
pub fn recorded(hours: usize) -> anyhow::Result<Vec<Sensor>> {
    let mut sensors = SENSORS.map(|(station, kind)| Sensor { station, kind, readings: Vec::new() });
    for line in RECORDED.lines().skip(1).take(hours) {
        let mut cells = line.split(',');
        let hour = cells.next().unwrap_or_default();
        for (sensor, text) in sensors.iter_mut().zip(cells) {
            // Empty where the station recorded nothing.
            if !text.is_empty() {
                let value = text.parse().with_context(|| format!("the series has `{text}` at {hour}"))?;
                sensor.readings.push(Reading { hour, text, value });
            }
        }
    }
    Ok(sensors.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_whole_and_in_order() {
        let sensors = recorded(usize::MAX).unwrap();
        let count: usize = sensors.iter().map(|sensor| sensor.readings.len()).sum();
        assert_eq!((sensors.len(), count), (6, 26_004));
        for sensor in &sensors {
            assert!(sensor.readings.windows(2).all(|pair| pair[0].hour < pair[1].hour), "{sensor:?}");
        }
    }

    #[test]
    fn columns_are_read_as_their_header_names_them() {
        let header = RECORDED.lines().next().unwrap();
        let unit = |kind| if kind == Kind::Temperature { "fahrenheit" } else { "humidity" };
        let columns: Vec<_> = SENSORS.iter().map(|(station, kind)| format!("{station}_{}", unit(*kind))).collect();
        assert_eq!(header, format!("hour,{}", columns.join(",")));
    }

    #[test]
    fn a_gap_in_the_record_is_no_reading() {
        let sensors = recorded(usize::MAX).unwrap();
        let hour = RECORDED.lines().find(|line| line.contains(",,")).unwrap().split(',').next().unwrap();
        let silent = sensors.iter().filter(|sensor| sensor.readings.iter().all(|reading| reading.hour != hour));
        assert!(silent.count() > 0);
    }
}
