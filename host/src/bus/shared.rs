//! Shared subscriptions (MQTT 5, section 4.8.2): of a group, one member gets each message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::subscription::{Entry, Subscription};
use super::{Mailbox, subscription};
use crate::message::{Message, QoS};
use crate::topic::SharedFilter;

/// The members of one group under one filter. Two filters with the same group name are two groups.
#[derive(Debug)]
pub(super) struct Group {
    name: Arc<str>,
    /// As its members wrote it: `$share/{name}/{filter}`.
    subscription: Arc<str>,
    members: Mutex<Vec<Subscription>>,
    turn: AtomicUsize,
}

/// That a delivery is for one member of a group: what another one needs, when the session of this one ends before it has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromGroup {
    pub subscription: Arc<str>,
    /// As the message was published: each member has a QoS of its own.
    pub qos: QoS,
    pub retain: bool,
}

// === impl Group ===

impl Group {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn subscription(&self) -> &str {
        &self.subscription
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whose turn it is: round robin among those that are connected; when nobody is, among those in whose mailbox the message
    /// can wait. Never one of `failed`, who had no room for it or whose session has just ended; and never one that may not receive it.
    pub(super) fn choose(&self, message: &Message, failed: &[Arc<Mailbox>]) -> Option<Subscription> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..members.len()).filter_map(|offset| members.get(turn.wrapping_add(offset) % members.len()));
        let has_failed = |member: &Subscription| failed.iter().any(|mailbox| Arc::ptr_eq(mailbox, &member.mailbox));
        let can = |member: &&Subscription| !has_failed(member) && member.mailbox.may_receive(&message.topic);
        let keeps = |member: &&Subscription| message.qos.min(member.options.qos) > QoS::AtMostOnce;
        let connected = in_turn().filter(can).find(|member| member.mailbox.is_attached());
        connected.or_else(|| in_turn().filter(can).find(keeps)).cloned()
    }

    pub(super) fn delivery_of(&self, message: &Message) -> FromGroup {
        FromGroup { subscription: self.subscription.clone(), qos: message.qos, retain: message.retain }
    }

    /// Says whether the mailbox was a member.
    pub(super) fn leave(&self, mailbox: &Arc<Mailbox>) -> bool {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let before = members.len();
        members.retain(|member| !Arc::ptr_eq(&member.mailbox, mailbox));
        members.len() < before
    }

    fn join(&self, subscription: Subscription) -> bool {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let known = members.iter_mut().find(|member| Arc::ptr_eq(&member.mailbox, &subscription.mailbox));
        match known {
            Some(member) => {
                *member = subscription;
                false
            }
            None => {
                members.push(subscription);
                true
            }
        }
    }
}

/// Joins the group of this name, which is founded when it does not exist. Says whether the member is new.
pub(super) fn join(
    entries: &mut Vec<subscription::Entry>,
    name: &Arc<str>,
    filter: &SharedFilter,
    subscription: Subscription,
) -> bool {
    for entry in entries.iter() {
        if let Entry::Group(group) = entry
            && group.name == *name
        {
            return group.join(subscription);
        }
    }
    let members = Mutex::new(vec![subscription]);
    let subscription = format!("$share/{name}/{}", filter.filter).into();
    entries.push(Entry::Group(Group { name: name.clone(), subscription, members, turn: AtomicUsize::new(0) }));
    true
}
