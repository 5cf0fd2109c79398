//! Each connection takes a file descriptor, and so does all that the gateway does: a spool that gets none for its next file has to stop. So there are
//! as many places for connections as descriptors are left beside that.
//!
//! The limit is raised as far as places need it and the hard limit allows, and no further: a program that is started with a limit of a
//! billion may try to close each of them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::base::ledger::FREE;
use crate::config::Config;

/// The runtime, the log, the files of spool and archive, the admin socket and those who ask there.
const OWN: usize = 64;
/// Who asks over HTTP at once: two Prometheus servers, a supervisor, a load balancer, somebody with a browser.
pub const HTTP_CONNECTIONS: usize = 16;
/// Its socket, its token, and those who ask.
const HTTP: usize = HTTP_CONNECTIONS + 2;
/// An upstream has a connection, one that it tries, its resolver, its certificates.
const PER_UPSTREAM: usize = 4;
/// A plugin is read and compiled by another process, with pipes.
const PER_PLUGIN: usize = 8;
/// Its socket, and a file that it reads.
const PER_LISTENER: usize = 2;

/// How many connections there may be, and why not more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub connections: usize,
    /// Of this process.
    pub descriptors: usize,
    /// Of these, for everything else.
    pub reserved: usize,
    /// What is configured, when it does not fit.
    pub refused: Option<usize>,
}

// === impl Places ===

impl Places {
    /// Raises the limit of this process first.
    pub fn secure(config: &Config) -> Self {
        let needs = wanted(config) + reserved(config);
        let limit = getrlimit(Resource::Nofile);
        let current = number(limit.current);
        let raised = needs.min(number(limit.maximum));
        let is_raised = raised > current && {
            let current = Some(raised as u64);
            setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok()
        };
        Self::of(config, if is_raised { raised } else { current })
    }

    /// As it would be.
    pub fn expect(config: &Config) -> Self {
        let limit = getrlimit(Resource::Nofile);
        Self::of(config, number(limit.current).max(number(limit.maximum)))
    }

    fn of(config: &Config, descriptors: usize) -> Self {
        let (wanted, reserved) = (wanted(config), reserved(config));
        let fits = descriptors.saturating_sub(reserved).max(1);
        let refused = config.broker.limits.max_connections.filter(|configured| *configured > fits);
        Self { connections: wanted.min(fits), descriptors, reserved, refused }
    }

    /// For who has configured more.
    pub fn complaint(&self) -> Option<String> {
        let Self { connections, descriptors, reserved, refused } = self;
        let (configured, needs) = ((*refused)?, (*refused)?.saturating_add(*reserved));
        Some(format!(
            "`broker.limits.max_connections` is {configured}, and this process may have {descriptors} file descriptors, {reserved} of which it needs itself: \
             {connections} connections is what it serves; raise the limit to {needs} (`LimitNOFILE={needs}` in a systemd unit, `ulimit -n {needs}` in a \
             shell), or lower the number"
        ))
    }
}

/// Without a word, so many that what each is sure of (`base/ledger.rs`) is no more than what they share.
fn wanted(config: &Config) -> usize {
    let limits = &config.broker.limits;
    limits.max_connections.unwrap_or(limits.memory / FREE).max(1)
}

fn reserved(config: &Config) -> usize {
    let http = if config.operate.http.is_some() { HTTP } else { 0 };
    OWN + http
        + PER_LISTENER * config.broker.listeners.len()
        + PER_UPSTREAM * config.upstreams.len()
        + PER_PLUGIN * config.plugins.len()
}

/// None is no limit.
fn number(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn with(limits: &str) -> Config {
        let text = format!("[broker.limits]\n{limits}\n[upstreams.cloud]\nurl = \"mqtt://localhost\"\n");
        config::parse(&text, "f", Path::new("/")).unwrap()
    }

    const RESERVED: usize = OWN + PER_LISTENER + PER_UPSTREAM;

    #[test]
    fn without_a_word_there_are_as_many_places_as_descriptors_or_memory_have_room_for() {
        assert_eq!(Places::of(&with(""), 1_024).connections, 1_024 - RESERVED);
        assert_eq!(Places::of(&with(""), 1_000_000).connections, 8_192);
        assert_eq!(Places::of(&with("memory = \"16MiB\""), usize::MAX).connections, 1_024);
        assert_eq!(Places::of(&with(""), 1_024).complaint(), None);
    }

    #[test]
    fn what_is_configured_is_taken_as_far_as_it_fits_and_told_when_it_does_not() {
        let places = Places::of(&with("max_connections = 5000"), 5_000 + RESERVED);
        assert_eq!((places.connections, places.complaint()), (5_000, None));
        let places = Places::of(&with("max_connections = 5000"), 1_024);
        assert_eq!(places.connections, 1_024 - RESERVED);
        let complaint = places.complaint().unwrap();
        assert!(complaint.contains(&format!("LimitNOFILE={}", 5_000 + RESERVED)), "{complaint}");
        assert_eq!(Places::of(&with("max_connections = 5000"), 10).connections, 1);
    }

    #[test]
    fn the_limit_of_this_process_is_raised_as_far_as_places_need_it() {
        let hard = number(getrlimit(Resource::Nofile).maximum);
        let wanted = with("max_connections = 1500");
        let places = Places::secure(&wanted);
        let current = number(getrlimit(Resource::Nofile).current);
        assert!(places.descriptors == current && current >= hard.min(1_500 + RESERVED), "{places:?} of {hard}");
        assert_eq!(Places::expect(&wanted).connections, hard.saturating_sub(RESERVED).min(1_500));
    }
}
