//! Another client uses our client id.

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

const TAKEN_OVER: &[u8] = &[0xE0, 1, 0x8E];

#[tokio::test(start_paused = true)]
async fn a_session_that_was_taken_over_is_not_gone_on_with() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.send(TAKEN_OVER).await;
    assert_eq!(peer.hear().await, Heard::Gone);

    // Whatever has our identifier there may be another client's.
    let mut peer = clear(&mut bench).await;
    assert_eq!(peer.hear().await, publish(id, false, 2, "a"));
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 1));
    assert_eq!(bench.status.borrow().taken_over, 1);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_again_and_again_is_no_takeover() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        drop(peer);
        for _ in 0..2 {
            let (mut peer, clean) = bench.welcome(true).await;
            let mut heard = peer.hear().await;
            if heard == Heard::PingReq {
                // The message is suspected, which is another matter.
                peer.send(&[0xD0, 0]).await;
                heard = peer.hear().await;
            }
            assert_eq!((clean, heard), (false, publish(id, true, 2, "a")));
        }
        assert_eq!((bench.counters.totals().possible_duplicates, bench.status.borrow().taken_over), (0, 0));
    }
}
