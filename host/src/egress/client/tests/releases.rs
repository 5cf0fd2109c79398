//! A server that takes a QoS 2 message and fails at its PUBREL: it closes, or hangs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{self, V5, V311};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    Closes,
    /// Answers all others.
    SaysNothing,
    /// Answers nothing any more.
    Hangs,
}

struct Server {
    fails: Fails,
    /// The texts of those that are received and not completed, by packet id.
    held: BTreeMap<u16, String>,
    /// QoS 2 once.
    arrived: Vec<String>,
    connections: usize,
    keeps_session: bool,
}

impl Server {
    fn new(fails: Fails) -> Self {
        Self { fails, held: BTreeMap::new(), arrived: Vec::new(), connections: 0, keeps_session: false }
    }

    /// For so long, or until nothing waits.
    async fn run(&mut self, bench: &mut Bench, limit: Duration) {
        let serving = async {
            while bench.spool.waiting() > 0 {
                let Ok(mut peer) = timeout(Duration::from_secs(60), bench.accept()).await else { continue };
                let Heard::Connect { clean } = peer.hear().await else { panic!("CONNECT comes first") };
                self.connections += 1;
                if clean {
                    self.held.clear();
                }
                peer.connack(self.keeps_session && !clean).await;
                self.keeps_session = !clean;
                tokio::select! {
                    () = self.serve(&mut peer) => {}
                    () = bench.drained() => return,
                }
            }
        };
        let _ = timeout(limit, serving).await;
    }

    /// Also when nothing waits.
    async fn stay(&mut self, bench: &mut Bench, peers: usize) {
        for _ in 0..peers {
            let mut peer = bench.accept().await;
            let Heard::Connect { clean } = peer.hear().await else { panic!("CONNECT comes first") };
            if clean {
                self.held.clear();
            }
            peer.connack(self.keeps_session && !clean).await;
            self.keeps_session = !clean;
            self.serve(&mut peer).await;
        }
    }

    async fn serve(&mut self, peer: &mut Peer) {
        let mut hangs = false;
        loop {
            match peer.hear().await {
                Heard::Gone | Heard::Disconnect => return,
                _ if hangs => {}
                Heard::Publish { id, qos, text, .. } => {
                    // By method A: a packet id that is held is one of a repetition.
                    if qos < 2 || self.held.insert(id, text.clone()).is_none() {
                        self.arrived.push(text);
                    }
                    if qos == 1 { peer.puback(id).await } else { peer.pubrec(id).await }
                }
                Heard::PubRel(id) if self.held.get(&id).is_some_and(|text| text.starts_with("bad")) => match self.fails
                {
                    Fails::Closes => return,
                    Fails::SaysNothing => {}
                    Fails::Hangs => hangs = true,
                },
                Heard::PubRel(id) => {
                    self.held.remove(&id);
                    peer.pubcomp(id).await;
                }
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                other => panic!("{other:?}"),
            }
        }
    }
}

const LONG: Duration = Duration::from_secs(3600);

async fn finds(protocol: Version, fails: Fails, bad_at: &[usize], qos_of_others: QoS) {
    let mut bench = Bench::new(protocol);
    for n in 0..25 {
        if bad_at.contains(&n) {
            bench.commit(QoS::ExactlyOnce, &format!("bad {n}"));
        }
        bench.commit(qos_of_others, &n.to_string());
    }
    let mut server = Server::new(fails);
    server.run(&mut bench, LONG).await;
    let case = format!("{protocol:?} {fails:?} {bad_at:?} {qos_of_others:?}, {} connections", server.connections);
    let bad: Vec<String> = bad_at.iter().map(|n| format!("bad {n}")).collect();
    let mut letters = bench.letters.texts();
    letters.sort();
    assert_eq!((letters, bench.spool.waiting()), (bad, 0), "{case}");
    assert!(bench.letters.all().iter().all(|letter| letter.reason.contains("received it (PUBREC)")), "{case}");
    let all: HashSet<&String> = server.arrived.iter().collect();
    assert_eq!(all.len(), 25 + bad_at.len(), "{case}: all others arrive");
    if qos_of_others == QoS::ExactlyOnce {
        assert_eq!(server.arrived.len(), all.len(), "{case}: QoS 2 once");
    }
    assert_eq!(bench.counters.totals().forwarded, 25, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_message_on_whose_pubrel_the_server_closes_is_found_and_all_others_go_on() {
    for protocol in [V311, V5] {
        for bad_at in [&[0][..], &[7], &[24], &[3, 4, 5], &[0, 24]] {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                finds(protocol, Fails::Closes, bad_at, qos).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_on_whose_pubrel_the_server_hangs_or_says_nothing_is_found_as_well() {
    for protocol in [V311, V5] {
        for bad_at in [&[0][..], &[3, 7]] {
            finds(protocol, Fails::Hangs, bad_at, QoS::ExactlyOnce).await;
        }
    }
    // Others are acknowledged beside it, as long as there are any.
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "bad");
    let mut server = Server::new(Fails::SaysNothing);
    for n in 0..8 {
        bench.commit(QoS::AtLeastOnce, &n.to_string());
        server.run(&mut bench, Duration::from_secs(45)).await;
    }
    assert_eq!((bench.letters.texts(), server.arrived.len()), (vec!["bad".to_owned()], 9));
}

#[tokio::test(start_paused = true)]
async fn with_a_window_of_one_and_after_a_crash_it_is_found_as_well() {
    for protocol in [V311, V5] {
        let mut bench = Bench::with(crate::config::Upstream { max_inflight: 1, ..peer::spec(protocol) });
        ["a", "bad", "b", "c"].iter().for_each(|text| bench.commit(QoS::ExactlyOnce, text));
        let mut server = Server::new(Fails::Closes);
        server.run(&mut bench, Duration::from_secs(2)).await;
        let mut bench = bench.crash("gw").await;
        server.run(&mut bench, LONG).await;
        assert_eq!((bench.letters.texts(), bench.spool.waiting()), (vec!["bad".to_owned()], 0));
        assert_eq!(server.arrived, ["a", "bad", "b", "c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn when_only_pubrels_are_left_the_others_go_first() {
    let mut bench = Bench::new(V5);
    let mut server = Server::new(Fails::Closes);
    ["bad", "a", "b"].iter().for_each(|text| bench.commit(QoS::ExactlyOnce, text));
    // All are received before the first PUBREL is answered.
    let (mut peer, _) = bench.welcome(false).await;
    server.keeps_session = true;
    for _ in 0..3 {
        let (id, _, text) = peer.publish().await;
        server.held.insert(id, text.clone());
        server.arrived.push(text);
    }
    for id in server.held.keys() {
        peer.pubrec(*id).await;
    }
    assert!(matches!(peer.hear().await, Heard::PubRel(_)));
    drop(peer);
    server.run(&mut bench, LONG).await;
    assert_eq!((bench.letters.texts(), bench.counters.totals().forwarded), (vec!["bad".to_owned()], 2));
    assert_eq!(server.arrived, ["bad", "a", "b"]);
}

/// The id of the message that was never completed comes round after 65,535 others.
#[tokio::test(start_paused = true)]
async fn the_packet_id_that_the_server_holds_is_freed_by_a_new_session_and_nothing_arrives_twice() {
    let mut bench = Bench::new(V5);
    ["a", "bad", "b"].iter().for_each(|text| bench.commit(QoS::ExactlyOnce, text));
    let mut server = Server::new(Fails::Closes);
    server.run(&mut bench, LONG).await;
    assert_eq!(server.held.len(), 1);
    // Nothing is open any more: the session is left, ended, and a new one begun.
    server.stay(&mut bench, 2).await;
    bench.commit(QoS::ExactlyOnce, "c");
    server.run(&mut bench, LONG).await;
    assert_eq!((server.held.len(), &server.arrived[..]), (0, &["a", "bad", "b", "c"].map(String::from)[..]));
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}
