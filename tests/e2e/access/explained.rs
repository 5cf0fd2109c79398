//! `tidegate explain … publish|subscribe TOPIC` names the line that decides, and `check` what can never be.

use tidegate_tests::gateway::Home;
use tidegate_tests::process::Finished;

use super::*;

const ACL: &str = "# people\nuser ann\ntopic write a/#\npattern read of/%u/#\n";

fn home() -> Home {
    let home = Home::exactly(&format!("[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n{PEOPLE}"));
    fs::write(home.path().join("acl"), ACL).unwrap();
    home
}

fn explain(home: &Home, words: &[&str]) -> Finished {
    let finished = home.tidegate("explain", words);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished
}

#[test]
fn the_line_that_decides_is_named_with_its_file() {
    let home = home();
    let cases = [
        (["--as", "ann", "publish", "a/b"].as_slice(), "allowed: publish a/b, as user ann", "acl:3: topic write a/#"),
        (&["--as", "ann", "subscribe", "of/ann/x"], "allowed: subscribe of/ann/x", "acl:4: pattern read of/%u/#"),
        (&["--as", "ann", "subscribe", "#"], "allowed: subscribe #", "acl:4: pattern"),
        (&["--as", "ann", "subscribe", "a/b"], "denied: subscribe a/b", "no rule allows it"),
        (&["publish", "a/b"], "denied: publish a/b, as nobody", "no rule allows it"),
        (&["--client", "writer", "publish", "a/b"], "allowed: publish", "gateway.toml:11: publish #"),
        (&["--client", "writer", "--listener", "local", "subscribe", "a"], "denied", "gateway.toml:9: this rule"),
        (&["--client", "writer", "publish", "$SYS/x"], "denied", "belongs to the gateway"),
        (&["--as", "a+", "subscribe", "of/x"], "denied", "contains `+`"),
    ];
    for (words, answer, by) in cases {
        let said = explain(&home, words).out;
        assert!(said.contains(answer) && said.contains(by), "{words:?}: {said}");
    }
    let json = explain(&home, &["--as", "ann", "publish", "a/b", "--format", "json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["allowed"], &json["line"], &json["file"]), (&true.into(), &3.into(), &"acl".into()));
}

#[test]
fn a_topic_alone_is_explained_as_before_and_with_a_user_its_rights_too() {
    let home = home();
    let plain = explain(&home, &["a/b"]).out;
    assert_eq!(plain, "a/b\n  no binding matches: it stays local\n");
    let said = explain(&home, &["a/b", "--as", "ann"]).out;
    assert!(said.contains("  allowed: publish a/b") && said.contains("  denied: subscribe a/b"), "{said}");
    assert!(said.ends_with("no binding matches: it stays local\n"), "{said}");
}

#[test]
fn a_question_that_is_none_is_refused() {
    let home = home();
    for (words, why) in [
        (["publish", "a/+"].as_slice(), "must not contain the wildcard"),
        (&["reads", "a"], "neither `publish` nor `subscribe`"),
        (&["subscribe", "a/#/b"], "alone, as the last level"),
        (&["a/+"], "must not contain the wildcard"),
    ] {
        let finished = home.tidegate("explain", words);
        assert!(finished.code == Some(2) && finished.err.contains(why), "{finished:?}");
    }
    let finished = home.tidegate("explain", &["--listener", "loca", "publish", "a"]);
    assert!(finished.code == Some(1) && finished.err.contains("did you mean `local`?"), "{finished:?}");
}

#[test]
fn a_gateway_does_not_start_with_a_bad_file_and_check_names_each_line() {
    let home = home();
    fs::write(home.path().join("acl"), "user\ntopic raed x\n").unwrap();
    for command in ["check", "run"] {
        let finished = home.tidegate(command, &[]);
        assert_eq!(finished.code, Some(78), "{finished:?}");
        for words in ["acl:1: `user` needs a name", "acl:2: `raed` is none of"] {
            assert!(finished.err.contains(words) || finished.out.contains(words), "{finished:?}");
        }
    }
}
