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

async fn sent_again(qos: QoS, expiry: u32, after: u64) -> (Bench, Heard) {
    let mut bench = Bench::new(V5);
    bench.commit_message(Message { qos, ..expiring(expiry, "sent") });
    bench.commit_message(Message { qos, ..expiring(100, "next") });
    let (mut peer, _) = bench.welcome(false).await;
    peer.publish().await;
    peer.publish().await;
    drop(peer);
    tokio::time::advance(Duration::from_secs(after)).await;
    let (mut peer, _) = bench.welcome(true).await;
    let heard = peer.hear().await;
    (bench, heard)
}

#[tokio::test(start_paused = true)]
async fn a_message_does_not_expire_once_it_was_sent_at_qos_2() {
    let (_bench, heard) = sent_again(QoS::ExactlyOnce, 2, 3).await;
    let Heard::Publish { text, dup: true, expiry, .. } = heard else { panic!("{heard:?}") };
    assert_eq!((text.as_str(), expiry), ("sent", Some(1)), "a number that no receiver takes for never");
}

#[tokio::test(start_paused = true)]
async fn at_qos_1_what_has_expired_is_not_sent_again_and_other_messages_say_what_is_left() {
    let (bench, heard) = sent_again(QoS::AtLeastOnce, 2, 30).await;
    let Heard::Publish { text, dup: true, expiry: Some(left), .. } = heard else { panic!("{heard:?}") };
    assert_eq!(text, "next");
    assert!((60..=70).contains(&left), "{left}");
    assert_eq!(bench.counters.totals().expired, 1);
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
