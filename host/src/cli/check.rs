//! `tidegate check`: is this configuration good, and is what it points to there?
//!
//! Two stages. The file alone: [`crate::control::config`], whose problems end the command with 78. Then the world that
//! it points to, one [`Finding`] for each thing that was looked at: [`look_around`] is the place for every such look.

use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{ConfigFile, EXIT_CONFIG, Format};
use crate::control::config::{self, Config, Problems, Severity, Upstream};
use crate::plugin::LoadedPlugin;
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Look at the files only, not at the network
    #[arg(long)]
    offline: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One thing outside the file that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// `upstream cloud`
    about: String,
    verdict: Verdict,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// The gateway starts all the same.
    Doubtful,
    /// The gateway does not start.
    Bad,
}

/// Long enough for a slow radio link, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = match args.format {
        Format::Text => args.config.load()?,
        Format::Json => match config::load(args.config.path()) {
            Ok(config) => config,
            Err(problems) => {
                writeln!(out, "{:#}", as_json(false, &problems, &[]))?;
                return Ok(ExitCode::from(EXIT_CONFIG));
            }
        },
    };
    let findings = look_around(&config, args.offline);
    let good = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    match args.format {
        Format::Json => writeln!(out, "{:#}", as_json(good, &config.warnings, &findings))?,
        Format::Text => write_text(args, &config, &findings, good, out)?,
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIG) })
}

/// Everything that the file points to and that can be tried without changing it.
fn look_around(config: &Config, offline: bool) -> Vec<Finding> {
    let upstreams = config.upstreams.iter().filter(|_| !offline).map(reach);
    try_out(config).into_iter().chain(upstreams).collect()
}

/// Opens what the gateway would open at its start: components, plugin settings, certificates, passwords.
fn try_out(config: &Config) -> Vec<Finding> {
    match setup::prepare(config, None) {
        Ok(setup) => setup.plugins.iter().map(describe).collect(),
        Err(setup::Refusals(refusals)) => {
            let bad = |text| Finding { about: "setup".to_owned(), verdict: Verdict::Bad, text };
            refusals.into_iter().map(bad).collect()
        }
    }
}

fn describe(plugin: &LoadedPlugin) -> Finding {
    let inspection = plugin.component().inspection();
    let contract = inspection.contract.as_deref().unwrap_or("unknown");
    let path = if inspection.batched { "batched" } else { "one message at a time" };
    let text = format!("contract {contract}, {path}, {} bytes", inspection.bytes);
    Finding { about: format!("plugin {}", plugin.name()), verdict: Verdict::Good, text }
}

/// Whether something answers at an upstream's address. The gateway starts without it, so silence is a doubt only.
fn reach(upstream: &Upstream) -> Finding {
    let address = (upstream.host.as_str(), upstream.port);
    let patience = upstream.connect_timeout.min(PATIENCE);
    let answer = address.to_socket_addrs().and_then(|mut found| match found.next() {
        Some(first) => TcpStream::connect_timeout(&first, patience),
        None => Err(std::io::Error::other("the host name has no address")),
    });
    let (verdict, text) = match answer {
        Ok(_) => (Verdict::Good, format!("{upstream} answers")),
        Err(error) => (Verdict::Doubtful, format!("{upstream} does not answer: {error}")),
    };
    Finding { about: format!("upstream {}", upstream.name), verdict, text }
}

fn write_text(
    args: &Args,
    config: &Config,
    findings: &[Finding],
    good: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for finding in findings {
        match finding.verdict {
            Verdict::Good => writeln!(out, "{}: {}", finding.about, finding.text)?,
            Verdict::Doubtful => eprintln!("warning: {}: {}", finding.about, finding.text),
            Verdict::Bad => eprintln!("error: {}", finding.text),
        }
    }
    if !good {
        return Ok(());
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let counts = [
        count(config.broker.listeners.len(), "listener"),
        count(config.upstreams.len(), "upstream"),
        count(config.plugins.len(), "plugin"),
        count(config.bindings.len(), "binding"),
    ];
    writeln!(out, "{}: good: {}", args.config.path().display(), counts.join(", "))
}

fn as_json(good: bool, problems: &Problems, findings: &[Finding]) -> serde_json::Value {
    let problem = |problem: &config::Problem| {
        let (line, column) = problems.position(problem).unzip();
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (sentence, advice) = (&problem.sentence, &problem.advice);
        json!({ "severity": severity, "line": line, "column": column, "sentence": sentence, "advice": advice })
    };
    let list: Vec<_> = problems.iter().map(problem).collect();
    json!({ "file": problems.file(), "good": good, "problems": list, "findings": findings })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;

    fn check(text: &str, format: Format) -> (ExitCode, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.toml");
        std::fs::write(&config, text).unwrap();
        let mut out = Vec::new();
        let args = Args { config: ConfigFile { config }, offline: false, format };
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    fn with_upstream(port: u16) -> Config {
        let text = format!("[upstreams.cloud]\nurl = \"mqtt://127.0.0.1:{port}\"");
        config::parse(&text, "f", Path::new("")).unwrap()
    }

    #[test]
    fn a_bad_file_in_json_is_data_and_exit_78() {
        let (code, out) = check("[gateway]\nid = 5\n", Format::Json);
        assert_eq!(code, ExitCode::from(78));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["good"], false);
        assert_eq!((&json["problems"][0]["line"], &json["problems"][0]["column"]), (&json!(2), &json!(6)));
    }

    #[test]
    fn a_good_file_is_counted() {
        let (code, out) = check("", Format::Text);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.ends_with("good: 1 listener, 0 upstreams, 0 plugins, 0 bindings\n"), "{out}");
    }

    #[test]
    fn an_upstream_is_doubted_exactly_when_nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = with_upstream(listener.local_addr().unwrap().port());
        assert_eq!(look_around(&config, false)[0].verdict, Verdict::Good);
        drop(listener);
        assert_eq!(look_around(&config, false)[0].verdict, Verdict::Doubtful);
        assert!(look_around(&config, true).is_empty());
    }
}
