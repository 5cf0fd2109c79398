//! Messages that the server answers with a failure reason code.

use std::time::Duration;

use tokio::time::Instant;

use super::peer::spec;
use super::*;
use crate::config::{Refused, Upstream};
use crate::egress::refusals::ATTEMPTS;
use crate::message::QoS;
use crate::mqtt::Version::V5;

const NOT_AUTHORIZED: u8 = 0x87;
const QUOTA_EXCEEDED: u8 = 0x97;

fn with(refused: Refused) -> Bench {
    Bench::with(Upstream { refused, keep_alive: Duration::from_secs(3600), ..spec(V5) })
}

impl Peer {
    /// PUBACK or PUBREC with a reason.
    async fn refuse(&mut self, qos: QoS, id: u16, reason: u8) {
        let kind = if qos == QoS::AtLeastOnce { 0x40 } else { 0x50 };
        self.send(&[kind, 3, (id >> 8) as u8, id as u8, reason]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_does_not_want_is_a_dead_letter_with_its_reason_and_others_go_on() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut bench = with(Refused::DeadLetter);
        bench.commit(qos, "a");
        bench.commit(QoS::AtLeastOnce, "b");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        let (other, ..) = peer.publish().await;
        peer.refuse(qos, id, NOT_AUTHORIZED).await;
        peer.puback(other).await;
        bench.drained().await;
        let letters = bench.letters.all();
        assert_eq!(bench.letters.texts(), ["a"]);
        assert_eq!((letters[0].upstream.as_str(), letters[0].attempts, letters[0].message.qos), ("cloud", 1, qos));
        assert_eq!(letters[0].reason, "refused by the upstream: Not authorized (0x87)");
        let c = &bench.counters;
        assert_eq!((c.totals().undelivered, c.totals().upstream_refused, c.totals().forwarded), (1, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_cannot_take_now_is_sent_again_as_new_after_a_while() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut bench = with(Refused::DeadLetter);
        bench.commit(qos, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        let start = Instant::now();
        peer.refuse(qos, id, QUOTA_EXCEEDED).await;
        assert_eq!(peer.hear().await, publish(id, false, qos as u8, "a"), "a new exchange has no DUP");
        assert!(start.elapsed() >= Duration::from_secs(1));
        if qos == QoS::AtLeastOnce {
            peer.puback(id).await
        } else {
            finish_qos_2(&mut peer, id).await
        }
        bench.drained().await;
        assert_eq!((bench.counters.totals().forwarded, bench.letters.all().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_never_takes_is_a_dead_letter_after_a_bounded_time_and_holds_up_nothing() {
    let mut bench = with(Refused::DeadLetter);
    bench.commit(QoS::AtLeastOnce, "bad");
    let (mut peer, _) = bench.welcome(false).await;
    let start = Instant::now();
    let mut heard = 0;
    while bench.spool.waiting() > 0 {
        let Ok((id, _, text)) = tokio::time::timeout(Duration::from_secs(60), peer.publish()).await else { break };
        if text == "bad" {
            heard += 1;
            peer.refuse(QoS::AtLeastOnce, id, QUOTA_EXCEEDED).await;
            bench.commit(QoS::AtLeastOnce, "good");
        } else {
            peer.puback(id).await;
        }
    }
    bench.drained().await;
    assert_eq!((heard, bench.letters.texts()), (ATTEMPTS, vec!["bad".to_owned()]));
    assert!(start.elapsed() < Duration::from_secs(120));
    assert_eq!(bench.counters.totals().forwarded, u64::from(ATTEMPTS));
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_that_waits_is_sent_by_the_next_connection_with_the_session_or_without() {
    for session_present in [true, false] {
        let mut bench = with(Refused::DeadLetter);
        bench.commit(QoS::AtLeastOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        peer.refuse(QoS::AtLeastOnce, id, QUOTA_EXCEEDED).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(peer);
        let (mut peer, _) = bench.welcome(session_present).await;
        assert_eq!(peer.hear().await, publish(id, false, 1, "a"));
        peer.puback(id).await;
        bench.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn by_configuration_a_refused_message_is_dropped_or_sent_until_it_is_taken() {
    let mut bench = with(Refused::Drop);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.refuse(QoS::AtLeastOnce, id, QUOTA_EXCEEDED).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().upstream_refused, bench.letters.all().len()), (1, 0));

    let mut bench = with(Refused::Retry);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    for _ in 0..20 {
        let (id, ..) = peer.publish().await;
        peer.refuse(QoS::AtLeastOnce, id, NOT_AUTHORIZED).await;
    }
    let (id, ..) = peer.publish().await;
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.letters.all().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_window_of_refused_messages_does_not_stop_the_line() {
    let mut bench = with(Refused::DeadLetter);
    (0..30).for_each(|n| bench.commit(QoS::AtLeastOnce, &format!("bad {n}")));
    bench.commit(QoS::AtLeastOnce, "good");
    let (mut peer, _) = bench.welcome(false).await;
    loop {
        let (id, _, text) = peer.publish().await;
        if text == "good" {
            peer.puback(id).await;
            break;
        }
        peer.refuse(QoS::AtLeastOnce, id, NOT_AUTHORIZED).await;
    }
    bench.drained().await;
    assert_eq!((bench.letters.all().len(), bench.counters.totals().forwarded), (30, 1));
}
