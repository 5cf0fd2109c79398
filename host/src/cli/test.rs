//! `tidegate test`: what would the bindings make of these messages? Offline, with the real plugins.
//!
//! Lines in, lines out ([`line`]). On stdout stands what would leave, in the form of the input, so that it can be fed to another
//! run; on stderr, what became of each line: the binding, where it went, or why it did not. `--format json` has both in one
//! object for each step, and control characters as they are, which the lines have by their numbers.

mod line;
mod rehearsal;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use self::line::{Line, Order};
use self::rehearsal::{Rehearsal, Sent, Step, Verdict};
use super::{ConfigFile, Format};
use crate::base::plain::Plain;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// A file of lines `[topic] payload`; before the bracket may stand `qos=1`, `qos=2`, `retain`; `wait 1m` lets time pass [default: stdin]
    input: Option<PathBuf>,
    /// The client identifier that the messages come from
    #[arg(long, default_value = "test")]
    client: String,
    /// The upstream that sends the messages; a device, if none is named
    #[arg(long, value_name = "UPSTREAM")]
    from: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let from = args.from.as_ref().map(|name| {
        config.upstream(name).with_context(|| format!("`--from`: there is no upstream `{name}` in this configuration"))
    });
    let mut rehearsal = Rehearsal::new(&config, &args.client)?.sent_by(from.transpose()?);
    let input: Box<dyn BufRead> = match &args.input {
        Some(path) => Box::new(BufReader::new(File::open(path).with_context(|| path.display().to_string())?)),
        None => Box::new(io::stdin().lock()),
    };
    let unread = rehearse(&mut rehearsal, input, args.format, out, &mut Plain::new(io::stderr()))?;
    Ok(if unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns how many lines could not be read. They are named, and the others go on.
fn rehearse(
    rehearsal: &mut Rehearsal<'_>,
    input: impl BufRead,
    format: Format,
    out: &mut impl Write,
    told: &mut impl Write,
) -> anyhow::Result<usize> {
    let mut unread = 0;
    for (number, bytes) in (1..).zip(input.split(b'\n')) {
        let bytes = bytes.with_context(|| format!("line {number}"))?;
        let order = match line::read(&bytes) {
            Ok(Some(order)) => order,
            Ok(None) => continue,
            Err(error) => {
                writeln!(told, "error: line {number}: {error}")?;
                unread += 1;
                continue;
            }
        };
        let steps = match order {
            Order::Send(message) => rehearsal.put(message),
            Order::Wait(time) => rehearsal.wait(time),
        };
        for step in steps {
            match format {
                Format::Text => write_text(number, &step, out, told)?,
                Format::Json => writeln!(out, "{}", as_json(number, &step))?,
            }
        }
    }
    Ok(unread)
}

fn write_text(number: usize, step: &Step, out: &mut impl Write, told: &mut impl Write) -> io::Result<()> {
    let binding = step.binding.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let became = match &step.verdict {
        Verdict::Forwarded => "to ".to_owned(),
        Verdict::Tick => "by its timer, to ".to_owned(),
        Verdict::Filtered => "filtered".to_owned(),
        Verdict::Failed(reason) if step.sent.is_empty() => format!("failed and dropped: {reason}"),
        Verdict::Failed(reason) => format!("failed: {reason}; to "),
        Verdict::Unmatched => "no binding matches: it stays local".to_owned(),
    };
    let places: Vec<_> = step.sent.iter().map(|sent| sent.to.as_str()).collect();
    writeln!(told, "line {number}: {binding}{became}{}", places.join(", "))?;
    step.sent.iter().try_for_each(|sent| writeln!(out, "{}", Line(&sent.message)))
}

fn as_json(number: usize, step: &Step) -> Value {
    let (verdict, reason) = match &step.verdict {
        Verdict::Forwarded => ("forwarded", None),
        Verdict::Tick => ("tick", None),
        Verdict::Filtered => ("filtered", None),
        Verdict::Failed(reason) => ("failed", Some(reason)),
        Verdict::Unmatched => ("unmatched", None),
    };
    let sent: Vec<_> = step.sent.iter().map(sent_as_json).collect();
    json!({ "line": number, "binding": step.binding, "verdict": verdict, "reason": reason, "sent": sent })
}

/// A payload that is no text is given in hexadecimal under a name of its own.
fn sent_as_json(Sent { to, message }: &Sent) -> Value {
    let mut sent = json!({
        "to": to,
        "topic": message.topic.as_str(),
        "qos": message.qos as u8,
        "retain": message.retain,
    });
    match std::str::from_utf8(&message.payload) {
        Ok(text) => sent["payload"] = json!(text),
        Err(_) => sent["payload_hex"] = json!(format!("{:x}", message.payload)),
    }
    sent
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const CONFIG: &str = r#"
        upstreams.cloud = { url = "mqtt://broker" }
        [[bindings]]
        name = "all"
        topic = "a/#"
        to = [{ upstream = "cloud", topic = "up/{topic}" }]
    "#;

    fn test(input: &str, format: Format) -> (usize, String, String) {
        let config = parse(CONFIG, "f", Path::new("")).unwrap();
        let mut rehearsal = Rehearsal::new(&config, "dev").unwrap();
        let (mut out, mut told) = (Vec::new(), Vec::new());
        let unread = rehearse(&mut rehearsal, input.as_bytes(), format, &mut out, &mut told).unwrap();
        (unread, String::from_utf8(out).unwrap(), String::from_utf8(told).unwrap())
    }

    #[test]
    fn what_leaves_is_on_stdout_and_what_happened_on_stderr() {
        let (unread, out, told) = test("# two\nqos=1 [a/b] 1\n[c] 2\n", Format::Text);
        assert_eq!((unread, out.as_str()), (0, "qos=1 [up/a/b] 1\n"));
        assert_eq!(told, "line 2: all: to upstream cloud\nline 3: no binding matches: it stays local\n");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_the_others_go_on() {
        let (unread, out, told) = test("a/b 1\n[a/b] 2\n", Format::Text);
        assert_eq!((unread, out.as_str()), (1, "[up/a/b] 2\n"));
        assert!(told.starts_with("error: line 1: no `[topic]`"), "{told}");
    }

    #[test]
    fn json_has_everything_in_one_object_for_each_step() {
        let (_, out, _) = test("qos=2 retain [a/b] x\n", Format::Json);
        let step: Value = serde_json::from_str(&out).unwrap();
        let sent = json!([{ "to": "upstream cloud", "topic": "up/a/b", "qos": 2, "retain": true, "payload": "x" }]);
        assert_eq!(step, json!({ "line": 1, "binding": "all", "verdict": "forwarded", "reason": null, "sent": sent }));
    }
}
