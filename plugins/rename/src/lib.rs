//! Rewrites topics by rules with captures; the first rule that matches wins. The lesson: an output is the message that
//! came in, but for what changed.

#![forbid(unsafe_code)]

mod pattern;
mod template;

use tidegate_plugin::prelude::*;

use pattern::Pattern;
use template::Template;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    rules: Vec<Rule>,
    #[serde(default)]
    unmatched: Unmatched,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
struct Rule {
    from: Pattern,
    to: Template,
}

/// As it stands in the configuration: two texts that must fit together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: String,
    to: String,
}

/// What becomes of a message that no rule matches.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unmatched {
    #[default]
    Forward,
    Drop,
}

impl Plugin for Rename {
    fn init(&mut self) -> Result<()> {
        if self.rules.is_empty() {
            bail!("`rules` is empty: give at least one rule with `from` and `to`");
        }
        Ok(())
    }

    /// What is retained there is retained under the new topic.
    fn delete(&mut self, message: &Message) -> Result<Outputs> {
        self.transform(message)
    }

    fn transform(&mut self, message: &Message) -> Result<Outputs> {
        for rule in &self.rules {
            if let Some(captures) = rule.from.captures(message.topic()) {
                let topic = rule.to.fill(&captures)?;
                return Ok(Output::new().topic(topic).into());
            }
        }
        Ok(match self.unmatched {
            Unmatched::Forward => Outputs::same(),
            Unmatched::Drop => Outputs::none(),
        })
    }
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let from = Pattern::parse(&written.from).map_err(|reason| format!("from = \"{}\": {reason}", written.from))?;
        let to = Template::parse(&written.to, from.names())
            .map_err(|reason| format!("to = \"{}\": {reason}", written.to))?;
        Ok(Self { from, to })
    }
}

export!(Rename);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{Tester, json};

    use super::*;

    #[test]
    fn captures_move_to_their_places_and_all_else_stays() {
        let config =
            json!({ "rules": [{ "from": "sensors/+site/+kind/#rest", "to": "{site}/by-kind/{kind}/{rest}" }] });
        let mut rename = Tester::<Rename>::configured(config).unwrap();
        let message = Message::new("sensors/plant7/temp/hall/3", "21.5").with_qos(QoS::ExactlyOnce).with_retain(true);
        let renamed = Message::new("plant7/by-kind/temp/hall/3", "21.5").with_qos(QoS::ExactlyOnce).with_retain(true);
        assert_eq!(rename.handle(&message).unwrap(), [renamed]);
    }

    #[test]
    fn a_delete_goes_to_the_new_topic() {
        let mut rename = Tester::<Rename>::configured(json!({ "rules": [{ "from": "a", "to": "b" }] })).unwrap();
        let delete = |topic| Message::new(topic, "").with_retain(true);
        assert_eq!(rename.handle(&delete("a")).unwrap(), [delete("b")]);
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let config =
            json!({ "rules": [{ "from": "a/+x", "to": "first/{x}" }, { "from": "a/#x", "to": "second/{x}" }] });
        let mut rename = Tester::<Rename>::configured(config).unwrap();
        assert_eq!(rename.send("a/1", "").unwrap(), [Message::new("first/1", "")]);
        assert_eq!(rename.send("a/1/2", "").unwrap(), [Message::new("second/1/2", "")]);
    }

    #[test]
    fn what_no_rule_matches_is_forwarded_or_dropped_as_configured() {
        let rules = json!([{ "from": "a", "to": "b" }]);
        let mut forward = Tester::<Rename>::configured(json!({ "rules": rules })).unwrap();
        assert_eq!(forward.send("c", "").unwrap(), [Message::new("c", "")]);
        let mut drop = Tester::<Rename>::configured(json!({ "rules": rules, "unmatched": "drop" })).unwrap();
        assert_eq!(drop.send("c", "").unwrap(), []);
    }

    #[test]
    fn a_topic_that_would_be_empty_fails() {
        let mut rename =
            Tester::<Rename>::configured(json!({ "rules": [{ "from": "a/#rest", "to": "{rest}" }] })).unwrap();
        assert_eq!(rename.send("a/b", "").unwrap(), [Message::new("b", "")]);
        assert_eq!(rename.send("a", "").unwrap_err().to_string(), "the new topic would be empty");
    }

    #[test]
    fn configurations_that_cannot_be_meant_are_refused() {
        let cases = [
            ("", "b", "from = \"\": a pattern has at least one character"),
            ("a/#rest/b", "b", "from = \"a/#rest/b\": `#rest` takes all that is left, so it must be the last level"),
            ("a/x+y", "b", "from = \"a/x+y\": `x+y`: a wildcard begins its level, as in `+site`"),
            ("a/+s-1", "b", "from = \"a/+s-1\": `+s-1`: a name has letters, digits and `_` only"),
            ("+a/+a", "b", "from = \"+a/+a\": `a` is captured twice"),
            ("a/+x", "b/{y}", "to = \"b/{y}\": `{y}` is not captured; `from` captures x"),
            ("a/b", "{y}", "to = \"{y}\": `{y}` is not captured; `from` captures nothing"),
            ("a/+x", "b/{x", "to = \"b/{x\": `{` is not closed by `}`"),
            ("a/+x", "b/+", "to = \"b/+\": a topic has no wildcard `+`"),
            ("a/+x", "", "to = \"\": a topic has at least one character"),
        ];
        for (from, to, reason) in cases {
            let config = json!({ "rules": [{ "from": from, "to": to }] });
            let error = Tester::<Rename>::configured(config).unwrap_err().to_string();
            assert_eq!(error, format!("`rules[0]`: {reason}"));
        }
    }
}
