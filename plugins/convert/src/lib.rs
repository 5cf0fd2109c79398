//! Converts units of fields in place and leaves the rest of the payload as it is. The lesson: a transform that replaces
//! the payload.

#![forbid(unsafe_code)]

mod conversion;
mod field;
mod unit;

use serde_json::Value;
use tidegate_plugin::prelude::*;

use field::Field;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Convert {
    fields: Vec<Field>,
}

impl Plugin for Convert {
    fn init(&mut self) -> Result<()> {
        if self.fields.is_empty() {
            bail!("`fields` is empty: name at least one field to convert");
        }
        Ok(())
    }

    fn transform(&mut self, message: &Message) -> Result<Outputs> {
        let mut document: Value = message.json()?;
        for field in &self.fields {
            field.convert(&mut document)?;
        }
        Outputs::json(&document)
    }
}

export!(Convert);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    fn convert(fields: Value) -> Tester<Convert> {
        Tester::configured(json!({ "fields": fields })).unwrap()
    }

    #[test]
    fn fields_are_converted_in_place_and_the_others_keep_their_order() {
        let mut convert = convert(json!([
            { "path": "/t", "from": "celsius", "to": "fahrenheit", "decimals": 1 },
            { "path": "/air/p", "from": "hectopascal", "to": "bar", "decimals": 3 },
        ]));
        let out = convert.send("a", r#"{"z": "x", "t": 21.5, "air": {"p": 1013, "q": null}, "b": [1]}"#).unwrap();
        assert_eq!(out, [Message::new("a", r#"{"z":"x","t":70.7,"air":{"p":1.013,"q":null},"b":[1]}"#)]);
    }

    #[test]
    fn a_delete_passes_as_it_came() {
        let mut convert = convert(json!([{ "path": "/t", "scale": 2 }]));
        let delete = Message::new("a", "").with_retain(true);
        assert_eq!(convert.handle(&delete).unwrap(), [delete]);
    }

    #[test]
    fn the_whole_payload_may_be_the_number() {
        let mut convert = convert(json!([{ "path": "", "scale": 0.1, "offset": -40, "decimals": 1 }]));
        assert_eq!(convert.send("a", "615").unwrap(), [Message::new("a", "21.5")]);
    }

    #[test]
    fn a_result_may_move_to_another_place() {
        let mut convert = convert(json!([{ "path": "/f", "to_path": "/c", "from": "°F", "to": "°C", "decimals": 0 }]));
        assert_eq!(convert.send("a", r#"{"f": 212, "n": 1}"#).unwrap(), [Message::new("a", r#"{"n":1,"c":100}"#)]);
    }

    #[test]
    fn a_missing_field_fails_unless_it_is_optional() {
        let field = |optional| json!([{ "path": "/t", "from": "km/h", "to": "m/s", "optional": optional }]);
        assert_eq!(convert(field(true)).send("a", r#"{"u":1}"#).unwrap(), [Message::new("a", r#"{"u":1}"#)]);
        let error = convert(field(false)).send("a", r#"{"u":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "the payload has nothing at `/t`");
        let error = convert(field(true)).send("a", r#"{"t":"fast"}"#).unwrap_err();
        assert_eq!(error.to_string(), "what is at `/t` is no number");
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused() {
        let cases = [
            (json!([]), "`fields` is empty"),
            (
                json!([{ "path": "/t", "from": "celcius", "to": "kelvin" }]),
                "`fields[0].from`: unknown unit `celcius`: use one of ",
            ),
            (
                json!([{ "path": "/t", "from": "celsius", "to": "bar" }]),
                "`fields[0]`: celsius is a temperature and bar a pressure",
            ),
            (json!([{ "path": "/t", "from": "celsius" }]), "`fields[0]`: `from` and `to` go together"),
            (json!([{ "path": "/t" }]), "`fields[0]`: nothing to do: give `from` and `to`, or `scale` or `offset`"),
            (
                json!([{ "path": "/t", "from": "K", "to": "K", "scale": 2 }]),
                "`fields[0]`: give units or `scale` and `offset`, not both",
            ),
            (json!([{ "path": "/t", "scale": 2, "decimals": 16 }]), "`fields[0]`: `decimals` is 15 at most"),
            (json!([{ "path": "/t", "scale": 2, "decimal": 1 }]), "`fields[0]`: unknown field `decimal`"),
        ];
        for (fields, reason) in cases {
            let error = Tester::<Convert>::configured(json!({ "fields": fields })).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
