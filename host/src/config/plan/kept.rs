//! What a gateway has from its start to its end.

use super::Plan;
use crate::config::checked::{Binding, Config, Target};

const SPOOL: &str = "the log on disk is opened and divided at the start";
const PLUGINS: &str = "plugins are loaded and started at the start";
const BINDINGS: &str = "its lane, and what its plugins remember, are made at the start";
const UPSTREAMS: &str = "its line of the spool is made at the start";

pub fn gateway(running: &Config, wanted: &Config, plan: &mut Plan) {
    let (old, new) = (&running.gateway, &wanted.gateway);
    if old.id != new.id {
        plan.restart("gateway.id", "it is in topics and in the client ids at upstreams");
    }
    if old.data_dir != new.data_dir {
        plan.restart(
            "gateway.data_dir",
            "what is acknowledged lies in the folder of before; move it, or let it run empty first",
        );
    }
}

/// Bindings, what they go through, and where that leads.
pub fn what_messages_meet(running: &Config, wanted: &Config, plan: &mut Plan) {
    let upstreams = |config: &Config| named(&config.upstreams, |upstream| upstream.name.clone(), |one| one.clone());
    compare("upstream", &upstreams(running), &upstreams(wanted), UPSTREAMS, plan);
    whole("spool", running.spool == wanted.spool, SPOOL, plan);
    // What devices may bring follows from a limit that is named already.
    let letters = |config: &Config| (config.dead_letters.max_bytes, config.dead_letters.max_age);
    whole("dead_letters", letters(running) == letters(wanted), SPOOL, plan);
    whole("engine", running.engine == wanted.engine, PLUGINS, plan);
    whole("trust", running.trust == wanted.trust, PLUGINS, plan);
    let plugins = |config: &Config| named(&config.plugins, |plugin| plugin.name.clone(), |one| one.clone());
    compare("plugin", &plugins(running), &plugins(wanted), PLUGINS, plan);
    let bindings =
        |config: &Config| named(&config.bindings, |binding| binding.name.to_string(), |binding| words(binding, config));
    compare("binding", &bindings(running), &bindings(wanted), BINDINGS, plan);
    let names = |config: &Config| config.bindings.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
    let (mut old, mut new) = (names(running), names(wanted));
    if old != new && sorted(&mut old) == sorted(&mut new) {
        plan.restart("bindings", "they stand in another order, which is that of their outputs");
    }
}

/// How it is watched.
pub fn operate(running: &Config, wanted: &Config, plan: &mut Plan) {
    if running.operate != wanted.operate {
        plan.restart("operate", "its port is bound at the start; a token in its file is read again by itself");
    } else if running.operate.http.is_some() {
        plan.unchanged("operate");
    }
}

/// What it says of itself.
pub fn log(running: &Config, wanted: &Config, plan: &mut Plan) {
    let (old, new) = (&running.log, &wanted.log);
    if old.level != new.level {
        plan.now("log.level", "changed; what was asked for with `tidegate log` goes");
    }
    if old.format != new.format {
        plan.restart("log.format", "who reads the log would find two formats in it");
    }
    if old == new {
        plan.unchanged("log");
    }
}

fn whole(what: &str, is_same: bool, why: &str, plan: &mut Plan) {
    match is_same {
        true => plan.unchanged(what),
        false => plan.restart(what, why),
    }
}

fn compare<T: PartialEq>(kind: &str, old: &[(String, T)], new: &[(String, T)], why: &str, plan: &mut Plan) {
    let find = |list: &'_ [(String, T)], name: &str| list.iter().position(|(known, _)| known == name);
    for (name, _) in old.iter().filter(|(name, _)| find(new, name).is_none()) {
        plan.restart(format!("{kind} {name}"), format!("taken away; {why}"));
    }
    for (name, one) in new {
        let what = format!("{kind} {name}");
        match find(old, name).and_then(|place| old.get(place)) {
            None => plan.restart(what, format!("added; {why}")),
            Some((_, before)) if before == one => plan.unchanged(what),
            Some(_) => plan.restart(what, format!("changed; {why}")),
        }
    }
}

fn named<T, U>(all: &[T], name: impl Fn(&T) -> String, what: impl Fn(&T) -> U) -> Vec<(String, U)> {
    all.iter().map(|one| (name(one), what(one))).collect()
}

fn sorted(names: &mut Vec<String>) -> &Vec<String> {
    names.sort_unstable();
    names
}

/// With names in place of numbers, which another plugin or upstream before it moves.
fn words(binding: &Binding, config: &Config) -> impl PartialEq + use<> {
    let plugins: Vec<_> = binding.plugins.iter().map(|id| id.of(&config.plugins).map(|one| one.name.clone())).collect();
    let to: Vec<_> =
        binding.to.iter().map(|to| (target(to.target, config), to.topic.clone(), to.qos, to.retain)).collect();
    let from = binding.from.and_then(|id| id.of(&config.upstreams)).map(|upstream| upstream.name.clone());
    let Binding { filters, tick, on_error, faults, order, on_start_failure, .. } = binding.clone();
    (from, filters, plugins, tick, on_error, faults, order, on_start_failure, to)
}

/// None: local.
fn target(target: Target, config: &Config) -> Option<String> {
    match target {
        Target::Upstream(id) => id.of(&config.upstreams).map(|upstream| upstream.name.clone()),
        Target::Local => None,
    }
}
