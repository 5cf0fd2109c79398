//! The client against scripted upstreams, on paused time: waits cost nothing and deadlines are exact.

mod cuts;
mod failover;
mod fates;
mod hangs;
mod isolation;
mod lowered;
pub(in crate::egress) mod peer;
mod recovery;
mod referral;
mod refused;
mod releases;
mod resume;
mod rivals;
mod shutdown;
mod silence;
mod skip;
mod subscriptions;
mod terms;
mod too_large;
mod unacknowledged;
mod unasked;
mod witness;

use super::*;
use peer::{Bench, Heard, Peer};

/// Where the script cuts the line in an exchange of QoS 2.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CutAfter {
    Publish,
    Pubrec,
    Pubrel,
}

fn publish(id: u16, dup: bool, qos: u8, text: &str) -> Heard {
    Heard::Publish { id, dup, qos, retain: false, text: text.into(), expiry: None }
}

/// A new session, in which the only message is received and not completed.
async fn released(bench: &mut Bench) -> (Peer, u16) {
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.pubrec(id).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    (peer, id)
}

async fn finish_qos_2(peer: &mut Peer, id: u16) {
    peer.pubrec(id).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    peer.pubcomp(id).await;
}

/// The server has a session that is not ours: it is left, ended, and a new one begun.
async fn clear(bench: &mut Bench) -> Peer {
    let (mut stale, clean) = bench.welcome(true).await;
    assert_eq!((clean, stale.hear().await), (false, Heard::Disconnect));
    let (mut clearing, clean) = bench.welcome(false).await;
    assert_eq!((clean, clearing.hear().await), (true, Heard::Disconnect));
    let (peer, clean) = bench.welcome(false).await;
    assert!(!clean);
    peer
}
