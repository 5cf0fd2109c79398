//! What a device that connects may do, by who it is. Its will is a message that it publishes later: one that the rules deny is left out, as
//! mosquitto does, and keeps nobody out.

use super::*;
use crate::access::{Action, Identity};
use crate::ingress::handshake::Terms;

pub(super) fn grant(terms: &mut Terms, peer: &Peer, context: &Context) {
    let (user, listener) = (peer.name.clone(), peer.listener.clone());
    terms.permit = context.access.permit(Identity { user, client: terms.client_id.as_str().into(), listener });
    let permit = &mut terms.permit;
    let Some(will) = terms.will.take_if(|will| !permit.may_publish(&will.message.topic)) else { return };
    let topic = will.message.topic;
    context.metrics.received.increment();
    context.metrics.acl_denied.increment();
    if let Some(suppressed) = context.complaints.permit() {
        let (client, why) = (&terms.client_id, permit.decide(Action::Publish, &topic).ground);
        tracing::warn!(%peer, client = ?brief(&client), ?topic, suppressed, "the will of this client is never published: {why}");
    }
    terms.denied_will = Some(topic);
}
