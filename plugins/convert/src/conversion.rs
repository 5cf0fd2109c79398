//! One number into another: `number * scale + offset`, rounded. Units are a way to write scale and offset.

use serde_json::Value;
use tidegate_plugin::{Result, bail};

use crate::unit::Unit;

#[derive(Debug)]
pub struct Conversion {
    scale: f64,
    offset: f64,
    decimals: Option<u8>,
}

/// As it is written: units, or the raw numbers.
#[derive(Debug, Default)]
pub struct Formula {
    pub from: Option<Unit>,
    pub to: Option<Unit>,
    pub scale: Option<f64>,
    pub offset: Option<f64>,
    pub decimals: Option<u8>,
}

/// A `f64` holds 15 decimal digits for certain.
const MAX_DECIMALS: u8 = 15;

/// Whole numbers up to here are exact in a `f64`.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

// === impl Conversion ===

impl Conversion {
    /// A JSON number. Without decimals asked for, it is as long as it needs to be; with none, it is a whole number.
    pub fn apply(&self, number: f64) -> Result<Value> {
        let converted = self.rounded(number * self.scale + self.offset);
        if self.decimals == Some(0) && converted.abs() <= MAX_EXACT {
            return Ok(Value::from(converted as i64));
        }
        match serde_json::Number::from_f64(converted) {
            Some(number) => Ok(Value::Number(number)),
            None => bail!("the number is too large to be converted"),
        }
    }

    fn rounded(&self, number: f64) -> f64 {
        let Some(decimals) = self.decimals else { return number };
        let shift = 10f64.powi(decimals.into());
        let rounded = (number * shift).round() / shift;
        // A number too large to be shifted has no decimals to lose.
        if rounded.is_finite() { rounded } else { number }
    }
}

impl TryFrom<Formula> for Conversion {
    type Error = String;

    fn try_from(formula: Formula) -> Result<Self, String> {
        let Formula { from, to, scale, offset, decimals } = formula;
        if decimals.is_some_and(|decimals| decimals > MAX_DECIMALS) {
            return Err(format!("`decimals` is {MAX_DECIMALS} at most"));
        }
        let raw = scale.is_some() || offset.is_some();
        let (scale, offset) = match (from, to) {
            (Some(_), Some(_)) if raw => return Err("give units or `scale` and `offset`, not both".into()),
            (Some(from), Some(to)) => from.to(to)?,
            (None, None) if raw => (scale.unwrap_or(1.0), offset.unwrap_or(0.0)),
            (None, None) => return Err("nothing to do: give `from` and `to`, or `scale` or `offset`".into()),
            _ => return Err("`from` and `to` go together".into()),
        };
        Ok(Self { scale, offset, decimals })
    }
}
