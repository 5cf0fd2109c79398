//! What works in `[access]`, and was probably not meant: rules that can never fit, doors that let nobody in.

use std::ops::Range;

use crate::access::{AclFile, Glob, Rule, Who};
use crate::config::checked::Listener;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};
use crate::config::similar::did_you_mean;

const PROVES: &str = "set `auth` of a listener; what a client says of its name without that is not believed";

/// A rule behind one that fits everybody whom it fits.
pub fn hidden_rule(table: &Table<'_>, rule: &Rule, earlier: &[Rule], spans: &[Range<usize>]) {
    let covering = earlier.iter().zip(spans).find(|(other, _)| other.who.covers(&rule.who));
    let Some((_, span)) = covering else { return };
    let problem = Problem::warning(table.span(), "this rule can never fit: the first one that fits decides");
    let problem = problem.also(span.clone(), "this one fits everybody whom it fits");
    table.add(problem.advice("write the rule for fewer clients first"));
}

pub fn hidden_acl_file(access: &Table<'_>, rules: &[Rule]) {
    let everybody = Who::default();
    let is_hidden = rules.iter().any(|rule| rule.who.covers(&everybody));
    if let Some((_, span)) = access.value("acl_file").filter(|_| is_hidden) {
        let sentence = "`acl_file` is never asked: one of `[[access.rules]]` fits everybody";
        let advice = "give that rule a `who`, or leave the file out: it is for those whom no rule fits";
        access.add(Problem::warning(span, sentence).advice(advice));
    }
}

pub fn unknown_listener(who: &Table<'_>, glob: &Glob, typed: &Placed<&str>, listeners: &[Listener]) {
    if listeners.iter().any(|listener| glob.matches(&listener.name)) {
        return;
    }
    let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    let sentence = format!("this rule can never fit: no listener is called `{}`", typed.get_ref());
    let advice = did_you_mean(typed.get_ref(), &names, "there are no listeners");
    who.add(Problem::warning(typed.span(), sentence).advice(advice));
}

/// A rule for people with names, where nobody proves one.
pub fn rule_of_nobody(table: &Table<'_>, who: &Who, listeners: &[Listener]) {
    let is_for = |listener: &&Listener| who.listener.as_ref().is_none_or(|glob| glob.matches(&listener.name));
    let mut meant = listeners.iter().filter(is_for).peekable();
    let who = table.table("who");
    if let Some((_, span)) = who.value("user").filter(|_| meant.peek().is_some() && !meant.any(Listener::proves_names))
    {
        let sentence = "this rule can never fit: at none of its listeners does anybody prove a user name";
        who.add(Problem::warning(span, sentence).advice(PROVES));
    }
}

/// The same of an ACL file.
pub fn acl_of_nobody(table: &Table<'_>, acl: &AclFile, span: Range<usize>, listeners: &[Listener]) {
    if acl.has_users() && !listeners.iter().any(Listener::proves_names) {
        let sentence =
            "its lines for users and with `%u` hold for nobody: at no listener does anybody prove a user name";
        table.add(Problem::warning(span, sentence).advice(PROVES));
    }
}

pub fn gateways_own(table: &Table<'_>, typed: &Placed<&str>) {
    if ["$SYS/", "$tidegate/"].iter().any(|own| typed.get_ref().starts_with(own)) {
        let sentence = format!("nobody can publish to `{}`: it belongs to the gateway", typed.get_ref());
        let advice = "leave it out; a device may be allowed to `subscribe` to it";
        table.add(Problem::warning(typed.span(), sentence).advice(advice));
    }
}

/// Without rules, a door that the network reaches is closed.
pub fn closed_listeners(root: &Table<'_>, listeners: &[Listener]) {
    for (name, _) in root.table("broker").named("listeners") {
        let is_closed = |listener: &&Listener| listener.name == *name.get_ref() && !listener.is_open_without_rules();
        if listeners.iter().any(|listener| is_closed(&listener)) {
            let sentence = format!("nobody may publish or subscribe at the listener `{}`", name.get_ref());
            let advice = "it is not on loopback, and there are no rules: write `[[access.rules]]` with `who`, `publish` and `subscribe`, or `acl_file` in `[access]`";
            root.add(Problem::warning(name.span(), sentence).advice(advice));
        }
    }
}
