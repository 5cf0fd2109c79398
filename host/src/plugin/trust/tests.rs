use std::fs;

use minisign::KeyPair;

use super::*;
use crate::config::PublicKey;
use crate::plugin::fixtures;

/// A folder with a component that somebody signs.
struct Site {
    folder: tempfile::TempDir,
    pair: KeyPair,
    required: bool,
    downgrade_to: Option<String>,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), pair: pair(), required: true, downgrade_to: None };
        fs::write(site.component(), b"a component").unwrap();
        site
    }

    fn component(&self) -> std::path::PathBuf {
        self.folder.path().join("x.wasm")
    }

    fn signature(&self) -> std::path::PathBuf {
        self.folder.path().join("x.wasm.minisig")
    }

    fn sign(&self, comment: &str) {
        self.sign_with(&self.pair, comment);
    }

    fn sign_with(&self, pair: &KeyPair, comment: &str) {
        let bytes = fs::read(self.component()).unwrap();
        let signed = minisign::sign(Some(&pair.pk), &pair.sk, &bytes[..], Some(comment), None).unwrap();
        fs::write(self.signature(), signed.to_string()).unwrap();
    }

    fn trust(&self) -> Trust {
        let key = PublicKey::parse(&self.pair.pk.to_base64()).unwrap();
        let keys = vec![config::TrustedKey { name: "ops".into(), key }];
        Trust::open(&config::Trust { keys, require_signature: self.required }, self.folder.path()).unwrap()
    }

    fn examine(&self) -> Result<Provenance, Problem> {
        let mut plugin = fixtures::plugin(self.component(), "{}");
        plugin.downgrade_to = self.downgrade_to.clone();
        let file = ComponentFile::read(&plugin.component, 1_000).unwrap();
        self.trust().examine(&plugin, &file)
    }

    /// What a start of the gateway with it does.
    fn start(&self) -> Result<Provenance, Problem> {
        let provenance = self.examine()?;
        self.trust().remember([("vices", &provenance)].into_iter()).unwrap();
        Ok(provenance)
    }
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

#[test]
fn a_good_signature_tells_who_signed_and_which_version() {
    let site = Site::new();
    site.sign("timestamp:1\tfile:x.wasm\thashed version:1.2.3");
    let version = Version::parse("1.2.3").ok();
    assert_eq!(site.examine(), Ok(Provenance { signer: Some("ops".into()), version }));
}

#[test]
fn without_a_signature_it_depends_on_what_is_asked_for() {
    let mut site = Site::new();
    let refused = site.examine().unwrap_err().to_string();
    assert!(refused.contains("x.wasm.minisig") && refused.contains("minisign -S"), "{refused}");
    site.required = false;
    assert_eq!(site.examine(), Ok(Provenance::default()));
}

#[test]
fn a_signature_that_is_there_must_be_good_even_if_none_is_asked_for() {
    let mut site = Site::new();
    site.required = false;
    site.sign_with(&pair(), "version:1.0.0");
    assert!(matches!(site.examine(), Err(Problem::UnknownKey { .. })));
    fs::write(site.signature(), "").unwrap();
    assert!(matches!(site.examine(), Err(Problem::SignatureDamaged(_))));
}

#[test]
fn an_unknown_key_is_named_beside_those_that_are_trusted() {
    let (site, stranger) = (Site::new(), pair());
    site.sign_with(&stranger, "version:1.0.0");
    let told = site.examine().unwrap_err().to_string();
    let number = |pair: &KeyPair| PublicKey::parse(&pair.pk.to_base64()).unwrap().id().to_string();
    assert!(told.contains(&number(&stranger)) && told.contains(&format!("ops ({})", number(&site.pair))), "{told}");
}

#[test]
fn one_changed_byte_of_the_file_or_the_comment_is_noticed() {
    let site = Site::new();
    site.sign("version:1.0.0");
    let (signature, bytes) = (fs::read_to_string(site.signature()).unwrap(), fs::read(site.component()).unwrap());
    fs::write(site.component(), b"a componenT").unwrap();
    assert_eq!(site.examine(), Err(Problem::WrongSignature { key: "ops".into() }));
    fs::write(site.component(), bytes).unwrap();
    fs::write(site.signature(), signature.replace("version:1.0.0", "version:9.0.0")).unwrap();
    assert_eq!(site.examine(), Err(Problem::WrongSignature { key: "ops".into() }));
    fs::write(site.signature(), signature).unwrap();
    site.examine().unwrap();
}

#[test]
fn a_signature_cut_anywhere_is_refused_and_never_a_panic() {
    let site = Site::new();
    site.sign("version:1.0.0");
    let whole = fs::read(site.signature()).unwrap();
    for length in 0..whole.trim_ascii_end().len() {
        fs::write(site.signature(), &whole[..length]).unwrap();
        site.examine().unwrap_err();
    }
}

#[test]
fn words_of_the_comment_that_cannot_be_believed_are_refused() {
    let site = Site::new();
    site.sign("file:y.wasm");
    assert_eq!(site.examine(), Err(Problem::OtherFile { signed_as: "y.wasm".into() }));
    for comment in ["version:1", "version:1.0.0 version:2.0.0", "version:", "file:x.wasm file:y.wasm"] {
        site.sign(comment);
        assert!(matches!(site.examine(), Err(Problem::SignatureComment { .. })), "{comment}");
    }
}

#[test]
fn an_older_version_comes_back_only_when_exactly_it_is_named() {
    let mut site = Site::new();
    site.sign("version:1.10.0");
    site.start().unwrap();
    for (comment, to) in
        [("version:1.9.0", "1.9.0"), ("version:1.10.0-rc.1", "1.10.0-rc.1"), ("file:x.wasm", "unversioned")]
    {
        site.sign(comment);
        assert_eq!(site.start(), Err(Problem::Downgrade { from: "1.10.0".into(), to: to.into() }));
    }
    site.sign("version:1.9.0");
    site.downgrade_to = Some("1.8.0".into());
    site.start().unwrap_err();
    site.downgrade_to = Some("1.9.0".into());
    site.start().unwrap();
    site.downgrade_to = None;
    site.start().unwrap();
    site.sign("version:1.10.0+other");
    site.start().unwrap();
}

#[test]
fn a_signature_cannot_be_taken_away_to_get_round_the_version() {
    let mut site = Site::new();
    site.required = false;
    site.sign("version:1.0.0");
    site.start().unwrap();
    fs::remove_file(site.signature()).unwrap();
    assert_eq!(site.start(), Err(Problem::Downgrade { from: "1.0.0".into(), to: "unsigned".into() }));
    site.downgrade_to = Some("unsigned".into());
    site.start().unwrap();
}

#[test]
fn looking_remembers_nothing() {
    let site = Site::new();
    site.sign("version:2.0.0");
    site.examine().unwrap();
    site.sign("version:1.0.0");
    site.start().unwrap();
}

#[test]
fn a_ledger_that_cannot_be_read_is_no_reason_to_forget() {
    let site = Site::new();
    for text in ["", "{", "{\"plugins\":{},\"more\":1}"] {
        fs::write(site.folder.path().join("plugin-versions.json"), text).unwrap();
        let error = Trust::open(&config::Trust::default(), site.folder.path()).unwrap_err().to_string();
        assert!(error.contains("plugin-versions.json") && error.contains("delete it"), "{error}");
    }
}
