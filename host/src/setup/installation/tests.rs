use tempfile::TempDir;

use super::*;
use crate::config::{self, Config};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open_in(folder: &TempDir) -> Installation {
    Installation::open(folder.path(), &folder.path().join("spool")).unwrap()
}

fn client_ids(installation: &Installation) -> Vec<String> {
    let text = "[gateway]\nid = \"gw\"\n[upstreams.a]\nurl = \"mqtt://a\"\n[upstreams.b]\nurl = \"mqtt://b\"\nclient_id = \"own\"\n";
    let mut config: Config = config::parse(text, "x.toml", Path::new("")).unwrap();
    installation.complete(&mut config.upstreams);
    config.upstreams.into_iter().map(|upstream| upstream.client_id).collect()
}

/// Changes one thing in the file, in its place.
fn edit(folder: &TempDir, from: &str, to: &str) {
    let path = folder.path().join(FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn two_installations_of_one_configuration_are_two_clients_and_each_stays_itself() {
    let (one, other) = (folder(), folder());
    let ids = client_ids(&open_in(&one));
    let digits = ids[0].strip_prefix("tidegate-gw-a-").unwrap();
    assert!(digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{ids:?}");
    assert_eq!(ids[1], "own", "what is configured stays as it is");
    assert_ne!(client_ids(&open_in(&other))[0], ids[0]);
    let again = open_in(&one);
    assert_eq!((client_ids(&again), again.is_copy), (ids, false));
}

#[test]
fn a_gateway_that_has_run_without_an_identity_keeps_its_client_ids_for_good() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("spool")).unwrap();
    std::fs::write(folder.path().join("spool/segment"), "there").unwrap();
    for _ in 0..2 {
        let installation = open_in(&folder);
        assert_eq!((client_ids(&installation)[0].as_str(), installation.is_copy), ("tidegate-gw-a", false));
    }
}

#[test]
fn a_copied_folder_is_another_client_and_is_told_once() {
    let (original, copy) = (folder(), folder());
    let ids = client_ids(&open_in(&original));
    std::fs::copy(original.path().join(FILE), copy.path().join(FILE)).unwrap();
    let is_recognised = file::read(&copy.path().join(FILE)).unwrap().unwrap().1.is_some();
    let copied = open_in(&copy);
    assert_eq!((copied.is_copy, client_ids(&copied) != ids), (is_recognised, is_recognised));
    let again = open_in(&copy);
    assert_eq!((again.is_copy, client_ids(&again)), (false, client_ids(&copied)));
    assert_eq!(client_ids(&open_in(&original)), ids);
}

#[test]
fn a_folder_on_another_machine_is_a_copy_and_one_that_knows_no_machine_is_not() {
    let folder = folder();
    let before = open_in(&folder);
    let path = folder.path().join(FILE);
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["place"]["machine"] = "another".into();
    std::fs::write(&path, json.to_string()).unwrap();
    let has_number = Place::of_machine().machine.is_some();
    assert_eq!(open_in(&folder).is_copy, has_number);
    assert_eq!(open_in(&folder) != before, has_number);
}

#[test]
fn what_is_not_known_decides_nothing() {
    let place = |machine: Option<&str>, inode| Place { machine: machine.map(str::to_owned), inode };
    let known = place(Some("a"), Some(1));
    assert_eq!(known.why_other(&place(None, None), None), None);
    assert_eq!(place(None, None).why_other(&place(Some("a"), None), Some(1)), None);
    assert_eq!(known.why_other(&place(Some("a"), None), Some(1)), None);
    assert!(known.why_other(&place(Some("b"), None), Some(1)).is_some());
    assert!(known.why_other(&place(Some("a"), None), Some(2)).is_some());
}

#[test]
fn a_damaged_identity_is_kept_aside_and_made_anew() {
    let folder = folder();
    open_in(&folder);
    edit(&folder, "\"id\": \"", "\"id\": \"not hex ");
    let installation = open_in(&folder);
    assert_eq!(open_in(&folder), installation);
    assert!(folder.path().join(DAMAGED).exists());
}
