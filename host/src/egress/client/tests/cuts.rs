//! A correct server behind a line that is cut again and again.

use std::collections::HashSet;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{self, V5, V311};

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

async fn survives_cuts(protocol: Version, seed: u32) {
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
        assert_eq!(counters.totals().possible_duplicates, 0);
    }
    assert_eq!(bench.counters.totals().forwarded, u64::from(MESSAGES));
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
