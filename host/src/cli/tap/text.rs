//! Steps of messages for people, one or a few lines each.

use std::io::{self, Write};

use crate::base::utc::Utc;
use crate::cli::spool::escape;
use crate::tap::{Line, Payload, Step, Verdict};

pub fn write(line: &Line, out: &mut impl Write) -> io::Result<()> {
    let Line { message, at_ms, after_us, step } = line;
    let after = format!("#{message} +{}.{:01} ms", after_us / 1_000, after_us % 1_000 / 100);
    match step {
        Step::Received { topic, client, qos, retain, hops, payload } => {
            let by = if *hops == 0 { format!("from {}", escape(client)) } else { format!("republished, hop {hops}") };
            let retain = if *retain { ", retained" } else { "" };
            let time = Utc(at_ms / 1_000);
            writeln!(out, "#{message} {time} {} {by}, QoS {qos}{retain}, {}", escape(topic), shown(payload))
        }
        Step::Denied { topic, client, reason } => {
            let (topic, client, reason) = (escape(topic), escape(client), escape(reason));
            writeln!(out, "#{message} {} {topic} from {client}: denied, {reason}", Utc(at_ms / 1_000))
        }
        Step::Bindings { bindings } if bindings.is_empty() => {
            writeln!(out, "{after} no binding matches: local subscribers alone")
        }
        Step::Bindings { bindings } => writeln!(out, "{after} bindings: {}", bindings.join(", ")),
        Step::Plugin { .. } => write_plugin(&after, step, out),
        Step::Binding { binding, became, detail } => {
            let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {}", escape(detail)));
            writeln!(out, "{after} binding {binding}: {became}{detail}")
        }
        Step::Refused { detail } => writeln!(out, "{after} refused, and its device is told: {}", escape(detail)),
        Step::Spool { upstream, number, ahead } => {
            writeln!(out, "{after} {}: in the spool, {}, {ahead} before it", line_of(upstream), place(*number))
        }
        Step::Sending { upstream, number } => {
            writeln!(out, "{after} {}: {} is being sent", line_of(upstream), place(*number))
        }
        Step::Ended { upstream, number, fate } => {
            writeln!(out, "{after} {}: {} {fate}", line_of(upstream), place(*number))
        }
        Step::Done => writeln!(out, "{after} done"),
        Step::LeftOut { messages } => writeln!(out, "{messages} messages left out: more than --rate in a second"),
        Step::Lost { lines } => writeln!(out, "{lines} lines lost: they came faster than they were read"),
        Step::Over => writeln!(out, "the time of --for is over"),
    }
}

fn write_plugin(after: &str, step: &Step, out: &mut impl Write) -> io::Result<()> {
    let Step::Plugin { binding, plugin, verdict, detail, before, after: made, more } = step else { return Ok(()) };
    let verdict = match verdict {
        Verdict::Drop => "drops it",
        Verdict::Forward => "forwards it as it is",
        Verdict::Replace => "replaces the payload",
        Verdict::Emit => "puts out these instead",
        Verdict::Failed => "fails",
        Verdict::LeftOut => "fails, and is left out",
    };
    let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {}", escape(detail)));
    writeln!(out, "{after} binding {binding}, plugin {plugin} {verdict}{detail}")?;
    writeln!(out, "    before: {}", shown(before))?;
    for made in made {
        writeln!(out, "    after:  {} {}", escape(&made.topic), shown(&made.payload))?;
    }
    if *more > 0 { writeln!(out, "    and {more} more") } else { Ok(()) }
}

/// Dead letters have a line of their own.
fn line_of(upstream: &str) -> String {
    if upstream.starts_with('$') { "dead letters".to_owned() } else { format!("upstream {upstream}") }
}

fn place(number: Option<u64>) -> String {
    number.map_or("QoS 0 in memory".to_owned(), |number| format!("number {number}"))
}

fn shown(payload: &Payload) -> String {
    let bytes = payload.bytes;
    let more = if payload.is_cut() { "…" } else { "" };
    match (&payload.text, &payload.hex) {
        (Some(text), _) => format!("{bytes} bytes: {}{more}", escape(text)),
        (_, Some(hex)) => format!("{bytes} bytes, in hexadecimal: {hex}{more}"),
        _ if payload.hidden => format!("{bytes} bytes, not shown: a plugin that must not be left out has it first"),
        _ => format!("{bytes} bytes"),
    }
}
