//! A topic filter of MQTT whose wildcards may have names: `sensors/+site/+kind/#rest`.
//!
//! `+` and `#` match as they do in a subscription (MQTT 5, section 4.7): one level; this level's parent and all that is
//! left. With a name behind it a wildcard captures what it matched. A wildcard in front never matches a topic that begins
//! with `$` [MQTT-4.7.2-1].

/// What the wildcards of one pattern matched, in its order, for the names to index.
pub type Captures<'t> = Vec<&'t str>;

#[derive(Debug)]
pub struct Pattern {
    levels: Vec<Level>,
    /// The pattern ends with `#`, captured or not.
    rest: Option<Capture>,
    /// Of what is captured, in order.
    names: Vec<String>,
}

#[derive(Debug)]
enum Level {
    Exactly(String),
    Any(Capture),
}

/// Does the wildcard have a name?
type Capture = bool;

// === impl Pattern ===

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern has at least one character".into());
        }
        let mut pattern = Self { levels: vec![], rest: None, names: vec![] };
        for level in text.split('/') {
            pattern.push(level)?;
        }
        Ok(pattern)
    }

    /// What is captured, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn captures<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Exactly(_))) {
            return None;
        }
        let mut captures = Captures::with_capacity(self.names.len());
        // `None` when the topic has no level any more, which differs from an empty one.
        let mut left = Some(topic);
        for level in &self.levels {
            let (here, after) = split(left?);
            match level {
                Level::Exactly(text) if text != here => return None,
                Level::Any(true) => captures.push(here),
                _ => {}
            }
            left = after;
        }
        match self.rest {
            None if left.is_some() => return None,
            Some(true) => captures.push(left.unwrap_or_default()),
            _ => {}
        }
        Some(captures)
    }

    fn push(&mut self, level: &str) -> Result<(), String> {
        if self.rest.is_some() {
            let rest = self.names.last().map_or("#".into(), |name| format!("#{name}"));
            return Err(format!("`{rest}` takes all that is left, so it must be the last level"));
        }
        match (level.strip_prefix('+'), level.strip_prefix('#')) {
            (Some(name), _) => {
                let capture = self.capture(level, name)?;
                self.levels.push(Level::Any(capture));
            }
            (_, Some(name)) => self.rest = Some(self.capture(level, name)?),
            _ if level.contains(['+', '#']) => {
                return Err(format!("`{level}`: a wildcard begins its level, as in `+site`"));
            }
            _ => self.levels.push(Level::Exactly(level.to_owned())),
        }
        Ok(())
    }

    fn capture(&mut self, level: &str, name: &str) -> Result<Capture, String> {
        if !name.chars().all(|each| each.is_alphanumeric() || each == '_') {
            return Err(format!("`{level}`: a name has letters, digits and `_` only"));
        }
        if self.names.iter().any(|known| known == name) {
            return Err(format!("`{name}` is captured twice"));
        }
        if !name.is_empty() {
            self.names.push(name.to_owned());
        }
        Ok(!name.is_empty())
    }
}

fn split(topic: &str) -> (&str, Option<&str>) {
    topic.split_once('/').map_or((topic, None), |(here, after)| (here, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_and_capture_as_mqtt_says() {
        let cases: &[(&str, &str, Option<&[&str]>)] = &[
            ("a/b", "a/b", Some(&[])),
            ("a/b", "a/b/c", None),
            ("a/b", "a", None),
            ("a/+x/c", "a/b/c", Some(&["b"])),
            ("a/+x/c", "a//c", Some(&[""])),
            ("a/+x", "a", None),
            ("+/+x", "a/b", Some(&["b"])),
            ("a/#rest", "a/b/c", Some(&["b/c"])),
            ("a/#rest", "a", Some(&[""])),
            ("a/#rest", "a/", Some(&[""])),
            ("a/#rest", "ab", None),
            ("#all", "a/b", Some(&["a/b"])),
            ("#", "a/b", Some(&[])),
            ("#all", "$SYS/x", None),
            ("+a/x", "$SYS/x", None),
            ("$SYS/+a", "$SYS/x", Some(&["x"])),
        ];
        for (pattern, topic, captures) in cases {
            let found = Pattern::parse(pattern).unwrap().captures(topic);
            assert_eq!(found.as_deref(), *captures, "{pattern} on {topic}");
        }
    }
}
