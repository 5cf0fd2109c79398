//! A message that is too large for one address of an upstream, and not for another.

use std::time::Duration;

use super::peer::{address, spec};
use super::*;
use crate::config::Upstream;
use crate::message::QoS;
use crate::mqtt::Version::V5;

const FAILBACK: Duration = Duration::from_secs(60);
/// A Maximum Packet Size of 100 bytes.
const SMALL: &[u8] = &[0x27, 0, 0, 0, 100];

fn two() -> Bench {
    Bench::with(Upstream { addresses: vec![address("first"), address("second")], failback: FAILBACK, ..spec(V5) })
}

fn large() -> String {
    "x".repeat(200)
}

async fn connected(bench: &mut Bench, host: &str, session_present: bool, terms: &[u8]) -> Peer {
    let mut peer = bench.accept().await;
    assert_eq!(peer.host, host);
    assert_eq!(peer.hear().await, Heard::Connect { clean: false });
    peer.connack_with(session_present, terms).await;
    peer
}

/// The next PUBLISH, with pings answered until then.
async fn next_publish(peer: &mut Peer) -> (u16, String) {
    loop {
        match peer.hear().await {
            Heard::PingReq => peer.send(&[0xD0, 0]).await,
            Heard::Publish { id, text, .. } => return (id, text),
            other => panic!("{other:?}"),
        }
    }
}

async fn takes(peer: &mut Peer, text: &str) {
    let (id, heard) = next_publish(peer).await;
    assert_eq!(heard, text);
    peer.puback(id).await;
}

/// Keeps the line alive until the first address was looked for and found.
async fn goes_back(bench: &mut Bench, peer: &mut Peer) {
    let probe = async {
        let (mut probe, _) = bench.welcome(false).await;
        assert_eq!((probe.hear().await, probe.host.as_str()), (Heard::Disconnect, "first"));
    };
    let pings = async {
        loop {
            match peer.hear().await {
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                _ => return std::future::pending().await,
            }
        }
    };
    tokio::select! { () = probe => {}, () = pings => {} }
}

/// The second takes everything, and is known to. The first, which takes little, is in use again.
async fn back_at_the_small_first() -> (Bench, Peer) {
    let mut bench = two();
    bench.set_down("first", true);
    let mut second = connected(&mut bench, "second", false, &[]).await;
    bench.commit(QoS::AtLeastOnce, "a");
    takes(&mut second, "a").await;
    bench.set_down("first", false);
    goes_back(&mut bench, &mut second).await;
    let first = connected(&mut bench, "first", false, SMALL).await;
    (bench, first)
}

/// The first takes everything, is known to, and is away. The second, which takes little, is in use.
async fn away_at_the_small_second() -> (Bench, Peer) {
    let mut bench = two();
    let first = connected(&mut bench, "first", false, &[]).await;
    bench.set_down("first", true);
    drop(first);
    let second = connected(&mut bench, "second", false, SMALL).await;
    (bench, second)
}

#[tokio::test(start_paused = true)]
async fn it_goes_to_the_address_that_is_known_to_take_it() {
    let (mut bench, mut first) = back_at_the_small_first().await;
    bench.commit(QoS::AtLeastOnce, &large());
    bench.commit(QoS::AtLeastOnce, "b");
    let mut second = match first.hear().await {
        Heard::Disconnect => connected(&mut bench, "second", false, &[]).await,
        other => panic!("nothing new before it: {other:?}"),
    };
    takes(&mut second, &large()).await;
    takes(&mut second, "b").await;
    bench.drained().await;
    assert_eq!((bench.letters.texts(), bench.counters.totals().forwarded), (vec![], 3));
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_first_address_when_that_is_known_to_take_it_and_holds_up_nobody() {
    let (mut bench, mut second) = away_at_the_small_second().await;
    bench.set_down("first", false);
    bench.commit(QoS::AtLeastOnce, &large());
    bench.commit(QoS::AtLeastOnce, "b");
    takes(&mut second, "b").await;
    goes_back(&mut bench, &mut second).await;
    let mut first = connected(&mut bench, "first", false, &[]).await;
    takes(&mut first, &large()).await;
    bench.drained().await;
    assert_eq!((bench.letters.texts(), bench.counters.totals().forwarded), (vec![], 2));
}

#[tokio::test(start_paused = true)]
async fn it_is_a_dead_letter_when_the_address_that_took_it_is_gone() {
    let (mut bench, mut first) = back_at_the_small_first().await;
    bench.set_down("second", true);
    bench.commit(QoS::AtLeastOnce, &large());
    assert_eq!(first.hear().await, Heard::Disconnect);
    let _first = connected(&mut bench, "first", true, SMALL).await;
    bench.drained().await;
    assert_eq!(bench.letters.texts(), [large()]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_half_of_the_window_waits() {
    let (bench, mut second) = away_at_the_small_second().await;
    (0..8).for_each(|_| bench.commit(QoS::AtLeastOnce, &large()));
    bench.commit(QoS::AtLeastOnce, "b");
    takes(&mut second, "b").await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((bench.letters.all().len(), bench.spool.waiting()), (3, 5), "the window is of ten");
}
