//! Where the witness is looked for: past all that is none.

use super::isolation::{Server, is_bad};
use super::*;
use crate::message::QoS;
use crate::mqtt::Version::V5;

#[tokio::test(start_paused = true)]
async fn large_culprits_in_a_row_do_not_hide_the_witness() {
    const LIMIT: usize = 128 << 10;
    let mut bench = Bench::new(V5);
    let large = "x".repeat(LIMIT + (64 << 10));
    (0..8).for_each(|_| bench.commit(QoS::AtLeastOnce, &large));
    (0..30).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let mut server = Server::new(|text| text.len() > LIMIT);
    let run = tokio::time::timeout(Duration::from_secs(3600), server.run(&mut bench)).await;
    assert!(run.is_ok(), "{} waiting after {} connections", bench.spool.waiting(), server.connections);
    assert_eq!((bench.letters.all().len(), server.first_arrivals().len()), (8, 30));
}

#[tokio::test(start_paused = true)]
async fn more_culprits_in_a_row_than_the_window_and_the_candidates_are_found() {
    let mut bench = Bench::new(V5);
    (0..50).for_each(|n| bench.commit(QoS::AtLeastOnce, &format!("bad {n}")));
    (0..120).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    let mut server = Server::new(is_bad);
    let run = tokio::time::timeout(Duration::from_secs(24 * 3600), server.run(&mut bench)).await;
    assert!(run.is_ok(), "{} waiting after {} connections", bench.spool.waiting(), server.connections);
    assert_eq!((bench.letters.all().len(), server.first_arrivals().len()), (50, 120));
}

#[tokio::test(start_paused = true)]
async fn a_message_with_others_behind_much_qos_0_is_not_alone() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "good");
    let mut server = Server::new(|_| true);
    for n in 0..15 {
        let (mut peer, _) = bench.welcome(n > 0).await;
        server.serve(&mut peer).await;
        drop(peer);
        if n == 4 {
            (0..40).for_each(|n| bench.commit(QoS::AtMostOnce, &format!("at most once {n}")));
            bench.commit(QoS::AtLeastOnce, "another");
        }
    }
    assert_eq!((bench.letters.texts(), bench.spool.waiting()), (vec![], 42));
}
