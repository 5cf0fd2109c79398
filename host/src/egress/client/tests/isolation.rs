//! A server that closes on a message instead of refusing it, and one that closes for other reasons.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::peer::spec;
use super::*;
use crate::message::{Message, QoS};
use crate::mqtt::Version::{self, V5, V311};
use crate::topic::TopicName;

/// A correct server but for one thing: it closes without a word on some messages.
pub(super) struct Server {
    closes_on: fn(&str) -> bool,
    /// Properties of its CONNACK.
    terms: &'static [u8],
    /// Before it closes.
    says: &'static [u8],
    /// With quota exceeded.
    refuses_others: bool,
    stored: HashSet<u16>,
    /// In the order of arrival, QoS 2 once.
    pub arrived: Vec<String>,
    pub connections: usize,
    /// Until a clean start.
    keeps_session: bool,
}

impl Server {
    pub fn new(closes_on: fn(&str) -> bool) -> Self {
        Self {
            closes_on,
            terms: &[],
            says: &[],
            refuses_others: false,
            stored: HashSet::new(),
            arrived: Vec::new(),
            connections: 0,
            keeps_session: false,
        }
    }

    /// Of MQTT 5.
    pub fn with_terms(self, terms: &'static [u8]) -> Self {
        Self { terms, ..self }
    }

    /// Serves until nothing waits any more.
    pub async fn run(&mut self, bench: &mut Bench) {
        while bench.spool.waiting() > 0 {
            let Ok(mut peer) = tokio::time::timeout(Duration::from_secs(60), bench.accept()).await else {
                continue;
            };
            let Heard::Connect { clean } = peer.hear().await else { panic!("CONNECT comes first") };
            peer.connack_with(self.keeps_session, self.terms).await;
            self.connections += 1;
            self.keeps_session = !clean;
            if clean {
                self.stored.clear();
            }
            tokio::select! {
                () = self.serve(&mut peer) => {}
                () = bench.drained() => return,
            }
        }
    }

    /// Until it closes, or the client is gone.
    pub async fn serve(&mut self, peer: &mut Peer) {
        loop {
            match peer.hear().await {
                Heard::Publish { id, text, .. } if self.refuses_others && !(self.closes_on)(&text) => {
                    peer.send(&[0x40, 3, (id >> 8) as u8, id as u8, 0x97]).await;
                }
                Heard::Publish { text, .. } if (self.closes_on)(&text) => return peer.send(self.says).await,
                Heard::Publish { id, qos, text, .. } => {
                    if qos < 2 || self.stored.insert(id) {
                        self.arrived.push(text);
                    }
                    match qos {
                        0 => {}
                        1 => peer.puback(id).await,
                        _ => peer.pubrec(id).await,
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

    /// What arrived, each once, in the order in which it first did.
    pub fn first_arrivals(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.arrived.iter().map(String::as_str).filter(|text| seen.insert(*text)).collect()
    }
}

pub(super) fn is_bad(text: &str) -> bool {
    text.starts_with("bad")
}

fn commit_on(bench: &Bench, topic: &str, qos: QoS, text: &str) {
    bench.commit_message(Message::new(TopicName::parse(topic).unwrap(), text.to_owned(), qos));
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// 25 good ones with bad ones among them, all of one topic; the window is ten.
async fn isolates(protocol: Version, qos: QoS, bad_at: &[usize]) {
    let mut bench = Bench::new(protocol);
    for n in 0..25 {
        if bad_at.contains(&n) {
            bench.commit(qos, &format!("bad {n}"));
        }
        bench.commit(qos, &n.to_string());
    }
    let mut server = Server::new(is_bad);
    let start = Instant::now();
    server.run(&mut bench).await;
    let bad: Vec<String> = bad_at.iter().map(|n| format!("bad {n}")).collect();
    assert_eq!(bench.letters.texts(), bad, "{protocol:?} {qos:?}");
    assert_eq!(server.first_arrivals(), names(0..25), "all others, in order");
    if qos == QoS::ExactlyOnce {
        assert_eq!(server.arrived.len(), 25, "QoS 2 once");
    }
    let c = &bench.counters;
    assert_eq!(
        (c.totals().undelivered, c.totals().forwarded, c.totals().possible_duplicates),
        (bad.len() as u64, 25, 0)
    );
    assert!(server.connections <= 3 + 12 * bad.len(), "{} connections", server.connections);
    assert!(start.elapsed() < Duration::from_secs(30) * bad.len() as u32, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_message_on_which_the_server_closes_is_a_dead_letter_and_the_rest_goes_on_in_order() {
    for (protocol, qos) in
        [(V311, QoS::AtLeastOnce), (V5, QoS::AtLeastOnce), (V311, QoS::ExactlyOnce), (V5, QoS::ExactlyOnce)]
    {
        isolates(protocol, qos, &[0]).await;
        isolates(protocol, qos, &[7]).await;
        isolates(protocol, qos, &[20]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn several_of_them_are_found_one_after_the_other() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        isolates(V5, qos, &[3, 4, 5, 6]).await;
        isolates(V311, qos, &[0, 9, 24]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_says_why_and_how_often_it_was_tried() {
    let mut bench = Bench::new(V5);
    ["a", "bad", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    Server::new(is_bad).run(&mut bench).await;
    let letters = bench.letters.all();
    assert_eq!(letters[0].reason, "the upstream does not take it: the upstream closed the connection");
    assert_eq!((letters[0].attempts, letters[0].upstream.as_str()), (6, "cloud"));
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_that_says_why_is_in_the_letter_and_one_about_the_server_itself_makes_none() {
    let mut bench = Bench::new(V5);
    ["a", "bad", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    Server { says: &[0xE0, 1, 0x95], ..Server::new(is_bad) }.run(&mut bench).await;
    assert!(bench.letters.all()[0].reason.contains("Packet too large (0x95)"), "{:?}", bench.letters.all());

    let mut bench = Bench::new(V5);
    ["a", "bad", "b"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let mut server = Server { says: &[0xE0, 1, 0x8B], ..Server::new(is_bad) };
    let _ = tokio::time::timeout(Duration::from_secs(600), server.run(&mut bench)).await;
    assert_eq!((bench.letters.all().len(), bench.spool.waiting()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_on_everything_for_a_while_makes_no_dead_letters() {
    let mut bench = Bench::new(V5);
    (0..25).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let mut crashing = Server::new(|_| true);
    for n in 0..50 {
        let (mut peer, _) = bench.welcome(n > 0).await;
        crashing.serve(&mut peer).await;
    }
    let mut server = Server { connections: 1, keeps_session: true, ..Server::new(|_| false) };
    server.run(&mut bench).await;
    assert_eq!((bench.letters.texts(), server.first_arrivals().len()), (vec![], 25));
}

/// It lasts for some packets, each time: sometimes the same message is the last one, again and again.
#[tokio::test(start_paused = true)]
async fn a_line_that_flaps_makes_no_dead_letters() {
    for packets in 0..6 {
        let mut bench = Bench::new(V5);
        (0..25).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
        let mut server = Server::new(|_| false);
        for _ in 0..60 {
            let (mut peer, clean) = bench.welcome(server.keeps_session).await;
            server.keeps_session = !clean;
            for _ in 0..packets {
                match peer.hear().await {
                    Heard::Publish { id, text, .. } => {
                        server.arrived.push(text);
                        peer.puback(id).await;
                    }
                    Heard::PingReq => peer.send(&[0xD0, 0]).await,
                    _ => {}
                }
                if bench.spool.waiting() == 0 {
                    break;
                }
            }
            if bench.spool.waiting() == 0 {
                break;
            }
        }
        server.run(&mut bench).await;
        assert_eq!((bench.letters.texts(), server.first_arrivals().len()), (vec![], 25), "{packets} packets each");
    }
}

#[tokio::test(start_paused = true)]
async fn qos_0_on_which_the_server_closes_makes_no_dead_letter_of_others() {
    let mut bench = Bench::new(V5);
    for n in 0..25 {
        bench.commit(QoS::AtMostOnce, &format!("bad {n}"));
        bench.commit(QoS::AtLeastOnce, &n.to_string());
    }
    let mut server = Server::new(is_bad);
    server.run(&mut bench).await;
    assert_eq!(
        (bench.letters.texts(), server.first_arrivals()),
        (vec![], names(0..25).iter().map(String::as_str).collect())
    );
}

#[tokio::test(start_paused = true)]
async fn the_witness_is_of_another_topic_where_there_is_one() {
    let mut bench = Bench::new(V5);
    commit_on(&bench, "one", QoS::AtLeastOnce, "bad");
    (0..4).for_each(|n| commit_on(&bench, "one", QoS::AtLeastOnce, &n.to_string()));
    commit_on(&bench, "two", QoS::AtLeastOnce, "witness");
    let mut server = Server::new(is_bad);
    server.run(&mut bench).await;
    assert_eq!(server.first_arrivals(), ["witness", "0", "1", "2", "3"]);
    assert_eq!(bench.letters.texts(), ["bad"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_alone_is_found_after_a_while_and_the_next_one_after_a_longer_one() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "bad 1");
    let mut server = Server::new(is_bad);
    let start = Instant::now();
    server.run(&mut bench).await;
    assert_eq!(bench.letters.texts(), ["bad 1"]);
    assert!((Duration::from_secs(20)..Duration::from_secs(120)).contains(&start.elapsed()), "{:?}", start.elapsed());

    bench.commit(QoS::AtLeastOnce, "bad 2");
    let _ = tokio::time::timeout(Duration::from_secs(60), server.run(&mut bench)).await;
    assert_eq!(bench.letters.texts(), ["bad 1"], "perhaps it takes nothing at all");
    bench.commit(QoS::AtLeastOnce, "good");
    server.run(&mut bench).await;
    assert_eq!((bench.letters.texts().len(), server.arrived.as_slice()), (2, &["good".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn several_of_them_and_nothing_else_are_found_within_minutes() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        ["bad 1", "bad 2", "bad 3"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
        let start = Instant::now();
        Server::new(is_bad).run(&mut bench).await;
        assert_eq!(bench.letters.all().len(), 3);
        assert!(start.elapsed() < Duration::from_secs(15 * 60), "{:?}", start.elapsed());
    }
}

/// Its disk is full, say: it lets us in, answers pings, and closes on every message.
#[tokio::test(start_paused = true)]
async fn a_day_of_a_server_that_takes_nothing_is_a_few_letters_and_no_more() {
    let mut bench = Bench::new(V5);
    (0..5).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    (0..95).for_each(|n| bench.commit(QoS::AtLeastOnce, &format!("more {n}")));
    let (mut server, start) = (Server::new(|_| true), Instant::now());
    while start.elapsed() < Duration::from_secs(24 * 3600) {
        let (mut peer, _) = bench.welcome(true).await;
        server.serve(&mut peer).await;
    }
    assert!(bench.letters.all().len() <= 6, "{}", bench.letters.all().len());
}

#[tokio::test(start_paused = true)]
async fn with_a_window_of_one_it_is_found_as_well() {
    let mut bench = Bench::with(crate::config::Upstream { max_inflight: 1, ..spec(V5) });
    ["a", "bad", "b", "c"].iter().for_each(|text| bench.commit(QoS::ExactlyOnce, text));
    let mut server = Server::new(is_bad);
    server.run(&mut bench).await;
    assert_eq!(
        (bench.letters.texts(), server.arrived),
        (vec!["bad".to_owned()], ["a", "b", "c"].map(String::from).into())
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_is_found_again() {
    let mut bench = Bench::new(V5);
    ["a", "bad", "b"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let mut server = Server::new(is_bad);
    for _ in 0..3 {
        let (mut peer, clean) = bench.welcome(server.keeps_session).await;
        server.connections += 1;
        server.keeps_session = !clean;
        server.serve(&mut peer).await;
    }
    let mut bench = bench.crash("gw").await;
    server.run(&mut bench).await;
    assert_eq!((bench.letters.texts(), server.first_arrivals()), (vec!["bad".to_owned()], vec!["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_no_witness() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "bad");
    (0..30).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let mut server = Server { refuses_others: true, ..Server::new(is_bad) };
    for n in 0..9 {
        let (mut peer, _) = bench.welcome(n > 0).await;
        server.serve(&mut peer).await;
    }
    assert!(!bench.letters.texts().contains(&"bad".to_owned()), "{:?}", bench.letters.texts());
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_too_old_expires() {
    let mut bench = Bench::aging(Duration::from_secs(5));
    bench.commit(QoS::AtLeastOnce, "bad");
    let mut server = Server::new(is_bad);
    server.run(&mut bench).await;
    assert_eq!((bench.letters.texts(), bench.counters.totals().expired), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_never_acknowledged_is_given_up_where_others_are() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "mute");
    let mut connections = 0;
    while bench.spool.waiting() > 0 {
        let (mut peer, _) = bench.welcome(connections > 0).await;
        connections += 1;
        bench.commit(QoS::AtLeastOnce, "good");
        loop {
            match peer.hear().await {
                Heard::Publish { text, .. } if text == "mute" => {}
                Heard::Publish { id, .. } => peer.puback(id).await,
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                _ => break,
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if bench.letters.all().len() == 1 {
            break;
        }
    }
    assert_eq!((bench.letters.texts(), connections), (vec!["mute".to_owned()], 5));
}

#[tokio::test(start_paused = true)]
async fn an_operator_leaves_out_the_oldest_or_one_by_its_number() {
    let mut bench = Bench::new(V5);
    ["a", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let (mut peer, _) = bench.welcome(false).await;
    let (first, ..) = peer.publish().await;
    let skipped = bench.operator.skip(None, true).await.unwrap();
    assert_eq!((skipped.number, skipped.topic.as_str()), (1, "t"));
    let skipped = bench.operator.skip(Some(3), false).await.unwrap();
    assert_eq!(skipped.number, 3);
    while bench.counters.totals().undelivered == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(bench.operator.skip(Some(9), true).await.unwrap_err().contains("the oldest is 2"));
    // An ack that comes all the same finds nothing.
    peer.puback(first).await;
    let (second, ..) = peer.publish().await;
    peer.puback(second).await;
    bench.drained().await;
    let c = &bench.counters;
    assert_eq!(
        (bench.letters.texts(), c.totals().undelivered, c.totals().skipped, c.totals().forwarded),
        (vec!["a".to_owned()], 1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_operator_leaves_one_out_while_the_upstream_is_away() {
    let bench = Bench::new(V5);
    bench.set_down("first", true);
    bench.commit(QoS::ExactlyOnce, "a");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.operator.skip(None, true).await.map(|skipped| skipped.number), Ok(1));
    bench.drained().await;
    assert_eq!(bench.letters.texts(), ["a"]);
}
