//! The messages of a turn on their way through the stages, each with the input that it comes from.
//!
//! A flow can be put down and taken up again, between two calls into a plugin. That is what keeps a thread from being held:
//! - when the turn has used up its time, the rest goes on after other lanes had theirs;
//! - when a plugin says "not now", the flow waits without a thread and the messages concerned are asked about again.
//!
//! **Order.** The flow is the lane's: while it waits, nothing of the binding overtakes it, so what leaves is in the order of
//! arrival (promise P3), at the price that one message's retries delay those behind it. The plugin itself sees a message again
//! *after* its neighbours of the same turn. Not chosen: to put the message aside, which would be cheaper for the others and
//! forward a device's readings out of order.

use std::time::{Duration, Instant};

use crate::base::clock;
use crate::config::{OnFailure, Retry};
use crate::plugin::{Envelope, FailureKind, Verdict};
use crate::spool::Change;
use crate::tap;

use super::job::Taken;
use super::outcome::{Done, Failure, Outcome};
use super::stateful_stage::StatefulStage;
use super::traced;

/// Messages that one input may become. Each plugin has a limit of its own; this one is for their product.
pub const MAX_PARTS: usize = 1_024;

/// Bytes that they may have together, once they are more than one.
pub const MAX_PART_BYTES: usize = 4 << 20;

/// The longest wait between two attempts, however often the distance was doubled.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

type Answer = Result<Verdict, Box<Failure>>;

pub struct Flow {
    inputs: Vec<Input>,
    /// The stage that has the parts now.
    pub(super) stage: usize,
    parts: Vec<Envelope>,
    owners: Vec<usize>,
    /// Of this stage, for parts from the front.
    answers: Vec<Answer>,
    /// Which parts this stage is asked about again, once all are answered, and for which time.
    again: Vec<usize>,
    attempt: u32,
    /// It began with the clock and not with messages: each stage that has one is asked for what it makes of this time.
    clock: Option<u64>,
}

#[derive(Default)]
struct Input {
    /// Both boxed: rare, and large beside the rest, which is moved with each message.
    failure: Option<Box<Failure>>,
    parts: usize,
    bytes: usize,
    changes: Vec<Change>,
    skipped: Option<Box<Failure>>,
}

// === impl Flow ===

impl Flow {
    pub fn new(parts: Vec<Envelope>) -> Self {
        let inputs = parts.iter().map(|_| Input::default()).collect();
        let owners = (0..parts.len()).collect();
        Self { owners, parts, inputs, stage: 0, answers: Vec::new(), again: Vec::new(), attempt: 1, clock: None }
    }

    /// Without messages, for the clock.
    pub fn of_clock(now_ms: u64) -> Self {
        Self { clock: Some(now_ms), ..Self::new(Vec::new()) }
    }

    /// Whether there is anything to do at the next stage.
    pub(super) fn goes_on(&self) -> bool {
        !self.parts.is_empty() || self.clock.is_some()
    }

    /// Asks the stage about what it has not answered. `Some`: not done, to be taken up after so long.
    pub(super) fn ask(&mut self, stage: &mut StatefulStage, retry: &Retry, until: Instant) -> Option<Duration> {
        while let Some(waiting @ [_, ..]) = self.parts.get(self.answers.len()..) {
            let mut answers = stage.process(waiting, until);
            answers.truncate(waiting.len());
            if let (true, Some(wait)) = (answers.is_empty(), stage.wait()) {
                return Some(wait);
            }
            if answers.is_empty() {
                // A stage that says nothing is broken; what it did not answer for failed.
                answers = waiting.iter().map(|_| Err(invalid(stage.name(), "gave no verdict").into())).collect();
            }
            self.note(self.answers.len(), stage.take_changes());
            self.answers.append(&mut answers);
            if self.answers.len() < self.parts.len() && clock::now() >= until {
                return Some(Duration::ZERO);
            }
        }
        self.ask_again(stage, retry, until)
    }

    fn ask_again(&mut self, stage: &mut StatefulStage, retry: &Retry, until: Instant) -> Option<Duration> {
        while !self.again.is_empty() {
            let waiting: Vec<_> = self.again.iter().filter_map(|part| self.parts.get(*part).cloned()).collect();
            let answers = stage.process(&waiting, until);
            if let (true, Some(wait)) = (answers.is_empty(), stage.wait()) {
                return Some(wait);
            }
            if let Some(part) = self.again.first() {
                self.note(*part, stage.take_changes());
            }
            if answers.is_empty() {
                self.again.clear();
            }
            let answered = answers.len().min(self.again.len());
            for (part, mut answer) in self.again.drain(..answered).zip(answers) {
                if let Err(failure) = &mut answer {
                    failure.attempts = self.attempt;
                }
                if let Some(place) = self.answers.get_mut(part) {
                    *place = answer;
                }
            }
            if !self.again.is_empty() && clock::now() >= until {
                return Some(Duration::ZERO);
            }
        }
        self.again = (0..).zip(&self.answers).filter(|(_, answer)| transient(answer)).map(|(part, _)| part).collect();
        if self.again.is_empty() {
            return None;
        }
        if self.attempt >= retry.attempts {
            let given_up = self.again.drain(..).filter_map(|part| self.parts.get(part));
            given_up.for_each(|part| stage.gave_up(part));
            return None;
        }
        let wait = retry.backoff.saturating_mul(1 << (self.attempt - 1).min(16)).min(LONGEST_WAIT);
        self.attempt += 1;
        stage.try_again(self.again.len());
        Some(wait)
    }

    /// What was written down about the part at this position: a stage that remembers answers for one at a time.
    fn note(&mut self, part: usize, changes: Vec<Change>) {
        if let Some(input) = self.owners.get(part).and_then(|owner| self.inputs.get_mut(*owner)) {
            input.changes.extend(changes);
        }
    }

    /// What the clock makes at the stage that has just been left joins what goes on, as an input of its own.
    pub(super) fn run_tick(&mut self, stage: &mut StatefulStage) {
        let Some(made) = self.clock.and_then(|now_ms| stage.tick(now_ms)) else { return };
        let (owner, mut input) = (self.inputs.len(), Input { changes: stage.take_changes(), ..Input::default() });
        match made {
            Ok(parts) if parts.iter().all(|part| input.grow(stage.name(), part.message.weight())) => {
                self.owners.extend(parts.iter().map(|_| owner));
                self.parts.extend(parts);
            }
            Ok(_) => {}
            Err(failure) => input.failure = Some(failure.into()),
        }
        self.inputs.push(input);
    }

    /// On to the next stage, with what this one made of the parts.
    pub(super) fn advance(&mut self, stage: &StatefulStage) {
        let (parts, owners) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.owners));
        let answers = std::mem::take(&mut self.answers);
        for input in &mut self.inputs {
            (input.parts, input.bytes) = (0, 0);
        }
        let is_tapped = tap::is_on();
        for ((envelope, owner), answer) in parts.into_iter().zip(owners).zip(answers) {
            if is_tapped {
                traced::tell(stage, &envelope, &answer);
            }
            self.take(stage, envelope, owner, answer);
        }
        self.drop_failed();
        (self.stage, self.attempt) = (self.stage + 1, 1);
    }

    fn take(&mut self, stage: &StatefulStage, envelope: Envelope, owner: usize, answer: Answer) {
        let Some(input) = self.inputs.get_mut(owner) else { return };
        let Envelope { message, origin } = envelope;
        let verdict = match answer {
            _ if input.failure.is_some() => return,
            Ok(verdict) => verdict,
            // As the part came here: what plugins before this one did stays done.
            Err(failure) if stage.policy() == Some(OnFailure::Pass) => {
                input.skipped.get_or_insert(failure);
                Verdict::Forward
            }
            Err(mut failure) => {
                failure.then = stage.policy();
                return input.failure = Some(failure);
            }
        };
        verdict.apply(message, |message| {
            if input.grow(stage.name(), message.weight()) {
                self.parts.push(Envelope { message, origin: origin.clone() });
                self.owners.push(owner);
            }
        });
    }

    /// Parts that were kept before their input failed at a later one.
    fn drop_failed(&mut self) {
        if self.inputs.iter().all(|input| input.failure.is_none()) {
            return;
        }
        let lives = |owner: &usize| self.inputs.get(*owner).is_some_and(|input| input.failure.is_none());
        let mut kept = self.owners.iter().map(lives);
        self.parts.retain(|_| kept.next().unwrap_or(false));
        self.owners.retain(lives);
    }

    /// All of them failed, before any stage was asked.
    pub(super) fn fail(mut self, failure: &Failure) -> Vec<Done> {
        self.parts.clear();
        self.owners.clear();
        self.inputs.iter_mut().for_each(|input| input.failure = Some(failure.clone().into()));
        self.finish()
    }

    pub fn finish(self) -> Vec<Done> {
        let fate = |input: Input| Done {
            outcome: input.failure.map_or(Outcome::Filtered, Outcome::Failed),
            changes: input.changes,
            skipped: input.skipped,
            taken: Taken::default(),
        };
        let mut done: Vec<_> = self.inputs.into_iter().map(fate).collect();
        for (Envelope { message, .. }, owner) in self.parts.into_iter().zip(self.owners) {
            match done.get_mut(owner).map(|done| &mut done.outcome) {
                Some(Outcome::Outputs(outputs)) => outputs.push(message),
                Some(outcome) => *outcome = Outcome::Outputs(vec![message]),
                None => {}
            }
        }
        done
    }
}

// === impl Input ===

impl Input {
    fn grow(&mut self, stage: &str, weight: usize) -> bool {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(weight);
        if self.parts > MAX_PARTS {
            self.failure = Some(
                invalid(stage, &format!("made more than {MAX_PARTS} messages of one, together with others")).into(),
            );
        } else if self.parts > 1 && self.bytes > MAX_PART_BYTES {
            self.failure =
                Some(invalid(stage, &format!("made more than {MAX_PART_BYTES} bytes of one message")).into());
        }
        self.failure.is_none()
    }
}

fn transient(answer: &Answer) -> bool {
    matches!(answer, Err(failure) if failure.kind == FailureKind::Refused { transient: true })
}

fn invalid(stage: &str, detail: &str) -> Failure {
    let (plugin, detail) = (stage.to_owned(), detail.to_owned());
    Failure { plugin, kind: FailureKind::Invalid, detail, attempts: 1, then: None }
}
