//! What a crossing costs here. Prints, asserts the answers and no times: `cargo test --release -p tidegate --lib measure --
//! --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chain::{Chain, Envelope, Outcome, Verdict};
use crate::control::config::FaultPolicy;
use crate::message::{Message, Origin, QoS};
use crate::topic::TopicName;

use super::fixtures::load;

const ROUNDS: usize = 2_000;

fn envelope(payload: &str) -> Envelope {
    let topic = TopicName::parse("sensors/plant7/kiln/temperature").unwrap();
    let message = Message::new(topic, format!("{payload:x<256}"), QoS::AtLeastOnce);
    Envelope { message, origin: Arc::new(Origin::gateway(0)) }
}

/// The median of many rounds of 32 messages, per message.
fn nanos(mut round: impl FnMut()) -> u128 {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2].as_nanos() / 32
}

#[test]
#[ignore = "prints figures"]
fn crossing() {
    let plugin = load("{}");
    for payload in ["forward", "echo"] {
        let batch = vec![envelope(payload); 32];
        let replaced = payload == "echo";
        let mut instance = plugin.start().unwrap();
        let single = nanos(|| {
            for envelope in &batch {
                let answer = instance.process_one(envelope).unwrap().unwrap();
                assert_eq!(matches!(answer, Verdict::Replace(_)), replaced);
            }
        });
        let columns = nanos(|| {
            let answers = instance.process_batch(&batch).unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Ok(Verdict::Replace(_))) == replaced));
        });
        let mut chain = Chain::load("b", std::slice::from_ref(&plugin), &FaultPolicy::NONE).unwrap();
        let chained = nanos(|| {
            let outcomes = chain.run(batch.clone());
            assert!(outcomes.iter().all(|done| matches!(done.outcome, Outcome::Outputs(_))));
        });
        println!(
            "{payload} 256 B: alone {single} ns, 32 in columns {columns} ns, 32 through a chain {chained} ns each"
        );
    }
}

#[test]
#[ignore = "prints figures"]
fn life() {
    let plugin = load("{}");
    let start = nanos(|| drop((0..32).map(|_| plugin.start().unwrap()).collect::<Vec<_>>()));
    let mut chain = Chain::load("b", std::slice::from_ref(&plugin), &FaultPolicy::NONE).unwrap();
    let revived = nanos(|| {
        for _ in 0..32 {
            let outcomes = chain.run(vec![envelope_of("trap"), envelope_of("x")]).into_iter().map(|done| done.outcome);
            let outcomes: Vec<_> = outcomes.collect();
            assert!(matches!(outcomes[..], [Outcome::Failed(_), Outcome::Outputs(_)]));
        }
    });
    println!("start and drop {start} ns, trap to the next message {revived} ns");
}

fn envelope_of(payload: &str) -> Envelope {
    let mut envelope = envelope("");
    envelope.message.payload = payload.to_owned().into();
    envelope
}
