//! How a message ends that is not simply acknowledged: expired, or written and no more.

use std::sync::Arc;
use std::time::Duration;

use super::peer::spec;
use super::*;
use crate::message::{Message, Properties, QoS};
use crate::mqtt::Version::{V5, V311};
use crate::topic::TopicName;

fn expiring(seconds: u32, text: &str) -> Message {
    let mut message = Message::new(TopicName::parse("t").unwrap(), text.to_string(), QoS::AtLeastOnce);
    message.properties = Some(Arc::new(Properties { expiry: Some(seconds), ..Properties::default() }));
    message
}

#[tokio::test(start_paused = true)]
async fn a_message_that_expires_in_the_spool_is_counted_and_not_sent() {
    let mut bench = Bench::new(V5);
    bench.commit_message(expiring(2, "late"));
    bench.commit_message(expiring(4, "in time"));
    tokio::time::advance(Duration::from_secs(3)).await;
    let (mut peer, _) = bench.welcome(false).await;
    assert_eq!(peer.publish().await.2, "in time");
    assert_eq!(bench.counters.totals().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_does_not_expire_once_it_was_sent() {
    let mut bench = Bench::new(V5);
    bench.commit_message(expiring(2, "sent"));
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    tokio::time::advance(Duration::from_secs(3)).await;
    let (mut peer, _) = bench.welcome(true).await;
    assert_eq!(peer.publish().await, (id, true, "sent".into()));
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().expired, bench.counters.totals().forwarded), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn qos_0_is_forwarded_when_it_is_written_and_stays_when_it_is_not() {
    let mut bench = Bench::over_pipes(spec(V311), 64);
    for text in ["a", "b", "c"] {
        bench.commit(QoS::AtMostOnce, &text.repeat(30));
    }
    let (peer, _) = bench.welcome(false).await;
    while bench.counters.totals().forwarded == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(peer);
    let (mut peer, _) = bench.welcome(true).await;
    let written = bench.counters.totals().forwarded;
    assert!(written < 3, "the pipe is too small for all");
    let mut heard = Vec::new();
    while bench.spool.waiting() > 0 || heard.len() < 3 - written as usize {
        heard.push(peer.publish().await.2);
    }
    assert_eq!(heard.last(), Some(&"c".repeat(30)));
    assert_eq!(bench.counters.totals().forwarded, 3);
}
