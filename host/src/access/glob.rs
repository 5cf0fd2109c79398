//! Names of users, clients and listeners in `who`: `*` stands for any characters, `?` for one.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[char]>);

// === impl Glob ===

impl Glob {
    pub fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    pub fn matches(&self, name: &str) -> bool {
        // Names have a thousand bytes at most, and are asked about once for each connection.
        let name: Vec<char> = name.chars().collect();
        reaches(&self.0, &name, |own, other| *own == '?' || own == other)
    }

    /// Whether it matches whatever the other one matches. Never wrong when it says so; of two with several `*` it may miss it.
    pub fn covers(&self, other: &Self) -> bool {
        reaches(&self.0, &other.0, |own, other| match other {
            '*' => false,
            other => *own == '?' || own == other,
        })
    }

    pub fn text(&self) -> String {
        self.0.iter().collect()
    }

    /// The one name that it matches, if there is no wildcard in it.
    pub fn only(&self) -> Option<String> {
        (!self.0.contains(&'*') && !self.0.contains(&'?')).then(|| self.text())
    }
}

/// With one step back, to the last `*`: in time of the product of both lengths, whatever the pattern.
fn reaches(pattern: &[char], name: &[char], takes: impl Fn(&char, &char) -> bool) -> bool {
    let (mut at, mut seen, mut last) = (0, 0, None);
    while let Some(character) = name.get(seen) {
        match pattern.get(at) {
            Some('*') => {
                last = Some((at, seen));
                at += 1;
            }
            Some(own) if takes(own, character) => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((star, from)) = last else { return false };
                last = Some((star, from + 1));
                (at, seen) = (star + 1, from + 1);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        let matches = |glob: &str, name: &str| Glob::new(glob).matches(name);
        assert!(matches("sensor-*", "sensor-7") && matches("sensor-*", "sensor-") && matches("*", ""));
        assert!(matches("a*b*c", "axxbyyc") && matches("s?", "sé") && matches("*-?", "a-b-c"));
        assert!(!matches("sensor-*", "Sensor-7") && !matches("s?", "s") && !matches("a*b", "abc"));
        assert!(!matches("a", "") && matches("", ""));
    }

    /// The definition, without a thought of time.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => naive(rest, name),
            (Some(('*', rest)), Some((_, behind))) => naive(rest, name) || naive(pattern, behind),
            (Some((one, rest)), Some((first, behind))) => (*one == '?' || one == first) && naive(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_its_definition(glob in "[ab?*]{0,8}", name in "[ab]{0,8}") {
            let (pattern, characters): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
            prop_assert_eq!(Glob::new(&glob).matches(&name), naive(&pattern, &characters));
        }

        #[test]
        fn what_covers_another_matches_all_that_it_matches(wide in "[ab?*]{0,5}", narrow in "[ab?*]{0,5}", name in "[ab]{0,6}") {
            let (wide, narrow) = (Glob::new(&wide), Glob::new(&narrow));
            prop_assert!(!(wide.covers(&narrow) && narrow.matches(&name)) || wide.matches(&name));
        }
    }

    #[test]
    fn it_covers_what_is_narrower() {
        let covers = |wide: &str, narrow: &str| Glob::new(wide).covers(&Glob::new(narrow));
        assert!(covers("*", "sensor-*") && covers("sensor-*", "sensor-7") && covers("s*", "s*x") && covers("a", "a"));
        assert!(!covers("sensor-*", "*") && !covers("a?", "a*") && !covers("a", "b"));
    }
}
