//! What the access rules do not let through: messages of the device, and deliveries to it.

use super::outbound::Answer;
use super::*;

/// Why a message of the device goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub enum Denial {
    /// The topic belongs to the gateway.
    GatewaysOwn(TopicName),
    /// The topic has more levels than there are here.
    TooDeep,
    /// By the access rules.
    Rules(TopicName),
}

/// A delivery of an earlier connection that is not sent again: the rules have changed.
#[derive(Debug)]
pub enum KeptBack {
    /// Its exchange is over.
    Delivery(Box<Delivery>),
    /// At QoS 2 the device may hold the identifier, and is told that it is free: PUBREL without the message.
    Release(Action),
}

impl Session {
    pub fn permit(&mut self) -> &mut Permit {
        &mut self.link.permit
    }

    /// Whether the device may have a message of this topic now.
    pub fn may_receive(&mut self, topic: &TopicName) -> bool {
        self.link.permit.may_receive(topic)
    }

    /// See [`Subscriptions::subscribe`].
    pub fn subscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Subscribe, max: usize) -> Changed {
        self.subscriptions.subscribe(bus, mailbox, packet, (max, &mut self.link.permit))
    }

    /// What [`Session::next_resend`] has passed over, since the last time.
    pub fn take_kept_back(&mut self) -> Vec<KeptBack> {
        std::mem::take(&mut self.kept_back)
    }

    pub(super) fn release_kept_back(&mut self, answer: Answer) {
        let action = match answer {
            Answer::Send(packet) => Action::Send(packet),
            Answer::Release(number, packet) => {
                let receipt = self.hold(packet);
                Action::Store(self.delivered(number), receipt)
            }
            Answer::Ended(number) => return self.finish(number),
            Answer::Nothing => return,
        };
        self.kept_back.push(KeptBack::Release(action));
    }
}
