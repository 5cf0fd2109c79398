//! `tidegate check`: is this configuration good, and is what it points to there?
//!
//! Two stages. The file alone: [`crate::config`], whose problems end the command with 78. Then the world that
//! it points to, one [`Finding`] for each thing that was looked at: [`look_around`] is the place for every such look.

mod place;
mod tls;
mod world;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{ConfigFile, EXIT_CONFIG, Format};
use crate::base::log_writer::say;
use crate::base::plain::line;
use crate::config::{self, Config, Problems, Severity, Upstream};
use crate::egress::{self, Probed};
use crate::mqtt::Version;
use crate::plugin::LoadedPlugin;
use crate::setup;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Look at the files only, not at the network
    #[arg(long)]
    offline: bool,
    /// Exit with 1 when there is a warning
    #[arg(long)]
    strict: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One thing outside the file that was looked at.
#[derive(Debug)]
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
    let config = match (config::load(args.config.path()), args.format) {
        (Ok(config), _) => config,
        (Err(problems), Format::Text) => return Err(problems.into()),
        (Err(problems), Format::Json) => {
            writeln!(out, "{:#}", as_json(false, &problems, &[]))?;
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let findings = look_around(&config, args.offline);
    let good = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    match args.format {
        Format::Json => writeln!(out, "{:#}", as_json(good, &config.warnings, &findings))?,
        Format::Text => write_text(args, &config, &findings, good, out)?,
    }
    let is_doubtful =
        config.warnings.iter().next().is_some() || findings.iter().any(|finding| finding.verdict == Verdict::Doubtful);
    Ok(match good {
        true if args.strict && is_doubtful => ExitCode::FAILURE,
        true => ExitCode::SUCCESS,
        false => ExitCode::from(EXIT_CONFIG),
    })
}

/// Everything that the file points to and that can be tried without changing it.
fn look_around(config: &Config, offline: bool) -> Vec<Finding> {
    let mut findings = world::look(config);
    let is_homeless =
        findings.iter().any(|finding| finding.about == world::DATA_DIR && finding.verdict == Verdict::Bad);
    // What is in a data folder that is none need not be told.
    let within = format!("`{}/", config.gateway.data_dir.display());
    let is_told = |refusal: &String| is_homeless && refusal.contains(&within);
    match setup::prepare(config, setup::shared_cache(config).as_deref()) {
        Ok(setup) => {
            findings.extend(setup.tls.iter().flatten().flat_map(tls::look));
            findings.extend(setup.plugins.loaded().iter().flatten().map(describe));
            let doubt = setup::plugin_state::memory_doubt(config);
            findings.extend(doubt.map(|text| Finding::new("plugins", Verdict::Doubtful, text)));
            findings.extend(setup.upstreams.iter().flat_map(doubts));
            findings.extend(if offline { Vec::new() } else { reach(config, &setup.upstreams) });
        }
        Err(setup::Refusals(refusals)) => {
            let refusals = refusals.into_iter().filter(|refusal| !is_told(refusal));
            findings.extend(refusals.map(|text| Finding::new("setup", Verdict::Bad, text)));
        }
    }
    findings
}

impl Finding {
    fn new(about: impl Into<String>, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { about: about.into(), verdict, text: text.into() }
    }

    fn drawn(&self, file: &Problems) -> config::Problem {
        let span = file.place(&place::of(self));
        let (severity, sentence) = match self.verdict {
            Verdict::Bad => (Severity::Error, self.text.clone()),
            _ => (Severity::Warning, format!("{}: {}", self.about, self.text)),
        };
        config::Problem { severity, span, sentence, advice: None, also: None }
    }
}

/// Connects to each upstream as the gateway would, with its certificates and its password, under another client id. The
/// gateway starts without its upstreams, so that none of this is more than a doubt.
fn reach(config: &Config, upstreams: &[egress::Prepared]) -> Vec<Finding> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("upstreams were not tried: {error}");
            return vec![Finding { about: "upstreams".to_owned(), verdict: Verdict::Doubtful, text }];
        }
    };
    let probe = |spec: &Upstream, prepared: &egress::Prepared, url: &egress::Endpoint| {
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, egress::probe(prepared, url)).await });
        let (verdict, text) = match answer {
            Ok(Ok(Probed::LetsUsIn)) => (Verdict::Good, format!("{url} lets us in{}", uncounted(spec))),
            Ok(Ok(Probed::LetsAnybodyIn)) => {
                let text = "lets us in, and anybody else: it does not check user name and password";
                (Verdict::Doubtful, format!("{url} {text}"))
            }
            Ok(Err(error)) => (Verdict::Doubtful, format!("{url} does not let us in: {error}")),
            Err(_) => (Verdict::Doubtful, format!("{url} does not answer within {PATIENCE:?}")),
        };
        Finding { about: format!("upstream {}", spec.name), verdict, text }
    };
    let each = |(spec, prepared): (&Upstream, &egress::Prepared)| -> Vec<Finding> {
        prepared.endpoints().iter().map(|url| probe(spec, prepared, url)).collect()
    };
    config.upstreams.iter().zip(upstreams).flat_map(each).collect()
}

/// What its files have that is not used, or not for long.
fn doubts(upstream: &egress::Prepared) -> Vec<Finding> {
    let finding = |text: &String| Finding::new(format!("upstream {}", upstream.name()), Verdict::Doubtful, text);
    upstream.doubts().iter().map(finding).collect()
}

/// A note and no doubt: most upstreams are no gateways.
fn uncounted(upstream: &Upstream) -> &'static str {
    match upstream.protocol {
        Version::V5 => "",
        Version::V311 => {
            "; if it leads back here, messages go round for ever: MQTT 3.1.1 has no place to count gateways in"
        }
    }
}

fn describe(plugin: &LoadedPlugin) -> Finding {
    let inspection = plugin.component().inspection();
    let contract = inspection.contract.as_deref().unwrap_or("unknown");
    let path = if inspection.batched { "batched" } else { "one message at a time" };
    let origin = plugin.provenance();
    let text = format!("contract {contract}, {path}, {} bytes, {origin}", inspection.bytes);
    Finding { about: format!("plugin {}", plugin.name()), verdict: Verdict::Good, text }
}

fn write_text(
    args: &Args,
    config: &Config,
    findings: &[Finding],
    good: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let (fine, told): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.verdict == Verdict::Good);
    for finding in fine {
        writeln!(out, "{}: {}", finding.about, finding.text)?;
    }
    let problems = drawn(&config.warnings, &told);
    if !problems.is_empty() {
        say(&format!("{}\n", super::draw(&problems)));
    }
    if !good {
        say(&line(&format!("{}: {}", problems.file(), problems.summary())));
        return Ok(());
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let counts = [
        count(config.broker.listeners.len(), "listener"),
        count(config.upstreams.len(), "upstream"),
        count(config.plugins.len(), "plugin"),
        count(config.bindings.len(), "binding"),
    ];
    writeln!(out, "{}: good: {}", line(&args.config.path().display().to_string()), counts.join(", "))
}

/// Warnings of the file and what was found outside of it, each once and at its place.
fn drawn(warnings: &Problems, told: &[&Finding]) -> Problems {
    let found: Vec<_> = told.iter().map(|finding| finding.drawn(warnings)).collect();
    // A file that is missing, for one: what does not start for that says it, too.
    let is_said = |warning: &&config::Problem| {
        found.iter().any(|problem| problem.severity == Severity::Error && problem.span == warning.span)
    };
    let warnings_left: Vec<_> = warnings.iter().filter(|warning| !is_said(warning)).cloned().collect();
    warnings.with(warnings_left.into_iter().chain(found).collect())
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
    let found = |finding: &Finding| {
        let (line, column) = problems.position(&finding.drawn(problems)).unzip();
        json!({ "about": finding.about, "verdict": finding.verdict, "text": finding.text, "line": line, "column": column })
    };
    let findings: Vec<_> = findings.iter().map(found).collect();
    json!({ "file": problems.file(), "good": good, "problems": list, "findings": findings })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;

    fn check(text: &str, format: Format) -> (ExitCode, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.toml");
        std::fs::write(&config, text).unwrap();
        let mut out = Vec::new();
        let args = Args { config: ConfigFile { config }, offline: false, strict: false, format };
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    /// Any port: another gateway may run on this machine.
    const LISTENER: &str = "[broker.listeners.l]\nbind = \"127.0.0.1:0\"\n";

    fn with_upstream(port: u16) -> Config {
        let text = format!("{LISTENER}[upstreams.cloud]\nurl = \"mqtt://127.0.0.1:{port}\"");
        config::parse(&text, "f", Path::new("")).unwrap()
    }

    #[test]
    fn more_memory_than_all_plugins_may_have_together_is_doubted() {
        let binding = |number: usize| {
            format!(
                "[[bindings]]\nname = \"b{number}\"\ntopic = \"t\"\nplugins = [\"p\"]\nto = [{{ local = true, topic = \"o\" }}]\n"
            )
        };
        let file = |bindings: usize| {
            "[engine.limits]\nmemory_total = \"64MiB\"\n[plugins.p]\ncomponent = \"p.wasm\"\n".to_owned()
                + &(0..bindings).map(binding).collect::<String>()
        };
        let doubt =
            |bindings| setup::plugin_state::memory_doubt(&config::parse(&file(bindings), "f", Path::new("")).unwrap());
        assert_eq!(doubt(4), None);
        assert!(doubt(5).is_some_and(|text| text.contains("80") && text.contains("memory_total")));
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
        let (code, out) = check(LISTENER, Format::Text);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.ends_with("good: 1 listener, 0 upstreams, 0 plugins, 0 bindings\n"), "{out}");
    }

    #[test]
    fn a_doubt_is_a_failure_only_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.toml");
        // A warning: no binding has this upstream.
        std::fs::write(&config, format!("[upstreams.u]\nurl = \"mqtt://h\"\n{LISTENER}")).unwrap();
        let args = |strict| Args {
            config: ConfigFile { config: config.clone() },
            offline: true,
            strict,
            format: Format::Text,
        };
        assert_eq!(run(&args(false), &mut Vec::new()).unwrap(), ExitCode::SUCCESS);
        assert_eq!(run(&args(true), &mut Vec::new()).unwrap(), ExitCode::FAILURE);
    }

    #[test]
    fn every_url_of_an_upstream_is_tried() {
        let text = format!("{LISTENER}[upstreams.cloud]\nurl = [\"mqtt://127.0.0.1:1\", \"mqtt://127.0.0.1:2\"]");
        let findings = look_around(&config::parse(&text, "f", Path::new("")).unwrap(), false);
        let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
        assert!(texts[0].contains(":1 does not") && texts[1].contains(":2 does not"), "{texts:?}");
    }

    #[test]
    fn an_upstream_is_doubted_when_nobody_listens_and_not_tried_when_offline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(look_around(&with_upstream(port), false)[0].verdict, Verdict::Doubtful);
        assert!(look_around(&with_upstream(port), true).is_empty());
    }

    #[test]
    fn an_upstream_at_protocol_4_is_good_and_has_a_note_that_a_ring_has_no_count() {
        for (protocol, has_note) in [(4, true), (5, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let text = format!(
                "{LISTENER}[upstreams.cloud]\nprotocol = {protocol}\nurl = \"mqtt://{}\"",
                listener.local_addr().unwrap()
            );
            let welcoming = std::thread::spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                assert!(peer.read(&mut [0; 256]).unwrap() > 0);
                // CONNACK: Success.
                let connack: &[u8] = if has_note { &[0x20, 0x02, 0x00, 0x00] } else { &[0x20, 0x03, 0x00, 0x00, 0x00] };
                peer.write_all(connack).unwrap();
                let _ = peer.read(&mut [0; 256]);
            });
            let findings = look_around(&config::parse(&text, "f", Path::new("")).unwrap(), false);
            let [finding] = &findings[..] else { panic!("{findings:?}") };
            assert_eq!(
                (finding.verdict, finding.text.contains("round for ever")),
                (Verdict::Good, has_note),
                "{finding:?}"
            );
            welcoming.join().unwrap();
        }
    }

    #[test]
    fn an_upstream_that_refuses_us_is_doubted_although_its_port_is_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let refusing = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut connect = [0; 256];
            assert!(peer.read(&mut connect).unwrap() > 0);
            // CONNACK: Not authorized.
            peer.write_all(&[0x20, 0x03, 0x00, 0x87, 0x00]).unwrap();
        });
        let findings = look_around(&with_upstream(port), false);
        assert_eq!(findings[0].verdict, Verdict::Doubtful, "{}", findings[0].text);
        assert!(findings[0].text.contains("does not let us in"), "{}", findings[0].text);
        refusing.join().unwrap();
    }
}
