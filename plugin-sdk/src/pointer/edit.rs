//! Changes one place of a JSON document.

use serde_json::{Map, Value};

/// A place in a list: digits without a leading zero.
pub fn position(step: &str) -> Option<usize> {
    let canonical = step == "0" || step.starts_with(|first: char| matches!(first, '1'..='9'));
    if canonical { step.parse().ok() } else { None }
}

pub fn remove(document: &mut Value, steps: &[String]) -> Option<Value> {
    let Some((last, path)) = steps.split_last() else { return Some(document.take()) };
    let mut parent = document;
    for step in path {
        parent = child(parent, step)?;
    }
    match parent {
        // The order of the others stays.
        Value::Object(map) => take(map, last),
        Value::Array(list) => position(last).filter(|&index| index < list.len()).map(|index| list.remove(index)),
        _ => None,
    }
}

pub fn set(document: &mut Value, steps: &[String], value: Value) -> Option<()> {
    let mut place = document;
    for step in steps {
        place = match place {
            Value::Object(map) => map.entry(step.as_str()).or_insert_with(|| Value::Object(Map::new())),
            Value::Array(list) => {
                let index = index_or_new(list, step)?;
                list.get_mut(index)?
            }
            _ => return None,
        };
    }
    *place = value;
    Some(())
}

/// `-` is the place after the last (RFC 6901, section 4).
fn index_or_new(list: &mut Vec<Value>, step: &str) -> Option<usize> {
    if step != "-" {
        return position(step);
    }
    list.push(Value::Object(Map::new()));
    Some(list.len() - 1)
}

fn child<'v>(parent: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    match parent {
        Value::Object(map) => map.get_mut(step),
        Value::Array(list) => list.get_mut(position(step)?),
        _ => None,
    }
}

/// With `preserve_order`, which a plugin may switch on, plain `remove` would put the last entry in the gap. Rebuilding
/// costs the same order and works with both kinds of map.
fn take(map: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let mut taken = None;
    if map.contains_key(name) {
        *map = std::mem::take(map)
            .into_iter()
            .filter_map(|(key, value)| {
                if key == name {
                    taken = Some(value);
                    return None;
                }
                Some((key, value))
            })
            .collect();
    }
    taken
}
