//! Configuration text as anybody may write it: problems or a configuration, and problems can be drawn; never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidegate::config;

fuzz_target!(|text: &str| {
    if let Err(problems) = config::parse(text, "fuzz.toml", Path::new("/nonexistent")) {
        assert!(!problems.render(false).is_empty());
    }
});
