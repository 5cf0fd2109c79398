//! The same few names again and again: one copy in memory for each.

use std::sync::Arc;

/// More bindings than a configuration has, so that what an older one has left in the log does not push out its own.
const MAX_NAMES: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Names(Vec<Arc<str>>);

// === impl Names ===

impl Names {
    /// None for a text without characters.
    pub fn of(&mut self, text: &str) -> Option<Arc<str>> {
        if text.is_empty() {
            return None;
        }
        let known = self.0.iter().find(|name| ***name == *text).cloned();
        Some(known.unwrap_or_else(|| self.learn(text)))
    }

    fn learn(&mut self, text: &str) -> Arc<str> {
        if self.0.len() >= MAX_NAMES {
            self.0.clear();
        }
        let name: Arc<str> = text.into();
        self.0.push(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_memory_once_and_no_text_is_no_name() {
        let mut names = Names::default();
        let (one, again) = (names.of("temperature").unwrap(), names.of("temperature").unwrap());
        assert!(Arc::ptr_eq(&one, &again));
        assert_eq!((names.of("humidity").as_deref(), names.of("")), (Some("humidity"), None));
    }

    #[test]
    fn more_names_than_there_is_room_for_are_still_right() {
        let mut names = Names::default();
        for index in 0..3 * MAX_NAMES {
            assert_eq!(names.of(&format!("b{index}")).as_deref(), Some(&*format!("b{index}")));
        }
        assert!(names.0.len() <= MAX_NAMES);
    }
}
