//! What a gateway has from its start to its end.

use super::Plan;
use crate::config::checked::Config;

const SPOOL: &str = "the log on disk is opened and divided at the start";
const PLUGINS: &str = "what compiles and runs plugins is set up at the start";
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

/// What messages go through, and where that leads.
pub fn what_messages_meet(running: &Config, wanted: &Config, plan: &mut Plan) {
    let upstreams = |config: &Config| named(&config.upstreams, |upstream| upstream.name.clone(), |one| one.clone());
    compare("upstream", &upstreams(running), &upstreams(wanted), UPSTREAMS, plan);
    whole("spool", running.spool == wanted.spool, SPOOL, plan);
    // What devices may bring follows from a limit that is named already.
    let letters = |config: &Config| (config.dead_letters.max_bytes, config.dead_letters.max_age);
    whole("dead_letters", letters(running) == letters(wanted), SPOOL, plan);
    whole("engine", running.engine == wanted.engine, PLUGINS, plan);
    whole("trust", running.trust == wanted.trust, PLUGINS, plan);
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
