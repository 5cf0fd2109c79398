mod owner;
mod restart;

use super::*;
use crate::base::ledger::Ledger;
use crate::bindings::{Binding, Dispatcher, Table};
use crate::bus::{Queues, RetainedLimits};
use crate::chain::Lane;
use crate::config;
use crate::ingress::handshake::negotiate;
use crate::message::{Message, QoS};
use crate::metrics::Counters;
use crate::mqtt::{Connect, SubscribeOptions, Version};
use crate::spool::Spool;
use crate::topic::{SharedFilter, Template, TopicFilter, TopicName};

struct Fixture {
    pub registry: Arc<Registry>,
    pub dispatcher: Arc<Dispatcher>,
    /// Hears everything.
    listener: Arc<Mailbox>,
    pub limits: config::BrokerLimits,
}

fn fixture() -> Fixture {
    fixture_on(Spool::in_memory(0, Arc::default()))
}

fn fixture_on(spool: Spool) -> Fixture {
    fixture_with(spool, copying())
}

fn fixture_with(spool: Spool, binding: Binding) -> Fixture {
    let counters = Arc::<Counters>::default();
    let mut limits = config::parse("", "test.toml", std::path::Path::new("")).unwrap().broker.limits;
    // Less than the mailbox holds.
    limits.receive_maximum = 4;
    let bus = Arc::new(Bus::new(RetainedLimits { max_messages: 9, max_bytes: 9_999 }, counters.clone()));
    let dispatcher = Dispatcher::new("gw".into(), Table::new(vec![binding]), bus.clone(), spool, counters);
    let mailbox = MailboxLimits { max_messages: 9, max_bytes: 9_999, max_retained: 9 };
    let listener = Mailbox::new("listener".into(), mailbox, Queues::new(99_999, Ledger::new(1 << 30), Arc::default()));
    listener.attach();
    let subscription = crate::bus::Subscription {
        mailbox: listener.clone(),
        options: SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() },
        id: None,
    };
    bus.subscribe(&SharedFilter::parse("#").unwrap(), subscription);
    Fixture {
        registry: Arc::new(Registry::new(
            bus,
            Wills::new(dispatcher.clone()),
            mailbox,
            Queues::new(99_999, Ledger::new(1 << 30), Arc::default()),
            2,
        )),
        dispatcher,
        listener,
        limits,
    }
}

/// From `from` to `copy`, locally.
fn copying() -> Binding {
    copying_in(None)
}

fn copying_in(lane: Option<Lane>) -> Binding {
    let destination = config::Destination {
        target: config::Target::Local,
        topic: Template::parse("copy").unwrap(),
        qos: None,
        retain: None,
    };
    let filters = vec![TopicFilter::parse("from").unwrap()];
    let (name, on_error, to) = ("copying".into(), config::OnError::Drop, vec![destination]);
    Binding::new(
        config::Binding {
            name,
            from: None,
            filters,
            plugins: vec![],
            tick: None,
            on_error,
            faults: config::FaultPolicy::default(),
            order: Default::default(),
            on_start_failure: Default::default(),
            to,
        },
        lane,
    )
}

impl Fixture {
    fn terms(&self, client: &str, clean_start: bool, expiry: u32) -> Terms {
        let connect = Connect { clean_start, session_expiry: Some(expiry), ..Connect::new(Version::V5, client) };
        negotiate(connect, &self.limits, || "x".into()).unwrap()
    }

    pub async fn open(&self, client: &str, clean_start: bool, expiry: u32) -> Result<Opened, Reason> {
        let deadline = tokio::time::Instant::now() + self.limits.handshake_timeout;
        self.registry.open(&self.terms(client, clean_start, expiry), deadline).await
    }

    /// With this will, delayed by so many seconds.
    pub async fn open_with_will(&self, client: &str, clean_start: bool, expiry: u32, delay: u32) -> Opened {
        let will = ending(0, Some(delay)).will;
        let mut terms = self.terms(client, clean_start, expiry);
        terms.will = will;
        let deadline = tokio::time::Instant::now() + self.limits.handshake_timeout;
        self.registry.open(&terms, deadline).await.unwrap()
    }

    pub fn heard(&self) -> usize {
        std::iter::from_fn(|| self.listener.take()).count()
    }
}

fn ending(expiry: u64, will_delay: Option<u32>) -> Ending {
    let will = will_delay.map(|delay| {
        let message = Message::new(TopicName::parse("will").unwrap(), "gone", QoS::AtLeastOnce);
        Will { message, delay }
    });
    Ending { will, session_expiry: Duration::from_secs(expiry) }
}

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_session_is_found_again_until_it_expires() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 100).await.unwrap();
    assert!(!opened.present);
    fixture.registry.close(opened.session, ending(100, None));
    fixture.registry.sweep(later(99));
    let opened = fixture.open("dev", false, 100).await.unwrap();
    assert!(opened.present);
    fixture.registry.close(opened.session, ending(100, None));
    fixture.registry.sweep(later(101));
    assert!(!fixture.open("dev", false, 100).await.unwrap().present);
}

#[tokio::test]
async fn a_clean_start_begins_anew() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.close(opened.session, ending(100, None));
    assert!(!fixture.open("dev", true, 100).await.unwrap().present);
}

#[tokio::test]
async fn a_takeover_asks_the_old_connection_to_leave_and_gets_its_session() {
    let fixture = Arc::new(fixture());
    let old = fixture.open("dev", false, 100).await.unwrap();
    let new = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.open("dev", false, 100).await }
    });
    old.kicked.notified().await;
    fixture.registry.close(old.session, ending(100, None));
    assert!(new.await.unwrap().unwrap().present);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_leave_makes_the_new_one_try_later() {
    let fixture = fixture();
    let _stuck = fixture.open("dev", false, 100).await.unwrap();
    assert_eq!(fixture.open("dev", false, 100).await.err(), Some(Reason::SERVER_BUSY));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_written_is_refused_in_time_and_leaves_nothing_behind() {
    let fixture = fixture();
    fixture.dispatcher.journal().stall();
    let begun = tokio::time::Instant::now();
    assert_eq!(fixture.open("dev", false, 100).await.err(), Some(Reason::SERVER_BUSY));
    assert_eq!(begun.elapsed(), fixture.limits.handshake_timeout);
    assert_eq!(fixture.dispatcher.journal().state(), []);
    assert!(!fixture.open("dev", true, 0).await.unwrap().present, "a session that is not written needs no disk");
}

#[tokio::test]
async fn a_will_without_delay_is_published_at_once() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.close(opened.session, ending(100, Some(0)));
    assert_eq!(fixture.heard(), 1);
}

#[tokio::test]
async fn a_delayed_will_is_published_when_due_and_once() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.close(opened.session, ending(100, Some(10)));
    fixture.registry.sweep(later(9));
    assert_eq!(fixture.heard(), 0);
    fixture.registry.sweep(later(11));
    fixture.registry.sweep(later(12));
    assert_eq!(fixture.heard(), 1);
}

#[tokio::test]
async fn a_device_that_comes_back_in_time_has_no_will_published() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.close(opened.session, ending(100, Some(10)));
    let back = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.sweep(later(20));
    fixture.registry.close(back.session, ending(100, None));
    fixture.registry.sweep(later(20));
    assert_eq!(fixture.heard(), 0);
}

#[tokio::test]
async fn a_will_waits_no_longer_than_its_session_lasts() {
    let fixture = fixture();
    let opened = fixture.open("dev", false, 0).await.unwrap();
    fixture.registry.close(opened.session, ending(0, Some(10)));
    assert_eq!(fixture.heard(), 1);
    let opened = fixture.open("dev", false, 100).await.unwrap();
    fixture.registry.close(opened.session, ending(100, Some(10)));
    let _clean = fixture.open("dev", true, 100).await.unwrap();
    assert_eq!(fixture.heard(), 1);
}

#[tokio::test]
async fn more_sessions_than_the_cap_are_refused_and_those_that_leave_make_room() {
    let fixture = fixture();
    let first = fixture.open("1", false, 100).await.unwrap();
    let _second = fixture.open("2", false, 100).await.unwrap();
    assert_eq!(fixture.open("3", false, 100).await.err(), Some(Reason::QUOTA_EXCEEDED));
    fixture.registry.close(first.session, ending(0, None));
    assert!(fixture.open("3", false, 100).await.is_ok());
}

/// With a will of 100 kB.
async fn leave_with_large_will(fixture: &Fixture, client: &str, expiry: u64, delay: u32) {
    let opened = fixture.open(client, false, expiry as u32).await.unwrap();
    let message = Message::new(TopicName::parse("will").unwrap(), vec![b'w'; 100_000], QoS::AtLeastOnce);
    let ending = Ending { will: Some(Will { message, delay }), ..ending(expiry, None) };
    fixture.registry.close(opened.session, ending);
}

#[tokio::test]
async fn the_will_of_a_client_that_is_away_is_charged_until_it_is_published_or_taken_back() {
    let fixture = fixture();
    let used = || fixture.registry.ledger().used();
    leave_with_large_will(&fixture, "dev", 100, 10).await;
    assert!((80_000..110_000).contains(&used()), "{}", used());
    fixture.registry.sweep(later(11));
    assert_eq!(used(), 0);
    leave_with_large_will(&fixture, "dev", 100, 10).await;
    let _back = fixture.open("dev", false, 100).await.unwrap();
    assert_eq!(used(), 0);
}

#[tokio::test]
async fn a_will_that_is_due_is_charged_until_what_becomes_of_it_is_written() {
    let fixture = fixture();
    leave_with_large_will(&fixture, "dev", 100, 10).await;
    fixture.dispatcher.journal().stall();
    fixture.registry.sweep(later(11));
    assert!(fixture.registry.ledger().used() > 80_000, "it waits for the disk");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_too_much_waiting_is_let_in_later_and_others_are_not_held() {
    let fixture = fixture();
    fixture.dispatcher.journal().stall();
    let description = |client: &str| {
        let filter = "f".repeat(60_000);
        Change::put(crate::spool::Key::Subscription { client: client.into(), filter: filter.into() }, "s")
    };
    for _ in 0..20 {
        fixture.dispatcher.journal().change_session(&"dev".into(), vec![description("dev")], Receipt::none());
    }
    assert_eq!(fixture.open("dev", true, 0).await.err(), Some(Reason::SERVER_BUSY));
    assert!(fixture.open("other", true, 0).await.is_ok());
}
