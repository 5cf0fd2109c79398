//! Which letters an operator means.

use serde::{Deserialize, Serialize};

use super::letter::Metadata;

/// All that is given must fit; nothing given means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// None of them means any.
    pub ids: Vec<u64>,
    pub binding: Option<String>,
    pub plugin: Option<String>,
    /// A part of the reason is enough: `deadline` finds "passed its deadline".
    pub reason: Option<String>,
}

// === impl Filter ===

impl Filter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn fits(&self, id: u64, metadata: &Metadata) -> bool {
        let equal = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        (self.ids.is_empty() || self.ids.contains(&id))
            && equal(&self.binding, &metadata.binding)
            && equal(&self.plugin, &metadata.plugin)
            && self.reason.as_ref().is_none_or(|part| metadata.reason.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_given_must_fit() {
        let metadata = Metadata { binding: "b".into(), reason: "passed its deadline".into(), ..Metadata::default() };
        let filter = Filter { ids: vec![3], reason: Some("deadline".into()), ..Filter::default() };
        assert!(Filter::default().fits(9, &metadata) && filter.fits(3, &metadata));
        assert!(!filter.fits(4, &metadata));
        assert!(!Filter { binding: Some("c".into()), ..filter }.fits(3, &metadata));
    }
}
