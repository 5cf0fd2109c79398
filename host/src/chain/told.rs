//! Which reasons have been told, so that a plugin that many bindings use says once what is wrong with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::late::Refused;

/// The last reason of each plugin, and the binding that told it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<HashMap<String, Reason>>>);

struct Reason {
    text: String,
    first: Arc<str>,
}

// === impl Told ===

impl Told {
    /// The other binding that has told it; where nobody has, this one is to.
    pub fn before(&self, binding: &Arc<str>, why: &Refused) -> Option<Arc<str>> {
        // Whatever panicked ends the process.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Reason { text, first }) = told.get(&why.plugin)
            && *text == why.reason
            && first != binding
        {
            return Some(Arc::clone(first));
        }
        let reason = Reason { text: why.reason.clone(), first: Arc::clone(binding) };
        told.insert(why.plugin.clone(), reason);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_by_one_binding_and_another_reason_again() {
        let (told, [a, b]) = (Told::default(), ["a", "b"].map(Arc::<str>::from));
        let why = |reason: &str| Refused { plugin: "p".into(), reason: reason.into(), may_pass: true };
        assert_eq!(told.before(&a, &why("absent")), None);
        assert_eq!(told.before(&b, &why("absent")), Some(a.clone()));
        assert_eq!(told.before(&b, &why("damaged")), None);
        assert_eq!(told.before(&a, &why("damaged")), Some(b));
    }
}
