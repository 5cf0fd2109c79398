//! Units, each a straight line to the base of its quantity: `base = number * scale + offset`. The factors are exact where
//! the unit is defined so.

use std::fmt;

use serde::Deserialize;

/// A unit of the table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Unit(&'static Row);

#[derive(Debug)]
struct Row {
    quantity: &'static str,
    name: &'static str,
    symbol: &'static str,
    scale: f64,
    offset: f64,
}

const fn row(quantity: &'static str, name: &'static str, symbol: &'static str, scale: f64, offset: f64) -> Row {
    Row { quantity, name, symbol, scale, offset }
}

const FOOT: f64 = 0.3048;
const POUND: f64 = 0.453_592_37;

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row("temperature", "kelvin",       "K",     1.0,                    0.0),
    row("temperature", "celsius",      "°C",    1.0,                    273.15),
    row("temperature", "fahrenheit",   "°F",    5.0 / 9.0,              459.67 * 5.0 / 9.0),
    row("pressure",    "pascal",       "Pa",    1.0,                    0.0),
    row("pressure",    "hectopascal",  "hPa",   100.0,                  0.0),
    row("pressure",    "kilopascal",   "kPa",   1_000.0,                0.0),
    row("pressure",    "millibar",     "mbar",  100.0,                  0.0),
    row("pressure",    "bar",          "bar",   100_000.0,              0.0),
    row("pressure",    "atmosphere",   "atm",   101_325.0,              0.0),
    row("pressure",    "psi",          "psi",   6_894.757_293_168_361,  0.0),
    row("length",      "metre",        "m",     1.0,                    0.0),
    row("length",      "millimetre",   "mm",    0.001,                  0.0),
    row("length",      "centimetre",   "cm",    0.01,                   0.0),
    row("length",      "kilometre",    "km",    1_000.0,                0.0),
    row("length",      "inch",         "in",    FOOT / 12.0,            0.0),
    row("length",      "foot",         "ft",    FOOT,                   0.0),
    row("length",      "mile",         "mi",    5_280.0 * FOOT,         0.0),
    row("speed",       "metre_per_second",   "m/s",  1.0,               0.0),
    row("speed",       "kilometre_per_hour", "km/h", 1.0 / 3.6,         0.0),
    row("speed",       "mile_per_hour",      "mph",  0.447_04,          0.0),
    row("speed",       "knot",               "kn",   1_852.0 / 3_600.0, 0.0),
    row("mass",        "kilogram",     "kg",    1.0,                    0.0),
    row("mass",        "gram",         "g",     0.001,                  0.0),
    row("mass",        "tonne",        "t",     1_000.0,                0.0),
    row("mass",        "pound",        "lb",    POUND,                  0.0),
    row("volume",      "cubic_metre",  "m³",    1.0,                    0.0),
    row("volume",      "litre",        "l",     0.001,                  0.0),
    row("volume",      "us_gallon",    "gal",   0.003_785_411_784,      0.0),
    row("energy",      "joule",        "J",     1.0,                    0.0),
    row("energy",      "kilojoule",    "kJ",    1_000.0,                0.0),
    row("energy",      "megajoule",    "MJ",    1_000_000.0,            0.0),
    row("energy",      "watt_hour",    "Wh",    3_600.0,                0.0),
    row("energy",      "kilowatt_hour", "kWh",  3_600_000.0,            0.0),
    row("energy",      "btu",          "BTU",   1_055.055_852_62,       0.0),
    row("power",       "watt",         "W",     1.0,                    0.0),
    row("power",       "kilowatt",     "kW",    1_000.0,                0.0),
    row("power",       "megawatt",     "MW",    1_000_000.0,            0.0),
    row("power",       "horsepower",   "hp",    745.699_871_582_270_2,  0.0),
    row("time",        "second",       "s",     1.0,                    0.0),
    row("time",        "millisecond",  "ms",    0.001,                  0.0),
    row("time",        "minute",       "min",   60.0,                   0.0),
    row("time",        "hour",         "h",     3_600.0,                0.0),
    row("angle",       "radian",       "rad",   1.0,                    0.0),
    row("angle",       "degree",       "°",     std::f64::consts::PI / 180.0, 0.0),
];

// === impl Unit ===

impl Unit {
    /// Scale and offset from this unit to another of its quantity.
    pub fn to(self, to: Self) -> Result<(f64, f64), String> {
        if self.0.quantity != to.0.quantity {
            return Err(format!("{self} is a {} and {to} a {}", self.0.quantity, to.0.quantity));
        }
        Ok((self.0.scale / to.0.scale, (self.0.offset - to.0.offset) / to.0.scale))
    }
}

impl TryFrom<String> for Unit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = TABLE.iter().find(|row| row.name == text || row.symbol == text);
        known.map(Self).ok_or_else(|| {
            let all: Vec<_> = TABLE.iter().map(|row| format!("{} ({})", row.name, row.symbol)).collect();
            format!("unknown unit `{text}`: use one of {}", all.join(", "))
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        Unit::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn known_values_come_out() {
        let cases = [
            (100.0, "celsius", "fahrenheit", 212.0),
            (-40.0, "fahrenheit", "celsius", -40.0),
            (0.0, "K", "°C", -273.15),
            (1.0, "atm", "hPa", 1013.25),
            (14.5, "psi", "kPa", 99.973_980_75),
            (1.0, "mile", "km", 1.609_344),
            (36.0, "km/h", "m/s", 10.0),
            (1.0, "kWh", "MJ", 3.6),
            (1.0, "lb", "g", 453.592_37),
            (180.0, "degree", "radian", std::f64::consts::PI),
        ];
        for (number, from, to, expected) in cases {
            let (scale, offset) = unit(from).to(unit(to)).unwrap();
            let converted = number * scale + offset;
            assert!((converted - expected).abs() < 1e-6, "{number} {from} = {converted} {to}");
        }
    }

    #[test]
    fn there_and_back_is_where_it_was() {
        for (from, to) in TABLE.iter().flat_map(|from| TABLE.iter().map(move |to| (Unit(from), Unit(to)))) {
            let (Ok((there, up)), Ok((back, down))) = (from.to(to), to.to(from)) else { continue };
            let number = (12.5 * there + up) * back + down;
            assert!((number - 12.5).abs() < 1e-6, "{from} to {to} and back: {number}");
        }
    }

    #[test]
    fn no_two_units_share_a_name() {
        let mut names: Vec<_> = TABLE.iter().flat_map(|row| [row.name, row.symbol]).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        // `bar` and `psi` are their own symbols.
        assert_eq!(names.len(), all - 2);
    }
}
