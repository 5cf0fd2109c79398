//! A new process finds the session of one that was killed.

use std::time::Duration;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

#[tokio::test(start_paused = true)]
async fn a_new_process_goes_on_where_the_old_one_was_killed() {
    let cuts = [CutAfter::Publish, CutAfter::Pubrec, CutAfter::Pubrel];
    for (protocol, cut) in cuts.into_iter().flat_map(|cut| [(V311, cut), (V5, cut)]) {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        bench.commit(QoS::AtLeastOnce, "b");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        let (other, ..) = peer.publish().await;
        if cut != CutAfter::Publish {
            peer.pubrec(id).await;
            assert_eq!(peer.hear().await, Heard::PubRel(id));
        }
        if cut == CutAfter::Pubrel {
            peer.pubcomp(id).await;
            while bench.spool.waiting() > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let mut bench = bench.crash("gw").await;
        bench.commit(QoS::ExactlyOnce, "c");
        let (mut peer, clean) = bench.welcome(true).await;
        assert!(!clean, "the spool remembers the session");
        match cut {
            CutAfter::Publish => assert_eq!(peer.hear().await, publish(id, true, 2, "a")),
            CutAfter::Pubrec => assert_eq!(peer.hear().await, Heard::PubRel(id), "once received, only PUBREL"),
            CutAfter::Pubrel => {}
        }
        assert_eq!(peer.hear().await, publish(other, true, 1, "b"), "{cut:?}");
        peer.puback(other).await;
        let (third, _, text) = peer.publish().await;
        assert_eq!((text.as_str(), third == id || third == other), ("c", false), "{cut:?}");
        match cut {
            CutAfter::Publish => finish_qos_2(&mut peer, id).await,
            CutAfter::Pubrec => peer.pubcomp(id).await,
            CutAfter::Pubrel => {}
        }
        finish_qos_2(&mut peer, third).await;
        bench.drained().await;
        assert_eq!(bench.counters.totals().possible_duplicates, 0, "{cut:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_process_under_another_client_id_begins_a_new_session() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (_peer, id) = released(&mut bench).await;
    let mut bench = bench.crash("somebody else").await;
    let mut peer = clear(&mut bench).await;
    assert_eq!(peer.hear().await, publish(id, false, 2, "a"), "what the old session had received means nothing here");
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 1);
}
