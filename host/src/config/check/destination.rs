//! `to = [{ … }]`: where the outputs of a binding go.

use toml::de::DeValue;

use super::binding::Names;
use super::upstream;
use crate::config::checked::{Destination, Target};
use crate::config::problem::Problem;
use crate::config::raw::Table;
use crate::message::QoS;
use crate::topic::{Template, TopicName};

pub fn check(table: &Table<'_>, names: &Names<'_>) -> Option<Destination> {
    let target = target(table, names);
    let topic = template(table, "topic");
    if target == Some(Target::Local) {
        guard_the_gateways_own(table);
    }
    let qos = qos(table);
    let retain = retain(table);
    table.finish();
    Some(Destination { target: target?, topic: topic.unwrap_or_else(Template::identity), qos, retain })
}

/// A topic with places to fill. Also for `dead_letter_topic`.
pub fn template(table: &Table<'_>, key: &'static str) -> Option<Template> {
    let typed = table.text(key)?;
    match Template::parse(typed.get_ref()) {
        Ok(template) => Some(template),
        Err(error) => {
            let sentence = format!("\"{}\" cannot become a topic", typed.get_ref());
            table.add(Problem::error(typed.span(), sentence).advice(error.to_string()));
            None
        }
    }
}

fn target(table: &Table<'_>, names: &Names<'_>) -> Option<Target> {
    let local = table.flag("local").unwrap_or(false);
    match (table.text("upstream"), local) {
        (Some(name), false) => upstream::find(table, &name, &names.upstreams).map(Target::Upstream),
        (None, true) => Some(Target::Local),
        (Some(name), true) => {
            let sentence = "a destination is an upstream or local, not both";
            table
                .add(Problem::error(name.span(), sentence).advice("write two destinations, each in its own `{ ... }`"));
            None
        }
        (None, false) => {
            if table.value("upstream").is_none() && table.value("local").is_none_or(|(value, _)| value.is_bool()) {
                let sentence = "this destination says neither `upstream` nor `local = true`";
                table.add(Problem::error(table.span(), sentence).advice("for example `{ upstream = \"cloud\" }`"));
            }
            None
        }
    }
}

/// At an upstream they are somebody else's.
fn guard_the_gateways_own(table: &Table<'_>) {
    let Some(typed) = table.text("topic") else { return };
    if let Some(own) = TopicName::GATEWAYS_OWN.iter().find(|own| typed.get_ref().starts_with(**own)) {
        let problem = Problem::error(typed.span(), format!("only the gateway itself publishes below `{own}` here"));
        table.add(problem.advice("choose another topic: each message would have failed with \"no topic for it\""));
    }
}

fn qos(table: &Table<'_>) -> Option<QoS> {
    let advice = "leave it out to keep what the device chose";
    qos_number(table, "`qos` must be 0, 1, 2 or \"preserve\"", advice, true)
}

/// `None` when it is absent, wrong, or "preserve" where that is allowed.
pub fn qos_number(table: &Table<'_>, sentence: &'static str, advice: &str, may_preserve: bool) -> Option<QoS> {
    let (value, span) = table.value("qos")?;
    let number = value.as_integer().and_then(|integer| u8::from_str_radix(integer.as_str(), integer.radix()).ok());
    let qos = number.and_then(QoS::from_bits);
    if qos.is_none() && !(may_preserve && value.as_str() == Some("preserve")) {
        table.add(Problem::error(span, sentence).advice(advice));
    }
    qos
}

fn retain(table: &Table<'_>) -> Option<bool> {
    let (value, span) = table.value("retain")?;
    match value {
        DeValue::Boolean(retain) => Some(*retain),
        DeValue::String(text) if text == "preserve" => None,
        _ => {
            let advice = "leave it out to keep what the device chose";
            table.add(Problem::error(span, "`retain` must be true, false or \"preserve\"").advice(advice));
            None
        }
    }
}
