use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::{Properties, QoS};
use crate::mqtt::SubscribeOptions;
use crate::topic::{TopicFilter, TopicName};

const BUDGET: usize = 1_000_000;

const LIMITS: MailboxLimits = MailboxLimits { max_messages: 4, max_bytes: 100_000, max_retained: 300 };

struct Client {
    mailbox: Arc<Mailbox>,
}

/// To its end.
fn replay_all(bus: &Bus, filter: &TopicFilter, subscription: &Subscription, now: Instant) {
    let mut replay = Replay::new(filter.clone(), subscription.clone());
    while !bus.replay(&mut replay, now).is_over {}
}

fn bus() -> Bus {
    Bus::new(RetainedLimits { max_messages: 10, max_bytes: 100_000 }, Arc::default())
}

fn client(name: &str) -> Client {
    let mailbox = Mailbox::new(name.into(), LIMITS, Queues::new(BUDGET, Arc::default()));
    mailbox.attach();
    Client { mailbox }
}

fn message(topic: &str, qos: QoS) -> Message {
    Message::new(TopicName::parse(topic).unwrap(), "x", qos)
}

fn retained(topic: &str, payload: &'static str) -> Message {
    Message { retain: true, payload: payload.into(), ..message(topic, QoS::AtLeastOnce) }
}

impl Client {
    fn subscription(&self, qos: QoS, id: Option<u32>) -> Subscription {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        Subscription { mailbox: self.mailbox.clone(), options, id }
    }

    fn subscribe(&self, bus: &Bus, filter: &str, qos: QoS, id: Option<u32>) -> bool {
        bus.subscribe(&SharedFilter::parse(filter).unwrap(), self.subscription(qos, id))
    }

    fn taken(&self) -> Vec<Delivery> {
        std::iter::from_fn(|| self.mailbox.take()).collect()
    }
}

#[test]
fn a_delivery_uses_the_lesser_qos() {
    let (bus, client) = (bus(), client("c"));
    client.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        bus.publish(&message("a", qos), "p", Instant::now());
    }
    let delivered: Vec<QoS> = client.taken().iter().map(|delivery| delivery.message.qos).collect();
    assert_eq!(delivered, [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::AtLeastOnce]);
}

#[test]
fn overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_every_identifier() {
    let (bus, client) = (bus(), client("c"));
    client.subscribe(&bus, "a/+", QoS::AtMostOnce, Some(1));
    client.subscribe(&bus, "a/#", QoS::ExactlyOnce, Some(2));
    bus.publish(&message("a/b", QoS::ExactlyOnce), "p", Instant::now());
    let [delivery] = client.taken().try_into().unwrap();
    assert_eq!(delivery.message.qos, QoS::ExactlyOnce);
    let mut ids = delivery.subscription_ids;
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn a_second_subscription_to_the_same_filter_replaces_the_first() {
    let (bus, client) = (bus(), client("c"));
    assert!(client.subscribe(&bus, "a", QoS::AtMostOnce, None));
    assert!(!client.subscribe(&bus, "a", QoS::ExactlyOnce, None));
    bus.publish(&message("a", QoS::ExactlyOnce), "p", Instant::now());
    assert_eq!(client.taken().len(), 1);
    assert!(bus.unsubscribe(&SharedFilter::parse("a").unwrap(), &client.mailbox));
    assert!(!bus.unsubscribe(&SharedFilter::parse("a").unwrap(), &client.mailbox));
}

#[test]
fn no_local_keeps_a_client_from_hearing_itself_only() {
    let (bus, me) = (bus(), client("me"));
    let mut subscription = me.subscription(QoS::AtMostOnce, None);
    subscription.options.no_local = true;
    bus.subscribe(&SharedFilter::parse("a").unwrap(), subscription);
    bus.publish(&message("a", QoS::AtMostOnce), "me", Instant::now());
    assert!(me.taken().is_empty());
    bus.publish(&message("a", QoS::AtMostOnce), "other", Instant::now());
    assert_eq!(me.taken().len(), 1);
}

#[test]
fn a_shared_message_goes_to_one_member_and_prefers_the_connected() {
    let (bus, one, two, away) = (bus(), client("1"), client("2"), client("3"));
    for member in [&one, &two, &away] {
        member.subscribe(&bus, "$share/g/a", QoS::AtLeastOnce, None);
    }
    away.mailbox.detach();
    for _ in 0..6 {
        bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now());
    }
    let counts = [&one, &two, &away].map(|member| member.taken().len());
    assert_eq!((counts.iter().sum::<usize>(), counts[2]), (6, 0), "{counts:?}");
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
}

#[test]
fn an_offline_session_keeps_qos_1_and_2_and_not_qos_0() {
    let (bus, client) = (bus(), client("c"));
    client.subscribe(&bus, "a", QoS::ExactlyOnce, None);
    client.mailbox.detach();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        bus.publish(&message("a", qos), "p", Instant::now());
    }
    assert_eq!(client.taken().len(), 2);
}

#[test]
fn a_full_mailbox_drops_for_its_subscriber_alone_and_counts() {
    let (bus, slow, quick) = (bus(), client("slow"), client("quick"));
    slow.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    quick.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    let mut heard = 0;
    for _ in 0..10 {
        bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now());
        heard += quick.taken().len();
    }
    assert_eq!((heard, slow.taken().len()), (10, LIMITS.max_messages));
    assert_eq!(bus.counters.subscriber_dropped.get(), 6);
}

#[test]
fn mailboxes_share_one_budget_and_give_back_what_leaves() {
    let (bus, budget) = (bus(), Queues::new(2 * message("a", QoS::AtLeastOnce).weight(), Arc::default()));
    let [one, two] = ["1", "2"].map(|name| Client { mailbox: Mailbox::new(name.into(), LIMITS, budget.clone()) });
    for client in [&one, &two] {
        client.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    }
    for _ in 0..2 {
        bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now());
    }
    assert_eq!(bus.counters.subscriber_dropped.get(), 2);
    let unacknowledged = [one.taken(), two.taken()];
    assert_eq!(unacknowledged.each_ref().map(Vec::len), [1, 1]);
    bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now());
    assert_eq!(bus.counters.subscriber_dropped.get(), 4, "what is taken and not acknowledged still counts");
    drop(unacknowledged);
    bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now());
    assert_eq!(bus.counters.subscriber_dropped.get(), 4);
}

#[test]
fn a_session_that_is_away_gives_way_to_one_that_is_connected_and_keeps_its_part() {
    let weight = message("a", QoS::AtLeastOnce).weight();
    let (bus, queues) = (bus(), Queues::new(4 * weight, Arc::default()));
    let [away, other, here] =
        ["away", "other", "here"].map(|name| Client { mailbox: Mailbox::new(name.into(), LIMITS, queues.clone()) });
    away.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    (0..4).for_each(|_| _ = bus.publish(&message("a", QoS::AtLeastOnce), "p", Instant::now()));
    other.subscribe(&bus, "b", QoS::AtLeastOnce, None);
    here.mailbox.attach();
    here.subscribe(&bus, "c", QoS::AtLeastOnce, None);
    for topic in ["b", "c", "c"] {
        bus.publish(&message(topic, QoS::AtLeastOnce), "p", Instant::now());
    }
    assert_eq!([&away, &other, &here].map(|client| client.taken().len()), [1, 1, 2]);
}

#[test]
fn retained_messages_are_replayed_in_full_and_forgotten_when_emptied() {
    let (bus, client) = (bus(), client("c"));
    for topic in ["a", "a/b", "a/b/c", "b", "$SYS/x"] {
        bus.publish(&retained(topic, "kept"), "p", Instant::now());
    }
    bus.publish(&retained("a/b", ""), "p", Instant::now());
    let replay = |filter: &str| {
        let subscription = client.subscription(QoS::AtMostOnce, None);
        replay_all(&bus, &TopicFilter::parse(filter).unwrap(), &subscription, Instant::now());
        let taken = client.taken();
        assert!(taken.iter().all(|delivery| delivery.message.retain && delivery.message.qos == QoS::AtMostOnce));
        taken.iter().map(|delivery| delivery.message.topic.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(replay("#"), ["a", "a/b/c", "b"]);
    assert_eq!(replay("a/#"), ["a", "a/b/c"]);
    assert_eq!(replay("+"), ["a", "b"]);
    assert_eq!(replay("$SYS/#"), ["$SYS/x"]);
}

#[test]
fn an_empty_payload_without_retain_forgets_nothing() {
    let (bus, client) = (bus(), client("c"));
    bus.publish(&retained("a", "kept"), "p", Instant::now());
    bus.publish(&Message { payload: "".into(), ..message("a", QoS::AtMostOnce) }, "p", Instant::now());
    let subscription = client.subscription(QoS::AtMostOnce, None);
    replay_all(&bus, &TopicFilter::parse("a").unwrap(), &subscription, Instant::now());
    assert_eq!(client.taken().len(), 1);
}

#[test]
fn a_retained_message_says_whether_it_comes_anew_or_again() {
    let (bus, client) = (bus(), client("c"));
    client.subscribe(&bus, "a", QoS::AtLeastOnce, None);
    bus.publish(&retained("a", "kept"), "p", Instant::now());
    let subscription = client.subscription(QoS::AtLeastOnce, None);
    replay_all(&bus, &TopicFilter::parse("a").unwrap(), &subscription, Instant::now());
    // It overtakes nothing: what waits there is older than what is retained, or the same.
    assert_eq!(client.taken().iter().map(|delivery| delivery.is_replay).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_replay_goes_on_behind_the_topic_where_it_stopped_and_holds_few_at_a_time() {
    let bus = Bus::new(RetainedLimits { max_messages: 2_000, max_bytes: 1_000_000 }, Arc::default());
    let client = client("c");
    for index in 0..900 {
        bus.publish(&retained(&format!("a/{index:03}/x"), "1"), "p", Instant::now());
        bus.publish(&retained(&format!("a/{index:03}/y"), "1"), "p", Instant::now());
    }
    let filter = TopicFilter::parse("+/+/y").unwrap();
    let mut replay = Replay::new(filter, client.subscription(QoS::AtMostOnce, None));
    let (mut topics, mut turns) = (Vec::new(), 0);
    loop {
        let is_over = bus.replay(&mut replay, Instant::now()).is_over;
        let taken = client.taken();
        assert!(taken.len() <= super::replay::FETCHED);
        topics.extend(taken.into_iter().map(|delivery| delivery.message.topic.to_string()));
        turns += 1;
        // What comes behind it meanwhile is found, what is gone is not.
        if turns == 1 {
            bus.publish(&retained("a/899/y", ""), "p", Instant::now());
            bus.publish(&retained("a/900/y", "1"), "p", Instant::now());
        }
        if is_over {
            break;
        }
    }
    let expected: Vec<_> = (0..901).filter(|index| *index != 899).map(|index| format!("a/{index:03}/y")).collect();
    assert_eq!(topics, expected);
}

#[test]
fn an_expired_retained_message_is_not_replayed() {
    let (bus, client) = (bus(), client("c"));
    let mut short = retained("a", "kept");
    short.properties = Some(Arc::new(Properties { expiry: Some(5), ..Properties::default() }));
    let start = Instant::now();
    bus.publish(&short, "p", start);
    let subscription = client.subscription(QoS::AtMostOnce, None);
    for (later, expected) in [(4, 1), (5, 0)] {
        replay_all(&bus, &TopicFilter::parse("a").unwrap(), &subscription, start + Duration::from_secs(later));
        assert_eq!(client.taken().len(), expected, "after {later} s");
    }
}

#[test]
fn expired_retained_messages_make_room() {
    let bus = bus();
    let start = Instant::now();
    for index in 0..10 {
        let mut short = retained(&format!("t/{index}"), "x");
        short.properties = Some(Arc::new(Properties { expiry: Some(5), ..Properties::default() }));
        bus.publish(&short, "p", start);
    }
    bus.publish(&retained("one-more", "x"), "p", start + Duration::from_secs(6));
    assert_eq!(bus.counters.retained_refused.get(), 0);
}

#[test]
fn more_retained_messages_than_the_cap_are_refused_and_counted() {
    let bus = bus();
    for index in 0..15 {
        bus.publish(&retained(&format!("t/{index}"), "x"), "p", Instant::now());
    }
    assert_eq!(bus.counters.retained_refused.get(), 5);
}

proptest! {
    /// The tree of retained messages against matching each topic by itself.
    #[test]
    fn a_replay_agrees_with_matching_one_by_one(
        topics in prop::collection::btree_set("[ab$]?(/[ab]?){0,3}", 1..8),
        filter in "([ab+]|)(/[ab+]?){0,3}(/#)?",
    ) {
        let (bus, client) = (bus(), client("c"));
        let names: Vec<TopicName> = topics.iter().filter_map(|topic| TopicName::parse(topic).ok()).collect();
        prop_assume!(!filter.is_empty());
        let filter = TopicFilter::parse(&filter).unwrap();
        for name in &names {
            bus.publish(&retained(name.as_str(), "x"), "p", Instant::now());
        }
        replay_all(&bus, &filter, &client.subscription(QoS::AtMostOnce, None), Instant::now());
        let found: Vec<TopicName> = client.taken().into_iter().map(|delivery| delivery.message.topic).collect();
        let mut oracle: Vec<TopicName> = names.into_iter().filter(|name| filter.matches(name)).collect();
        let mut sorted = found;
        sorted.sort();
        oracle.sort();
        prop_assert_eq!(sorted, oracle);
    }
}
