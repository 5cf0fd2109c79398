//! The client against scripted upstreams, on paused time: waits cost nothing and deadlines are exact.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::peer::{Bench, Heard, KEEP_ALIVE, Peer};
use crate::control::config;
use crate::control::config::Protocol::{self, V5, V311};
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

/// Where the script cuts the line in an exchange of QoS 2.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CutAfter {
    Publish,
    Pubrec,
    Pubrel,
}

fn publish(id: u16, dup: bool, qos: u8, text: &str) -> Heard {
    Heard::Publish { id, dup, qos, retain: false, text: text.into() }
}

async fn finish_qos_2(peer: &mut Peer, id: u16) {
    peer.pubrec(id).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    peer.pubcomp(id).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_puback_leads_to_the_same_publish_with_dup_and_the_same_id() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::AtLeastOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let Heard::Publish { id, dup: false, .. } = peer.hear().await else { panic!("a first PUBLISH has no DUP") };
        drop(peer);
        let (mut peer, clean) = bench.welcome(true).await;
        assert!(!clean);
        assert_eq!(peer.hear().await, publish(id, true, 1, "a"));
        peer.puback(id).await;
        bench.drained().await;
        assert_eq!((bench.counters.forwarded.get(), bench.counters.possible_duplicates.get()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_anywhere_in_qos_2_goes_on_where_it_was_when_the_session_is_kept() {
    let cuts = [CutAfter::Publish, CutAfter::Pubrec, CutAfter::Pubrel];
    for (protocol, cut) in cuts.into_iter().flat_map(|cut| [(V311, cut), (V5, cut)]) {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        if cut != CutAfter::Publish {
            peer.pubrec(id).await;
        }
        if cut == CutAfter::Pubrel {
            assert_eq!(peer.hear().await, Heard::PubRel(id));
        }
        drop(peer);
        let (mut peer, _) = bench.welcome(true).await;
        bench.commit(QoS::AtLeastOnce, "b");
        if cut == CutAfter::Publish {
            assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
        } else {
            assert_eq!(peer.hear().await, Heard::PubRel(id), "{cut:?}: once released, only PUBREL");
            peer.pubcomp(id).await;
        }
        let (other, dup, text) = peer.publish().await;
        assert_eq!((dup, text.as_str(), other == id), (false, "b", false), "{cut:?}");
        if cut == CutAfter::Publish {
            finish_qos_2(&mut peer, id).await;
        }
        peer.puback(other).await;
        bench.drained().await;
        assert_eq!((bench.counters.forwarded.get(), bench.counters.possible_duplicates.get()), (2, 0), "{cut:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_sends_everything_again_as_new_and_counts_qos_2() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        for (qos, text) in [(QoS::AtLeastOnce, "a"), (QoS::ExactlyOnce, "b"), (QoS::ExactlyOnce, "c")] {
            bench.commit(qos, text);
        }
        let (mut peer, _) = bench.welcome(false).await;
        peer.publish().await;
        let (second, ..) = peer.publish().await;
        peer.publish().await;
        peer.pubrec(second).await;
        assert_eq!(peer.hear().await, Heard::PubRel(second));
        drop(peer);
        let (mut peer, clean) = bench.welcome(false).await;
        assert!(!clean, "we would have liked to keep it");
        for text in ["a", "b", "c"] {
            let (_, dup, heard) = peer.publish().await;
            assert_eq!((dup, heard.as_str()), (false, text));
        }
        assert_eq!(bench.counters.possible_duplicates.get(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_uses_no_session_of_an_earlier_process() {
    let mut bench = Bench::new(V5);
    let (_peer, clean) = bench.welcome(false).await;
    assert!(clean, "MQTT 5 asks for a clean start");

    let mut bench = Bench::new(V311);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut stale, clean) = bench.welcome(true).await;
    assert_eq!((clean, stale.hear().await), (false, Heard::Disconnect));
    let (mut clearing, clean) = bench.welcome(false).await;
    assert_eq!((clean, clearing.hear().await), (true, Heard::Disconnect));
    let (mut peer, clean) = bench.welcome(false).await;
    assert!(!clean);
    assert_eq!(peer.publish().await.2, "a");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_the_server_holds_leads_to_a_clean_start_and_not_to_a_loss() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.send(&[0x50, 3, 0, id as u8, 0x91]).await;
    assert_eq!(peer.hear().await, Heard::Gone);
    let (mut peer, clean) = bench.welcome(false).await;
    assert!(clean);
    let (id, ..) = peer.publish().await;
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.forwarded.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_servers_receive_maximum_closes_the_window() {
    let mut bench = Bench::new(V5);
    ["a", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x21, 0, 2]).await;
    let (first, ..) = peer.publish().await;
    peer.publish().await;
    assert_eq!(peer.hear().await, Heard::PingReq, "nothing more without an ack");
    peer.puback(first).await;
    assert_eq!(peer.publish().await.2, "c");
}

#[tokio::test(start_paused = true)]
async fn towards_3_1_1_no_more_than_20_of_qos_2_are_in_flight() {
    let mut bench = Bench::with(config::Upstream { max_inflight: 100, ..super::peer::spec(V311) });
    (0..50).for_each(|n| bench.commit(QoS::ExactlyOnce, &n.to_string()));
    let (mut peer, _) = bench.welcome(false).await;
    let mut ids = Vec::new();
    while let Heard::Publish { id, .. } = peer.hear().await {
        ids.push(id);
    }
    assert_eq!(ids.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_offer_is_taken_off() {
    let mut bench = Bench::new(V5);
    let mut message = Message::new(TopicName::parse("t").unwrap(), "a", QoS::ExactlyOnce);
    message.retain = true;
    bench.commit_message(message);
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x24, 1, 0x25, 0]).await;
    assert_eq!(peer.hear().await, publish(1, false, 1, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_servers_packet_size_is_counted_and_holds_up_nobody() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, &"x".repeat(100));
    bench.commit(QoS::AtMostOnce, &"y".repeat(100));
    bench.commit(QoS::AtLeastOnce, "b");
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x27, 0, 0, 0, 50]).await;
    let (id, _, text) = peer.publish().await;
    assert_eq!(text, "b");
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!((bench.counters.oversize.get(), bench.counters.forwarded.get()), (2, 1));
}

fn expiring(seconds: u32, text: &str) -> Message {
    let mut message = Message::new(TopicName::parse("t").unwrap(), text.to_string(), QoS::AtLeastOnce);
    message.properties = Some(Arc::new(Properties { expiry: Some(seconds), ..Properties::default() }));
    message
}

#[tokio::test(start_paused = true)]
async fn a_message_that_expires_in_the_spool_is_counted_and_not_sent() {
    let mut bench = Bench::new(V5);
    bench.commit_message(expiring(2, "late"));
    bench.commit_message(expiring(4, "in time"));
    tokio::time::advance(Duration::from_secs(3)).await;
    let (mut peer, _) = bench.welcome(false).await;
    assert_eq!(peer.publish().await.2, "in time");
    assert_eq!(bench.counters.expired.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_does_not_expire_once_it_was_sent() {
    let mut bench = Bench::new(V5);
    bench.commit_message(expiring(2, "sent"));
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    tokio::time::advance(Duration::from_secs(3)).await;
    let (mut peer, _) = bench.welcome(true).await;
    assert_eq!(peer.publish().await, (id, true, "sent".into()));
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!((bench.counters.expired.get(), bench.counters.forwarded.get()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_counted_and_not_sent_again() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.send(&[0x40, 3, 0, id as u8, 0x87]).await;
    bench.drained().await;
    assert_eq!((bench.counters.upstream_refused.get(), bench.counters.forwarded.get()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn qos_0_is_forwarded_when_it_is_written_and_stays_when_it_is_not() {
    let mut bench = Bench::over_pipes(super::peer::spec(V311), 64);
    for text in ["a", "b", "c"] {
        bench.commit(QoS::AtMostOnce, &text.repeat(30));
    }
    let (peer, _) = bench.welcome(false).await;
    while bench.counters.forwarded.get() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(peer);
    let (mut peer, _) = bench.welcome(true).await;
    let written = bench.counters.forwarded.get();
    assert!(written < 3, "the pipe is too small for all");
    let mut heard = Vec::new();
    while bench.spool.waiting() > 0 || heard.len() < 3 - written as usize {
        heard.push(peer.publish().await.2);
    }
    assert_eq!(heard.last(), Some(&"c".repeat(30)));
    assert_eq!(bench.counters.forwarded.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_and_then_left_within_one_and_a_half_keep_alives() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    let start = tokio::time::Instant::now();
    assert_eq!(peer.hear().await, Heard::PingReq);
    assert!(start.elapsed() < KEEP_ALIVE);
    assert_eq!(peer.hear().await, Heard::Gone);
    assert!(start.elapsed() <= KEEP_ALIVE.mul_f64(1.5) + Duration::from_millis(10));
    bench.accept().await;
    let error = bench.status.borrow().last_error.clone();
    assert!(error.is_some_and(|error| error.contains("nothing heard")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_pings_is_kept() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    for _ in 0..5 {
        assert_eq!(peer.hear().await, Heard::PingReq);
        peer.send(&[0xD0, 0]).await;
    }
    assert!(bench.status.borrow().connected);
    assert_eq!(bench.status.borrow().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_connect_is_left_at_the_timeout() {
    let mut bench = Bench::new(V5);
    let mut silent = bench.accept().await;
    silent.hear().await;
    let (_peer, _) = bench.welcome(false).await;
    assert_eq!(silent.hear().await, Heard::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_why_and_what_to_check_and_is_tried_again() {
    for (protocol, answer) in [(V311, &[0x20, 2, 0, 5][..]), (V5, &[0x20, 3, 0, 0x87, 0][..])] {
        let mut bench = Bench::new(protocol);
        let mut peer = bench.accept().await;
        peer.hear().await;
        peer.send(answer).await;
        bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains("Not authorized") && error.contains("access rules"), "{error}");
        bench.welcome(false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_servers_goodbye_is_told() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    peer.send(&[0xE0, 1, 0x8E]).await;
    bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    let error = bench.status.borrow().last_error.clone().unwrap();
    assert!(error.contains("Session taken over") && error.contains("its own"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unexpected_publish_is_acknowledged_by_the_rules() {
    let mut bench = Bench::new(V311);
    let (mut peer, _) = bench.welcome(false).await;
    peer.send(&[0x32, 5, 0, 1, b't', 0, 8, 0x34, 5, 0, 1, b't', 0, 9, 0x62, 2, 0, 9]).await;
    assert_eq!(peer.hear().await, Heard::PubAck(8));
    assert_eq!(peer.hear().await, Heard::PubRec(9));
    assert_eq!(peer.hear().await, Heard::PubComp(9));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_is_left_waits_for_the_acks_and_says_goodbye() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    (0..15).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    bench.shutdown.cancel();
    for n in 0..15 {
        let (id, _, text) = peer.publish().await;
        assert_eq!(text, n.to_string());
        peer.puback(id).await;
    }
    assert_eq!(peer.hear().await, Heard::Disconnect);
    bench.task.await.unwrap();
    assert_eq!(bench.counters.forwarded.get(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    peer.publish().await;
    bench.shutdown.cancel();
    assert_eq!(peer.hear().await, Heard::Disconnect);
    bench.task.await.unwrap();
    assert_eq!(bench.spool.waiting(), 1);

    let bench = Bench::new(V5);
    bench.shutdown.cancel();
    bench.task.await.unwrap();
}

/// A correct server whose line is cut after a number of packets, again and again.
struct Server {
    stored: HashSet<u16>,
    delivered: Vec<u32>,
}

impl Server {
    /// Until the client is gone or the packets are used up.
    async fn serve(&mut self, peer: &mut Peer, packets: u32) {
        for _ in 0..packets {
            match peer.hear().await {
                Heard::Publish { id, qos, text, .. } => {
                    let number = text.parse().unwrap();
                    if qos == 1 {
                        self.delivered.push(number);
                        peer.puback(id).await;
                    } else {
                        if self.stored.insert(id) {
                            self.delivered.push(number);
                        }
                        peer.pubrec(id).await;
                    }
                }
                Heard::PubRel(id) => {
                    self.stored.remove(&id);
                    peer.pubcomp(id).await;
                }
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                _ => return,
            }
        }
    }
}

async fn survives_cuts(protocol: Protocol, seed: u32) {
    const MESSAGES: u32 = 200;
    let mut bench = Bench::new(protocol);
    let mut server = Server { stored: HashSet::new(), delivered: Vec::new() };
    for n in 0..MESSAGES {
        bench.commit(if n % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce }, &n.to_string());
    }
    let mut random = seed;
    let mut first = true;
    while bench.spool.waiting() > 0 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (mut peer, _) = bench.welcome(!first).await;
        first = false;
        let counters = bench.counters.clone();
        tokio::select! {
            () = server.serve(&mut peer, 10 + (random >> 24) % 90) => {}
            () = bench.drained() => {}
        }
        assert_eq!(counters.possible_duplicates.get(), 0);
    }
    assert_eq!(bench.counters.forwarded.get(), u64::from(MESSAGES));
    let twice: Vec<u32> = server.delivered.iter().copied().filter(|n| n % 2 == 1).collect();
    assert_eq!(twice, (0..MESSAGES).filter(|n| n % 2 == 1).collect::<Vec<_>>(), "QoS 2 once, in order");
    let mut seen = HashSet::new();
    let once: Vec<u32> = server.delivered.iter().copied().filter(|n| n % 2 == 0 && seen.insert(*n)).collect();
    assert_eq!(once, (0..MESSAGES).filter(|n| n % 2 == 0).collect::<Vec<_>>(), "QoS 1 at least once, in order");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_and_qos_2_arrives_once_through_many_cuts() {
    for seed in 0..20 {
        survives_cuts(V5, seed).await;
        survives_cuts(V311, seed).await;
    }
}
