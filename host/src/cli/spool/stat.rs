//! `tidegate spool stat`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serialize;

use super::place::{Place, Where};
use super::progress::progress;
use super::text::escape;
use crate::base::timeline;
use crate::cli::Format;
use crate::dead_letter;
use crate::spool::{self, log::Found};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Stat {
    upstreams: Vec<Upstream>,
    dead_letters: Letters,
    state: State,
    spool: Files,
    archive: Files,
}

/// Retained and queued messages, sessions, what plugins remember.
#[derive(Debug, Serialize)]
struct State {
    keys: u64,
    bytes: u64,
    /// Of the checkpoint on the disk; 0 when there is none yet.
    checkpoint_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Upstream {
    upstream: String,
    messages: u64,
    payload_bytes: u64,
    oldest_seconds: Option<u64>,
    /// Of QoS 2: the upstream has them, and the exchange is not complete.
    released: u64,
    session: bool,
}

#[derive(Debug, Default, Serialize)]
struct Letters {
    messages: u64,
    /// The same under its old name, for one release.
    letters: u64,
    payload_bytes: u64,
    /// To go through their binding again.
    marked: u64,
    by_reason: BTreeMap<String, u64>,
    by_binding: BTreeMap<String, u64>,
    by_plugin: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Files {
    segments: u64,
    bytes: u64,
    damaged: u64,
    quarantined_files: u64,
    quarantined_bytes: u64,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let stat = Stat::read(&place)?;
    match args.format {
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(&stat)?)?,
        Format::Text => stat.write(out)?,
    }
    Ok(ExitCode::SUCCESS)
}

// === impl Stat ===

impl Stat {
    fn read(place: &Place) -> anyhow::Result<Self> {
        let view = spool::View::read(&place.spool(), &mut progress("reading the spool"))?;
        let backlogs = view.backlogs(&place.spool(), &mut progress("counting"))?;
        let upstream = |backlog: spool::Backlog| Upstream {
            oldest_seconds: backlog.oldest_ms.map(|arrived| timeline::age_of(arrived).as_secs()),
            upstream: backlog.upstream,
            messages: backlog.messages,
            payload_bytes: backlog.bytes,
            released: backlog.released,
            session: backlog.session,
        };
        let archive = dead_letter::View::read(&place.letters(), &mut progress("reading the dead letters"))?;
        let mut dead_letters = Letters { marked: archive.marked(), ..Letters::default() };
        archive.letters(&place.letters(), &mut progress("counting"), &mut |_, letter| {
            dead_letters.add(&letter);
            true
        })?;
        Ok(Self {
            upstreams: backlogs.into_iter().map(upstream).collect(),
            dead_letters,
            state: State::of(&view),
            spool: Files::of(&view.found),
            archive: Files::of(&archive.found),
        })
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        for one in &self.upstreams {
            let oldest = one.oldest_seconds.map_or(String::new(), |seconds| {
                format!(", oldest {}", humantime::format_duration(Duration::from_secs(seconds)))
            });
            let session = if one.session { ", has a session" } else { "" };
            let released = if one.released > 0 { format!(", {} released", one.released) } else { String::new() };
            let size = ByteSize::b(one.payload_bytes);
            writeln!(out, "upstream {}: {} waiting, {size}{oldest}{session}{released}", one.upstream, one.messages)?;
        }
        let letters = &self.dead_letters;
        let marked = if letters.marked > 0 { format!(", {} to go again", letters.marked) } else { String::new() };
        writeln!(out, "dead letters: {}, {}{marked}", letters.messages, ByteSize::b(letters.payload_bytes))?;
        let groups = [("reason", &letters.by_reason), ("binding", &letters.by_binding), ("plugin", &letters.by_plugin)];
        for (group, counts) in groups {
            for (name, count) in counts {
                writeln!(out, "  {group} {}: {count}", escape(name))?;
            }
        }
        let State { keys, bytes, checkpoint_bytes } = self.state;
        writeln!(
            out,
            "state: {keys} keys, {}; its checkpoint has {}",
            ByteSize::b(bytes),
            ByteSize::b(checkpoint_bytes)
        )?;
        self.spool.write("spool", out)?;
        self.archive.write("archive of dead letters", out)
    }
}

// === impl State ===

impl State {
    fn of(view: &spool::View) -> Self {
        let (keys, bytes) = view.state();
        Self { keys, bytes, checkpoint_bytes: view.found.checkpoint.map_or(0, |one| one.bytes) }
    }
}

// === impl Letters ===

impl Letters {
    fn add(&mut self, letter: &dead_letter::DeadLetter) {
        let metadata = &letter.metadata;
        self.messages += 1;
        self.letters = self.messages;
        self.payload_bytes += letter.message.payload.len() as u64;
        *self.by_reason.entry(metadata.reason.clone()).or_default() += 1;
        *self.by_binding.entry(metadata.binding.clone()).or_default() += 1;
        *self.by_plugin.entry(metadata.plugin.clone()).or_default() += 1;
    }
}

// === impl Files ===

impl Files {
    fn of(found: &Found) -> Self {
        Self {
            segments: found.segments,
            bytes: found.bytes,
            damaged: found.damage.len() as u64 + found.more_damage + found.missing,
            quarantined_files: found.quarantined.0,
            quarantined_bytes: found.quarantined.1,
        }
    }

    fn write(&self, what: &str, out: &mut impl Write) -> std::io::Result<()> {
        write!(out, "{what}: {} segments, {} on disk", self.segments, ByteSize::b(self.bytes))?;
        if self.damaged + self.quarantined_files > 0 {
            let size = ByteSize::b(self.quarantined_bytes);
            write!(out, "; {} damaged, {} files ({size}) in quarantine", self.damaged, self.quarantined_files)?;
        }
        writeln!(out)
    }
}
