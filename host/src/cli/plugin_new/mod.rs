//! `tidegate plugin new`: a plugin in Rust in a folder of its own, with a test, a gateway to try it on, and the SDK that it needs.

mod name;
mod template;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::plugin_sdk;
use name::Name;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it is called, as are its folder, its crate and its component
    name: Name,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    make(&args.name, Path::new(""))?;
    out.write_all(template::next_steps(&args.name).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn make(name: &Name, at: &Path) -> anyhow::Result<()> {
    plugin_sdk::new_folder(&at.join(name.as_str()), |folder| {
        for (file, text) in template::files(name) {
            plugin_sdk::write_file(&folder.join(file), &text)?;
        }
        plugin_sdk::write(&folder.join(plugin_sdk::NAME))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn its_configuration_lacks_nothing_but_the_component() {
        let folder = tempfile::tempdir().unwrap();
        make(&name("in-range"), folder.path()).unwrap();
        let made = folder.path().join("in-range");
        fs::write(made.join("in-range.wasm"), "to come").unwrap();
        let config = config::load(&made.join("gateway.toml")).unwrap();
        assert!(config.warnings.is_empty());
    }

    #[test]
    fn nothing_of_the_template_is_left_open() {
        for (file, text) in template::files(&name("in-range")) {
            assert!(!text.contains("NAME"), "{file}: {text}");
        }
        assert!(!template::next_steps(&name("in-range")).contains("NAME"));
    }

    #[test]
    fn a_second_one_of_the_name_is_refused_and_the_first_stays() {
        let folder = tempfile::tempdir().unwrap();
        make(&name("a"), folder.path()).unwrap();
        let source = folder.path().join("a/src/lib.rs");
        fs::write(&source, "mine").unwrap();
        assert!(make(&name("a"), folder.path()).unwrap_err().to_string().contains("is there already"));
        assert_eq!(fs::read_to_string(source).unwrap(), "mine");
    }
}
