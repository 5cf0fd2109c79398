//! What is asked for, what the server has said that we have, and the difference between the two.
//!
//! Each filter has a SUBSCRIBE of its own, so that one that is refused takes no other with it.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Subscription;
use crate::egress::mqtt::Granted;
use crate::mqtt::client::Outgoing;
use crate::mqtt::sender::packet_id;
use crate::mqtt::{Reason, ReasonList, SubscribeRequest};

/// So many numbers before a message of ours has the packet identifier of a SUBSCRIBE. Half of all there are.
const FAR: u64 = 32_768;

#[derive(Default)]
pub struct Subscriptions {
    wanted: Vec<SubscribeRequest>,
    /// In this session.
    granted: Vec<Granted>,
    asked: Vec<Asked>,
    due: Option<Instant>,
}

/// Waits for its answer.
pub struct Asked {
    packet_id: u16,
    what: What,
}

enum What {
    Subscribe(SubscribeRequest),
    Unsubscribe(String),
}

/// What an answer has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody has asked.
    Unasked,
    Subscribed,
    /// With less QoS than was asked for.
    Lowered {
        filter: String,
        qos: u8,
    },
    Refused {
        filter: String,
        reason: Reason,
    },
    Unsubscribed,
}

// === impl Subscriptions ===

impl Subscriptions {
    pub fn new(wanted: &[Subscription]) -> Self {
        let request = |one: &Subscription| SubscribeRequest { filter: one.text.clone(), options: one.options };
        Self { wanted: wanted.iter().map(request).collect(), ..Self::default() }
    }

    /// A connection begins.
    pub fn begin(&mut self, granted: &[Granted]) {
        self.granted = granted.to_vec();
        self.asked.clear();
        self.due = None;
    }

    /// What is to be asked now, behind the newest message of ours. It has an answer by then.
    pub fn ask(&mut self, newest: u64, within: Duration) -> impl Iterator<Item = Outgoing<'_>> {
        let has = |request: &SubscribeRequest| {
            self.granted.iter().any(|one| one.filter == request.filter && one.options == request.options.bits())
        };
        let is_wanted = |one: &&Granted| self.wanted.iter().any(|request| request.filter == one.filter);
        let surplus =
            self.granted.iter().filter(|one| !is_wanted(one)).map(|one| What::Unsubscribe(one.filter.clone()));
        let missing = self.wanted.iter().filter(|request| !has(request)).cloned().map(What::Subscribe);
        let ids = (newest + FAR..).map(packet_id);
        self.asked = ids.zip(surplus.chain(missing)).map(|(packet_id, what)| Asked { packet_id, what }).collect();
        self.due = (!self.asked.is_empty()).then(|| Instant::now() + within);
        self.asked.iter().map(Asked::packet)
    }

    /// To SUBSCRIBE.
    pub fn subscribed(&mut self, list: &ReasonList) -> Answer {
        let Some(What::Subscribe(request)) = self.take(list.packet_id, |what| matches!(what, What::Subscribe(_)))
        else {
            return Answer::Unasked;
        };
        let SubscribeRequest { filter, options } = request;
        let reason = list.reasons.first().copied().unwrap_or(Reason::UNSPECIFIED_ERROR);
        self.granted.retain(|one| one.filter != filter || reason.is_failure());
        if reason.is_failure() {
            return Answer::Refused { filter, reason };
        }
        self.granted.push(Granted { filter: filter.clone(), options: options.bits() });
        match reason.0 < options.qos as u8 {
            true => Answer::Lowered { filter, qos: reason.0 },
            false => Answer::Subscribed,
        }
    }

    /// To UNSUBSCRIBE. Whatever it says, the filter is not ours any more, and what comes all the same finds no binding.
    pub fn unsubscribed(&mut self, list: &ReasonList) -> Answer {
        let taken = self.take(list.packet_id, |what| matches!(what, What::Unsubscribe(_)));
        let Some(What::Unsubscribe(filter)) = taken else { return Answer::Unasked };
        self.granted.retain(|one| one.filter != filter);
        Answer::Unsubscribed
    }

    /// When the server has answered everything: what we have there.
    pub fn settled(&self) -> Option<&[Granted]> {
        self.asked.is_empty().then_some(&self.granted[..])
    }

    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.asked.is_empty())
    }

    fn take(&mut self, packet_id: u16, is_it: impl Fn(&What) -> bool) -> Option<What> {
        let place = self.asked.iter().position(|asked| asked.packet_id == packet_id && is_it(&asked.what))?;
        Some(self.asked.remove(place).what)
    }
}

// === impl Asked ===

impl Asked {
    fn packet(&self) -> Outgoing<'_> {
        match &self.what {
            What::Subscribe(request) => Outgoing::Subscribe(self.packet_id, request),
            What::Unsubscribe(filter) => Outgoing::Unsubscribe(self.packet_id, filter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QoS;
    use crate::mqtt::SubscribeOptions;
    use crate::topic::SharedFilter;

    fn wanted(text: &str, qos: QoS) -> Subscription {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        Subscription { text: text.into(), filter: SharedFilter::parse(text).unwrap(), options }
    }

    fn granted(filter: &str, options: u8) -> Granted {
        Granted { filter: filter.into(), options }
    }

    /// The filters that are asked for, and those that are given back.
    fn asked(subscriptions: &mut Subscriptions) -> Vec<String> {
        let name = |packet: Outgoing<'_>| match packet {
            Outgoing::Subscribe(_, request) => format!("+{}", request.filter),
            Outgoing::Unsubscribe(_, filter) => format!("-{filter}"),
            _ => panic!("neither"),
        };
        subscriptions.ask(0, Duration::from_secs(1)).map(name).collect()
    }

    fn answer(subscriptions: &mut Subscriptions, nth: u64, reason: u8) -> Answer {
        let list = ReasonList { packet_id: packet_id(FAR + nth), reasons: vec![Reason(reason)] };
        match subscriptions.subscribed(&list) {
            Answer::Unasked => subscriptions.unsubscribed(&list),
            answer => answer,
        }
    }

    #[tokio::test]
    async fn only_what_the_session_does_not_have_is_asked_for() {
        let mut subscriptions = Subscriptions::new(&[wanted("a/#", QoS::ExactlyOnce), wanted("b", QoS::AtLeastOnce)]);
        subscriptions.begin(&[]);
        assert_eq!(asked(&mut subscriptions), ["+a/#", "+b"]);
        assert_eq!((answer(&mut subscriptions, 1, 1), subscriptions.settled()), (Answer::Subscribed, None));
        assert_eq!(answer(&mut subscriptions, 0, 2), Answer::Subscribed);
        let has = [granted("b", 1), granted("a/#", 2)];
        assert_eq!(subscriptions.settled(), Some(&has[..]));
        subscriptions.begin(&has);
        assert_eq!((asked(&mut subscriptions), subscriptions.due()), (vec![], None));
        // Another QoS is another subscription, and one that is not wanted any more is given back.
        subscriptions.begin(&[granted("a/#", 1), granted("b", 1), granted("old", 0)]);
        assert_eq!(asked(&mut subscriptions), ["-old", "+a/#"]);
        assert_eq!(answer(&mut subscriptions, 0, 0x11), Answer::Unsubscribed);
        assert_eq!(answer(&mut subscriptions, 1, 2), Answer::Subscribed);
        assert_eq!(subscriptions.settled(), Some(&[granted("b", 1), granted("a/#", 2)][..]));
    }

    #[tokio::test]
    async fn a_filter_that_is_refused_is_told_and_asked_for_again_on_the_next_connection() {
        let mut subscriptions = Subscriptions::new(&[wanted("a", QoS::ExactlyOnce), wanted("b", QoS::ExactlyOnce)]);
        subscriptions.begin(&[]);
        assert_eq!(asked(&mut subscriptions).len(), 2);
        let refused = Answer::Refused { filter: "a".into(), reason: Reason::NOT_AUTHORIZED };
        assert_eq!(answer(&mut subscriptions, 0, 0x87), refused);
        assert_eq!(answer(&mut subscriptions, 1, 0), Answer::Lowered { filter: "b".into(), qos: 0 });
        assert_eq!(answer(&mut subscriptions, 1, 0), Answer::Unasked);
        let has = subscriptions.settled().unwrap().to_vec();
        subscriptions.begin(&has);
        assert_eq!(asked(&mut subscriptions), ["+a"]);
    }
}
