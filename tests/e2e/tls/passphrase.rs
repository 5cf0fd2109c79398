//! A key of the gateway under a passphrase.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{fs, io};

use tidegate_tests::gateway::{Gateway, Launch};
use tidegate_tests::process::finish;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Authority, Client, Issued, replace};
use tidegate_tests::wire::V5;

use super::home;

const PASSPHRASES: [&str; 2] = ["hunter-2-and-more", "swordfish-and-more"];

/// Certificate and key, the key under this passphrase, in the place of those that are there.
fn write_sealed(folder: &Path, issued: &Issued, passphrase: &str) {
    let (open, sealed) = (folder.join("open.key"), folder.join("sealed.key"));
    replace(&open, &issued.key_pem);
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs8", "-topk8", "-v2", "aes256", "-passout", &format!("pass:{passphrase}")]);
    let finished = finish("openssl", openssl.arg("-in").arg(&open).arg("-out").arg(&sealed));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    replace(&folder.join("gw.pem"), &issued.certificate_pem);
    replace(&folder.join("gw.key"), &fs::read_to_string(sealed).expect("openssl has written it"));
}

#[test]
fn a_key_under_a_passphrase_is_used_is_renewed_with_it_and_neither_is_told() -> io::Result<()> {
    let authority = Authority::new("server CA");
    let home = Arc::new(home(", key_passphrase_file = \"gw.passphrase\"", "", ""));
    write_sealed(home.path(), &authority.server(), PASSPHRASES[0]);
    let passphrase = home.path().join("gw.passphrase");
    replace(&passphrase, &format!("{}\n", PASSPHRASES[0]));
    let gateway = Gateway::launch(&home, &Launch::default());
    let connect = || Client::new(&authority).connect(gateway.listener("devices")).expect("a good certificate");
    Raw::clean_over(connect(), V5, "device").leave();

    let renewed = authority.server();
    write_sealed(home.path(), &renewed, PASSPHRASES[1]);
    gateway.expect_log(&["cannot be used", "does not open with the passphrase"]);
    Raw::clean_over(connect(), V5, "device").leave();
    replace(&passphrase, &format!("{}\n", PASSPHRASES[1]));
    gateway.expect_log(&["are in use for new connections"]);
    assert_eq!(connect().conn.peer_certificates().expect("a handshake")[0], renewed.certificate);

    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o644))?;
    let checked = home.tidegate("check", &[]);
    let said = checked.out.clone() + &checked.err;
    assert!(said.contains("key_passphrase_file") && said.contains("chmod 600"), "{said}");
    let told = gateway.log().text() + &home.tidegate("status", &["--format", "json"]).out + &said;
    assert!(PASSPHRASES.iter().all(|secret| !told.contains(secret)));
    gateway.stop();
    Ok(())
}
