//! Removes what must not leave the site, and replaces identities by keyed hashes. The lesson: properties are part of a
//! message, and secrets part of a configuration.

#![forbid(unsafe_code)]

mod hash;

use serde_json::Value;
use tidegate_plugin::prelude::*;

use hash::Key;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redact {
    /// Fields that go.
    #[serde(default)]
    remove: Vec<Pointer>,
    /// Fields that become a hash of their value.
    #[serde(default)]
    hash: Vec<Pointer>,
    /// What keys the hashes.
    key: Option<Key>,
    /// Names of MQTT 5 user properties that go.
    #[serde(default)]
    user_properties: Vec<String>,
}

impl Plugin for Redact {
    const MUST_RUN: bool = true;

    fn init(&mut self) -> Result<()> {
        if self.remove.is_empty() && self.hash.is_empty() && self.user_properties.is_empty() {
            bail!("nothing to do: name fields to `remove` or `hash`, or `user_properties`");
        }
        if self.remove.iter().any(Pointer::is_root) {
            bail!("`remove` of the whole payload: filter the message instead");
        }
        if self.key.is_none() && !self.hash.is_empty() {
            bail!("`hash` needs a `key`: without one, a short value is found by trying all");
        }
        Ok(())
    }

    fn transform(&mut self, message: &Message) -> Result<Outputs> {
        let mut output = Output::new();
        if !self.remove.is_empty() || !self.hash.is_empty() {
            let mut document: Value = message.json()?;
            self.redact(&mut document);
            // Also when nothing was found: of a name that occurs twice JSON readers see one, and only what was looked at may leave.
            output = output.json(&document)?;
        }
        Ok(self.redact_properties(message, output).into())
    }

    /// There is no payload to look at.
    fn delete(&mut self, message: &Message) -> Result<Outputs> {
        Ok(self.redact_properties(message, Output::new()).into())
    }
}

// === impl Redact ===

impl Redact {
    /// Hashes first: what stands in both lists goes.
    fn redact(&self, document: &mut Value) {
        if let Some(key) = &self.key {
            for place in &self.hash {
                if let Some(value) = place.get_mut(document) {
                    *value = key.hash(value);
                }
            }
        }
        for place in &self.remove {
            place.remove(document);
        }
    }

    fn redact_properties(&self, message: &Message, output: Output) -> Output {
        match message.properties() {
            Some(properties) => output.properties(self.without_names(properties)),
            None => output,
        }
    }

    fn without_names(&self, properties: &Properties) -> Properties {
        let mut kept = properties.clone();
        kept.user.retain(|(name, _)| !self.user_properties.contains(name));
        kept
    }
}

export!(Redact);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    const KEY: &str = "a key of this site only";

    #[test]
    fn removed_fields_are_gone_and_the_others_keep_their_order() {
        let mut redact = Tester::<Redact>::configured(json!({ "remove": ["/operator", "/at/gps"] })).unwrap();
        let out = redact.send("a", r#"{"operator": "Ada", "v": 1, "at": {"gps": [1, 2], "hall": 3}, "u": 2}"#).unwrap();
        assert_eq!(out, [Message::new("a", r#"{"v":1,"at":{"hall":3},"u":2}"#)]);
    }

    #[test]
    fn a_field_hidden_behind_its_double_does_not_pass() {
        let mut redact = Tester::<Redact>::configured(json!({ "remove": ["/who/name"] })).unwrap();
        let out = redact.send("a", r#"{"who": {"name": "Ada"}, "who": {}, "v": 1.0}"#).unwrap();
        assert_eq!(out, [Message::new("a", r#"{"who":{},"v":1.0}"#)]);
    }

    #[test]
    fn equal_values_have_equal_hashes_under_one_key_only() {
        let mut here = Tester::<Redact>::configured(json!({ "hash": ["/badge"], "key": KEY })).unwrap();
        let mut there =
            Tester::<Redact>::configured(json!({ "hash": ["/badge"], "key": "the key of another site" })).unwrap();
        let ada = here.send("a", r#"{"badge":"ada"}"#).unwrap();
        assert_eq!(here.send("a", r#"{"badge":"ada"}"#).unwrap(), ada);
        assert_ne!(here.send("a", r#"{"badge":"bob"}"#).unwrap(), ada);
        assert_ne!(there.send("a", r#"{"badge":"ada"}"#).unwrap(), ada);
        assert!(!ada[0].text().unwrap().contains("ada"));
    }

    #[test]
    fn user_properties_go_by_name_and_all_else_stays() {
        let user = |names: &[&str]| names.iter().map(|name| (name.to_string(), "1".to_string())).collect();
        let properties = |names: &[&str]| Properties { expiry: Some(9), user: user(names), ..Properties::default() };
        let mut redact = Tester::<Redact>::configured(json!({ "user_properties": ["token"] })).unwrap();
        let message = Message::new("a", [0xff]).with_qos(QoS::ExactlyOnce);
        let with = message.keep().with_properties(properties(&["token", "site", "token"]));
        assert_eq!(redact.handle(&with).unwrap(), [message.with_properties(properties(&["site"]))]);
    }

    #[test]
    fn a_delete_passes_without_what_must_not_leave() {
        let user = |names: &[&str]| names.iter().map(|name| (name.to_string(), "1".to_string())).collect();
        let properties = |names: &[&str]| Properties { user: user(names), ..Properties::default() };
        let config = json!({ "remove": ["/operator"], "user_properties": ["token"] });
        let mut redact = Tester::<Redact>::configured(config).unwrap();
        let delete = Message::new("a", "").with_retain(true);
        let with = delete.keep().with_properties(properties(&["token", "site"]));
        assert_eq!(redact.handle(&with).unwrap(), [delete.with_properties(properties(&["site"]))]);
        assert!(redact.send("a", "").is_err(), "not retained it deletes nothing, and cannot be read");
    }

    #[test]
    fn what_cannot_be_read_fails_and_does_not_pass() {
        let mut redact = Tester::<Redact>::configured(json!({ "remove": ["/operator"] })).unwrap();
        assert!(redact.send("a", "operator=Ada").is_err());
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused_without_showing_the_key() {
        let cases = [
            (json!({}), "nothing to do: "),
            (json!({ "remove": [""] }), "`remove` of the whole payload: "),
            (json!({ "remove": ["/a", "b"] }), "`remove[1]`: `b` is no JSON pointer: write `/b`"),
            (json!({ "hash": ["/a"] }), "`hash` needs a `key`: "),
            (
                json!({ "hash": ["/a"], "key": "hunter2" }),
                "`key`: the key has 7 bytes: use 16 at least, chosen at random",
            ),
        ];
        for (config, reason) in cases {
            let error = Tester::<Redact>::configured(config).unwrap_err().to_string();
            assert!(error.starts_with(reason) && !error.contains("hunter2"), "{error}");
        }
        let redact = Tester::<Redact>::configured(json!({ "hash": ["/a"], "key": KEY })).unwrap();
        assert!(!format!("{redact:?}").contains(KEY));
    }
}
