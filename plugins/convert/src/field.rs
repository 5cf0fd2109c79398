//! One field of the payload, and what becomes of it.

use serde_json::Value;
use tidegate_plugin::prelude::*;

use crate::conversion::{Conversion, Formula};
use crate::unit::Unit;

#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Field {
    path: Pointer,
    to_path: Option<Pointer>,
    optional: bool,
    conversion: Conversion,
}

/// As it stands in the configuration. Flat, without serde's `flatten`, which would let a misspelt key pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Where the number is; the empty text is the whole payload.
    path: Pointer,
    /// Where the result goes; without it, where the number was.
    to_path: Option<Pointer>,
    /// A payload without this field is left alone, where it else fails.
    #[serde(default)]
    optional: bool,
    from: Option<Unit>,
    to: Option<Unit>,
    scale: Option<f64>,
    offset: Option<f64>,
    decimals: Option<u8>,
}

// === impl Field ===

impl Field {
    pub fn convert(&self, document: &mut Value) -> Result<()> {
        let Some(place) = self.path.get_mut(document) else {
            if self.optional {
                return Ok(());
            }
            bail!("the payload has nothing at {}", self.path);
        };
        let Some(number) = place.as_f64() else { bail!("what is at {} is no number", self.path) };
        let converted = self.conversion.apply(number)?;
        match &self.to_path {
            None => *place = converted,
            Some(to) => {
                self.path.remove(document);
                to.set(document, converted)?;
            }
        }
        Ok(())
    }
}

impl TryFrom<Written> for Field {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { path, to_path, optional, from, to, scale, offset, decimals } = written;
        let conversion = Formula { from, to, scale, offset, decimals }.try_into()?;
        Ok(Self { path, to_path, optional, conversion })
    }
}
