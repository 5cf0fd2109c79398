//! Text as anybody may write it, as a mosquitto.conf: a configuration that is good but for files that are not there; never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidegate::{cli, config};

fuzz_target!(|text: &str| {
    let imported = cli::import::of_text(text);
    if let Err(problems) = config::parse(&imported, "gateway.toml", Path::new("/nonexistent")) {
        let is_file = |problem: &config::Problem| problem.sentence.contains("there is no file");
        let others = problems.iter().filter(|problem| problem.severity == config::Severity::Error && !is_file(problem));
        assert_eq!(others.count(), 0, "{problems}\n{imported}");
    }
});
