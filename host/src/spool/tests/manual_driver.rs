//! A spool that turns in the caller's thread, for tests: what was committed is durable when the call returns, or never.

use std::path::Path;
use std::sync::Mutex;

use super::super::committer::{Committer, Turn};
use super::super::log::Disk;
use super::super::open::{Parts, open};
use super::super::refill::{Refill, Refilled};
use super::super::threads::Life;
use super::super::*;

/// On a simulated disk.
pub(in crate::spool) const DIR: &str = "/data/spool";

/// The working parts behind one call.
pub(in crate::spool) trait Driver: Send {
    fn turn(&mut self, shared: &Shared);
}

struct Both<D: Disk> {
    /// Until it dies.
    committer: Option<Committer<D>>,
    refill: Refill<D>,
}

impl<D: Disk> Driver for Both<D> {
    fn turn(&mut self, shared: &Shared) {
        while let Some(committer) = &mut self.committer {
            match committer.turn(shared) {
                Ok(Turn::Worked) => {}
                Ok(Turn::Idle | Turn::Full(_)) => break,
                Err(error) => {
                    self.committer = None;
                    shared.life.send_replace(Life::Dead(error.to_string()));
                    shared.end();
                }
            }
        }
        while let Ok(Refilled::Some) = self.refill.turn(shared) {}
    }
}

impl Spool {
    pub(crate) fn manually_driven<D: Disk>(
        disk: D,
        upstreams: &[&str],
        config: &config::Spool,
        counters: Arc<Counters>,
    ) -> Result<(Self, Restored), OpenError> {
        let Parts { shared, committer, refill, restored } = open(disk, Path::new(DIR), upstreams, config, counters)?;
        let hand: Box<dyn Driver> = Box::new(Both { committer: Some(committer), refill });
        assert!(shared.manual_driver.set(Mutex::new(hand)).is_ok());
        Ok((Self::new(shared), restored))
    }
}
