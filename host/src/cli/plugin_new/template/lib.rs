//! Forwards readings between `min` and `max`, and drops the rest.

use tidegate_plugin::prelude::*;

/// The fields are the configuration: `config = { min = -40.0, max = 85.0 }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    min: f64,
    max: f64,
}

impl Plugin for Range {
    fn init(&mut self) -> Result<()> {
        if self.min > self.max {
            bail!("`min` is above `max`: nothing would be inside");
        }
        Ok(())
    }

    fn filter(&mut self, message: &Message) -> Result<bool> {
        let reading: f64 = message.json()?;
        Ok((self.min..=self.max).contains(&reading))
    }
}

export!(Range);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    #[test]
    fn readings_inside_pass_and_others_do_not() {
        let mut range = Tester::<Range>::configured(json!({ "min": -40, "max": 85 })).unwrap();
        assert_eq!(range.send("sensors/1", "21.5").unwrap(), [Message::new("sensors/1", "21.5")]);
        assert_eq!(range.send("sensors/1", "180").unwrap(), []);
    }

    #[test]
    fn what_is_no_reading_is_an_error() {
        let mut range = Tester::<Range>::configured(json!({ "min": -40, "max": 85 })).unwrap();
        assert!(range.send("sensors/1", "open").is_err());
    }

    #[test]
    fn a_range_that_is_empty_is_refused() {
        assert!(Tester::<Range>::configured(json!({ "min": 2, "max": 1 })).is_err());
    }
}
