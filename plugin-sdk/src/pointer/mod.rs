//! A place in a JSON document (RFC 6901): `/temperature`, `/readings/0/value`, or the empty text for the whole document.
//!
//! Checked when the configuration is read, so that a plugin's field of this type needs no check of its own.

mod edit;
mod select;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// A JSON pointer. The default is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer {
    text: String,
    /// Unescaped.
    steps: Vec<String>,
}

// === impl Pointer ===

impl Pointer {
    /// Parses a JSON pointer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(path) = text.strip_prefix('/') else {
            return Err(Error::new(format!("`{text}` is no JSON pointer: write `/{text}`")));
        };
        let steps = path.split('/').map(unescape).collect::<Option<_>>().ok_or_else(|| {
            Error::new(format!("`{text}` is no JSON pointer: write `~0` for `~`, and `~1` for `/` in a name"))
        })?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The pointer as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Is it the whole document?
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Reads one value out of a document and skips the others: a fraction of the work of building the whole.
    /// `None` when the document has nothing there.
    pub fn read<T: DeserializeOwned>(&self, json: &[u8]) -> serde_json::Result<Option<T>> {
        select::select(json, &self.steps)
    }

    /// The value there.
    pub fn get<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.text)
    }

    /// The value there, to change.
    pub fn get_mut<'v>(&self, document: &'v mut Value) -> Option<&'v mut Value> {
        document.pointer_mut(&self.text)
    }

    /// Takes the value there out of the document; of the whole document, `null` stays.
    pub fn remove(&self, document: &mut Value) -> Option<Value> {
        edit::remove(document, &self.steps)
    }

    /// Puts a value there, with the objects that lead to it. An error when something on the way is no object, or no place
    /// of a list.
    pub fn set(&self, document: &mut Value, value: Value) -> Result<(), Error> {
        edit::set(document, &self.steps, value)
            .ok_or_else(|| Error::new(format!("{self} cannot be set: something on the way to it is no object")))
    }
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|error| error.to_string())
    }
}

/// For sentences: a place in backticks, or "its top" for the whole document.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("its top") } else { write!(f, "`{}`", self.text) }
    }
}

/// A tilde begins `~0` or `~1` and nothing else.
fn unescape(step: &str) -> Option<String> {
    let mut pieces = step.split('~');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(1)?;
        name.push(match code {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_advice() {
        assert!(Pointer::parse("temp").unwrap_err().to_string().contains("write `/temp`"));
        for bad in ["/a~", "/a~2b", "/~é"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_value_is_read_and_the_rest_skipped() {
        let document = br#"{"a/b": {"~c": [10, {"d": 20}]}, "e": null, "a": 1, "a": 2}"#;
        let cases = [
            ("/a~1b/~0c/0", Some(10)),
            ("/a~1b/~0c/1/d", Some(20)),
            ("/x", None),
            ("/a~1b/~0c/2", None),
            ("/a", Some(2)),
        ];
        for (pointer, value) in cases {
            assert_eq!(at(pointer).read::<i32>(document).unwrap(), value, "{pointer}");
        }
        assert_eq!(at("").read::<f64>(b" 1.5 ").unwrap(), Some(1.5));
        assert_eq!(at("/a").read::<f64>(b"1.5").unwrap(), None);
    }

    #[test]
    fn reading_checks_the_whole_document_and_the_type() {
        assert!(at("/a").read::<f64>(br#"{"a": 1, "b": }"#).unwrap_err().is_syntax());
        assert!(at("/a").read::<f64>(br#"{"a": "1"}"#).unwrap_err().is_data());
        assert!(at("/a").read::<f64>(br#"{"a": 1} 2"#).is_err());
    }

    #[test]
    fn removing_and_setting_change_one_place() {
        let mut document = json!({"a": {"b": 1, "c": 2}, "list": [1, 2, 3]});
        assert_eq!(at("/a/b").remove(&mut document), Some(json!(1)));
        assert_eq!(at("/list/1").remove(&mut document), Some(json!(2)));
        assert_eq!(at("/list/x").remove(&mut document), None);
        at("/new/deep").set(&mut document, json!(true)).unwrap();
        at("/list/0").set(&mut document, json!(9)).unwrap();
        at("/list/-").set(&mut document, json!(4)).unwrap();
        assert_eq!(document, json!({"a": {"c": 2}, "list": [9, 3, 4], "new": {"deep": true}}));
        assert!(at("/a/c/d").set(&mut document, json!(0)).is_err());
        assert!(at("/list/7").set(&mut document, json!(0)).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab~/]{0,2}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// The oracle is serde_json's own pointer, on the whole document.
        #[test]
        fn reading_a_place_finds_what_building_everything_finds(document in any_json(), text in "(/([ab]|~0|~1|[0-2]){0,2}){0,3}") {
            let bytes = serde_json::to_vec(&document).unwrap();
            let found: Option<Value> = at(&text).read(&bytes).unwrap();
            prop_assert_eq!(found.as_ref(), document.pointer(&text));
        }

        #[test]
        fn what_is_set_is_there_and_what_is_removed_was_there(mut document in any_json(), text in "(/[ab]{1,2}){1,3}") {
            let before = at(&text).get(&document).cloned();
            prop_assert_eq!(at(&text).remove(&mut document), before);
            if at(&text).set(&mut document, json!(7)).is_ok() {
                prop_assert_eq!(at(&text).get(&document), Some(&json!(7)));
            }
        }
    }
}
