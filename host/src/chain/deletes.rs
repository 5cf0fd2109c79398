//! Deletes: retained messages without a payload, which remove what is retained on their topic (MQTT 5, section 3.3.1.3).
//!
//! A plugin that reads payloads finds none here, and would fail on each. Then what a device has deleted stays at the upstream
//! for ever. So a delete goes past each plugin that has not asked for deletes (`manifest` in `wit/`), also past one that is
//! broken: there is nothing in it that the plugin could have looked at but the topic.
//!
//! And the properties: what a plugin of any kind may be there to leave out does not go past it. The expiry interval stays, because
//! without it the message would live longer than its device wanted.

use std::sync::Arc;

use crate::message::{Message, Properties};
use crate::plugin::{Envelope, Verdict};

/// How many messages at the front are no deletes.
pub fn before_the_next(waiting: &[Envelope]) -> usize {
    waiting.iter().take_while(|envelope| !envelope.message.is_delete()).count()
}

/// What a delete is behind a plugin that has not seen it.
pub fn pass_by(message: &Message) -> Verdict {
    let Some(properties) = &message.properties else { return Verdict::Forward };
    let kept = Properties { expiry: properties.expiry, ..Properties::default() };
    let properties = (!kept.is_empty()).then(|| Arc::new(kept));
    Verdict::Emit(vec![Message { properties, ..message.clone() }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::message;

    #[test]
    fn of_the_properties_only_the_expiry_goes_past_a_plugin() {
        let delete = |expiry, user: &[(String, String)]| {
            let properties = Properties { expiry, user: user.to_vec(), ..Properties::default() };
            Message { retain: true, properties: Some(Arc::new(properties)), ..message("") }
        };
        let secret = [("token".to_owned(), "secret".to_owned())];
        assert_eq!(pass_by(&delete(Some(9), &secret)), Verdict::Emit(vec![delete(Some(9), &[])]));
        let bare = Message { retain: true, ..message("") };
        assert_eq!(pass_by(&delete(None, &secret)), Verdict::Emit(vec![bare.clone()]));
        assert_eq!(pass_by(&bare), Verdict::Forward);
    }
}
