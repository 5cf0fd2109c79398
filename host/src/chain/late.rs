//! A chain whose plugins have not started, and what its binding does meanwhile.
//!
//! ```text
//!   compiling ──▶ starting ──▶ started: the chain that is asked from then on
//!                  ▲  │
//!                  │  └────▶ stopped, with a reason ── after a while, when that may help ──┐
//!                  └───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A plugin that does not load, or does not take its configuration, is nothing that other bindings should notice. Its own messages are
//! held, and with them the devices that sent them; or they are dead letters, as the binding says. While it is being compiled or started for
//! the first time they wait in any case: that it takes long is no failure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::config::{OnFailure, OnStartFailure};
use crate::plugin::FailureKind;

use super::backoff::Backoff;
use super::outcome::Failure;
use super::redacts::Redacts;
use super::stages::Chain;
use super::starter::Starter;
use super::told::Told;

/// How often a lane that holds messages looks: often while a start is under way, seldom when it has failed.
const LOOK_SOON: Duration = Duration::from_millis(20);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How often a chain looks whether its plugins are compiled.
const LOOK_FOR_CODE: Duration = Duration::from_millis(50);

/// Makes the chain; called until it succeeds or trying again cannot help.
pub type Begin = Box<dyn FnMut() -> Result<Chain, NoChain> + Send>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoChain {
    /// A plugin of it is being compiled.
    NotYet,
    Refused(Refused),
}

/// Why there is no chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub plugin: String,
    /// And what to do about it.
    pub reason: String,
    /// Trying again may help.
    pub may_pass: bool,
}

/// How a chain that is started late stands, for its lane and for those who look. Cheap to clone.
#[derive(Clone)]
pub struct Standing(Arc<Shared>);

struct Shared {
    binding: Arc<str>,
    policy: OnStartFailure,
    told: Told,
    redacts: Redacts,
    state: Mutex<State>,
}

enum State {
    Starting,
    Compiling,
    Stopped(Stopped),
    /// Until the lane has taken it.
    Started(Option<Box<Chain>>),
}

/// A binding without its plugins.
#[derive(Clone, Debug)]
pub struct Stopped {
    pub why: Refused,
    pub attempts: u32,
    /// The next attempt; none when that would not help.
    pub next: Option<Instant>,
}

/// What a lane does with its messages.
pub(super) enum Meanwhile {
    Go(Box<Chain>),
    Wait(Duration),
    Fail(Failure),
}

// === impl Standing ===

impl Standing {
    /// `told` is for all bindings of a gateway.
    pub fn new(binding: &Arc<str>, policy: OnStartFailure, told: &Told) -> Self {
        let (binding, state) = (Arc::clone(binding), Mutex::new(State::Starting));
        Self(Arc::new(Shared { binding, policy, told: told.clone(), redacts: Redacts::unknown(), state }))
    }

    /// Tries it on the threads of `starter`, now and as often as it may help.
    pub fn begin(&self, starter: &Starter, begin: Begin) {
        self.attempt_at(clock::now(), starter.clone(), begin, Backoff::default());
    }

    pub fn binding(&self) -> &Arc<str> {
        &self.0.binding
    }

    /// The gateway does not start without it.
    pub fn is_strict(&self) -> bool {
        self.0.policy == OnStartFailure::Strict
    }

    pub fn policy(&self) -> OnStartFailure {
        self.0.policy
    }

    /// For the first time.
    pub fn is_starting(&self) -> bool {
        matches!(*self.state(), State::Starting | State::Compiling)
    }

    pub fn is_compiling(&self) -> bool {
        matches!(*self.state(), State::Compiling)
    }

    pub fn stopped(&self) -> Option<Stopped> {
        match &*self.state() {
            State::Stopped(stopped) => Some(stopped.clone()),
            State::Starting | State::Compiling | State::Started(_) => None,
        }
    }

    pub(super) fn redacts(&self) -> &Redacts {
        &self.0.redacts
    }

    pub(super) fn ask(&self) -> Meanwhile {
        match (&mut *self.state(), self.0.policy) {
            (State::Started(chain), _) => match chain.take() {
                Some(chain) => Meanwhile::Go(chain),
                None => Meanwhile::Wait(LOOK_AGAIN),
            },
            (State::Stopped(stopped), OnStartFailure::DeadLetter) => Meanwhile::Fail(stopped.failure()),
            (State::Stopped(_), _) => Meanwhile::Wait(LOOK_AGAIN),
            (State::Starting | State::Compiling, _) => Meanwhile::Wait(LOOK_SOON),
        }
    }

    fn attempt_at(&self, due: Instant, starter: Starter, mut begin: Begin, mut backoff: Backoff) {
        let (standing, next) = (self.clone(), starter.clone());
        starter.run(due, move || match begin() {
            Ok(chain) => standing.started(chain),
            Err(NoChain::NotYet) => {
                standing.compiling();
                standing.attempt_at(clock::now() + LOOK_FOR_CODE, next, begin, backoff);
            }
            Err(NoChain::Refused(why)) => {
                let due = why.may_pass.then(|| clock::now() + backoff.failed(clock::now()));
                standing.stop(why, due);
                if let Some(due) = due {
                    standing.attempt_at(due, next, begin, backoff);
                }
            }
        });
    }

    /// One that is stopped stays so until it has been tried again.
    fn compiling(&self) {
        let mut state = self.state();
        if matches!(*state, State::Starting) {
            *state = State::Compiling;
        }
    }

    fn started(&self, chain: Chain) {
        let mut state = self.state();
        if matches!(*state, State::Stopped(_)) {
            tracing::info!(binding = %self.0.binding, "its plugins have started: it works again");
        }
        self.0.redacts.set(chain.redacts());
        *state = State::Started(Some(Box::new(chain)));
    }

    fn stop(&self, why: Refused, next: Option<Instant>) {
        let mut state = self.state();
        let (attempts, told) = match &*state {
            State::Stopped(before) => (before.attempts + 1, before.why == why),
            _ => (1, false),
        };
        // The same reason once: `status` has it for as long as it stands. Of a strict one the gateway ends, and says why.
        if !told && !self.is_strict() {
            self.tell(&why, next.is_some());
        }
        *state = State::Stopped(Stopped { why, attempts, next });
    }

    fn tell(&self, why: &Refused, again: bool) {
        let (binding, plugin, policy) = (&self.0.binding, &why.plugin, self.0.policy);
        let then = if again { "tried again" } else { "tried again when the gateway starts" };
        match self.0.told.before(binding, why) {
            None => tracing::error!(%binding, plugin, "this binding is stopped: {}; {policy}; {then}", why.reason),
            Some(first) => {
                tracing::error!(%binding, plugin, "this binding is stopped as `{first}` is, by the same plugin; {policy}; {then}");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked ends the process.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Refused ===

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

// === impl Stopped ===

impl Stopped {
    /// Of a message that is not held. Kept, whatever the binding does with other failures: no plugin has seen it.
    fn failure(&self) -> Failure {
        Failure {
            plugin: self.why.plugin.clone(),
            kind: FailureKind::Unavailable,
            detail: self.why.reason.clone(),
            attempts: self.attempts,
            then: Some(OnFailure::DeadLetter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{envelope, stage};
    use crate::chain::flow::Flow;
    use crate::chain::stages::Progress;
    use crate::chain::{Outcome, StarterThreads};
    use crate::plugin::Verdict;

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn standing(policy: OnStartFailure) -> Standing {
        Standing::new(&"b".into(), policy, &Told::default())
    }

    /// Its plugin starts at the attempt after so many.
    fn late(policy: OnStartFailure, failures: u32, may_pass: bool) -> (Chain, Standing, StarterThreads) {
        let (threads, standing) = (StarterThreads::spawn().unwrap(), standing(policy));
        let mut left = failures;
        let begin = move || {
            if left > 0 {
                left -= 1;
                let reason = "plugin `p` is not there".into();
                return Err(NoChain::Refused(Refused { plugin: "p".into(), reason, may_pass }));
            }
            Ok(Chain::new(vec![stage(|_| Ok(Verdict::Replace("through".into())))]))
        };
        standing.begin(&threads.handle(), Box::new(begin));
        (Chain::late(standing.clone(), Vec::new()), standing, threads)
    }

    fn go(chain: &mut Chain) -> Option<Outcome> {
        match chain.go(Flow::new(vec![envelope("x")])) {
            Progress::Done(mut done) => Some(done.remove(0).outcome),
            Progress::Paused(..) => None,
        }
    }

    fn is_through(outcome: Option<Outcome>) -> bool {
        matches!(outcome, Some(Outcome::Outputs(outputs)) if outputs[0].payload == "through")
    }

    #[test]
    fn what_is_held_goes_on_when_its_plugins_have_started_at_last() {
        let (mut chain, standing, _threads) = late(OnStartFailure::Hold, 2, true);
        until("it is stopped", || standing.stopped().is_some());
        assert!(go(&mut chain).is_none_or(|outcome| is_through(Some(outcome))), "no message fails");
        until("it starts", || is_through(go(&mut chain)));
        assert!(standing.stopped().is_none());
    }

    #[test]
    fn where_it_is_chosen_messages_are_dead_letters_meanwhile_with_the_reason() {
        let (mut chain, standing, _threads) = late(OnStartFailure::DeadLetter, 1, false);
        until("it is stopped", || standing.stopped().is_some());
        let Some(Outcome::Failed(failure)) = go(&mut chain) else { panic!("neither held nor through") };
        assert_eq!((failure.plugin.as_str(), failure.kind), ("p", FailureKind::Unavailable));
        assert_eq!(failure.then, Some(OnFailure::DeadLetter));
        assert!(failure.detail.contains("is not there"));
        assert_eq!(standing.stopped().unwrap().next, None, "trying again cannot help");
    }

    #[test]
    fn while_it_is_started_for_the_first_time_messages_wait_in_any_case() {
        let standing = standing(OnStartFailure::DeadLetter);
        let mut chain = Chain::late(standing.clone(), Vec::new());
        assert!(standing.is_starting() && go(&mut chain).is_none());
    }

    #[test]
    fn while_it_is_compiled_messages_wait_and_nothing_counts_as_an_attempt() {
        let (threads, standing) = (StarterThreads::spawn().unwrap(), standing(OnStartFailure::DeadLetter));
        let is_compiled = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&is_compiled);
        let begin = move || match seen.load(std::sync::atomic::Ordering::Relaxed) {
            true => Ok(Chain::new(vec![stage(|_| Ok(Verdict::Replace("through".into())))])),
            false => Err(NoChain::NotYet),
        };
        standing.begin(&threads.handle(), Box::new(begin));
        let mut chain = Chain::late(standing.clone(), Vec::new());
        until("it is being compiled", || standing.is_compiling());
        assert!(go(&mut chain).is_none() && standing.is_starting() && standing.stopped().is_none());
        is_compiled.store(true, std::sync::atomic::Ordering::Relaxed);
        until("it starts", || is_through(go(&mut chain)));
    }
}
