//! Reads one value of a JSON text in one pass, building nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub fn select<T: DeserializeOwned>(json: &[u8], steps: &[String]) -> serde_json::Result<Option<T>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let found = Select::new(steps).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// Looks for what the steps lead to.
struct Select<'p, T> {
    steps: &'p [String],
    wanted: PhantomData<T>,
}

/// Looks for the step `name` in a list or an object, and for the others in what is there.
struct Descend<'p, T> {
    name: &'p str,
    then: Select<'p, T>,
}

// === impl Select ===

impl<'p, T> Select<'p, T> {
    fn new(steps: &'p [String]) -> Self {
        Self { steps, wanted: PhantomData }
    }

    fn again(&self) -> Self {
        Self::new(self.steps)
    }
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Select<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        match self.steps.split_first() {
            None => T::deserialize(deserializer).map(Some),
            Some((name, steps)) => deserializer.deserialize_any(Descend { name, then: Select::new(steps) }),
        }
    }
}

// === impl Descend ===

impl<'de, T: DeserializeOwned> Visitor<'de> for Descend<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    /// Of a name that occurs twice the last counts, as when the whole document is built.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut found = None;
        while let Some(matches) = map.next_key_seed(Is(self.name))? {
            if matches {
                found = map.next_value_seed(self.then.again())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<T>, A::Error> {
        let wanted = super::edit::position(self.name);
        let mut found = None;
        for index in 0.. {
            if wanted == Some(index) {
                match list.next_element_seed(self.then.again())? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    // A scalar where the path goes on: nothing is there.

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// Compares a key in place, without making a text of it.
struct Is<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}
