//! Who fails is told once for each kind of reason, and then every few minutes with a number: a device that is set up wrongly tries again every
//! few seconds, for ever. Each of them stands in the log at `debug`.

use std::time::Duration;

use crate::base::rate_limit::RateLimit;
use crate::tls::refusal::{KINDS, Kind};

/// Often enough for who has just mended a device and looks, seldom enough to be no noise.
const AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

pub struct Troubles([RateLimit; KINDS]);

// === impl Troubles ===

impl Troubles {
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| RateLimit::one_in(AGAIN_AFTER)))
    }

    /// `Some(how many were left out since the last one)` when one of this kind may be told now.
    pub fn permit(&self, kind: Kind) -> Option<u64> {
        self.0.get(kind.index())?.permit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once() {
        let troubles = Troubles::new();
        for kind in [Kind::NoCertificate, Kind::BrokenOff] {
            assert_eq!(troubles.permit(kind), Some(0));
            assert_eq!(troubles.permit(kind), None);
        }
    }
}
