//! New topic names from old: `plants/{gateway}/{topic}`.

use std::fmt;

use super::{NameError, TopicName};

/// A topic with places to fill. Parsed when the configuration is read, rendered for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What the places are filled with.
#[derive(Clone, Copy, Debug)]
pub struct TemplateValues<'a> {
    pub topic: &'a str,
    pub gateway: &'a str,
    pub binding: &'a str,
    pub client: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    /// The topic without so many of its first levels.
    Below(usize),
    Gateway,
    Binding,
    Client,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error(
        "`{{{0}}}` is no value of a topic; use one of {{topic}}, {{gateway}}, {{binding}}, {{client}}, or {{topic/2+}} for what is below the first two levels"
    )]
    UnknownPlace(String),
    #[error("`{{` opens a value that is not closed by `}}`")]
    Unclosed,
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Why there is no topic for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("`{{topic/{0}+}}` is what is below the first {0} levels, and this topic has no more")]
    TooFewLevels(usize),
    /// A client chooses its identifier, and so would choose into whose part of the topics it writes.
    #[error("`{{client}}` stands for one level, and this client identifier contains `/`")]
    ClientLevels,
    #[error(
        "`{{client}}` begins the topic, and this client identifier begins with `$`: such topics belong to the broker"
    )]
    ClientReserved,
}

/// No plant has topics that are deeper.
const MOST_LEVELS: usize = 100;

// === impl Template ===

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once('{') {
            let (place, after) = opened.split_once('}').ok_or(TemplateError::Unclosed)?;
            push_text(&mut parts, before);
            parts.push(Part::place(place)?);
            rest = after;
        }
        push_text(&mut parts, rest);
        let template = Self { parts };
        // A wildcard in the fixed text could never become a name: say so at load, not at the first message.
        let topic = vec!["t"; template.levels_needed()].join("/");
        let sample = TemplateValues { topic: &topic, gateway: "g", binding: "b", client: "c" };
        template.render(&sample)?;
        Ok(template)
    }

    /// The topic as it is: `{topic}`.
    pub fn identity() -> Self {
        Self { parts: vec![Part::Topic] }
    }

    /// The finished name. It can still be invalid: a client identifier may contain `+` or `/`, and a long topic grows longer.
    pub fn render(&self, values: &TemplateValues<'_>) -> Result<TopicName, RenderError> {
        if self.parts.contains(&Part::Client) {
            self.check_client(values.client)?;
        }
        self.check_levels(values.topic)?;
        if let [part] = self.parts.as_slice() {
            return Ok(TopicName::parse(part.value(values))?);
        }
        Ok(TopicName::parse(&self.fill(values))?)
    }

    fn check_client(&self, client: &str) -> Result<(), RenderError> {
        if client.contains('/') {
            return Err(RenderError::ClientLevels);
        }
        let is_first = self.parts.first() == Some(&Part::Client);
        if is_first && client.starts_with('$') { Err(RenderError::ClientReserved) } else { Ok(()) }
    }

    fn levels_needed(&self) -> usize {
        let needed = |part: &Part| if let Part::Below(levels) = part { levels + 1 } else { 1 };
        self.parts.iter().map(needed).max().unwrap_or(1)
    }

    fn check_levels(&self, topic: &str) -> Result<(), RenderError> {
        let missing = |part: &Part| match part {
            Part::Below(levels) if below(topic, *levels).is_none() => Some(*levels),
            _ => None,
        };
        self.parts.iter().find_map(missing).map_or(Ok(()), |levels| Err(RenderError::TooFewLevels(levels)))
    }

    /// The text alone, unchecked: with wildcards as values, a pattern of the names that can come out.
    pub fn fill(&self, values: &TemplateValues<'_>) -> String {
        self.parts.iter().map(|part| part.value(values)).collect()
    }

    /// Whether this template can give a name below the same topic that it was made from.
    pub fn is_identity(&self) -> bool {
        self.parts == [Part::Topic]
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places =
            TemplateValues { topic: "{topic}", gateway: "{gateway}", binding: "{binding}", client: "{client}" };
        self.parts.iter().try_for_each(|part| match part {
            Part::Below(levels) => write!(f, "{{topic/{levels}+}}"),
            part => f.write_str(part.value(&places)),
        })
    }
}

// === impl Part ===

impl Part {
    fn place(name: &str) -> Result<Self, TemplateError> {
        match name {
            "topic" => Ok(Self::Topic),
            "gateway" => Ok(Self::Gateway),
            "binding" => Ok(Self::Binding),
            "client" => Ok(Self::Client),
            other => Self::below(other).ok_or_else(|| TemplateError::UnknownPlace(other.into())),
        }
    }

    fn below(name: &str) -> Option<Self> {
        let levels: usize = name.strip_prefix("topic/")?.strip_suffix('+')?.parse().ok()?;
        (1..=MOST_LEVELS).contains(&levels).then_some(Self::Below(levels))
    }

    fn value<'a>(&'a self, values: &TemplateValues<'a>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Topic => values.topic,
            // A filter that ends with `#` stands for topics of any depth, so that nothing less can be said of what is below.
            Self::Below(levels) => {
                below(values.topic, *levels).unwrap_or(if values.topic.ends_with('#') { "#" } else { "" })
            }
            Self::Gateway => values.gateway,
            Self::Binding => values.binding,
            Self::Client => values.client,
        }
    }
}

fn below(topic: &str, levels: usize) -> Option<&str> {
    let (slash, _) = topic.match_indices('/').nth(levels.checked_sub(1)?)?;
    topic.get(slash + 1..)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: TemplateValues<'_> =
        TemplateValues { topic: "sensors/7", gateway: "plant7", binding: "temp", client: "dev+1" };

    #[test]
    fn places_are_filled_and_text_is_kept() {
        let template = Template::parse("plants/{gateway}/{topic}/{binding}").unwrap();
        assert_eq!(template.render(&VALUES).unwrap().as_str(), "plants/plant7/sensors/7/temp");
        assert_eq!(template.to_string(), "plants/{gateway}/{topic}/{binding}");
    }

    #[test]
    fn a_mistake_is_found_when_the_template_is_read() {
        assert_eq!(Template::parse("a/{tpoic}"), Err(TemplateError::UnknownPlace("tpoic".into())));
        assert_eq!(Template::parse("a/{topic"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("a/+/{topic}"), Err(TemplateError::Render(NameError::Wildcard('+').into())));
        assert_eq!(Template::parse(""), Err(TemplateError::Render(NameError::Empty.into())));
    }

    #[test]
    fn what_is_below_the_first_levels_is_taken_and_a_topic_without_it_is_an_error() {
        let template = Template::parse("{gateway}/{topic/2+}").unwrap();
        assert_eq!(template.to_string(), "{gateway}/{topic/2+}");
        let render = |topic| template.render(&TemplateValues { topic, ..VALUES });
        assert_eq!(render("a/b/c/d").unwrap().as_str(), "plant7/c/d");
        assert_eq!(render("a//").unwrap().as_str(), "plant7/", "the level is there");
        assert_eq!(render("a/b"), Err(RenderError::TooFewLevels(2)));
        assert_eq!(Template::parse("{topic/1+}").unwrap().render(&VALUES).unwrap().as_str(), "7");
        for place in ["topic/0+", "topic/+", "topic/1", "topic/101+", "topic/-1+", "topic/1+ "] {
            let unknown = Err(TemplateError::UnknownPlace(place.into()));
            assert_eq!(Template::parse(&format!("a/{{{place}}}")), unknown);
        }
    }

    #[test]
    fn of_a_filter_that_ends_with_a_wildcard_anything_may_be_below() {
        let template = Template::parse("x/{topic/2+}").unwrap();
        let fill = |topic| template.fill(&TemplateValues { topic, ..VALUES });
        assert_eq!([fill("#"), fill("a/#"), fill("a/b/#"), fill("a/+/c")], ["x/#", "x/#", "x/#", "x/c"]);
    }

    #[test]
    fn a_value_that_makes_an_invalid_name_is_an_error_of_that_message() {
        let template = Template::parse("by/{client}").unwrap();
        assert_eq!(template.render(&VALUES), Err(NameError::Wildcard('+').into()));
    }

    #[test]
    fn a_client_fills_one_level_and_does_not_choose_whose_topics_it_writes_to() {
        let render =
            |template: &str, client| Template::parse(template).unwrap().render(&TemplateValues { client, ..VALUES });
        for template in ["{client}/state", "by/{client}", "{client}"] {
            assert_eq!(render(template, "other/alarm"), Err(RenderError::ClientLevels), "{template}");
        }
        for client in ["$SYS", "$tidegate", "$share"] {
            assert_eq!(render("{client}/state", client), Err(RenderError::ClientReserved));
        }
        assert_eq!(render("by/{client}", "$7").unwrap().as_str(), "by/$7");
        assert_eq!(render("{topic}", "a/b").unwrap().as_str(), "sensors/7", "it does not matter where it is not used");
    }
}
