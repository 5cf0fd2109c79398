//! A gateway that is killed and started again with what its journal held.

mod ends;
mod groups;
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

impl House {
    /// Killed: nothing is closed, and only what was written is there.
    fn restart(&self) -> House {
        let (house, state) = (house(), self.state());
        // A spool that is opened again holds what it gives back.
        let held = state.iter().map(|(key, value)| Change::put(key.clone(), value.clone()));
        house.dispatcher.journal().change(held.collect(), Receipt::none());
        house.registry.restore(&state);
        house.dispatcher.restore(&state);
        house
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
        let origin = Arc::new(Origin { client: "somebody".into(), arrived_ms: 0, hops: 0, principal: None });
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

    fn subscribe(&self, device: &mut Device, filter: &str, qos: QoS) {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        let requests = vec![SubscribeRequest { filter: filter.into(), options }];
        let packet = Subscribe { packet_id: 1, subscription_id: Some(7), requests };
        let mailbox = device.session.mailbox().clone();
        let changed = device.session.subscriptions.subscribe(&self.registry.bus, &mailbox, &packet, 10);
        self.dispatcher.journal().change(changed.changes, Receipt::none());
        self.dispatcher.journal().deliver(changed.parcels);
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
    let house = house();
    let mut device = house.connect("dev").await;
    assert_eq!(house.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.heard(), 1);
    let house = house.restart();
    let mut device = house.connect("dev").await;
    assert!(device.present);
    assert_eq!(house.receive(&mut device, exactly_once(7, true)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.heard(), 0);
    assert_eq!(house.receive(&mut device, Packet::PubRel(ack(7))), [Packet::PubComp(ack(7))]);
    let house = house.restart();
    let mut device = house.connect("dev").await;
    assert_eq!(house.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.heard(), 1, "released: a new message");
}

#[tokio::test]
async fn what_a_qos_2_message_is_republished_as_is_taken_up_after_a_restart_and_once() {
    let house = house();
    let mut device = house.connect("dev").await;
    // With a delivery to write down, it leaves more than what it is republished as.
    house.subscribe(&mut device, "from", QoS::AtLeastOnce);
    let publish = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, false);
    let before = house.dispatcher.journal().records();
    assert_eq!(house.receive(&mut device, Packet::Publish(publish)), [Packet::PubRec(ack(7))]);
    assert_eq!((house.heard(), house.dispatcher.journal().records() - before), (2, 2));
    // Killed between the two records: the first one has been written.
    let first = house.dispatcher.journal().record(before);
    let unfinished = first.into_iter().find(|change| matches!(change.key, Key::Unfinished { .. })).unwrap();
    house.dispatcher.journal().change(vec![unfinished], Receipt::none());
    let house = house.restart();
    assert_eq!(house.heard(), 1);
    assert_eq!(house.restart().heard(), 0);
}

#[tokio::test]
async fn a_qos_2_message_that_is_nothing_but_republished_is_one_record_with_what_it_is_republished_as() {
    let house = house();
    let mut device = house.connect("dev").await;
    let publish = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, false);
    let before = house.dispatcher.journal().records();
    assert_eq!(house.receive(&mut device, Packet::Publish(publish)), [Packet::PubRec(ack(7))]);
    assert_eq!((house.heard(), house.dispatcher.journal().records() - before), (2, 2));
    assert_eq!(house.dispatcher.journal().record(before), [], "nothing of the first is written");
    let changes = house.dispatcher.journal().record(before + 1);
    assert!(matches!(&changes[..], [Change { key: Key::Qos2 { .. }, value: Some(_) }]), "{changes:?}");
    let house = house.restart();
    let mut device = house.connect("dev").await;
    let again = Publish::outgoing(message("from", "x", QoS::ExactlyOnce), 7, true);
    assert_eq!(house.receive(&mut device, Packet::Publish(again)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.heard(), 0);
}

#[tokio::test]
async fn queued_messages_come_in_order_and_those_that_were_sent_with_the_same_identifier_and_dup() {
    let house = house();
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "q", QoS::ExactlyOnce);
    for (payload, qos) in [("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce), ("3", QoS::ExactlyOnce)] {
        house.publish(message("q", payload, qos));
    }
    let sent = house.deliver(&mut device);
    let ids: Vec<u16> = sent.iter().map(|publish| publish.packet_id).collect();
    assert_eq!((ids.len(), &sent[0].subscription_ids), (3, &vec![7]));
    assert_eq!(house.receive(&mut device, Packet::PubAck(ack(ids[0]))), []);
    assert_eq!(house.receive(&mut device, Packet::PubRec(ack(ids[1]))), [Packet::PubRel(ack(ids[1]))]);
    house.publish(message("q", "4", QoS::AtLeastOnce));

    let house = house.restart();
    house.publish(message("q", "5", QoS::AtLeastOnce));
    let mut device = house.connect("dev").await;
    assert!(device.resent.contains(&Packet::PubRel(ack(ids[1]))), "{:?}", device.resent);
    let again = device.resent_publishes();
    assert_eq!(again[0], (ids[2], true, &b"3"[..]));
    let payloads: Vec<&[u8]> = again.iter().map(|(_, _, payload)| *payload).collect();
    assert_eq!(payloads, [b"3", b"4"]);
    let last: Vec<_> = house.deliver(&mut device).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(last, ["5"]);
    assert_eq!(house.receive(&mut device, Packet::PubComp(ack(ids[1]))), []);
    assert!(!house.restart().connect("dev").await.resent.contains(&Packet::PubRel(ack(ids[1]))));
}

#[tokio::test]
async fn what_does_not_fit_the_window_waits_and_is_not_taken_for_sent() {
    let house = house();
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "q", QoS::AtLeastOnce);
    let window = usize::from(house.limits.receive_maximum);
    for number in 0..window + 3 {
        house.publish(message("q", &number.to_string(), QoS::AtLeastOnce));
        device.session.mailbox().detach();
    }
    let house = house.restart();
    let mut device = house.connect("dev").await;
    assert_eq!(device.resent.len(), window);
    assert_eq!(house.deliver(&mut device).len(), 0);
    let Packet::Publish(first) = device.resent[0].clone() else { panic!() };
    house.receive(&mut device, Packet::PubAck(ack(first.packet_id)));
    let next = house.deliver(&mut device);
    assert_eq!((next[0].dup, next[0].payload.to_vec()), (false, window.to_string().into_bytes()));
}

#[tokio::test]
async fn subscriptions_survive_and_those_that_were_cancelled_do_not_come_back() {
    let house = house();
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "kept", QoS::AtLeastOnce);
    house.subscribe(&mut device, "gone", QoS::AtLeastOnce);
    let mailbox = device.session.mailbox().clone();
    let cancel = Unsubscribe { packet_id: 2, filters: vec!["gone".into()] };
    let changed = device.session.subscriptions.unsubscribe(&house.registry.bus, &mailbox, &cancel);
    house.dispatcher.journal().change(changed.changes, Receipt::none());
    let house = house.restart();
    let mut device = house.connect("dev").await;
    for topic in ["kept", "gone"] {
        house.publish(message(topic, topic, QoS::AtLeastOnce));
    }
    let heard: Vec<_> = house.deliver(&mut device).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(heard, ["kept"]);
}

#[tokio::test]
async fn retained_messages_survive_and_are_replayed_to_a_session_that_survives_once() {
    let house = house();
    for (topic, payload) in [("r/1", "a"), ("r/2", "b"), ("r/1", "")] {
        house.publish(Message { retain: true, ..message(topic, payload, QoS::AtLeastOnce) });
    }
    let house = house.restart();
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "r/#", QoS::AtLeastOnce);
    let house = house.restart();
    let mut device = house.connect("dev").await;
    assert_eq!(device.resent_publishes().iter().map(|publish| publish.2).collect::<Vec<_>>(), [b"b"]);
    assert!(house.deliver(&mut device).is_empty());
}

#[tokio::test]
async fn a_will_that_waited_is_published_after_the_restart_and_once() {
    let house = house();
    let device = house.connect("dev").await;
    house.registry.close(device.session, ending(100, Some(50)));
    let house = house.restart();
    house.registry.sweep(later(49));
    assert_eq!(house.heard(), 0);
    house.registry.sweep(later(51));
    assert_eq!(house.heard(), 1);
    let house = house.restart();
    house.registry.sweep(later(60));
    assert_eq!(house.heard(), 0);
}

#[tokio::test]
async fn a_session_that_ended_leaves_nothing_behind() {
    let house = house();
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "q", QoS::ExactlyOnce);
    house.receive(&mut device, exactly_once(7, false));
    for payload in ["1", "2"] {
        house.publish(message("q", payload, QoS::ExactlyOnce));
    }
    house.deliver(&mut device);
    house.publish(message("q", "3", QoS::ExactlyOnce));
    assert!(house.state().len() >= 6);
    house.registry.close(device.session, ending(100, None));
    let house = house.restart();
    house.registry.sweep(later(101));
    assert_eq!(house.state(), []);
    assert!(!house.connect("dev").await.present);
}

#[tokio::test]
async fn what_was_written_for_an_earlier_session_of_the_client_is_not_the_present_ones() {
    let house = house();
    let mut old = house.connect("dev").await;
    let late = old.session.receive(exactly_once(7, false)).unwrap();
    house.registry.close(old.session, ending(100, None));
    let _new = house.open("dev", true, 100).await.unwrap();
    let [Action::Accept { identity: Some(identity), .. }] = &late[..] else { panic!("{late:?}") };
    house.dispatcher.journal().change(vec![identity.clone()], Receipt::none());
    let house = house.restart();
    let mut device = house.connect("dev").await;
    house.receive(&mut device, exactly_once(7, false));
    assert_eq!(house.heard(), 1, "a new message of the new session");
}

#[tokio::test]
async fn traffic_that_nobody_has_to_remember_writes_nothing() {
    let house = house();
    let Opened { session, .. } = house.open("dev", false, 0).await.unwrap();
    let mut device = Device { session, present: false, resent: vec![] };
    house.subscribe(&mut device, "#", QoS::ExactlyOnce);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        house.publish(message("t", "x", qos));
    }
    assert_eq!(house.receive(&mut device, exactly_once(7, false)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.receive(&mut device, Packet::PubRel(ack(7))), [Packet::PubComp(ack(7))]);
    assert_eq!(house.deliver(&mut device).len(), 3);
    house.registry.close(device.session, ending(0, None));
    assert_eq!(house.dispatcher.journal().records(), 0);
}

/// A house on the spool in this folder, with what was in it.
fn open_in(folder: &std::path::Path) -> (House, Spool) {
    let (spool, restored) = Spool::open(folder, &[], &config::Spool::default(), Arc::default()).unwrap();
    let house = house_on(spool.clone());
    house.registry.restore(&restored.state);
    house.dispatcher.restore(&restored.state);
    (house, spool)
}

#[tokio::test]
async fn a_house_on_a_disk_finds_again_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (house, spool) = open_in(folder.path());
    let mut device = house.connect("dev").await;
    house.subscribe(&mut device, "q", QoS::ExactlyOnce);
    for payload in ["1", "2", "3"] {
        house.publish(Message { retain: true, ..message("q", payload, QoS::ExactlyOnce) });
    }
    house.receive(&mut device, exactly_once(7, false));
    let ticket = device.session.next_done().await;
    assert_eq!(device.session.acknowledge(ticket).unwrap().into_vec(), [Packet::PubRec(ack(7))]);
    let first = house.deliver(&mut device).remove(0);
    house.receive(&mut device, Packet::PubRec(ack(first.packet_id)));
    let ticket = device.session.next_done().await;
    assert_eq!(device.session.acknowledge(ticket).unwrap().into_vec(), [Packet::PubRel(ack(first.packet_id))]);
    // Only one process has a folder, and this one has both houses.
    spool.close().await;
    drop((house, device, spool));

    let (house, _spool) = open_in(folder.path());
    let mut device = house.connect("dev").await;
    assert!(device.present);
    assert_eq!(device.resent[0], Packet::PubRel(ack(first.packet_id)));
    let payloads: Vec<&[u8]> = device.resent_publishes().iter().map(|publish| publish.2).collect();
    assert_eq!(payloads, [b"2", b"3"]);
    assert_eq!(house.receive(&mut device, exactly_once(7, true)), [Packet::PubRec(ack(7))]);
    assert_eq!(house.heard(), 0);
    let mut other = house.connect("other").await;
    house.subscribe(&mut other, "#", QoS::AtMostOnce);
    let retained: Vec<_> = house.deliver(&mut other).iter().map(|publish| publish.payload.clone()).collect();
    assert_eq!(retained, ["3"]);
}
