//! A gateway that is killed and started again with what its journal held.

mod clocks;
mod crash_wills;
mod ends;
mod groups;
mod large_ends;
mod wills;

use super::*;
use crate::bindings::Inbound;
use crate::config;
use crate::ingress::session::Action;
use crate::message::{Message, Origin, QoS};
use crate::mqtt::{Ack, Packet, Publish, Subscribe, SubscribeOptions, SubscribeRequest, Unsubscribe};
use crate::spool::{Key, Spool};
use crate::topic::TopicName;

const OK: Reason = Reason::SUCCESS;

/// A device whose session outlives its connection.
struct Device {
    session: Session,
    present: bool,
    /// What it was sent when it came back.
    resent: Vec<Packet>,
}

impl Fixture {
    /// Killed: nothing is closed, and only what was written is there.
    fn restart(&self) -> Fixture {
        let (fixture, state) = (fixture(), self.state());
        // A spool that is opened again holds what it gives back.
        let held = state.iter().map(|(key, value)| Change::put(key.clone(), value.clone()));
        fixture.dispatcher.journal().change(held.collect(), Receipt::none());
        fixture.registry.restore(&state);
        fixture.dispatcher.restore(&state);
        fixture
    }

    fn state(&self) -> Vec<(Key, crate::spool::Value)> {
        self.dispatcher.journal().state()
    }

    async fn connect(&self, client: &str) -> Device {
        let Opened { mut session, present, releases, .. } = self.open(client, false, 100).await.unwrap();
        let resent = releases.into_iter().chain(std::iter::from_fn(|| session.next_resend())).collect();
        Device { session, present, resent }
    }

    fn publish(&self, message: Message) {
        let origin = Arc::new(Origin {
            client: "somebody".into(),
            arrived_ms: 0,
            hops: 0,
            principal: None,
            source: None,
            trace: None,
        });
        self.accept(Inbound::internal(message, origin));
    }

    fn accept(&self, inbound: Inbound) {
        if let Some(pending) = self.dispatcher.arrive(inbound) {
            self.dispatcher.try_start(pending).unwrap();
        }
    }

    /// What a connection does with a packet of its device. Gives what the device is sent.
    fn receive(&self, device: &mut Device, packet: Packet) -> Vec<Packet> {
        let mut sent = Vec::new();
        for action in device.session.receive(packet).unwrap() {
            match action {
                Action::Send(packet) => sent.push(packet),
                Action::Accept { message, receipt, identity } => {
                    let origin = Arc::new(Origin {
                        client: device.session.client().clone(),
                        arrived_ms: 0,
                        hops: 0,
                        principal: None,
                        source: None,
                        trace: None,
                    });
                    let changes = identity.into_iter().collect();
                    self.accept(Inbound { receipt, changes, ..Inbound::internal(message, origin) });
                }
                Action::Store(change, receipt) => self.dispatcher.journal().change(vec![change], receipt),
                other => panic!("{other:?}"),
            }
        }
        while let Some(ticket) = device.session.try_next_done() {
            sent.extend(device.session.acknowledge(ticket).unwrap());
        }
        device.session.flush(self.dispatcher.journal());
        sent
    }

    /// The same, until something is sent: a disk may be as quick as this thread, or not.
    async fn answer(&self, device: &mut Device, packet: Packet) -> Vec<Packet> {
        let mut sent = self.receive(device, packet);
        while sent.is_empty() {
            let ticket = device.session.next_done().await;
            sent.extend(device.session.acknowledge(ticket).unwrap());
        }
        sent
    }

    fn subscribe(&self, device: &mut Device, filter: &str, qos: QoS) {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        let requests = vec![SubscribeRequest { filter: filter.into(), options }];
        let packet = Subscribe { packet_id: 1, subscription_id: Some(7), requests };
        let mailbox = device.session.mailbox().clone();
        let changed = device.session.subscribe(&self.registry.bus, &mailbox, &packet, 10);
        self.dispatcher.journal().change(changed.changes, Receipt::none());
        while device.session.wants_replay() {
            let (pending_deliveries, progress) = device.session.replay(&self.registry.bus);
            self.dispatcher.journal().deliver(pending_deliveries, progress);
        }
    }

    /// Everything that waits for the device, sent.
    fn deliver(&self, device: &mut Device) -> Vec<Publish> {
        let mut sent = Vec::new();
        while device.session.wants_delivery()
            && let Some(delivery) = device.session.next_delivery()
        {
            let Packet::Publish(publish) = device.session.deliver(delivery) else { panic!() };
            sent.push(publish);
        }
        sent
    }
}

impl Device {
    /// Identifier, DUP and payload.
    fn resent_publishes(&self) -> Vec<(u16, bool, &[u8])> {
        let mut publishes = Vec::new();
        for packet in &self.resent {
            if let Packet::Publish(publish) = packet {
                publishes.push((publish.packet_id, publish.dup, &publish.payload[..]));
            }
        }
        publishes
    }
}

fn message(topic: &str, payload: &str, qos: QoS) -> Message {
    Message::new(TopicName::parse(topic).unwrap(), payload.to_owned(), qos)
}

fn ack(packet_id: u16) -> Ack {
    Ack { packet_id, reason: OK }
}

fn exactly_once(packet_id: u16, dup: bool) -> Packet {
    Packet::Publish(Publish::outgoing(message("t", "x", QoS::ExactlyOnce), packet_id, dup))
}

#[tokio::test]
async fn a_qos_2_message_sent_again_after_a_restart_is_acknowledged_and_goes_nowhere() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    assert_eq!(fixture.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 1);
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    assert!(device.present);
    assert_eq!(fixture.receive(&mut device, exactly_once(7, true)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 0);
    assert_eq!(fixture.receive(&mut device, Packet::PubRel(ack(7))), [Packet::PubComp(ack(7))]);
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    assert_eq!(fixture.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 1, "released: a new message");
}

#[tokio::test]
async fn what_a_qos_2_message_is_republished_as_is_taken_up_after_a_restart_and_once() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    // With a delivery to write down, it leaves more than what it is republished as.
    fixture.subscribe(&mut device, "from", QoS::AtLeastOnce);
    let publish = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, false);
    let before = fixture.dispatcher.journal().records();
    assert_eq!(fixture.receive(&mut device, Packet::Publish(publish)), [Packet::PubRec(ack(7))]);
    assert_eq!((fixture.heard(), fixture.dispatcher.journal().records() - before), (2, 2));
    // Killed between the two records: the first one has been written.
    let first = fixture.dispatcher.journal().record(before);
    let unfinished = first.into_iter().find(|change| matches!(change.key, Key::Unfinished { .. })).unwrap();
    fixture.dispatcher.journal().change(vec![unfinished], Receipt::none());
    let fixture = fixture.restart();
    assert_eq!(fixture.heard(), 1);
    assert_eq!(fixture.restart().heard(), 0);
}

#[tokio::test]
async fn a_qos_2_message_that_is_nothing_but_republished_is_one_record_with_what_it_is_republished_as() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    let publish = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, false);
    let before = fixture.dispatcher.journal().records();
    assert_eq!(fixture.receive(&mut device, Packet::Publish(publish)), [Packet::PubRec(ack(7))]);
    assert_eq!((fixture.heard(), fixture.dispatcher.journal().records() - before), (2, 2));
    assert_eq!(fixture.dispatcher.journal().record(before), [], "nothing of the first is written");
    let changes = fixture.dispatcher.journal().record(before + 1);
    assert!(matches!(&changes[..], [Change { key: Key::Qos2 { .. }, value: Some(_) }]), "{changes:?}");
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    let again = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, true);
    assert_eq!(fixture.receive(&mut device, Packet::Publish(again)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 0);
}

#[tokio::test]
async fn a_retained_qos_2_message_that_is_republished_comes_again_like_any_other_until_all_of_it_is_safe() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    let retained = || Message { retain: true, ..message("from", "x", QoS::ExactlyOnce) };
    let before = fixture.dispatcher.journal().records();
    let publish = Publish::outgoing(retained(), 7, false);
    assert_eq!(fixture.receive(&mut device, Packet::Publish(publish)), [Packet::PubRec(ack(7))]);
    let [first, second] = [before, before + 1].map(|record| fixture.dispatcher.journal().record(record));
    assert!(matches!(&first[..], [Change { key: Key::Retained { .. }, value: Some(_) }]), "{first:?}");
    assert!(matches!(&second[..], [.., Change { key: Key::Qos2 { .. }, value: Some(_) }]), "{second:?}");
    assert!(!second.iter().any(|change| matches!(change.key, Key::Unfinished { .. })));
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    let again = Publish::outgoing(retained(), 7, true);
    assert_eq!(fixture.receive(&mut device, Packet::Publish(again)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 0);
}

#[tokio::test]
async fn queued_messages_come_in_order_and_those_that_were_sent_with_the_same_identifier_and_dup() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::ExactlyOnce);
    for (payload, qos) in [("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce), ("3", QoS::ExactlyOnce)] {
        fixture.publish(message("q", payload, qos));
    }
    let sent = fixture.deliver(&mut device);
    let ids: Vec<u16> = sent.iter().map(|publish| publish.packet_id).collect();
    assert_eq!((ids.len(), &sent[0].subscription_ids), (3, &vec![7]));
    assert_eq!(fixture.receive(&mut device, Packet::PubAck(ack(ids[0]))), []);
    assert_eq!(fixture.receive(&mut device, Packet::PubRec(ack(ids[1]))), [Packet::PubRel(ack(ids[1]))]);
    fixture.publish(message("q", "4", QoS::AtLeastOnce));

    let fixture = fixture.restart();
    fixture.publish(message("q", "5", QoS::AtLeastOnce));
    let mut device = fixture.connect("dev").await;
    assert!(device.resent.contains(&Packet::PubRel(ack(ids[1]))), "{:?}", device.resent);
    let again = device.resent_publishes();
    assert_eq!(again[0], (ids[2], true, &b"3"[..]));
    let payloads: Vec<&[u8]> = again.iter().map(|(_, _, payload)| *payload).collect();
    assert_eq!(payloads, [b"3", b"4"]);
    let last: Vec<_> = fixture.deliver(&mut device).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(last, ["5"]);
    assert_eq!(fixture.receive(&mut device, Packet::PubComp(ack(ids[1]))), []);
    assert!(!fixture.restart().connect("dev").await.resent.contains(&Packet::PubRel(ack(ids[1]))));
}

#[tokio::test]
async fn what_does_not_fit_the_window_waits_and_is_not_taken_for_sent() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::AtLeastOnce);
    let window = usize::from(fixture.limits.receive_maximum);
    for number in 0..window + 3 {
        fixture.publish(message("q", &number.to_string(), QoS::AtLeastOnce));
        device.session.mailbox().detach();
    }
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    assert_eq!(device.resent.len(), window);
    assert_eq!(fixture.deliver(&mut device).len(), 0);
    let Packet::Publish(first) = device.resent[0].clone() else { panic!() };
    fixture.receive(&mut device, Packet::PubAck(ack(first.packet_id)));
    let next = fixture.deliver(&mut device);
    assert_eq!((next[0].dup, next[0].payload.to_vec()), (false, window.to_string().into_bytes()));
}

#[tokio::test]
async fn subscriptions_survive_and_those_that_were_cancelled_do_not_come_back() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "kept", QoS::AtLeastOnce);
    fixture.subscribe(&mut device, "gone", QoS::AtLeastOnce);
    let mailbox = device.session.mailbox().clone();
    let cancel = Unsubscribe { packet_id: 2, filters: vec!["gone".into()] };
    let changed = device.session.subscriptions.unsubscribe(&fixture.registry.bus, &mailbox, &cancel);
    fixture.dispatcher.journal().change(changed.changes, Receipt::none());
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    for topic in ["kept", "gone"] {
        fixture.publish(message(topic, topic, QoS::AtLeastOnce));
    }
    let heard: Vec<_> = fixture.deliver(&mut device).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(heard, ["kept"]);
}

#[tokio::test]
async fn retained_messages_survive_and_are_replayed_to_a_session_that_survives_once() {
    let fixture = fixture();
    for (topic, payload) in [("r/1", "a"), ("r/2", "b"), ("r/1", "")] {
        fixture.publish(Message { retain: true, ..message(topic, payload, QoS::AtLeastOnce) });
    }
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "r/#", QoS::AtLeastOnce);
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    assert_eq!(device.resent_publishes().iter().map(|publish| publish.2).collect::<Vec<_>>(), [b"b"]);
    assert!(fixture.deliver(&mut device).is_empty());
}

#[tokio::test]
async fn a_will_that_waited_is_published_after_the_restart_and_once() {
    let fixture = fixture();
    let device = fixture.connect("dev").await;
    fixture.registry.close(device.session, ending(100, Some(50)));
    let fixture = fixture.restart();
    fixture.registry.sweep(later(49));
    assert_eq!(fixture.heard(), 0);
    fixture.registry.sweep(later(51));
    assert_eq!(fixture.heard(), 1);
    let fixture = fixture.restart();
    fixture.registry.sweep(later(60));
    assert_eq!(fixture.heard(), 0);
}

#[tokio::test]
async fn a_session_that_ended_leaves_nothing_behind() {
    let fixture = fixture();
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::ExactlyOnce);
    fixture.receive(&mut device, exactly_once(7, false));
    for payload in ["1", "2"] {
        fixture.publish(message("q", payload, QoS::ExactlyOnce));
    }
    fixture.deliver(&mut device);
    fixture.publish(message("q", "3", QoS::ExactlyOnce));
    assert!(fixture.state().len() >= 6);
    fixture.registry.close(device.session, ending(100, None));
    let fixture = fixture.restart();
    fixture.registry.sweep(later(101));
    assert_eq!(fixture.state(), []);
    assert!(!fixture.connect("dev").await.present);
}

#[tokio::test]
async fn what_was_written_for_an_earlier_session_of_the_client_is_not_the_present_ones() {
    let fixture = fixture();
    let mut old = fixture.connect("dev").await;
    let late = old.session.receive(exactly_once(7, false)).unwrap();
    fixture.registry.close(old.session, ending(100, None));
    let _new = fixture.open("dev", true, 100).await.unwrap();
    let [Action::Accept { identity: Some(identity), .. }] = &late[..] else { panic!("{late:?}") };
    fixture.dispatcher.journal().change(vec![identity.clone()], Receipt::none());
    let fixture = fixture.restart();
    let mut device = fixture.connect("dev").await;
    fixture.receive(&mut device, exactly_once(7, false));
    assert_eq!(fixture.heard(), 1, "a new message of the new session");
}

#[tokio::test]
async fn traffic_that_nobody_has_to_remember_writes_nothing() {
    let fixture = fixture();
    let Opened { session, .. } = fixture.open("dev", false, 0).await.unwrap();
    let mut device = Device { session, present: false, resent: vec![] };
    fixture.subscribe(&mut device, "#", QoS::ExactlyOnce);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        fixture.publish(message("t", "x", qos));
    }
    assert_eq!(fixture.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.receive(&mut device, Packet::PubRel(ack(7))), [Packet::PubComp(ack(7))]);
    assert_eq!(fixture.deliver(&mut device).len(), 3);
    fixture.registry.close(device.session, ending(0, None));
    assert_eq!(fixture.dispatcher.journal().records(), 0);
}

/// A fixture on the spool in this folder, with what was in it.
fn open_in(folder: &std::path::Path) -> (Fixture, Spool) {
    let (spool, restored) = Spool::open(folder, &[], &config::Spool::default(), Arc::default()).unwrap();
    let fixture = fixture_on(spool.clone());
    fixture.registry.restore(&restored.state);
    fixture.dispatcher.restore(&restored.state);
    (fixture, spool)
}

#[tokio::test]
async fn a_broker_on_a_disk_finds_again_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (fixture, spool) = open_in(folder.path());
    let mut device = fixture.connect("dev").await;
    fixture.subscribe(&mut device, "q", QoS::ExactlyOnce);
    for payload in ["1", "2", "3"] {
        fixture.publish(Message { retain: true, ..message("q", payload, QoS::ExactlyOnce) });
    }
    assert_eq!(fixture.answer(&mut device, exactly_once(7, false)).await, [Packet::PubRec(ack(7))]);
    let first = fixture.deliver(&mut device).remove(0);
    let pubrel = Packet::PubRel(ack(first.packet_id));
    assert_eq!(fixture.answer(&mut device, Packet::PubRec(ack(first.packet_id))).await, [pubrel]);
    // Only one process has a folder, and this one has both fixtures.
    spool.close().await;
    drop((fixture, device, spool));

    let (fixture, _spool) = open_in(folder.path());
    let mut device = fixture.connect("dev").await;
    assert!(device.present);
    assert_eq!(device.resent[0], Packet::PubRel(ack(first.packet_id)));
    let payloads: Vec<&[u8]> = device.resent_publishes().iter().map(|publish| publish.2).collect();
    assert_eq!(payloads, [b"2", b"3"]);
    assert_eq!(fixture.receive(&mut device, exactly_once(7, true)), [Packet::PubRec(ack(7))]);
    assert_eq!(fixture.heard(), 0);
    let mut other = fixture.connect("other").await;
    fixture.subscribe(&mut other, "#", QoS::AtMostOnce);
    let retained: Vec<_> = fixture.deliver(&mut other).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(retained, ["3"]);
}
