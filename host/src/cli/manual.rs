//! `tidegate man`: the manual pages, made of the same definition that the command line is read with. One for the program, one for each
//! command: `tidegate-spool-stat(1)`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::Cli;

/// What no option says. In the language of the pages, for they end with it.
const MORE: &str = include_str!("manual.roff");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the pages of all commands into this folder, instead of the page of the program to stdout
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match &args.out {
        Some(folder) => {
            write_pages(folder).with_context(|| format!("no pages can be written into {}", folder.display()))?;
        }
        None => out.write_all(&program_page()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    fs::write(folder.join("tidegate.1"), program_page()?)
}

fn program_page() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page)?;
    page.extend_from_slice(MORE.as_bytes());
    Ok(page)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A command that people are to see, and its long options.
    pub struct Shown {
        /// As its page is named: `tidegate-spool-stat`.
        pub page: String,
        pub options: Vec<String>,
    }

    pub fn shown() -> Vec<Shown> {
        let mut command = Cli::command();
        command.build();
        let mut all = Vec::new();
        gather("", &command, &mut all);
        assert!(all.len() > 10, "the definition was walked");
        all
    }

    fn gather(above: &str, command: &clap::Command, all: &mut Vec<Shown>) {
        let page =
            if above.is_empty() { command.get_name().to_owned() } else { format!("{above}-{}", command.get_name()) };
        let options = command.get_arguments().filter(|one| !one.is_hide_set());
        let options = options.filter_map(|one| one.get_long().map(str::to_owned)).collect();
        for below in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
            gather(&page, below, all);
        }
        all.push(Shown { page, options });
    }

    #[test]
    fn every_command_has_a_page_with_every_option_of_it() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(folder.path()).unwrap();
        let shown = shown();
        for Shown { page, options } in &shown {
            let text =
                fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap_or_else(|_| panic!("no {page}.1"));
            // A dash that is to be copied from a page is written `\-`.
            let text = text.replace(r"\-", "-");
            for option in options {
                assert!(text.contains(&format!("--{option}")), "{page}.1 has no `--{option}`");
            }
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            shown.len(),
            "and no page is of a command that is hidden"
        );
    }

    #[test]
    fn the_page_of_the_program_ends_with_what_no_option_says() {
        let page = String::from_utf8(program_page().unwrap()).unwrap();
        for section in [".SH FILES", ".SH SIGNALS", ".SH \"EXIT STATUS\""] {
            assert!(page.contains(section), "no {section}");
        }
    }
}
