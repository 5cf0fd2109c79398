//! Files as people publish them, and files that nobody would write.
//!
//! `golden/NAME.conf` beside `golden/NAME.toml`, which is all of the output, comments included; what `/etc/mosquitto` stands for is
//! in `golden/files`. `UPDATE_GOLDEN=1 cargo test import` writes the `.toml` files anew; read the difference before it is kept.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proptest::prelude::*;

use super::*;
use crate::config::Severity;

const ETC: &str = "/etc/mosquitto";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/import/golden")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "conf")).collect();
    cases.sort();
    assert!(cases.len() >= 20, "the folder is not where this test looks");
    cases
}

/// Where the files that a case names are: with what is in them, and with the passwords that it brings.
fn etc() -> tempfile::TempDir {
    let etc = tempfile::tempdir().unwrap();
    copy(&folder().join("files"), etc.path(), &etc.path().display().to_string());
    etc
}

fn copy(from: &Path, to: &Path, etc: &str) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, etc);
        } else {
            fs::write(target, fs::read_to_string(entry.path()).unwrap().replace(ETC, etc)).unwrap();
        }
    }
}

/// Read from disk, as the command does.
fn imported(case: &Path, etc: &Path) -> (Vec<Line>, Imported) {
    let place = etc.display().to_string();
    let file = etc.join(case.file_name().unwrap());
    fs::write(&file, fs::read_to_string(case).unwrap().replace(ETC, &place)).unwrap();
    let lines = source::read(&file).unwrap();
    let paths = Paths::new(&file, &etc.join("gateway.toml"));
    let imported = import(&lines, &file.display().to_string(), &paths, true);
    for secret in &imported.secrets {
        fs::write(etc.join(&secret.file), &secret.text).unwrap();
    }
    (lines, imported)
}

#[test]
fn what_comes_of_each_file_is_as_its_golden_file_says() {
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = String::new();
    for case in cases() {
        let etc = etc();
        let text = imported(&case, etc.path()).1.text.replace(&etc.path().display().to_string(), ETC);
        let golden = case.with_extension("toml");
        if update {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if text != expected {
            different += &format!("{}\n--- expected\n{expected}\n--- written\n{text}\n", case.display());
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn what_comes_of_each_file_is_good() {
    for case in cases() {
        let etc = etc();
        let (_, imported) = imported(&case, etc.path());
        let config = config::parse(&imported.text, "gateway.toml", etc.path());
        let config = config.unwrap_or_else(|problems| panic!("{}: {problems}\n{}", case.display(), imported.text));
        assert!(config.warnings.is_empty(), "{}: {}", case.display(), config.warnings);
    }
}

#[test]
fn each_line_is_taken_over_or_named_where_it_stands() {
    for case in cases() {
        let etc = etc();
        let (lines, imported) = imported(&case, etc.path());
        assert_eq!(imported.report.count(), lines.len());
        for line in &lines {
            let place = format!("# {}", draft::one_line(&line.to_string()));
            let is_shown = imported.text.lines().any(|shown| shown == place);
            let is_closed =
                matches!(line.keyword.as_str(), "allow_anonymous" | "per_listener_settings" | "include_dir");
            assert!(is_shown || line.fate() == line::Fate::Taken, "{}: {line}", case.display());
            // What needs no setting: words that only say how others are meant.
            let without = is_closed || is_default(line);
            assert!(is_shown || without, "{}: {line} is taken over, and stands nowhere", case.display());
        }
    }
}

/// What is taken over by writing nothing.
fn is_default(line: &Line) -> bool {
    let value = line.value.as_str();
    match line.keyword.as_str() {
        "protocol" => value == "mqtt",
        "bridge_insecure" | "bridge_outgoing_retain" | "round_robin" => value != "true",
        "bridge_capath" => value.starts_with("/etc/ssl"),
        _ => false,
    }
}

/// Each secret of the golden files, in none of what is written or said.
#[test]
fn no_password_is_written_or_said() {
    for case in cases() {
        let etc = etc();
        let (lines, imported) = imported(&case, etc.path());
        for line in lines.iter().filter(|line| line.keyword.contains("password") && !line.keyword.contains("file")) {
            let said = [&imported.text, &imported.report.talk(), &imported.report.comments()];
            assert!(!said.iter().any(|text| text.contains(&line.value)), "{}: {line}", case.display());
        }
    }
}

#[test]
fn without_a_place_for_it_a_password_is_left_to_who_imports() {
    let text = "connection c\naddress b\nremote_username u\nremote_password geheim\ntopic # out 1\n";
    let lines = source::lines(text, "m.conf", 0);
    let imported = import(&lines, "m.conf", &Paths::new(Path::new("m.conf"), Path::new("gateway.toml")), false);
    assert!(!imported.text.contains("geheim") && !imported.text.contains("password_file ="), "{}", imported.text);
    assert!(imported.secrets.is_empty() && imported.report.has_left());
}

/// Keywords with values that may mean something, in any order.
fn line() -> impl Strategy<Value = String> {
    let keywords: Vec<&'static str> =
        options::all().map(|keyword| keyword.name).chain(["plugin_opt_x", "bogus"]).collect();
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just(String::new()),
        "-?[0-9]{1,12}[hdwmy]?",
        "[0-9]{1,5} (localhost|127\\.0\\.0\\.1|::|0\\.0\\.0\\.0|[a-z]{1,4})",
        "[a-z]{1,5}(:[0-9]{1,5})?",
        "(#|\\+/[a-z]|\"\"|[a-z{}/+#]{1,4}) (out|in|both) [0-3] (\"\"|[a-z/]{1,4}) (\"\"|[a-z/{}]{1,4})",
        "(mqtt|websockets|mqttv50|mqttv31|tlsv1\\.2|ipv4|ipv6|lazy|engine)",
        "\\PC{0,12}",
    ];
    let common = prop_oneof![
        3 => prop::sample::select(keywords),
        2 => prop::sample::select(vec!["listener", "connection", "address", "topic", "allow_anonymous", "clientid", "max_connections"]),
    ];
    (common, value).prop_map(|(keyword, value)| format!("{keyword} {value}"))
}

/// The files that a configuration names are there, whatever they are called.
fn good(text: &str, imported: &Imported) -> Result<(), TestCaseError> {
    let Err(problems) = config::parse(&imported.text, "gateway.toml", Path::new("/nonexistent")) else { return Ok(()) };
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
        let is_file = problem.sentence.contains("there is no file");
        prop_assert!(is_file, "{}\nof\n{text}\nis\n{}", problem.sentence, imported.text);
    }
    Ok(())
}

fn import_text(text: &str) -> (usize, Imported) {
    let lines = source::lines(text, "m.conf", 0);
    let paths = Paths::new(Path::new("m.conf"), Path::new("gateway.toml"));
    (lines.len(), import(&lines, "m.conf", &paths, true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_becomes_a_good_configuration_in_which_each_line_is_accounted_for(text in "(\\PC|[\n\t\r #\u{0}-\u{1f}\u{7f}\u{85}]){0,200}") {
        let (lines, imported) = import_text(&text);
        prop_assert_eq!(imported.report.count(), lines);
        good(&text, &imported)?;
    }

    #[test]
    fn any_lines_of_known_keywords_become_a_good_configuration(lines in prop::collection::vec(line(), 0..25)) {
        let text = lines.join("\n");
        let (count, imported) = import_text(&text);
        prop_assert_eq!(imported.report.count(), count);
        good(&text, &imported)?;
    }
}
