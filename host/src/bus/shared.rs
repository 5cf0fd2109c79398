//! Shared subscriptions (MQTT 5, section 4.8.2): of a group, one member gets each message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::subscription::{Entry, Subscription};
use super::{Mailbox, subscription};

/// The members of one group under one filter. Two filters with the same group name are two groups.
#[derive(Debug)]
pub(super) struct Group {
    name: Arc<str>,
    members: Mutex<Vec<Subscription>>,
    turn: AtomicUsize,
}

impl Group {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whose turn it is: round robin among those that are connected; among all when nobody is, to wait in a mailbox.
    pub(super) fn choose(&self) -> Option<Subscription> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = |offset: usize| members.get((turn.wrapping_add(offset)) % members.len().max(1));
        (0..members.len())
            .filter_map(in_turn)
            .find(|member| member.mailbox.is_attached())
            .or_else(|| in_turn(0))
            .cloned()
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
pub(super) fn join(entries: &mut Vec<subscription::Entry>, name: &Arc<str>, subscription: Subscription) -> bool {
    for entry in entries.iter() {
        if let Entry::Group(group) = entry
            && group.name == *name
        {
            return group.join(subscription);
        }
    }
    let members = Mutex::new(vec![subscription]);
    entries.push(Entry::Group(Group { name: name.clone(), members, turn: AtomicUsize::new(0) }));
    true
}
