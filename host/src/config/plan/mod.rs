//! What has to change for a gateway that runs with one configuration to run with another: which of it can be done now, and which needs a
//! restart, and why.
//!
//! Two checked configurations in, a [`Plan`] out; nothing is opened here. `tidegate reload` carries out what it says under `now`, and the
//! gateway runs with [`taken_over`] from then on: what needs a restart is named again by the next reload, until there was one.

mod access;
mod kept;
mod limits;
mod listeners;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::checked::Config;

pub use listeners::{ListenerChange, change_of};

/// In the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Done by a reload.
    pub now: Vec<Step>,
    /// Not done before the gateway starts again.
    pub restart: Vec<Step>,
    /// By their names.
    pub unchanged: Vec<String>,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `listener web`
    pub what: String,
    /// What is done with it, or why that needs a restart.
    pub how: String,
}

/// From what runs to what is wanted.
pub fn plan(running: &Config, wanted: &Config) -> Plan {
    let mut plan = Plan::default();
    kept::gateway(running, wanted, &mut plan);
    listeners::compare(running, wanted, &mut plan);
    limits::compare(running, wanted, &mut plan);
    access::compare(running, wanted, &mut plan);
    kept::what_messages_meet(running, wanted, &mut plan);
    kept::operate(running, wanted, &mut plan);
    kept::log(running, wanted, &mut plan);
    plan
}

/// What runs when `now` of the plan is done.
pub fn taken_over(running: &Config, wanted: &Config) -> Config {
    let mut next = running.clone();
    next.broker.listeners = wanted.broker.listeners.clone();
    next.broker.sys_interval = wanted.broker.sys_interval;
    next.broker.limits = limits::taken_over(&running.broker.limits, &wanted.broker.limits);
    next.access = wanted.access.clone();
    next.log.level = wanted.log.level.clone();
    next
}

// === impl Plan ===

impl Plan {
    pub fn changes_nothing(&self) -> bool {
        self.now.is_empty() && self.restart.is_empty()
    }

    fn now(&mut self, what: impl Into<String>, how: impl Into<String>) {
        self.now.push(Step { what: what.into(), how: how.into() });
    }

    fn restart(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.restart.push(Step { what: what.into(), how: why.into() });
    }

    fn unchanged(&mut self, what: impl Into<String>) {
        self.unchanged.push(what.into());
    }
}
