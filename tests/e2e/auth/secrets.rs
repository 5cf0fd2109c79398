//! A password, right or wrong, and a hash get into no log at any level, no status, no file of the gateway.

use std::fs;

use tidegate_tests::gateway::{Gateway, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4, V5};

use super::*;

const RIGHT: &str = "korrektes-pferd-7";
const WRONG: &str = "falsches-pferd-8";
/// Typed where the name belongs.
const SLIPPED: &str = "pferd-im-namen-9";

#[test]
fn no_secret_leaves_the_process() {
    let home = home("");
    mosquitto_passwd(home.path(), "ann", RIGHT, "sha512-pbkdf2");
    let hash = fs::read_to_string(home.path().join(FILE)).unwrap().rsplit('$').next().unwrap().trim().to_owned();
    let env = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
    let gateway = Gateway::launch(&home, &Launch { env, ..Launch::default() });
    for version in [V4, V5] {
        let mut ann = Raw::connect(gateway.address(), &Connect::new(version, "d").user("ann", RIGHT).persistent(60)).0;
        ann.publish("t", "x", 1);
        for (name, password) in [("ann", WRONG), ("nobody", WRONG), (SLIPPED, "x"), (WRONG, RIGHT)] {
            assert_ne!(reason(&gateway, &Connect::new(version, "e").user(name, password)), 0);
        }
    }
    let shown: String = [&["--format", "json"][..], &[]]
        .into_iter()
        .flat_map(|format| ["status", "sessions"].map(|command| gateway.home().tidegate(command, format).out))
        .collect();
    let checked = gateway.home().tidegate("check", &["--format", "json"]);
    let stopped = gateway.log().clone();
    drop(gateway);
    let written = stopped.text();
    assert!(written.contains("TRACE") || written.contains("DEBUG"), "the log is at its loudest");
    let kept = files(&home.path().join("data"));
    for secret in [RIGHT, WRONG, SLIPPED, &hash] {
        for (where_, text) in [("log", &written), ("status", &shown), ("check", &(checked.out.clone() + &checked.err))]
        {
            assert!(!text.contains(secret), "{secret} is in the {where_}:\n{text}");
        }
        let found = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(kept.iter().all(|bytes| !found(bytes)), "{secret} is in the data folder");
    }
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => all.extend(files(&entry.path())),
            kind if kind.is_file() => all.extend(fs::read(entry.path())),
            // `compiled` is a link to what all tests share.
            _ => {}
        }
    }
    all
}
