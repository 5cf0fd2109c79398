//! How many gateways a message has crossed, as a user property that travels with it (MQTT 5): two gateways in a ring, or one whose upstream is
//! its own listener, would send one message round for ever.
//!
//! A gateway says in its CONNECT that it is one ([`GATEWAY`]), and whoever lets it in counts what comes from it ([`Message::cross`]). What comes from a device
//! has no such property and gets none: it costs nothing, and a broker sees what the device sent. 3.1.1 has no properties, and no count.

use std::sync::Arc;

use super::{Message, Properties};

/// The user property of a message. A device may have set it, and is taken at its word.
pub const HOPS: &str = "tidegate-hops";

/// The user property of CONNECT.
pub const GATEWAY: &str = "tidegate-gateway";

/// A plant, a site and a region are three. More is a ring.
pub const MOST_GATEWAYS: u32 = 8;

// === impl Message ===

impl Message {
    /// As the gateway before has counted. 0 for what came from a device.
    pub fn gateways(&self) -> u32 {
        let Some(properties) = &self.properties else { return 0 };
        let count = |(name, value): &(String, String)| if name == HOPS { value.parse().ok() } else { None };
        properties.user.iter().filter_map(count).max().unwrap_or(0)
    }

    /// It has come from another gateway.
    pub fn cross(&mut self) {
        self.set_gateways(self.gateways().saturating_add(1));
    }

    /// Nothing is changed where that is what it says.
    pub fn set_gateways(&mut self, gateways: u32) {
        if self.gateways() == gateways {
            return;
        }
        let user = &mut Arc::<Properties>::make_mut(self.properties.get_or_insert_default()).user;
        user.retain(|(name, _)| name != HOPS);
        user.push((HOPS.into(), gateways.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;
    use crate::topic::TopicName;

    fn with(user: &[(&str, &str)]) -> Message {
        let user = user.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
        message.properties = Some(Arc::new(Properties { user, ..Properties::default() }));
        message
    }

    #[test]
    fn what_comes_from_a_device_has_crossed_none_and_each_gateway_counts_once() {
        let mut message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
        message.set_gateways(0);
        assert_eq!((message.gateways(), &message.properties), (0, &None));
        for crossed in 1..=3 {
            message.cross();
            assert_eq!(message.gateways(), crossed);
        }
        assert_eq!(message, with(&[(HOPS, "3")]));
    }

    #[test]
    fn a_device_is_taken_at_its_word_and_its_other_properties_stay_as_they_are() {
        let mut message = with(&[("a", "1"), (HOPS, "7"), ("a", "2"), (HOPS, "no number")]);
        assert_eq!(message.gateways(), 7);
        message.cross();
        assert_eq!(message, with(&[("a", "1"), ("a", "2"), (HOPS, "8")]));
        assert_eq!(with(&[(HOPS, "-1")]).gateways(), 0);
        let mut most = with(&[(HOPS, "4294967295")]);
        most.cross();
        assert_eq!(most.gateways(), u32::MAX);
    }
}
