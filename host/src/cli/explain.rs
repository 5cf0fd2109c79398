//! `tidegate explain`: what would happen to a message on this topic, and who may publish or receive it?
//!
//! Answered from the configuration alone; no plugin runs. What a plugin may still change is said, not guessed.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::rights::{Question, Right, Rights};
use super::{ConfigFile, Format};
use crate::base::log_writer::say;
use crate::base::plain::line;
use crate::config::{Binding, Config, Destination, OnError, OnFailure, PluginId, Target, UpstreamId};
use crate::topic::{RenderError, Template, TemplateValues, TopicName};

/// `EX_USAGE`, as clap has it.
const EXIT_USAGE: u8 = 2;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// A topic: where its messages go. Behind `publish` or `subscribe`: whether that is allowed, and by which line
    #[arg(value_name = "[publish|subscribe] TOPIC", num_args = 1..=2, required = true)]
    asked: Vec<String>,
    /// The device's client identifier, for destinations and access rules that use it
    #[arg(long, default_value = "{client}")]
    pub(super) client: String,
    /// The user whose rights are asked for; without it a client that has no name
    #[arg(long = "as", value_name = "USER")]
    pub(super) user: Option<String>,
    /// The listener through which it comes; the first one, if none is named
    #[arg(long, value_name = "NAME")]
    pub(super) listener: Option<String>,
    /// The upstream that sends it; a device, if none is named
    #[arg(long, value_name = "UPSTREAM")]
    from: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Explanation {
    topic: String,
    /// What `--as` asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    access: Vec<Right>,
    bindings: Vec<Matched>,
}

#[derive(Debug, Serialize)]
struct Matched {
    binding: String,
    /// The first of its filters that matches.
    filter: String,
    plugins: Vec<String>,
    on_error: String,
    to: Vec<Outlet>,
}

#[derive(Debug, Serialize)]
struct Outlet {
    target: String,
    /// The finished topic, unless a plugin changes what `{topic}` is; or why there is none.
    topic: String,
    qos: String,
    retain: String,
}

/// What fills the templates: one topic, asked about once.
struct Asked<'a> {
    config: &'a Config,
    topic: &'a TopicName,
    client: &'a str,
    from: Option<UpstreamId>,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let from = match &args.from {
        None => None,
        Some(name) => match config.upstream(name) {
            Some(id) => Some(id),
            None => return Ok(wrong_command_line(&format!("there is no upstream `{name}`"))),
        },
    };
    match Question::read(&args.asked) {
        Ok(Question::Topic(topic)) => {
            let mut explanation = Asked { config: &config, topic: &topic, client: &args.client, from }.explain();
            if args.user.is_some() {
                let rights = Rights::of(&config, args)?;
                explanation.access = vec![rights.publish(&topic), rights.subscribe(topic.as_str())?];
            }
            write_as(args.format, &explanation, out)
        }
        Ok(Question::Publish(topic)) => write_as(args.format, &Rights::of(&config, args)?.publish(&topic), out),
        Ok(Question::Subscribe(filter)) => write_as(args.format, &Rights::of(&config, args)?.subscribe(&filter)?, out),
        Err(sentence) => Ok(wrong_command_line(&sentence)),
    }
}

fn write_as<T: Serialize + fmt::Display>(format: Format, answer: &T, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match format {
        Format::Text => write!(out, "{answer}")?,
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(answer)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// As clap says it of what it checks itself.
fn wrong_command_line(sentence: &str) -> ExitCode {
    say(&format!("error: {}\n\nFor more information, try '--help'.\n", line(sentence)));
    ExitCode::from(EXIT_USAGE)
}

// === impl Asked ===

impl Asked<'_> {
    fn explain(&self) -> Explanation {
        let bindings = self.config.bindings.iter().filter_map(|binding| self.matched(binding)).collect();
        Explanation { topic: self.topic.to_string(), access: Vec::new(), bindings }
    }

    fn matched(&self, binding: &Binding) -> Option<Matched> {
        let filters = if binding.from == self.from { &binding.filters[..] } else { &[] };
        let filter = filters.iter().find(|filter| filter.matches(self.topic))?;
        let plugin = |id: &PluginId| id.of(&self.config.plugins).map(|plugin| plugin.name.clone());
        Some(Matched {
            binding: binding.name.to_string(),
            filter: filter.to_string(),
            plugins: binding.plugins.iter().filter_map(plugin).collect(),
            on_error: self.on_error(binding),
            to: binding.to.iter().map(|to| self.outlet(to, binding)).collect(),
        })
    }

    /// The binding's own; and each plugin's that is another.
    fn on_error(&self, binding: &Binding) -> String {
        let own = match &binding.on_error {
            OnError::DeadLetter { topic } => format!("dead-letter to {}", self.render(topic, binding)),
            other => word(other.of_plugins()).to_owned(),
        };
        let differs = |(_, policy): &(&PluginId, &OnFailure)| **policy != binding.on_error.of_plugins();
        let others = binding.plugins.iter().zip(&binding.faults.on_failure).filter(differs);
        let others = others
            .filter_map(|(id, policy)| Some(format!("; of {}: {}", id.of(&self.config.plugins)?.name, word(*policy))));
        own + &others.collect::<String>()
    }

    fn outlet(&self, to: &Destination, binding: &Binding) -> Outlet {
        let target = match to.target {
            Target::Local => "local".to_owned(),
            Target::Upstream(id) => id
                .of(&self.config.upstreams)
                .map_or_else(String::new, |upstream| format!("upstream {} ({upstream})", upstream.name)),
        };
        let preserve = || "preserve".to_owned();
        Outlet {
            target,
            topic: self.render(&to.topic, binding),
            qos: to.qos.map_or_else(preserve, |qos| (qos as u8).to_string()),
            retain: to.retain.map_or_else(preserve, |retain| retain.to_string()),
        }
    }

    fn render(&self, template: &Template, binding: &Binding) -> String {
        let (topic, gateway) = (self.topic.as_str(), self.config.gateway.id.as_str());
        let values = TemplateValues { topic, gateway, binding: &binding.name, client: self.client };
        let refused = |error: RenderError| format!("no topic: {error}");
        template.render(&values).map_or_else(refused, |name| name.to_string())
    }
}

// === impl Explanation ===

fn word(policy: OnFailure) -> &'static str {
    match policy {
        OnFailure::DeadLetter => "dead-letter",
        OnFailure::Drop => "drop",
        OnFailure::Pass => "pass",
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", line(&self.topic))?;
        self.access.iter().try_for_each(|right| write!(f, "  {right}"))?;
        if self.bindings.is_empty() {
            return writeln!(f, "  no binding matches: it stays local");
        }
        self.bindings.iter().try_for_each(|matched| write!(f, "{matched}"))
    }
}

impl fmt::Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  binding {} by {}", self.binding, line(&self.filter))?;
        if !self.plugins.is_empty() {
            writeln!(f, "    plugins   {}", self.plugins.join(" -> "))?;
            writeln!(f, "    on error  {}", line(&self.on_error))?;
        }
        for outlet in &self.to {
            writeln!(f, "    to        {}: {}", outlet.target, line(&outlet.topic))?;
            writeln!(f, "              qos {}, retain {}", outlet.qos, outlet.retain)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const CONFIG: &str = r#"
        gateway = { id = "gw1" }
        upstreams.cloud = { url = ["mqtt://broker", "mqtt://standby"] }
        [[bindings]]
        name = "first"
        topic = ["x/#", "sensors/+/t"]
        to = [{ upstream = "cloud", topic = "{gateway}/{topic}/{client}", qos = 0 }, { local = true, topic = "c/{topic}" }]
        [[bindings]]
        name = "second"
        topic = "sensors/#"
        to = [{ upstream = "cloud", retain = false }]
    "#;

    fn explain(topic: &str) -> String {
        let config = parse(CONFIG, "f", Path::new("")).unwrap();
        let topic = TopicName::parse(topic).unwrap();
        Asked { config: &config, topic: &topic, client: "{client}", from: None }.explain().to_string()
    }

    #[test]
    fn every_binding_that_matches_is_named_in_file_order_with_its_finished_topics() {
        assert_eq!(
            explain("sensors/7/t"),
            "sensors/7/t\n  \
               binding first by sensors/+/t\n    \
                 to        upstream cloud (mqtt://broker:1883, then mqtt://standby:1883): gw1/sensors/7/t/{client}\n              \
                           qos 0, retain preserve\n    \
                 to        local: c/sensors/7/t\n              \
                           qos preserve, retain preserve\n  \
               binding second by sensors/#\n    \
                 to        upstream cloud (mqtt://broker:1883, then mqtt://standby:1883): sensors/7/t\n              \
                           qos preserve, retain false\n"
        );
    }

    #[test]
    fn a_topic_without_a_binding_stays_local() {
        assert_eq!(explain("other"), "other\n  no binding matches: it stays local\n");
    }
}
