//! How many bindings write to each upstream: with whom they share what it may have in the spool.

use super::{Config, Destination, Target, UpstreamId};

impl Config {
    /// By its name.
    pub fn upstream(&self, name: &str) -> Option<UpstreamId> {
        self.upstreams.iter().position(|upstream| upstream.name == name).map(UpstreamId)
    }

    /// In the order of the upstreams.
    pub fn writers(&self) -> Vec<usize> {
        let writes_to = |upstream: usize| {
            let is_it = move |to: &Destination| matches!(to.target, Target::Upstream(UpstreamId(id)) if id == upstream);
            self.bindings.iter().filter(|binding| binding.to.iter().any(is_it)).count()
        };
        (0..self.upstreams.len()).map(writes_to).collect()
    }
}
