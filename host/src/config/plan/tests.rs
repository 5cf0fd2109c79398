//! What is named, and where.

use std::path::Path;

use super::*;
use crate::config;

const BASE: &str = r#"
[gateway]
id = "gw"
[broker.listeners.local]
bind = "127.0.0.1:1883"
[broker.listeners.other]
bind = "127.0.0.1:1884"
[upstreams.cloud]
url = "mqtt://localhost"
[[bindings]]
name = "all"
topic = "a/#"
to = [{ upstream = "cloud" }]
"#;

fn of(text: &str) -> Config {
    config::parse(text, "gateway.toml", Path::new("/")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What is done now and what needs a restart, for a change of the text.
fn changed(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
    assert!(BASE.contains(from), "{from}");
    let plan = plan(&of(BASE), &of(&BASE.replace(from, to)));
    let names = |steps: Vec<Step>| steps.into_iter().map(|step| step.what).collect();
    (names(plan.now), names(plan.restart))
}

fn now(from: &str, to: &str) -> Vec<String> {
    let (now, restart) = changed(from, to);
    assert_eq!(restart, Vec::<String>::new());
    now
}

fn restart(from: &str, to: &str) -> Vec<String> {
    let (now, restart) = changed(from, to);
    assert_eq!(now, Vec::<String>::new());
    restart
}

#[test]
fn the_same_file_changes_nothing_and_names_what_stays() {
    let plan = plan(&of(BASE), &of(&format!("# a comment\n{BASE}")));
    assert!(plan.changes_nothing());
    for name in ["listener local", "listener other", "upstream cloud", "binding all", "access rules", "spool"] {
        assert!(plan.unchanged.iter().any(|known| known == name), "{name}: {plan:?}");
    }
}

#[test]
fn listeners_come_and_go_and_change_now() {
    let second = "[broker.listeners.other]\nbind = \"127.0.0.1:1884\"\n";
    assert_eq!(now(second, ""), ["listener other"]);
    assert_eq!(now(second, &format!("{second}[broker.listeners.third]\nbind = \"127.0.0.1:0\"\n")), ["listener third"]);
    assert_eq!(now("127.0.0.1:1884", "127.0.0.1:1885"), ["listener other"]);
    assert_eq!(now(second, &second.replace("other", "another")), ["listener other", "listener another"]);
}

#[test]
fn only_who_may_connect_ends_connections_of_a_listener_that_stays() {
    let base = of(BASE).broker.listeners.remove(0);
    let change = |change: fn(&mut config::Listener)| {
        let mut wanted = base.clone();
        change(&mut wanted);
        change_of(&base, &wanted)
    };
    assert_eq!(change(|_| ()), ListenerChange::Unchanged);
    assert_eq!(change(|wanted| wanted.proxy = Some(config::Proxy { from: None })), ListenerChange::NewConnections);
    assert_eq!(change(|wanted| wanted.auth = config::Auth::Password), ListenerChange::AllConnections);
    let ids = |wanted: &mut config::Listener| wanted.client_ids = config::ClientIds::parse("x-*").ok();
    assert_eq!(change(ids), ListenerChange::AllConnections);
    assert_eq!(change(|wanted| wanted.bind.set_port(1)), ListenerChange::Moved);
}

#[test]
fn limits_of_connections_change_now_and_others_are_named_with_a_reason() {
    let with = |lines: &str| format!("[broker.limits]\n{lines}\n[upstreams.cloud]");
    assert_eq!(now("[upstreams.cloud]", &with("receive_maximum = 7")), ["broker.limits.receive_maximum"]);
    let (now, restart) = changed("[upstreams.cloud]", &with("max_messages_per_second = 5\nmemory = \"64MiB\""));
    assert_eq!(
        (now, restart),
        (vec!["broker.limits.max_messages_per_second".into()], vec!["broker.limits.memory".into()])
    );
}

/// Each of them stands in one of the two lists, or a change of it would be told by nobody.
#[test]
fn every_limit_is_in_the_plan() {
    for line in [
        "max_connections = 17",
        "max_connections_per_address = 17",
        "max_new_connections_per_second = 17",
        "max_messages_per_second = 17",
        "max_bytes_per_second = \"17KiB\"",
        "memory = \"65MiB\"",
        "max_packet_size = \"17KiB\"",
        "handshake_timeout = \"17s\"",
        "receive_maximum = 17",
        "max_queued_messages = 17",
        "max_queued_bytes = \"1MiB\"",
        "max_queued_bytes_total = \"17MiB\"",
        "max_subscriptions_per_client = 17",
        "max_sessions = 17",
        "max_session_expiry = \"17s\"",
        "max_retained_messages = 17",
        "max_retained_bytes = \"17MiB\"",
    ] {
        let (now, restart) = changed("[upstreams.cloud]", &format!("[broker.limits]\n{line}\n[upstreams.cloud]"));
        let name = line.split(' ').next().unwrap();
        assert_eq!([now, restart].concat(), [format!("broker.limits.{name}")]);
    }
}

#[test]
fn rules_are_compared_by_what_they_say_and_not_by_their_lines() {
    let rule = "[[access.rules]]\npublish = [\"a/#\"]\n";
    let with = |text: &str| of(&format!("{BASE}{text}"));
    let moved = plan(&with(rule), &with(&format!("\n\n{rule}")));
    assert!(moved.changes_nothing(), "{moved:?}");
    for other in [
        rule.replace("a/#", "b/#"),
        rule.replace("publish", "subscribe"),
        format!("{rule}who = {{ client = \"c\" }}\n"),
    ] {
        let plan = plan(&with(rule), &with(&other));
        assert_eq!(plan.now.iter().map(|step| step.what.as_str()).collect::<Vec<_>>(), ["access rules"], "{other}");
    }
}

const ANOTHER: &str =
    "[[bindings]]\nname = \"another\"\ntopic = \"x/#\"\nto = [{ local = true, topic = \"y/{topic}\" }]\n";

#[test]
fn bindings_without_plugins_come_go_and_change_now() {
    let all = "[[bindings]]\nname = \"all\"";
    assert_eq!(now("topic = \"a/#\"", "topic = \"b/#\""), ["binding all"]);
    assert_eq!(now(all, &format!("{ANOTHER}{all}")), ["binding another"]);
    assert_eq!(now("name = \"all\"", "name = \"every\""), ["binding all", "binding every"]);
    let (running, wanted) = (of(&BASE.replace(all, &format!("{ANOTHER}{all}"))), of(&format!("{BASE}{ANOTHER}")));
    let plan = plan(&running, &wanted);
    assert_eq!(plan.now.iter().map(|step| step.what.as_str()).collect::<Vec<_>>(), ["binding order"]);
    assert_eq!(taken_over(&running, &wanted).bindings, wanted.bindings);
}

#[test]
fn bindings_change_together_or_not_at_all() {
    let first = "[upstreams.backup]\nurl = \"mqtt://backup\"\n[upstreams.cloud]";
    let text =
        BASE.replace("[upstreams.cloud]", first).replace("{ upstream = \"cloud\" }", "{ upstream = \"backup\" }");
    let (running, wanted) = (of(BASE), of(&format!("{text}{ANOTHER}")));
    let plan = plan(&running, &wanted);
    assert_eq!(plan.now, []);
    let names: Vec<_> = plan.restart.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(names, ["upstream backup", "binding all", "binding another", "binding all to"]);
    assert_eq!(taken_over(&running, &wanted).bindings, running.bindings);
    // An upstream before it moves the number of the one that is meant.
    let wanted = of(&format!("{}{ANOTHER}", BASE.replace("[upstreams.cloud]", first)));
    let next = taken_over(&running, &wanted);
    assert_eq!((&next.bindings[0], next.bindings.len()), (&running.bindings[0], 2));
}

#[test]
fn a_binding_of_what_an_upstream_sends_keeps_its_upstream_when_another_moves_the_numbers() {
    let subscribed = |before: &str, from: &str| {
        let cloud = format!("{before}[upstreams.cloud]\nsubscribe = [{{ filter = \"down/#\" }}]");
        let down = format!(
            "[[bindings]]\nname = \"down\"\nfrom = \"{from}\"\ntopic = \"down/#\"\nto = [{{ local = true }}]\n"
        );
        of(&format!("{}{down}", BASE.replace("[upstreams.cloud]", &cloud)))
    };
    let backup = "[upstreams.backup]\nurl = \"mqtt://backup\"\nsubscribe = [{ filter = \"down/#\" }]\n";
    let (running, wanted) = (subscribed("", "cloud"), subscribed(backup, "cloud"));
    assert_eq!(taken_over(&running, &wanted).bindings, running.bindings);
    let both = subscribed(backup, "backup");
    let what = |plan: Vec<Step>| plan.into_iter().map(|step| step.what).collect::<Vec<_>>();
    assert_eq!(what(plan(&wanted, &both).now), ["binding down"]);
    let restart = what(plan(&running, &both).restart);
    assert!(restart.contains(&"binding down from".to_owned()), "{restart:?}");
}

#[test]
fn what_messages_go_through_is_named_for_a_restart() {
    assert_eq!(restart("mqtt://localhost", "mqtt://other"), ["upstream cloud"]);
    let watched = "[operate]\nhttp = \"127.0.0.1:9464\"\n[upstreams.cloud]";
    assert_eq!(restart("[upstreams.cloud]", watched), ["operate"]);
    assert_eq!(restart("id = \"gw\"", "id = \"gw2\"").first().map(String::as_str), Some("gateway.id"));
    assert_eq!(restart("[upstreams.cloud]", "[spool]\nmax_age = \"1d\"\n[upstreams.cloud]"), ["spool"]);
    // It moves the number of the other one, and nothing else.
    let first = "[upstreams.backup]\nurl = \"mqtt://backup\"\n[upstreams.cloud]";
    assert_eq!(restart("[upstreams.cloud]", first), ["upstream backup"]);
}

#[test]
fn what_needs_a_restart_is_named_until_there_was_one() {
    let (running, wanted) = (of(BASE), of(&BASE.replace("mqtt://localhost", "mqtt://other").replace("1884", "1885")));
    let next = plan(&taken_over(&running, &wanted), &wanted);
    assert_eq!(next.now, []);
    assert_eq!(next.restart, plan(&running, &wanted).restart);
}
