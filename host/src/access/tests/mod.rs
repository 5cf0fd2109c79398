//! The rules against a model that is as simple as their description.

mod model;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::topic::{TopicFilter, TopicName};
use model::{Model, Who as Asker};

const TOPICS: [&str; 12] =
    ["a", "a/b", "a/b/c", "b", "b/u1", "b/u1/c", "b/c1", "a/u1/c1", "$SYS/a", "$SYS/u1", "a/", "x/y/z/w"];

const FILTERS: [&str; 15] = [
    "a", "#", "+", "a/#", "a/+", "+/+", "b/+/c", "a/b/#", "$SYS/#", "$SYS/+", "b/u1", "+/u1/#", "a/", "x/+/z/#",
    "+/b/+",
];

fn identity(asker: &Asker) -> Identity {
    Identity { user: asker.user.map(Into::into), client: asker.client.into(), listener: "l".into() }
}

fn askers() -> Vec<Asker> {
    let pairs = [
        (None, "c1"),
        (Some("u1"), "c1"),
        (Some("u2"), "c1"),
        (Some("a/b"), "c1"),
        (Some("u1"), "b/u1"),
        (Some("+"), "c1"),
        (Some("u1"), "#"),
        (None, "+"),
        (Some("$SYS"), "$SYS"),
    ];
    pairs.into_iter().map(|(user, client)| Asker { user, client }).collect()
}

fn acl(text: &str) -> Rules {
    let acl = AclFile::parse(text, &"acl".into()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    Rules { rules: Vec::new(), acl: Some(acl) }
}

/// Both about everything. How many questions that were.
fn compare(text: &str, askers: &[Asker]) -> Result<usize, String> {
    let (rules, mut cases) = (acl(text), 0);
    for asker in askers {
        let (granted, model) = (rules.of(&identity(asker)), Model::read(text, asker));
        let mut is = |asked: String, decided: Decision, is: bool, should: bool| {
            cases += 1;
            match (is == should, decided.is_allowed == is) {
                (true, true) => Ok(()),
                _ => Err(format!("{asker:?} {asked}: {is}, not {should}, for {}, by\n{text}", decided.ground)),
            }
        };
        for topic in TOPICS {
            let name = TopicName::parse(topic).unwrap();
            for (action, word) in [(Action::Publish, "write"), (Action::Subscribe, "read")] {
                let decided = granted.decide(action, &name);
                is(format!("{word} {topic}"), decided, granted.allows(action, &name), model.allows(word, topic))?;
            }
        }
        for (filter, topics) in filters() {
            let decided = granted.decide_filter(filter);
            is(format!("subscribe {filter}"), decided, granted.allows_filter(filter), model.allows_some(topics))?;
        }
    }
    Ok(cases)
}

/// Each with topics that it matches.
fn filters() -> &'static [(TopicFilter, Vec<String>)] {
    static MADE: OnceLock<Vec<(TopicFilter, Vec<String>)>> = OnceLock::new();
    let make = |text: &&str| (TopicFilter::parse(text).unwrap(), model::topics(text));
    MADE.get_or_init(|| FILTERS.iter().map(make).collect())
}

/// Rule kinds x what they grant x wildcards x places.
fn lines() -> Vec<String> {
    let topics = ["a", "a/b", "#", "+", "a/#", "a/+", "+/b", "$SYS/#", "b/u1/#", "a/+/+"];
    let patterns = ["b/%u", "b/%u/#", "b/%c", "a/%u/%c", "%u/#", "%c", "x/%%u/+", "a/x%c/#", "a/#", "+/%u/+"];
    let grants = ["", "read ", "write ", "readwrite ", "deny "];
    let all = |kind: &str, words: &[&str]| -> Vec<String> {
        words.iter().flat_map(|word| grants.map(|grant| format!("{kind} {grant}{word}"))).collect()
    };
    [all("topic", &topics), all("pattern", &patterns)].concat()
}

#[test]
fn every_kind_of_line_agrees_with_the_model_alone_and_beside_another() {
    let (askers, lines) = (askers(), lines());
    let mut cases = 0;
    for line in &lines {
        for other in ["", "topic deny a/b", "topic readwrite #", "pattern deny a/%u/#", "pattern readwrite b/#"] {
            for text in [format!("{line}\n{other}"), format!("user u1\n{other}\n{line}")] {
                cases += compare(&text, &askers).unwrap_or_else(|difference| panic!("{difference}"));
            }
        }
    }
    assert!(lines.len() == 100 && cases > 100_000, "{cases}");
}

fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => prop::sample::select(lines()),
        1 => prop::sample::select(vec!["user u1".to_owned(), "user u2".to_owned(), "user a/b".to_owned()]),
    ];
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_acl_file_agrees_with_the_model(text in text()) {
        if let Err(difference) = compare(&text, &askers()) {
            prop_assert!(false, "{}", difference);
        }
    }

    #[test]
    fn any_text_is_an_acl_file_or_names_its_lines(text in "[a-z %+#/\n\t]{0,80}") {
        if let Err(errors) = AclFile::parse(&text, &"acl".into()) {
            prop_assert!(errors.iter().all(|error| error.place.line <= text.matches('\n').count() + 1));
        }
    }

    #[test]
    fn no_name_gets_more_than_its_own_place(user in "[a+#/\0$%{}u]{1,4}", client in "[a+#/\0$%{}c]{1,4}", topic in "[a+#/$u]{1,8}") {
        let Ok(topic) = TopicName::parse(&topic) else { return Ok(()) };
        let asker = Identity { user: Some(user.as_str().into()), client: client.as_str().into(), listener: "l".into() };
        let rules = toml(&[("*", &["p/{user}/#", "{client}", "{user}/x/{client}"])]);
        let is_own = |place: &str| {
            let levels: Vec<&str> = topic.levels().collect();
            let is_name = |level: &str| level == place && !level.contains(['/', '+', '#', '\0']);
            is_name(levels.get(1).copied().unwrap_or("")) || is_name(levels[0])
        };
        if rules.of(&asker).allows(Action::Publish, &topic) {
            prop_assert!(is_own(&user) || is_own(&client));
            prop_assert!(!topic.is_reserved());
        }
    }
}

/// Rules for users, each with what they may publish and receive.
fn toml(rules: &[(&str, &[&str])]) -> Rules {
    let rule = |(index, (user, topics)): (usize, &(&str, &[&str]))| {
        let place = Place { file: "f".into(), line: index + 1 };
        let entry = |text: &&str| Entry {
            pattern: Pattern::parse(text, Places::Braces).unwrap(),
            grant: Grant::Both,
            place: place.clone(),
            text: (*text).into(),
        };
        let who = Who { user: Some(Glob::new(user)), ..Who::default() };
        Rule { who, place: place.clone(), layer: Arc::new(Layer::new(topics.iter().map(entry).collect())) }
    };
    Rules { rules: rules.iter().enumerate().map(rule).collect(), acl: None }
}

fn asked(rules: &Rules, user: &str, topic: &str) -> Decision {
    let identity = Identity { user: Some(user.into()), client: "c".into(), listener: "l".into() };
    rules.of(&identity).decide(Action::Publish, &TopicName::parse(topic).unwrap())
}

#[test]
fn the_first_rule_that_fits_decides_alone() {
    let rules = toml(&[("s-*", &["s/{user}/#"]), ("*", &["#"])]);
    assert!(asked(&rules, "s-1", "s/s-1/t").is_allowed && asked(&rules, "bob", "s/s-1/t").is_allowed);
    let denied = asked(&rules, "s-1", "x");
    assert_eq!((denied.is_allowed, denied.ground.place().unwrap().line), (false, 1));
    assert_eq!(asked(&rules, "bob", "x").ground.to_string(), "f:2: #");
}

#[test]
fn whom_no_rule_fits_the_acl_file_is_asked_for() {
    let rules = Rules { acl: acl("user bob\ntopic write x").acl, ..toml(&[("s-*", &["x"])]) };
    assert_eq!(asked(&rules, "bob", "x").ground.to_string(), "acl:2: topic write x");
    assert!(asked(&rules, "s-1", "x").is_allowed);
    assert_eq!(asked(&rules, "eve", "x").ground, Ground::Nobody);
}

#[test]
fn without_rules_a_listener_is_open_or_closed_and_nothing_is_asked_at_an_open_one() {
    let access = Arc::new(Access::new(Policy { open: vec!["local".into()], ..Policy::default() }));
    let topic = TopicName::parse("x").unwrap();
    let at = |listener: &str| access.permit(Identity { listener: listener.into(), ..Identity::default() });
    assert!(at("local").may_publish(&topic) && !at("lan").may_publish(&topic));
    assert_eq!(at("lan").decide(Action::Publish, &topic).ground, Ground::Closed);
}

#[test]
fn at_an_open_listener_that_the_network_reaches_only_a_rule_gives_what_the_gateway_says_of_itself() {
    let access = |rules: Rules| {
        let (open, exposed) = (vec!["local".to_owned(), "lan".to_owned()], vec!["lan".to_owned()]);
        Arc::new(Access::new(Policy { rules: Arc::new(rules), open, exposed, ..Policy::default() }))
    };
    let none = access(Rules::default());
    let at = |access: &Arc<Access>, listener: &str| {
        access.permit(Identity { listener: listener.into(), ..Identity::default() })
    };
    let topic = |name: &str| TopicName::parse(name).unwrap();
    let filter = |text: &str| TopicFilter::parse(text).unwrap();
    assert!(at(&none, "local").may_receive(&topic("$SYS/x")) && at(&none, "local").may_subscribe(&filter("$SYS/#")));
    let mut lan = at(&none, "lan");
    assert!(!lan.may_receive(&topic("$SYS/x")) && lan.may_receive(&topic("x")) && lan.may_publish(&topic("x")));
    assert!(
        !lan.may_subscribe(&filter("$SYS/#"))
            && !lan.may_subscribe(&filter("$SYS/+/x"))
            && lan.may_subscribe(&filter("#"))
    );
    assert_eq!(lan.decide(Action::Subscribe, &topic("$SYS/x")).ground, Ground::Sys);
    assert!(!none.of(lan.identity()).decide_filter(&filter("$SYS/#")).is_allowed);
    let named = access(acl("topic read $SYS/#"));
    assert!(at(&named, "lan").may_receive(&topic("$SYS/x")) && !at(&named, "lan").may_receive(&topic("x")));
}

#[test]
fn a_permit_that_is_held_follows_the_rules() {
    let policy = |lines: &str| Policy { rules: Arc::new(acl(lines)), ..Policy::default() };
    let access = Arc::new(Access::new(policy("topic read a")));
    let mut permit = access.permit(Identity { client: "c".into(), ..Identity::default() });
    let topic = TopicName::parse("a").unwrap();
    assert!(permit.may_receive(&topic) && !permit.may_publish(&topic));
    access.replace(policy("topic write a"));
    assert!(!permit.may_receive(&topic) && permit.may_publish(&topic));
}

#[test]
fn a_permit_of_an_open_listener_follows_rules_that_come_and_go() {
    let open = || Policy { open: vec!["local".into()], ..Policy::default() };
    let access = Arc::new(Access::new(open()));
    let topic = TopicName::parse("a").unwrap();
    let live = access.permit(Identity { listener: "local".into(), ..Identity::default() });
    for mut permit in [live, access.permit_of_stored(&"c".into(), None)] {
        assert!(permit.may_publish(&topic) && permit.stored().is_none());
        access.replace(Policy { rules: Arc::new(acl("topic read a")), ..open() });
        assert!(!permit.may_publish(&topic) && permit.may_receive(&topic));
        access.replace(open());
        assert!(permit.may_publish(&topic));
    }
}

#[test]
fn a_file_that_was_read_for_rules_of_before_changes_nothing() {
    let access = Access::new(Policy { rules: Arc::new(acl("topic read a")), ..Policy::default() });
    let old = acl("topic read b").acl.unwrap();
    access.replace_acl(old.clone(), || false);
    let identity = Identity { client: "c".into(), ..Identity::default() };
    let reads = |access: &Access, topic: &str| {
        access.of(&identity).decide(Action::Subscribe, &TopicName::parse(topic).unwrap()).is_allowed
    };
    assert!(reads(&access, "a") && !reads(&access, "b"));
    access.replace_acl(old, || true);
    assert!(!reads(&access, "a") && reads(&access, "b"));
}

/// The quickest of several rounds: others may have this processor meanwhile.
fn quickest(granted: &Granted, topics: &[TopicName]) -> Duration {
    let round = || {
        let begun = Instant::now();
        let allowed = topics.iter().filter(|topic| granted.allows(Action::Publish, topic)).count();
        assert_eq!(allowed, topics.len());
        begun.elapsed()
    };
    (0..9).map(|_| round()).min().unwrap()
}

#[test]
fn ten_thousand_lines_cost_what_ten_cost() {
    let text = |lines: usize| -> String {
        let line = |number| format!("user u1\ntopic write plant/{number}/x/#\npattern write area{number}/%u/#\n");
        (0..lines / 2).map(line).chain(["pattern write b/%u/#".to_owned()]).collect()
    };
    let asker = identity(&Asker { user: Some("u1"), client: "c1" });
    let topics: Vec<TopicName> =
        (0..2_000).map(|number| TopicName::parse(&format!("b/u1/{number}")).unwrap()).collect();
    let [few, many] = [10, 10_000].map(|lines| acl(&text(lines)).of(&asker));
    assert!(quickest(&many, &topics) < quickest(&few, &topics) * 5);
}
