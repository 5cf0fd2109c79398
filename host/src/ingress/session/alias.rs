//! Topic aliases from the device (MQTT 5, section 3.3.2.3.4): good for one connection.

use std::collections::HashMap;

use crate::mqtt::Reason;
use crate::topic::TopicName;

/// Aliases that one connection may set. Sixteen cover what one device publishes often; each costs one topic.
pub const TOPIC_ALIAS_MAXIMUM: u16 = 16;

#[derive(Debug, Default)]
pub struct Aliases {
    topics: HashMap<u16, TopicName>,
    bytes: usize,
}

impl Aliases {
    /// Of all topics.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The topic that a PUBLISH means; sets the alias when it comes with a name.
    pub fn resolve(&mut self, topic: Option<TopicName>, alias: Option<u16>) -> Result<TopicName, Reason> {
        let Some(alias) = alias else { return topic.ok_or(Reason::PROTOCOL_ERROR) };
        if alias == 0 || alias > TOPIC_ALIAS_MAXIMUM {
            return Err(Reason::TOPIC_ALIAS_INVALID);
        }
        match topic {
            Some(topic) => {
                let before = self.topics.insert(alias, topic.clone());
                self.bytes += topic.as_str().len();
                self.bytes -= before.map_or(0, |before| before.as_str().len());
                Ok(topic)
            }
            None => self.topics.get(&alias).cloned().ok_or(Reason::PROTOCOL_ERROR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_last_topic_it_came_with() {
        let mut aliases = Aliases::default();
        let topic = |text| Some(TopicName::parse(text).unwrap());
        assert_eq!(aliases.resolve(None, Some(1)), Err(Reason::PROTOCOL_ERROR));
        aliases.resolve(topic("a"), Some(1)).unwrap();
        aliases.resolve(topic("b"), Some(1)).unwrap();
        assert_eq!(aliases.resolve(None, Some(1)).unwrap().as_str(), "b");
        assert_eq!(aliases.bytes(), 1, "only one is held");
        assert_eq!(aliases.resolve(topic("c"), Some(0)), Err(Reason::TOPIC_ALIAS_INVALID));
        assert_eq!(aliases.resolve(topic("c"), Some(17)), Err(Reason::TOPIC_ALIAS_INVALID));
        assert_eq!(aliases.resolve(None, None), Err(Reason::PROTOCOL_ERROR));
    }
}
