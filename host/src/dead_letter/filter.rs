//! Which letters an operator means.

use serde::{Deserialize, Serialize};

use super::letter::Facts;

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

    pub fn fits(&self, id: u64, facts: &Facts) -> bool {
        let equal = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        (self.ids.is_empty() || self.ids.contains(&id))
            && equal(&self.binding, &facts.binding)
            && equal(&self.plugin, &facts.plugin)
            && self.reason.as_ref().is_none_or(|part| facts.reason.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_given_must_fit() {
        let facts = Facts { binding: "b".into(), reason: "passed its deadline".into(), ..Facts::default() };
        let filter = Filter { ids: vec![3], reason: Some("deadline".into()), ..Filter::default() };
        assert!(Filter::default().fits(9, &facts) && filter.fits(3, &facts));
        assert!(!filter.fits(4, &facts));
        assert!(!Filter { binding: Some("c".into()), ..filter }.fits(3, &facts));
    }
}
