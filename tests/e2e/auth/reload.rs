//! A password file that changes while the gateway runs.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4, V5};

use super::*;

#[test]
fn who_is_removed_or_has_another_password_is_sent_away_and_everybody_else_stays() {
    let gateway = asking("", &[("gone", "g"), ("changed", "c"), ("kept", "k")]);
    let folder = gateway.home().path().to_owned();
    let connect =
        |version, user: &str, password: &str| Connect::new(version, user).user(user, password).persistent(600);
    let mut kept = Raw::connect(gateway.address(), &connect(V5, "kept", "k")).0;
    let mut gone = Raw::connect(gateway.address(), &connect(V5, "gone", "g")).0;
    let mut changed = Raw::connect(gateway.address(), &connect(V4, "changed", "c")).0;
    assert_eq!(passwd(&folder, &["-D", FILE, "gone"], "").0, Some(0));
    assert_eq!(passwd(&folder, &[FILE, "changed", "--stdin"], "new\n").0, Some(0));
    let last_words = gone.expect_close();
    assert_eq!(
        last_words.iter().map(|packet| (packet.kind(), packet.reason())).collect::<Vec<_>>(),
        [(wire::DISCONNECT, 0x87)]
    );
    assert_eq!(changed.expect_close(), []);
    kept.publish("t", "still here", 1);
    assert_eq!(reason(&gateway, &connect(V5, "gone", "g")), 0x86);
    assert_eq!(reason(&gateway, &connect(V5, "changed", "c")), 0x86);
    let (_, connack) = Raw::connect(gateway.address(), &connect(V4, "changed", "new"));
    assert!(connack.session_present(), "the session stays for who comes back");
    kept.expect_quiet();
}

#[test]
fn a_bad_file_leaves_the_old_one_in_use_and_a_good_one_is_taken_after_it() {
    let gateway = asking("", &[("ann", "a")]);
    let file = gateway.home().path().join(FILE);
    let mut ann = Raw::connect(gateway.address(), &Connect::new(V5, "d").user("ann", "a")).0;
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}bob:geheim\n")).unwrap();
    gateway.expect_log(&["ERROR", "line 2: the password is not hashed", "stays in use"]);
    std::fs::remove_file(&file).unwrap();
    gateway.expect_log(&["ERROR", "cannot be read", "stays in use"]);
    assert_eq!(reason(&gateway, &Connect::new(V5, "e").user("ann", "a")), 0);
    std::fs::write(&file, good).unwrap();
    mosquitto_passwd(gateway.home().path(), "bob", "b", "sha512-pbkdf2");
    soon("bob is let in", || reason(&gateway, &Connect::new(V5, "f").user("bob", "b")) == 0);
    ann.expect_quiet();
    assert_eq!(gateway.log().count(|line| line.contains("geheim")), 0);
}
