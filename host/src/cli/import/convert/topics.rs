//! `topic` lines of a connection: what is forwarded, and under which topic it arrives.
//!
//! ```text
//!  topic PATTERN [[[out | in | both] QOS] LOCAL REMOTE]      matched here: LOCAL + PATTERN; there: REMOTE + what PATTERN matched
//!
//!  topic # out 1 sensors/ plant7/      topic = "sensors/#"   to = [{ topic = "plant7/{topic/1+}", qos = 1 }]
//! ```
//!
//! Only out: an upstream has no way in yet.

use crate::cli::import::line::Line;
use crate::topic::{Template, TopicFilter};

/// A line, as far as it goes out.
#[derive(Debug, PartialEq, Eq)]
pub struct Outward {
    pub filter: String,
    /// None where the topic stays as it is.
    pub topic: Option<String>,
    pub qos: Option<u8>,
}

struct Parts<'a> {
    pattern: &'a str,
    is_out: bool,
    is_in: bool,
    qos: u8,
    local: &'a str,
    remote: &'a str,
}

type Problem = (&'static str, &'static str);

const REFUSED: &str = "mosquitto refuses this line";

/// What of it is forwarded; the rest is named.
pub fn outward(line: &Line) -> Option<Outward> {
    let parts = match parts(line) {
        Ok(parts) => parts,
        Err((why, todo)) => {
            line.leave(why, todo);
            return None;
        }
    };
    let outward = if parts.is_out { forwarded(&parts).map(Some) } else { Ok(None) };
    match outward {
        Err((why, todo)) => {
            line.leave(why, todo);
            None
        }
        Ok(outward) => {
            if parts.is_in {
                let half = if parts.is_out { "only the outward half is taken over: " } else { "" };
                let why = format!("{half}messages of the other broker do not come in yet");
                line.leave(why, "let who needs them subscribe there, or keep mosquitto beside the gateway for this");
            } else {
                line.take();
            }
            outward
        }
    }
}

fn parts(line: &Line) -> Result<Parts<'_>, Problem> {
    let mut words = line.words();
    let pattern = words.next().ok_or((REFUSED, "name a topic"))?;
    let direction = words.next().unwrap_or("out").to_ascii_lowercase();
    let (is_out, is_in) = match direction.as_str() {
        "out" => (true, false),
        "in" => (false, true),
        "both" => (true, true),
        _ => return Err((REFUSED, "write out, in or both behind the topic")),
    };
    // Behind the direction, and there only, `#` begins a comment.
    let mut words = words.take_while(|word| !word.starts_with('#'));
    let qos = match words.next() {
        None => 0,
        Some(word) => word.parse().ok().filter(|qos| *qos <= 2).ok_or((
            "this is no QoS: mosquitto takes it as 0, and what is behind it as prefixes",
            "write a QoS from 0 to 2 before the prefixes",
        ))?,
    };
    let mut prefix = || words.next().filter(|word| *word != "\"\"").unwrap_or_default();
    let (local, remote) = (prefix(), prefix());
    let pattern = if pattern == "\"\"" { "" } else { pattern };
    if pattern.is_empty() && (local.is_empty() || remote.is_empty()) {
        return Err((REFUSED, "without a topic, both prefixes are topics"));
    }
    Ok(Parts { pattern, is_out, is_in, qos, local, remote })
}

fn forwarded(parts: &Parts<'_>) -> Result<Outward, Problem> {
    let Parts { pattern, local, remote, .. } = *parts;
    if [local, remote].iter().any(|prefix| prefix.contains(['+', '#'])) {
        return Err((REFUSED, "a prefix has no wildcards"));
    }
    let filter = format!("{local}{pattern}");
    if TopicFilter::parse(&filter).is_err() || filter.starts_with("$share/") {
        return Err(("this is no topic filter", "correct it, and import again"));
    }
    let topic = topic(pattern, local, remote)?;
    if topic.as_ref().is_some_and(|topic| Template::parse(topic).is_err()) {
        return Err((
            "the topic at the other broker cannot be written as a template",
            "use a prefix without `{`, `+` and `#`",
        ));
    }
    // What is published at QoS 0 goes out at QoS 0 through a bridge with 1, too; here it is raised, which no receiver minds. A bridge with 2
    // takes away nothing, which is what there is without a setting.
    let qos = (parts.qos < 2).then_some(parts.qos);
    Ok(Outward { filter, topic, qos })
}

/// Under which topic it arrives.
fn topic(pattern: &str, local: &str, remote: &str) -> Result<Option<String>, Problem> {
    if !pattern.contains(['+', '#']) {
        let is_same = local == remote;
        return Ok((!is_same).then(|| format!("{remote}{pattern}")));
    }
    if let Some(before) = remote.strip_suffix(local) {
        return Ok((!before.is_empty()).then(|| format!("{before}{{topic}}")));
    }
    if !local.ends_with('/') {
        return Err((
            "a local prefix that ends within a level cannot be taken away",
            "end it with `/`, and begin the topic behind it",
        ));
    }
    Ok(Some(format!("{remote}{{topic/{}+}}", local.matches('/').count())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::line::{Fate, Place};
    use crate::topic::{TemplateValues, TopicName};

    fn read(value: &str) -> (Option<Outward>, Fate) {
        let place = Place { file: "m".into(), number: 1 };
        let line = Line::read(&format!("topic {value}"), place, 0).unwrap();
        let outward = outward(&line);
        (outward, line.fate())
    }

    /// The table of mosquitto.conf(5), and more: what is published here, and under which topic it arrives there.
    #[test]
    fn a_message_arrives_under_the_topic_that_mosquitto_gives_it() {
        for (line, here, there) in [
            ("#", "a/b", "a/b"),
            ("# out 0", "a/b", "a/b"),
            ("# out 1 \"\" \"\"", "a/b", "a/b"),
            ("# out 2 L/ R/", "L/a/b", "R/a/b"),
            ("# out 2 L/ \"\"", "L/a/b", "a/b"),
            ("# out 2 \"\" R/", "a/b", "R/a/b"),
            ("# OUT 2 L/", "L/a/b", "a/b"),
            ("\"\" out 0 local remote", "local", "remote"),
            ("t out 0 L/ R/", "L/t", "R/t"),
            ("t/+/x both 1 a/b/ c/", "a/b/t/7/x", "c/t/7/x"),
            ("# out 1 sensors/ plant7/sensors/", "sensors/a", "plant7/sensors/a"),
            ("+/up out 1 \"\" x # a comment", "7/up", "x7/up"),
            ("a b out", "", ""),
        ] {
            let (outward, _) = read(line);
            let Some(Outward { filter, topic, .. }) = outward else {
                assert_eq!(here, "", "{line}");
                continue;
            };
            assert!(TopicFilter::parse(&filter).unwrap().matches(&TopicName::parse(here).unwrap()), "{line}");
            let template = topic.map_or(Template::identity(), |topic| Template::parse(&topic).unwrap());
            let values = TemplateValues { topic: here, gateway: "g", binding: "b", client: "c" };
            assert_eq!(template.render(&values).unwrap().as_str(), there, "{line}");
        }
    }

    #[test]
    fn what_comes_in_is_named_and_what_goes_out_is_taken() {
        let (outward, fate) = read("cmd/# in 1");
        assert!(outward.is_none() && format!("{fate:?}").contains("do not come in yet"), "{fate:?}");
        let (outward, fate) = read("cmd/# both 1");
        assert!(outward.is_some() && format!("{fate:?}").contains("only the outward half"), "{fate:?}");
        assert_eq!(read("cmd/# out 1").1, Fate::Taken);
    }

    #[test]
    fn a_qos_is_a_ceiling_and_two_is_none() {
        let qos = |line| read(line).0.unwrap().qos;
        assert_eq!([qos("#"), qos("# out 0"), qos("# out 1"), qos("# out 2")], [Some(0), Some(0), Some(1), None]);
    }

    #[test]
    fn what_mosquitto_refuses_is_named() {
        for line in [
            "\"\" out 0 a",
            "\"\" out 0 \"\" b",
            "\"\"",
            "# sideways",
            "# out 3",
            "a# out 0",
            "# out sensors/ x/",
            "x out 0 +/ b/",
        ] {
            let (outward, fate) = read(line);
            assert!(outward.is_none() && matches!(fate, Fate::Left { .. }), "{line}");
        }
        assert!(read("# out 1 \"\" {x/").0.is_none() && read("+/x out 1 ab cd").0.is_none());
    }
}
