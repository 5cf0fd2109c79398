//! A server that answers pings and not messages, and one that answers with the wrong ack.

use std::time::Duration;

use tokio::time::Instant;

use super::peer::{ACK_TIMEOUT, address, spec};
use super::*;
use crate::config::Upstream;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

/// Answers pings until the client is gone. What else it says is given to `answer`.
async fn serve(peer: &mut Peer, mut answer: impl FnMut(&Heard) -> Vec<u8>) {
    loop {
        let heard = peer.hear().await;
        match heard {
            Heard::Gone => return,
            Heard::PingReq => peer.send(&[0xD0, 0]).await,
            _ => {
                let bytes = answer(&heard);
                peer.send(&bytes).await;
            }
        }
    }
}

fn puback(id: u16) -> Vec<u8> {
    vec![0x40, 2, (id >> 8) as u8, id as u8]
}

#[tokio::test(start_paused = true)]
async fn one_ack_that_does_not_come_ends_the_connection_and_the_message_is_sent_again() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::AtLeastOnce, "lost");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        bench.commit(QoS::AtLeastOnce, "fine");
        let start = Instant::now();
        serve(&mut peer, |heard| match heard {
            Heard::Publish { id, .. } => puback(*id),
            _ => Vec::new(),
        })
        .await;
        assert!((ACK_TIMEOUT..=ACK_TIMEOUT.mul_f64(1.26)).contains(&start.elapsed()), "{:?}", start.elapsed());
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains(&format!("packet id {id} (topic `t`)")), "{error}");
        let (mut peer, _) = bench.welcome(true).await;
        assert_eq!(peer.hear().await, publish(id, true, 1, "lost"));
        peer.puback(id).await;
        bench.drained().await;
        assert_eq!(bench.counters.totals().forwarded, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pubrec_or_a_pubcomp_that_does_not_come_ends_the_connection_as_well() {
    for has_pubrec in [false, true] {
        let mut bench = Bench::new(V5);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        if has_pubrec {
            peer.pubrec(id).await;
        }
        serve(&mut peer, |_| Vec::new()).await;
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains(if has_pubrec { "no PUBCOMP" } else { "PUBREC" }), "{error}");
        let (mut peer, _) = bench.welcome(true).await;
        let again = if has_pubrec { Heard::PubRel(id) } else { publish(id, true, 2, "a") };
        assert_eq!(peer.hear().await, again);
    }
}

/// The window is full and nothing of it is acknowledged, on a second connection.
async fn stalled(bench: &mut Bench) -> Peer {
    (0..10).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let (mut peer, _) = bench.welcome(false).await;
    serve(&mut peer, |_| Vec::new()).await;
    let (mut peer, _) = bench.welcome(true).await;
    for n in 0..10 {
        assert_eq!(peer.publish().await.2, n.to_string());
    }
    peer
}

#[tokio::test(start_paused = true)]
async fn qos_0_does_not_wait_for_a_window_that_nothing_leaves() {
    let mut bench = Bench::new(V5);
    let mut peer = stalled(&mut bench).await;
    for n in 0..20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        bench.commit(QoS::AtMostOnce, &n.to_string());
        assert_eq!(peer.hear().await, publish(0, false, 0, &n.to_string()), "once, and at once");
        assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
    }
}

/// More than fills the window of ten, when one in ten is not acknowledged.
#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_out_one_ack_in_ten_gets_everything_qos_0_too() {
    const MESSAGES: usize = 500;
    let mut bench = Bench::new(V5);
    for n in 0..MESSAGES {
        let qos = if n % 5 == 4 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        bench.commit(qos, &n.to_string());
    }
    let mut heard = std::collections::HashSet::new();
    let mut published = 0;
    let mut present = false;
    while bench.spool.waiting() > 0 {
        let (mut peer, _) = bench.welcome(present).await;
        present = true;
        let serving = serve(&mut peer, |packet| match packet {
            Heard::Publish { id, qos, text, .. } => {
                heard.insert(text.clone());
                published += usize::from(*qos > 0);
                if *qos == 0 || published % 10 == 0 { Vec::new() } else { puback(*id) }
            }
            _ => Vec::new(),
        });
        let counters = bench.counters.clone();
        let done = async {
            while counters.totals().forwarded < MESSAGES as u64 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! { () = serving => {}, () = done => {} }
    }
    assert_eq!((heard.len(), bench.counters.totals().forwarded), (MESSAGES, MESSAGES as u64));
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_that_acknowledges_one_after_the_other_is_not_left() {
    let mut bench = Bench::new(V5);
    (0..10).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let (mut peer, _) = bench.welcome(false).await;
    for _ in 0..10 {
        let (id, ..) = loop {
            match peer.hear().await {
                Heard::Publish { id, dup, text, .. } => break (id, dup, text),
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                other => panic!("{other:?}"),
            }
        };
        tokio::time::sleep(Duration::from_secs(20)).await;
        peer.puback(id).await;
        peer.send(&[0xD0, 0]).await;
    }
    bench.drained().await;
    assert_eq!(bench.status.borrow().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_acknowledges_nothing_is_left_for_the_next() {
    let addresses = vec![address("first"), address("second")];
    let mut bench = Bench::with(Upstream { addresses, ..spec(V5) });
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    assert_eq!(peer.host, "first");
    serve(&mut peer, |_| Vec::new()).await;
    let (mut peer, _) = bench.welcome(false).await;
    assert_eq!(peer.host, "second");
    let (id, ..) = peer.publish().await;
    peer.puback(id).await;
    bench.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_acknowledges_is_not_asked_more_often_than_the_ack_timeout_allows() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    let start = Instant::now();
    for n in 0..5 {
        let (mut peer, _) = bench.welcome(n > 0).await;
        serve(&mut peer, |_| Vec::new()).await;
    }
    assert!(start.elapsed() >= 5 * ACK_TIMEOUT);
    assert_eq!(bench.spool.waiting(), 1);
}

#[tokio::test(start_paused = true)]
async fn qos_0_passes_the_window_of_a_server_that_acknowledges_nothing_and_goes_once() {
    let mut bench = Bench::new(V5);
    (0..30).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    (0..5).for_each(|n| bench.commit(QoS::AtMostOnce, &format!("at most once {n}")));
    let mut heard = Vec::new();
    for n in 0..3 {
        let (mut peer, _) = bench.welcome(n > 0).await;
        serve(&mut peer, |packet| {
            if let Heard::Publish { qos: 0, text, .. } = packet {
                heard.push(text.clone());
            }
            Vec::new()
        })
        .await;
    }
    assert_eq!(heard, (0..5).map(|n| format!("at most once {n}")).collect::<Vec<_>>());
    assert_eq!((bench.counters.totals().forwarded, bench.spool.waiting()), (5, 30));
}

#[tokio::test(start_paused = true)]
async fn puback_for_qos_2_completes_it_and_lowers_the_next_to_qos_1() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        peer.puback(id).await;
        bench.drained().await;
        bench.commit(QoS::ExactlyOnce, "b");
        let Heard::Publish { id, qos: 1, .. } = peer.hear().await else { panic!("lowered to QoS 1") };
        drop(peer);
        let (mut peer, _) = bench.welcome(true).await;
        assert_eq!(peer.hear().await, publish(id, true, 1, "b"), "in this session, on the next connection too");
        peer.puback(id).await;
        bench.drained().await;
        assert_eq!(bench.counters.totals().forwarded, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_at_qos_2_before_the_first_puback_is_completed_by_one_or_sent_again_at_qos_1() {
    let mut bench = Bench::new(V311);
    ["a", "b"].iter().for_each(|text| bench.commit(QoS::ExactlyOnce, text));
    let (mut peer, _) = bench.welcome(false).await;
    let (first, ..) = peer.publish().await;
    let (second, ..) = peer.publish().await;
    peer.puback(first).await;
    while bench.spool.waiting() > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(peer);
    let (mut peer, _) = bench.welcome(true).await;
    assert_eq!(peer.hear().await, publish(second, true, 1, "b"));
    peer.puback(second).await;
    bench.drained().await;
}

#[tokio::test(start_paused = true)]
async fn pubrec_for_qos_1_goes_on_as_qos_2() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().forwarded, 1);
}

#[tokio::test(start_paused = true)]
async fn acks_that_fit_nothing_come_in_any_order_and_hold_up_nothing() {
    let mut bench = Bench::new(V5);
    ["a", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let (mut peer, _) = bench.welcome(false).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(peer.publish().await.0);
    }
    for stranger in [0, 999] {
        peer.puback(stranger).await;
        peer.pubcomp(stranger).await;
    }
    for id in ids.into_iter().rev() {
        // A success that the specification does not know.
        peer.send(&[0x40, 3, 0, id as u8, 0x7E]).await;
    }
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.status.borrow().attempts), (3, 1));
}
