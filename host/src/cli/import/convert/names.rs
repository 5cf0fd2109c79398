//! Names that a configuration takes, made of whatever somebody called a thing.

use std::collections::BTreeSet;

#[derive(Default)]
pub struct Names {
    used: BTreeSet<String>,
}

/// `config/check/name.rs` allows 64; the rest is for what tells two of them apart.
const LONGEST: usize = 56;

// === impl Names ===

impl Names {
    pub fn new_one(&mut self, wanted: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let name: String = wanted.chars().take(LONGEST).map(plain).collect();
        let name = if name.is_empty() { "unnamed".to_owned() } else { name };
        let mut candidate = name.clone();
        let mut number = 1;
        while !self.used.insert(candidate.clone()) {
            number += 1;
            candidate = format!("{name}-{number}");
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_no_two_are_the_same() {
        let mut names = Names::default();
        let made: Vec<String> = ["a.b", "a/b", "a-b", "", "é"].map(|wanted| names.new_one(wanted)).into();
        assert_eq!(made, ["a-b", "a-b-2", "a-b-3", "unnamed", "-"]);
        assert!(names.new_one(&"x".repeat(100)).len() <= 64);
    }
}
