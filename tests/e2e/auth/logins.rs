//! Who knows the password is let in, and nobody else; what is answered tells nobody which users there are.

use std::process::Command;

use tidegate_tests::gateway::{Gateway, Launch};
use tidegate_tests::process::finish;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4, V5, Version};

use super::*;

const USER: (&str, &str) = ("ann", "correct horse");

fn refused_with(version: Version) -> u8 {
    if version == V5 { 0x86 } else { 4 }
}

#[test]
fn the_right_password_is_let_in_and_everything_else_is_told_the_same() {
    let gateway = asking("", &[USER, ("bob", "b")]);
    for version in [V4, V5] {
        assert_eq!(reason(&gateway, &Connect::new(version, "d").user(USER.0, USER.1)), 0);
        let wrong = [
            ("ann", "wrong"),
            ("ann", "correct horse "),
            ("ann", "b"),
            ("nobody", "correct horse"),
            ("Ann", "correct horse"),
        ];
        let answers =
            wrong.map(|(name, password)| try_connect(&gateway, &Connect::new(version, "d").user(name, password)).1);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0].reason(), refused_with(version));
        for without in [
            Connect::new(version, "d"),
            Connect::new(version, "d").username("ann"),
            Connect::new(version, "d").user("ann", ""),
        ] {
            assert_eq!(reason(&gateway, &without), refused_with(version));
        }
    }
    gateway.expect_count("logins_refused", 16);
}

#[test]
fn files_of_mosquitto_are_read_as_they_are_and_its_clients_let_in() {
    let home = home("");
    for (name, method) in [("six", "sha512"), ("seven", "sha512-pbkdf2")] {
        mosquitto_passwd(home.path(), name, "grün", method);
    }
    assert_eq!(passwd(home.path(), &[FILE, "new", "--stdin"], "grün\n").0, Some(0));
    let gateway = Gateway::launch(&home, &Launch::default());
    let mut listener = Raw::connect(gateway.address(), &Connect::new(V5, "listener").user("six", "grün")).0;
    listener.subscribe("t", 1);
    let publish = |user: &str, password: &str, version: &str| {
        let (host, port) = (gateway.address().ip().to_string(), gateway.address().port().to_string());
        let mut command = Command::new("mosquitto_pub");
        command.args([
            "-h", &host, "-p", &port, "-V", version, "-u", user, "-P", password, "-q", "1", "-t", "t", "-m", user,
        ]);
        finish("mosquitto_pub", &mut command)
    };
    for version in ["mqttv311", "mqttv5"] {
        for user in ["six", "seven", "new"] {
            assert_eq!(publish(user, "grün", version).code, Some(0), "{user}");
            let heard = listener.expect_delivery();
            assert_eq!(heard.payload, user);
            listener.acknowledge(&heard);
            let refused = publish(user, "gruen", version);
            assert!(refused.code != Some(0), "{user}: {refused:?}");
        }
    }
}

#[test]
fn a_file_that_is_wrong_or_missing_or_open_to_others_is_told_before_the_gateway_starts() {
    let home = home("");
    let check = || home.tidegate("check", &["--offline"]);
    let file = home.path().join(FILE);
    let empty = check();
    assert!(empty.code == Some(0) && empty.err.contains("has no users"), "{empty:?}");
    std::fs::write(&file, "# plant\nann:geheim\n").unwrap();
    let refused = check();
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(
        refused.err.contains("line 2: the password is not hashed") && !refused.err.contains("geheim"),
        "{refused:?}"
    );
    let Err(stillborn) = Gateway::try_launch(&home, &Launch::default()) else { panic!("it started") };
    assert!(
        stillborn.status.code() == Some(78) && !stillborn.log.text().contains("geheim"),
        "{}",
        stillborn.log.text()
    );
    std::fs::remove_file(&file).unwrap();
    assert!(check().err.contains("tidegate passwd"), "{}", check().err);
    mosquitto_passwd_into(&home);
    // As mosquitto_passwd leaves it under a usual umask.
    chmod(&file, 0o644);
    let doubted = check();
    assert!(doubted.code == Some(0) && doubted.err.contains("chmod 600"), "{doubted:?}");
    chmod(&file, 0o600);
    assert_eq!((check().code, check().err), (Some(0), String::new()));
}

fn mosquitto_passwd_into(home: &Home) {
    std::fs::write(home.path().join(FILE), "").unwrap();
    mosquitto_passwd(home.path(), "ann", "x", "sha512-pbkdf2");
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
