//! What survives: a small table of keys and values of this plugin in this binding, as durable as the messages.
//!
//! What a call changes becomes safe together with what it puts out and with the message it took, or not at all. A call that fails or
//! panics changes nothing; after a crash of the gateway the state is that of the last message that was safe, and those after it
//! come again. Values are JSON of any type that serde knows, or bytes.
//!
//! ```
//! # use tidegate_plugin::prelude::*;
//! /// Numbers what it forwards, and never gives a number twice.
//! #[derive(Deserialize)]
//! struct Numbered {}
//!
//! impl Plugin for Numbered {
//!     fn transform(&mut self, _: &Message) -> Result<Outputs> {
//!         let n = state::get::<u64>("n")?.unwrap_or(0) + 1;
//!         state::set("n", &n)?;
//!         Ok(Outputs::payload(n.to_string()))
//!     }
//! }
//! # use tidegate_plugin::testing::{Tester, json};
//! # let mut numbered = Tester::<Numbered>::configured(json!({}))?;
//! # numbered.send("a", "x")?;
//! # numbered.restart()?;
//! # assert_eq!(numbered.send("a", "x")?, [Message::new("a", "2")]);
//! # Ok::<(), Error>(())
//! ```
//!
//! - There is no state in [`Plugin::init`](crate::Plugin::init): asking for it there ends the plugin's start.
//! - `limits.state` of the plugin bounds it: keys, values and 64 bytes for each entry. A key has 1 to 1,024 bytes.
//! - Each change is written to the disk with its message: many small keys are better than one large value.
//! - A plugin that uses it gets its messages one by one and not in batches.
//! - Another version of the plugin finds what this one left: be able to read it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::tidegate::plugin::state::Refusal;
use crate::{Error, Result};

/// The value of a key. An error when it is there and is no such value.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    let Some(bytes) = get_bytes(key) else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|error| Error::from(error).context(format!("the state `{key}`")))
}

/// Puts a value, or replaces it.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<()> {
    set_bytes(key, serde_json::to_vec(value)?)
}

/// The bytes of a key.
pub fn get_bytes(key: &str) -> Option<Vec<u8>> {
    host::get(key)
}

/// Puts bytes, or replaces them.
pub fn set_bytes(key: &str, value: impl AsRef<[u8]>) -> Result<()> {
    host::set(key, value.as_ref()).map_err(|refusal| match refusal {
        Refusal::Full => Error::new(format!("no room for the state `{key}`: raise `limits.state` of the plugin")),
        Refusal::BadKey => Error::new(format!("a key of {} bytes: keys have 1 to 1,024", key.len())),
    })
}

/// Removes a key, whether it is there or not.
pub fn delete(key: &str) {
    host::delete(key);
}

/// The keys that begin with `prefix`, in the order of their bytes.
pub fn keys(prefix: &str) -> Vec<String> {
    host::keys(prefix)
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::tidegate::plugin::state as host;

#[cfg(not(target_arch = "wasm32"))]
use fake as host;

/// The host's side on a developer's machine: a table that the thread works on while a [`Tester`](crate::testing::Tester) calls.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod fake {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::Refusal;

    pub type Table = BTreeMap<String, Vec<u8>>;

    /// The gateway's default for `limits.state`, and what it counts for an entry.
    const QUOTA: usize = 1 << 20;
    const ENTRY_OVERHEAD: usize = 64;

    thread_local! {
        static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
    }

    /// A call on this table: what it changed is there afterwards when it succeeded, and only then.
    pub fn during<T, E>(table: &mut Table, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        TABLE.set(Some(table.clone()));
        let result = call();
        if let (Some(changed), Ok(_)) = (TABLE.take(), &result) {
            *table = changed;
        }
        result
    }

    pub fn get(key: &str) -> Option<Vec<u8>> {
        with(|table| table.get(key).cloned())
    }

    pub fn set(key: &str, value: &[u8]) -> Result<(), Refusal> {
        if key.is_empty() || key.len() > 1_024 {
            return Err(Refusal::BadKey);
        }
        with(|table| {
            let cost = |(key, value): (&String, &Vec<u8>)| ENTRY_OVERHEAD + key.len() + value.len();
            let others: usize = table.iter().filter(|(other, _)| *other != key).map(cost).sum();
            if others + ENTRY_OVERHEAD + key.len() + value.len() > QUOTA {
                return Err(Refusal::Full);
            }
            table.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    pub fn delete(key: &str) {
        with(|table| drop(table.remove(key)));
    }

    pub fn keys(prefix: &str) -> Vec<String> {
        with(|table| table.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn with<T>(work: impl FnOnce(&mut Table) -> T) -> T {
        TABLE.with_borrow_mut(|table| match table {
            Some(table) => work(table),
            None => panic!("asked for its state in `init`: there is none before the first message"),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::{Tester, json};

    /// Appends each payload to what it remembers; refuses "bad" after it has done so.
    #[derive(Deserialize)]
    struct Append {}

    impl Plugin for Append {
        fn transform(&mut self, message: &Message) -> Result<Outputs> {
            let mut seen: Vec<String> = state::get("seen")?.unwrap_or_default();
            seen.push(message.text()?.to_owned());
            state::set("seen", &seen)?;
            if message.text()? == "bad" {
                bail!("bad");
            }
            if message.text()? == "huge" {
                state::set_bytes("huge", vec![0; 2 << 20])?;
            }
            Ok(Outputs::payload(seen.join(",")))
        }
    }

    #[test]
    fn state_survives_a_restart_and_a_failure_leaves_none() {
        let mut append = Tester::<Append>::configured(json!({})).unwrap();
        append.send("a", "1").unwrap();
        append.send("a", "bad").unwrap_err();
        append.restart().unwrap();
        assert_eq!(append.send("a", "2").unwrap(), [Message::new("a", "1,2")]);
    }

    #[test]
    fn beyond_the_quota_is_an_error_that_says_what_to_raise() {
        let mut append = Tester::<Append>::configured(json!({})).unwrap();
        let error = append.send("a", "huge").unwrap_err();
        assert!(error.to_string().contains("`limits.state`"), "{error}");
        assert_eq!(append.send("a", "1").unwrap(), [Message::new("a", "1")]);
    }

    #[test]
    fn each_tester_has_a_table_of_its_own() {
        let mut testers = [(); 2].map(|()| Tester::<Append>::configured(json!({})).unwrap());
        testers[0].send("a", "1").unwrap();
        assert_eq!(testers[1].send("a", "2").unwrap(), [Message::new("a", "2")]);
    }
}
