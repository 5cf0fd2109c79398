//! A plugin's own table, from TOML to the JSON that its `configure` gets.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// The JSON text; `{}` when the table is absent.
pub fn of_table(table: &Table<'_>) -> String {
    let value = table.free_form().map_or_else(|| Value::Object(Map::new()), |entries| object(entries, table));
    value.to_string()
}

fn object(entries: &DeTable<'_>, table: &Table<'_>) -> Value {
    entries.iter().map(|(key, value)| (key.get_ref().to_string(), convert(value, table))).collect()
}

fn convert(value: &Placed<DeValue<'_>>, table: &Table<'_>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.into(),
            Err(_) => refuse(value, "this number does not fit 64 bits", table),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => refuse(value, "plugins get their configuration as JSON, which has no `inf` and no `nan`", table),
        },
        DeValue::Boolean(flag) => Value::Bool(*flag),
        // JSON has no dates; the text is RFC 3339 in both.
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| convert(item, table)).collect(),
        DeValue::Table(entries) => object(entries, table),
    }
}

fn refuse(value: &Placed<DeValue<'_>>, sentence: &str, table: &Table<'_>) -> Value {
    table.add(Problem::error(value.span(), sentence).advice("leave the key out, or write a string"));
    Value::Null
}
