//! A new topic with places for captures: `{site}/{kind}`.

use tidegate_plugin::{Error, Result};

use crate::pattern::Captures;

/// Level by level, because a level that is nothing but an empty `#rest` leaves no trace: `a/#rest` to `b/{rest}` makes of
/// `a` the topic `b` and not `b/`.
#[derive(Debug)]
pub struct Template {
    levels: Vec<Vec<Part>>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// Which of the captures.
    Capture(usize),
}

// === impl Template ===

impl Template {
    /// The names are those that the pattern captures, in its order.
    pub fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a topic has at least one character".into());
        }
        if let Some(wildcard) = text.chars().find(|each| matches!(each, '+' | '#' | '\0')) {
            return Err(format!("a topic has no wildcard `{}`", wildcard.escape_default()));
        }
        let levels = text.split('/').map(|level| parts(level, names)).collect::<Result<_, _>>()?;
        Ok(Self { levels })
    }

    pub fn fill(&self, captures: &Captures) -> Result<String> {
        let filled = self.levels.iter().filter_map(|level| fill(level, captures));
        let topic = filled.collect::<Vec<_>>().join("/");
        if topic.is_empty() { Err(Error::new("the new topic would be empty")) } else { Ok(topic) }
    }
}

fn parts(level: &str, names: &[String]) -> Result<Vec<Part>, String> {
    let (mut parts, mut left) = (vec![], level);
    while let Some((before, opened)) = left.split_once('{') {
        let (name, after) = opened.split_once('}').ok_or("`{` is not closed by `}`")?;
        let index = names.iter().position(|known| known == name).ok_or_else(|| {
            let known = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            format!("`{{{name}}}` is not captured; `from` captures {known}")
        })?;
        parts.extend([Part::Text(before.to_owned()), Part::Capture(index)]);
        left = after;
    }
    parts.push(Part::Text(left.to_owned()));
    Ok(parts)
}

/// `None` when captures were all there was to the level, and they are empty. A level that is written empty stays.
fn fill(level: &[Part], captures: &Captures) -> Option<String> {
    let filled: String = level.iter().map(|part| part.fill(captures)).collect();
    let written_empty = !level.iter().any(|part| matches!(part, Part::Capture(_)));
    (written_empty || !filled.is_empty()).then_some(filled)
}

// === impl Part ===

impl Part {
    fn fill<'t>(&'t self, captures: &Captures<'t>) -> &'t str {
        match self {
            Self::Text(text) => text,
            // The index comes from the names of the same pattern.
            Self::Capture(index) => captures.get(*index).copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, captures: &[&str]) -> String {
        let names = ["a".to_owned(), "b".to_owned()];
        Template::parse(template, &names).unwrap().fill(&captures.to_vec()).unwrap()
    }

    #[test]
    fn captures_stand_anywhere_in_a_level_and_any_number_of_times() {
        assert_eq!(filled("x/{b}-{a}/{a}", &["1", "2"]), "x/2-1/1");
    }

    #[test]
    fn a_level_of_empty_captures_goes_and_a_written_one_stays() {
        assert_eq!(filled("x/{a}/y", &["", ""]), "x/y");
        assert_eq!(filled("x/v{a}", &["", ""]), "x/v");
        assert_eq!(filled("/x//{b}", &["", "2/3"]), "/x//2/3");
    }
}
