//! Every problem, drawn as people see it: `golden/NAME.toml` beside `golden/NAME.err`, and `golden/files` is there for
//! the paths in them. `UPDATE_GOLDEN=1 cargo test golden` writes the `.err` files anew; read the difference before it is kept.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{Severity, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/golden")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    cases.sort();
    cases
}

/// What a person sees for one file: its problems, or the warnings of what was accepted.
fn drawn(case: &Path) -> String {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    match parse(&fs::read_to_string(case).unwrap(), &name, &folder()) {
        Ok(config) => config.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_problem_is_drawn_as_its_golden_file_says() {
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = String::new();
    let cases = cases();
    assert!(cases.len() > 20, "the folder is not where this test looks");
    for case in cases {
        let (drawn, golden) = (drawn(&case) + "\n", case.with_extension("err"));
        if update {
            fs::write(&golden, &drawn).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if drawn != expected {
            different += &format!("{}\n--- expected\n{expected}\n--- drawn\n{drawn}\n", case.display());
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn each_golden_file_has_something_to_say_and_warnings_alone_refuse_nothing() {
    for case in cases() {
        assert!(!drawn(&case).is_empty(), "{}", case.display());
        let text = fs::read_to_string(&case).unwrap();
        let only_doubts = case.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("warning-"));
        let accepted = parse(&text, "f", &folder());
        assert_eq!(accepted.is_ok(), only_doubts, "{}", case.display());
        let warnings = accepted.map_or_else(|problems| problems, |config| config.warnings);
        assert!(warnings.count(Severity::Error) > 0 || only_doubts);
    }
}
