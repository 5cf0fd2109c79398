//! One message that is followed, from where it comes in until nothing of it is under way.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::step::{Line, Step, name};
use super::taps::Tap;
use crate::base::clock;

/// Goes with the message, in its origin, and with its record. The last one that goes says that it is over, whoever held it: a message that a stop
/// or a lost connection ends is over, too.
#[derive(Clone)]
pub struct Trace {
    shared: Arc<Shared>,
    hides: bool,
}

struct Shared {
    number: u64,
    begun: Instant,
    taps: Vec<Arc<Tap>>,
}

// === impl Trace ===

impl Trace {
    pub(super) fn new(number: u64, taps: Vec<Arc<Tap>>, hides: bool) -> Self {
        Self { shared: Arc::new(Shared { number, begun: clock::now(), taps }), hides }
    }

    /// Of what has become of it, which may meet other plugins. What was hidden stays so: where it was not redacted it may come from another binding.
    pub fn further(&self, hides: bool) -> Self {
        Self { shared: self.shared.clone(), hides: self.hides || hides }
    }

    /// Whether its payload is not shown before a plugin that must not be left out has had it.
    pub fn hides(&self) -> bool {
        self.hides
    }

    /// Says it to all that follow the message. `step` is not made when nobody does any more.
    pub fn tell(&self, step: impl FnOnce() -> Step) {
        if self.shared.taps.iter().any(|tap| tap.is_open()) {
            self.shared.tell(&step());
        }
    }

    /// A topic or a client identifier, as it is told.
    pub fn name(text: &str) -> String {
        name(text)
    }
}

/// Origins are compared, and whether a message is followed makes none another.
impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trace {}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.shared.number)
    }
}

// === impl Shared ===

impl Shared {
    fn tell(&self, step: &Step) {
        let after_us = u64::try_from(clock::since(self.begun).as_micros()).unwrap_or(u64::MAX);
        let line = || Line { message: self.number, at_ms: clock::unix_ms(), after_us, step: step.clone() };
        self.taps.iter().for_each(|tap| tap.tell(line()));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tell(&Step::Done);
    }
}
