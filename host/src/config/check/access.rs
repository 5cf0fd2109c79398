//! `[access]`: the password file, the ACL file, and `[[access.rules]]`.

use std::sync::Arc;

use super::{access_doubts as doubts, passwords};
use crate::access::{AclFile, DeniedPublish, Entry, Glob, Grant, Layer, Pattern, Place, Places, Rule, Rules, Who};
use crate::config::checked::{Access, AclSource, Listener};
use crate::config::problem::Problem;
use crate::config::raw::{Kind, Placed, Table};
use crate::config::similar::did_you_mean;

pub fn check(root: &Table<'_>, listeners: &[Listener]) -> Access {
    let table = root.table("access");
    let passwords = passwords::file(root, &table, listeners);
    let (acl_file, acl) = acl_file(&table, listeners);
    let rules = rules(&table, listeners, acl_file.is_some());
    let denied_publish = denied_publish(&table).unwrap_or_default();
    table.finish();
    let rules = Rules { rules, acl };
    // Where something is wrong, a rule may be missing for that reason, and a listener may have to close anyway.
    if rules.is_empty() && !root.has_problems() {
        doubts::closed_listeners(root, listeners);
    }
    Access { passwords, rules: Arc::new(rules), acl_file, denied_publish }
}

fn acl_file(table: &Table<'_>, listeners: &[Listener]) -> (Option<AclSource>, Option<AclFile>) {
    let advice = "an ACL file of mosquitto, or leave it out and write `[[access.rules]]`";
    let (Some(path), Some(typed)) = (table.file("acl_file", advice), table.text("acl_file")) else {
        return (None, None);
    };
    let source = AclSource { path, name: (*typed.get_ref()).into() };
    match source.read() {
        Ok(acl) => {
            if acl.is_empty() {
                let sentence = format!("`{}` allows nobody anything", source.name);
                let advice = "with an ACL file all that it does not allow is denied; leave it out if that is not meant";
                table.add(Problem::warning(typed.span(), sentence).advice(advice));
            }
            doubts::acl_of_nobody(table, &acl, typed.span(), listeners);
            (Some(source), Some(acl))
        }
        Err(error) => {
            for sentence in error.sentences() {
                let advice = "a gateway that runs goes on with the rules it has; one that starts needs a good file";
                table.add(Problem::error(typed.span(), sentence).advice(advice));
            }
            (Some(source), None)
        }
    }
}

fn denied_publish(table: &Table<'_>) -> Option<DeniedPublish> {
    let typed = table.text("denied_publish")?;
    match *typed.get_ref() {
        "drop" => Some(DeniedPublish::Drop),
        "disconnect" => Some(DeniedPublish::Disconnect),
        other => {
            let sentence = format!("`denied_publish` cannot be \"{other}\"");
            let advice = did_you_mean(other, &["drop", "disconnect"], "");
            table.add(Problem::error(typed.span(), sentence).advice(advice));
            None
        }
    }
}

fn rules(access: &Table<'_>, listeners: &[Listener], has_acl: bool) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut spans = Vec::new();
    for table in access.tables("rules", Kind::Tables).map_or_else(Vec::new, |(tables, _)| tables) {
        let rule = rule(&table, listeners);
        doubts::hidden_rule(&table, &rule, &rules, &spans);
        table.finish();
        rules.push(rule);
        spans.push(table.span());
    }
    if has_acl {
        doubts::hidden_acl_file(access, &rules);
    }
    rules
}

fn rule(table: &Table<'_>, listeners: &[Listener]) -> Rule {
    let who = who(&table.table("who"), listeners);
    doubts::rule_of_nobody(table, &who, listeners);
    let mut entries = list(table, "publish", Grant::Publish);
    entries.extend(list(table, "subscribe", Grant::Subscribe));
    if table.value("publish").is_none() && table.value("subscribe").is_none() {
        let sentence = "this rule denies everything to whom it fits: it has neither `publish` nor `subscribe`";
        let advice = "the first rule that fits decides; write `publish = []` if that is meant";
        table.add(Problem::warning(table.span(), sentence).advice(advice));
    }
    Rule { who, place: table.place(&table.span()), layer: Arc::new(Layer::new(entries)) }
}

fn who(table: &Table<'_>, listeners: &[Listener]) -> Who {
    let glob = |key: &'static str| {
        let typed = table.text(key)?;
        if typed.get_ref().is_empty() {
            let sentence = format!("`{key}` is empty, and fits nobody");
            let advice = format!("leave it out to fit everybody, or write `{key} = \"*\"`");
            table.add(Problem::error(typed.span(), sentence).advice(advice));
        }
        Some((Glob::new(typed.get_ref()), typed))
    };
    let (user, client, listener) = (glob("user"), glob("client"), glob("listener"));
    if let Some((glob, typed)) = &listener {
        doubts::unknown_listener(table, glob, typed, listeners);
    }
    table.finish();
    let only = |found: Option<(Glob, Placed<&str>)>| found.map(|(glob, _)| glob);
    Who { user: only(user), client: only(client), listener: only(listener) }
}

fn list(table: &Table<'_>, key: &'static str, grant: Grant) -> Vec<Entry> {
    let typed = table.texts(key).unwrap_or_default();
    typed.iter().filter_map(|text| entry(table, key, text, grant)).collect()
}

fn entry(table: &Table<'_>, key: &str, typed: &Placed<&str>, grant: Grant) -> Option<Entry> {
    let text = *typed.get_ref();
    if text.starts_with("$share/") {
        let sentence = format!("`{key}`: a rule has no group");
        let advice = "write the filter behind `$share/{group}/`: it holds for shared subscriptions, too";
        table.add(Problem::error(typed.span(), sentence).advice(advice));
        return None;
    }
    let pattern = match Pattern::parse(text, Places::Braces) {
        Ok(pattern) => pattern,
        Err(error) => {
            let sentence = format!("`{key}`: \"{text}\" is no topic filter");
            table.add(Problem::error(typed.span(), sentence).advice(error.to_string()));
            return None;
        }
    };
    if grant == Grant::Publish {
        doubts::gateways_own(table, typed);
    }
    let place: Place = table.place(&typed.span());
    Some(Entry { pattern, grant, place, text: format!("{key} {text}").into() })
}
