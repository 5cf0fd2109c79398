//! What a plugin has made of a message that an operator follows.

use super::outcome::Failure;
use super::stateful_stage::{Redaction, StatefulStage};
use crate::config::OnFailure;
use crate::message::Message;
use crate::plugin::{Envelope, Verdict};
use crate::tap::{self, Made, Payload, Step};

/// Of the messages that a plugin makes of one.
const SHOWN: usize = 16;

/// Asked of each message of a batch, while a tap is open.
pub(super) fn tell(stage: &StatefulStage, envelope: &Envelope, answer: &Result<Verdict, Box<Failure>>) {
    let Some(trace) = &envelope.origin.trace else { return };
    let hides = trace.hides();
    trace.tell(|| step(stage, &envelope.message, answer, hides));
}

fn step(stage: &StatefulStage, message: &Message, answer: &Result<Verdict, Box<Failure>>, hides: bool) -> Step {
    let is_clean = |since: &[Redaction]| !hides || since.contains(&stage.redaction);
    let shown = |payload: &[u8], is_clean: bool| match is_clean {
        true => Payload::of(payload),
        false => Payload::hidden(payload),
    };
    let is_clean_after = is_clean(&[Redaction::Last, Redaction::Behind]);
    let made = |topic: &str, payload: &[u8]| vec![Made::new(topic, shown(payload, is_clean_after))];
    let topic = message.topic.as_str();
    let (verdict, after, more) = match answer {
        Ok(Verdict::Drop) => (tap::Verdict::Drop, Vec::new(), 0),
        Ok(Verdict::Forward) => (tap::Verdict::Forward, made(topic, &message.payload), 0),
        Ok(Verdict::Replace(payload)) => (tap::Verdict::Replace, made(topic, payload), 0),
        Ok(Verdict::Emit(messages)) => {
            let first = messages.iter().take(SHOWN);
            let all = first.flat_map(|message| made(message.topic.as_str(), &message.payload)).collect();
            (tap::Verdict::Emit, all, messages.len().saturating_sub(SHOWN))
        }
        Err(_) if stage.policy() == Some(OnFailure::Pass) => (tap::Verdict::LeftOut, Vec::new(), 0),
        Err(_) => (tap::Verdict::Failed, Vec::new(), 0),
    };
    Step::Plugin {
        binding: stage.binding().to_owned(),
        plugin: stage.name().to_owned(),
        verdict,
        detail: answer.as_ref().err().map(|failure| format!("{}: {}", failure.kind, failure.detail)),
        before: shown(&message.payload, is_clean(&[Redaction::Behind])),
        after,
        more,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::Chain;
    use crate::chain::fixtures::{envelope, stage};
    use crate::message::Origin;
    use crate::tap::{Line, Taps, Trace, Wanted};

    fn taps() -> (Arc<Taps>, crate::tap::Watching) {
        let taps = Arc::new(Taps::default());
        let wanted =
            Wanted { filter: "#".into(), client: None, why: true, every: 1, rate: 100, count: None, seconds: 60 };
        let watching = taps.open(wanted).unwrap();
        (taps, watching)
    }

    fn followed(payload: &str, trace: Trace) -> Envelope {
        let Envelope { message, origin } = envelope(payload);
        Envelope { message, origin: Arc::new(Origin { trace: Some(trace), ..(*origin).clone() }) }
    }

    fn append(suffix: &'static str, redaction: Redaction) -> StatefulStage {
        let append = stage(move |payload| Ok(Verdict::Replace(format!("{payload}{suffix}").into())));
        let mut stage = StatefulStage::new(append);
        stage.redaction = redaction;
        stage
    }

    /// Each stage's payload before and after.
    async fn seen(stages: Vec<StatefulStage>, hides: bool) -> Vec<(Option<String>, Option<String>)> {
        let (taps, mut watching) = taps();
        let mut chain = Chain::of(stages);
        let trace = taps.begin(&envelope("a").message.topic, "c", hides).unwrap();
        chain.run(vec![envelope("other"), followed("a", trace)]);
        let mut seen = Vec::new();
        loop {
            match watching.next().await {
                Line { step: Step::Plugin { before, mut after, .. }, .. } => {
                    seen.push((before.text, after.remove(0).payload.text));
                }
                line => {
                    assert_eq!(line.step, Step::Done);
                    return seen;
                }
            }
        }
    }

    fn shown(before: &str, after: &str) -> (Option<String>, Option<String>) {
        (Some(before.to_owned()), Some(after.to_owned()))
    }

    #[tokio::test]
    async fn each_plugin_is_told_with_what_was_before_and_after_it_and_of_no_other_message() {
        let stages = vec![append("1", Redaction::Before), append("2", Redaction::Before)];
        assert_eq!(seen(stages, false).await, [shown("a", "a1"), shown("a1", "a12")]);
    }

    #[tokio::test]
    async fn nothing_is_shown_before_the_last_plugin_that_must_not_be_left_out() {
        let stages = || {
            let last = [append("2", Redaction::Last), append("3", Redaction::Last), append("4", Redaction::Before)];
            [append("1", Redaction::Before)].into_iter().chain(last).collect::<Vec<_>>()
        };
        let after = |text: &str| (None, Some(text.to_owned()));
        assert_eq!(seen(stages(), true).await, [(None, None), (None, None), after("a123"), shown("a123", "a1234")]);
        // Of another binding, which has none.
        assert_eq!(seen(vec![append("1", Redaction::Before)], true).await, [(None, None)]);
    }

    #[tokio::test]
    async fn why_a_plugin_failed_is_told_and_that_it_was_left_out() {
        let fails = || stage(|_| Err(crate::chain::fixtures::failure("stage").into()));
        for (stage, expected) in [
            (StatefulStage::new(fails()), tap::Verdict::Failed),
            (StatefulStage::with_policy(fails(), OnFailure::Pass), tap::Verdict::LeftOut),
        ] {
            let (taps, mut watching) = taps();
            let trace = taps.begin(&envelope("a").message.topic, "c", false).unwrap();
            Chain::of(vec![stage]).run(vec![followed("a", trace)]);
            let Step::Plugin { verdict, detail: Some(_), .. } = watching.next().await.step else { panic!("no reason") };
            assert_eq!(verdict, expected);
        }
    }
}
