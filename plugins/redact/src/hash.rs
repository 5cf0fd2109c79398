//! A keyed hash, so that an identity stays joinable and cannot be found by trying all of them.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

/// HMAC-SHA256 with its key, keyed once.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(Hmac<Sha256>);

/// What an attacker who knows everything else would have to try.
const MIN_KEY_BYTES: usize = 16;

/// 128 bits: no two identities of a site share a hash, and it is half as long.
const HASH_BYTES: usize = 16;

// === impl Key ===

impl Key {
    /// The hash of a value as text in hexadecimal. `null` stays: there is nothing to hide. A text is hashed as it is
    /// between its quotes, so that others can compute the same hash from the plain identity.
    pub fn hash(&self, value: &Value) -> Value {
        let digest = match value {
            Value::Null => return Value::Null,
            Value::String(text) => self.digest(text.as_bytes()),
            other => self.digest(other.to_string().as_bytes()),
        };
        Value::String(digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(bytes).finalize().into_bytes().into()
    }
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        if key.len() < MIN_KEY_BYTES {
            return Err(format!("the key has {} bytes: use {MIN_KEY_BYTES} at least, chosen at random", key.len()));
        }
        Hmac::new_from_slice(key.as_bytes()).map(Self).map_err(|error| error.to_string())
    }
}

/// A key is never shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_is_hmac_sha256_as_others_compute_it() {
        // printf 'ada' | openssl dgst -sha256 -hmac 'sixteen bytes ok' | cut -c1-32
        let key = Key::try_from("sixteen bytes ok".to_owned()).unwrap();
        assert_eq!(key.hash(&json!("ada")), json!("fbe202e8b6e1156396594969bbb00a37"));
    }

    #[test]
    fn numbers_and_lists_are_hashed_by_their_json_and_null_stays() {
        let key = Key::try_from("sixteen bytes ok".to_owned()).unwrap();
        assert_eq!(key.hash(&json!(7)), key.hash(&json!("7")));
        assert_eq!(key.hash(&json!([1, 2])), key.hash(&json!("[1,2]")));
        assert_eq!(key.hash(&Value::Null), Value::Null);
    }
}
