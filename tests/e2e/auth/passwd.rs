//! `tidegate passwd`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn it_makes_changes_and_removes_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    let text = || fs::read_to_string(&file).unwrap();
    assert!(passwd(folder.path(), &[FILE, "ann", "--stdin"], "secret\n").1.contains("ann is added"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text().starts_with("ann:$argon2id$v=19$m=19456,t=2,p=1$") && !text().contains("secret"));
    mosquitto_passwd(folder.path(), "bob", "b", "sha512-pbkdf2");
    let before = text();
    assert!(passwd(folder.path(), &[FILE, "ann", "--stdin"], "secret\n").1.contains("ann is changed"));
    assert_ne!(text(), before, "another salt");
    assert_eq!(text().lines().nth(1), before.lines().nth(1), "the line of bob");
    assert_eq!(passwd(folder.path(), &["-D", FILE, "ann"], "").0, Some(0));
    assert!(text().starts_with("bob:$7$"));
    let (code, said) = passwd(folder.path(), &["-D", FILE, "ann"], "");
    assert!(code == Some(1) && said.contains("has no user ann"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(1_025);
    for (user, stdin, words) in [
        ("a:b", "p\n", "cannot have `:`"),
        ("", "p\n", "is empty"),
        ("#a", "p\n", "cannot begin with `#`"),
        ("a\n", "p\n", "control character"),
        ("ann", "", "password is empty"),
        ("ann", "\n", "password is empty"),
        ("ann", &long, "longer than 1024"),
    ] {
        let (code, said) = passwd(folder.path(), &[FILE, user, "--stdin"], stdin);
        assert!(code == Some(1) && said.contains(words), "{user:?}: {code:?} {said}");
    }
    // Nobody is there to be asked: not a hang.
    let (code, said) = passwd(folder.path(), &[FILE, "ann"], "secret\n");
    assert!(code == Some(1) && said.contains("--stdin") && !said.contains("secret"), "{said}");
    assert_eq!(passwd(folder.path(), &[FILE, "ann", "secret"], "").0, Some(2), "no password on a command line");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
