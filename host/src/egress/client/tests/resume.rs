//! A connection broke, and what was open goes on where the session was kept and begins again where it was not.

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

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
        assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 0));
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
        assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (2, 0), "{cut:?}");
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
        assert_eq!(bench.counters.totals().possible_duplicates, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_uses_no_session_of_an_earlier_process() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let mut peer = clear(&mut bench).await;
        assert_eq!(peer.publish().await.2, "a");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_the_server_holds_leads_to_a_clean_start_and_not_to_a_loss() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.send(&[0x50, 3, 0, id as u8, 0x91]).await;
    assert_eq!(peer.hear().await, Heard::Gone);
    let mut peer = clear(&mut bench).await;
    let (id, ..) = peer.publish().await;
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().forwarded, 1);
}
