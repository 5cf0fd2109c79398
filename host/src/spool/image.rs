//! What the log says: the fold of all its frames.
//!
//! Recovery folds what it reads and the committer folds what it has written, with the same function. So what is known while
//! running is what would be known after a crash at this moment. What it says of the messages begins each segment; the small state has
//! a checkpoint of its own, which stands for all frames below its place.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::frame::{
    COMPLETIONS, INPUT, INPUT_BEFORE_3, MOVED, MOVED_BEFORE_3, Outputs, SNAPSHOT_BEFORE_3, STATE, TRACKS, Written,
    put_list, put_ranges,
};
use super::intervals::Intervals;
use super::key::{Change, Key};
use super::log::{CHECKPOINT, Frame, Location, decode_place};
use super::offsets::Offsets;
use super::shared::Parts;
use super::sink::Mark;
use super::state::State;
use super::value::Value;
use super::wire::{Fields, WireError, put_text};
use crate::base::name::Name;

/// More than a log has that is not rubble: what is missing in others counts as lost.
const MAX_GAPS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Image {
    all_offsets: Vec<Offsets>,
    state: State,
    /// The state is that of a checkpoint, as it was here: frames below change nothing in it.
    state_from: Location,
    /// The segment of the first snapshot with a state in it, as logs had before checkpoints.
    state_in: Option<u64>,
    /// Frames that verify and make no sense to us.
    pub unreadable: u64,
    /// Outputs that were in damaged frames and were not done.
    pub lost: u64,
    /// Of them those that are known by the next frame of their upstream, and where it is: see [`Image::forgive`]. The first ones.
    gaps: Vec<(Location, u64)>,
    /// Whether a snapshot has been seen: from there on, every upstream that is not in it is new.
    anchored: bool,
    /// While a recovery reads whose messages there are. Who has written a record knows.
    counts_unread: bool,
}

// === impl Image ===

impl Image {
    /// One that counts what each binding has.
    pub fn of_recovery() -> Self {
        Self { counts_unread: true, ..Self::default() }
    }

    pub fn apply(&mut self, at: Location, frame: Frame<'_>) {
        let applied = match frame.kind {
            CHECKPOINT => self.begin_checkpoint(frame.body),
            STATE => self.apply_state(Fields::new(frame.body)),
            SNAPSHOT_BEFORE_3 => self.apply_snapshot(at, Fields::new(frame.body)),
            TRACKS => self.apply_tracks(Fields::new(frame.body)),
            INPUT | INPUT_BEFORE_3 => self.apply_input(at, frame),
            MOVED | MOVED_BEFORE_3 => self.apply_moved(at, frame),
            COMPLETIONS => self.apply_notes(at, Fields::new(frame.body)),
            tag => Err(WireError::Unknown { what: "kind of frame", tag }),
        };
        if let Err(error) = applied {
            self.unreadable += 1;
            tracing::error!(segment = at.segment, offset = at.offset, "a frame of the spool cannot be read: {error}");
        }
    }

    /// The first frame of a segment.
    pub fn encode_tracks(&self) -> BytesMut {
        let mut out = BytesMut::new();
        put_list(&mut out, &self.all_offsets, |out, offsets| {
            put_text(out, &offsets.name);
            out.put_u64_le(offsets.next());
            put_ranges(out, offsets.done());
        });
        out
    }

    pub fn offsets(&self, name: &str) -> Option<&Offsets> {
        self.all_offsets.iter().find(|offsets| &*offsets.name == name)
    }

    pub fn all_offsets(&self) -> &[Offsets] {
        &self.all_offsets
    }

    /// The upstream of this name, made when it is new.
    pub fn offsets_mut(&mut self, name: &str) -> &mut Offsets {
        let index = self.all_offsets.iter().position(|offsets| &*offsets.name == name).unwrap_or_else(|| {
            let mut new = if self.anchored { Offsets::new(name) } else { Offsets::unknown(name) };
            if self.counts_unread {
                new.count_unread();
            }
            self.all_offsets.push(new);
            self.all_offsets.len() - 1
        });
        &mut self.all_offsets[index]
    }

    /// From here on nothing unknown comes: the log has been read to its end.
    pub fn anchor(&mut self) {
        self.anchored = true;
        self.counts_unread = false;
        self.lost += self.all_offsets.iter_mut().map(Offsets::finish).sum::<u64>();
    }

    /// What is missing in a write that is torn was promised to nobody, and is not lost. Behind it nothing was written in that segment.
    pub fn forgive(&mut self, torn: &[Location]) {
        let is_torn = |at: &Location| torn.iter().any(|torn| torn.segment == at.segment && torn.offset < at.offset);
        let gaps = std::mem::take(&mut self.gaps);
        self.lost -= gaps.iter().filter(|(at, _)| is_torn(at)).map(|(_, missing)| missing).sum::<u64>();
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a segment with a state in it is left.
    pub fn has_old_state(&self) -> bool {
        self.state_in.is_some()
    }

    /// Whether the state is all of what was ever written, when this is the oldest segment that is left.
    pub fn has_whole_state(&self, first_segment: u64) -> bool {
        first_segment <= 1 || self.state_from.segment >= first_segment || self.state_in.is_some()
    }

    /// Segments below this one hold nothing that is still wanted; none when no output waits.
    pub fn needed_segment(&self) -> Option<u64> {
        self.all_offsets.iter().filter_map(Offsets::needed_segment).min()
    }

    /// The messages of this upstream that are half way.
    pub fn marks(&self, upstream: &Arc<str>) -> Vec<Mark> {
        let of = |value: &Value| Fields::new(value).u64().unwrap_or_default();
        let numbered = self.state.entries().range(released(upstream, 0)..=released(upstream, u64::MAX));
        let numbered = numbered.filter_map(|(key, value)| match key {
            Key::Released { number, .. } => Some(Mark { number: *number, value: of(value) }),
            _ => None,
        });
        numbered.collect()
    }

    fn begin_checkpoint(&mut self, body: &[u8]) -> Result<(), WireError> {
        self.state_from = decode_place(body).ok_or(WireError::Short)?;
        Ok(())
    }

    fn apply_state(&mut self, mut fields: Fields<'_>) -> Result<(), WireError> {
        let mut parts = Parts::default();
        let state = fields.list(|fields| fields.entry(&mut parts))?;
        fields.end()?;
        state.into_iter().for_each(|(key, value)| self.state.put(key, value));
        Ok(())
    }

    fn apply_snapshot(&mut self, at: Location, mut fields: Fields<'_>) -> Result<(), WireError> {
        let all_offsets = all_offsets(&mut fields)?;
        let state = fields.list(Fields::entry_before_3)?;
        fields.end()?;
        self.learn(all_offsets);
        if at >= self.state_from {
            self.state = State::default();
            state.into_iter().for_each(|(key, value)| self.state.put(key, value));
            self.state_in.get_or_insert(at.segment);
        }
        Ok(())
    }

    fn apply_tracks(&mut self, mut fields: Fields<'_>) -> Result<(), WireError> {
        let all_offsets = all_offsets(&mut fields)?;
        fields.end()?;
        self.learn(all_offsets);
        Ok(())
    }

    fn learn(&mut self, all_offsets: Vec<(&str, u64, Intervals)>) {
        for (name, next, done) in all_offsets {
            if self.anchored || self.offsets(name).is_some() {
                self.lost += self.offsets_mut(name).snapshot(next, &done);
            } else {
                self.offsets_mut(name).begin_at(next, &done);
            }
        }
        self.anchored = true;
    }

    /// A record that was written just now: what it changes is taken from itself, so that a value is in memory once, whoever else
    /// has it.
    pub fn apply_record(&mut self, at: Location, frame: Frame<'_>, changes: Vec<Change>) {
        if let Err(error) = self.place_written(at, frame) {
            self.unreadable += 1;
            let Location { segment, offset } = at;
            tracing::error!(segment, offset, "a record was not written as it is read: {error}");
        }
        changes.into_iter().for_each(|change| self.change(change));
    }

    fn apply_input(&mut self, at: Location, frame: Frame<'_>) -> Result<(), WireError> {
        let (written, outputs) = outputs(frame)?;
        let changes = outputs.changes()?;
        written.iter().for_each(|output| self.place(at, output));
        if at >= self.state_from {
            changes.into_iter().for_each(|change| self.change(change));
        }
        Ok(())
    }

    /// One by one, without looking at all of them first as a recovery does: they were encoded a moment ago.
    fn place_written(&mut self, at: Location, frame: Frame<'_>) -> Result<(), WireError> {
        let mut outputs = Outputs::read(frame.kind, frame.body)?;
        while let Some(output) = outputs.next()? {
            self.place(at, &output);
        }
        Ok(())
    }

    /// Of which binding it is, for a recovery.
    fn attribute(&mut self, at: Location, output: &Written<'_>) {
        if self.counts_unread {
            let binding = Name::of_some(output.binding);
            self.offsets_mut(output.upstream).unread(output.number, at.segment, &binding, output.weight().bytes);
        }
    }

    fn place(&mut self, at: Location, output: &Written<'_>) {
        self.attribute(at, output);
        let missing = self.offsets_mut(output.upstream).output(output.number, at.segment, output.weight());
        self.lost += missing;
        if missing > 0 && self.gaps.len() < MAX_GAPS {
            self.gaps.push((at, missing));
        }
    }

    fn apply_moved(&mut self, at: Location, frame: Frame<'_>) -> Result<(), WireError> {
        let (written, outputs) = outputs(frame)?;
        outputs.end()?;
        for output in written {
            self.attribute(at, &output);
            self.offsets_mut(output.upstream).moved(output.number, at.segment, output.weight());
        }
        Ok(())
    }

    fn apply_notes(&mut self, at: Location, mut fields: Fields<'_>) -> Result<(), WireError> {
        let done = fields.list(|fields| Ok((fields.text()?, fields.ranges()?)))?;
        let changes = fields.list(|fields| fields.change(&mut Parts::default()))?;
        fields.end()?;
        let is_news = at >= self.state_from;
        changes.into_iter().filter(|_| is_news).for_each(|change| self.change(change));
        for (upstream, done) in done {
            let name = self.offsets_mut(upstream).name.clone();
            done.ranges().for_each(|range| self.offsets_mut(upstream).complete(range));
            let of_upstream = if is_news { self.marks(&name) } else { Vec::new() };
            for Mark { number, .. } in of_upstream.into_iter().filter(|of| done.contains(of.number)) {
                self.state.remove(&released(&name, number));
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        // With a state go the marks that belong to it.
        if let (Key::Upstream { name }, None) = (&change.key, &change.value) {
            for Mark { number, .. } in self.marks(name) {
                self.state.remove(&released(name, number));
            }
        }
        match change.value {
            Some(value) => self.state.put(change.key, value),
            None => self.state.remove(&change.key),
        }
    }
}

/// All of them, and what stands behind: nothing is applied of a frame that cannot be read to its end.
fn outputs(frame: Frame<'_>) -> Result<(Vec<Written<'_>>, Outputs<'_>), WireError> {
    let (mut outputs, mut written) = (Outputs::read(frame.kind, frame.body)?, Vec::new());
    while let Some(output) = outputs.next()? {
        written.push(output);
    }
    Ok((written, outputs))
}

/// Of each upstream its name, its next number, and what is done.
fn all_offsets<'a>(fields: &mut Fields<'a>) -> Result<Vec<(&'a str, u64, Intervals)>, WireError> {
    fields.list(|fields| Ok((fields.text()?, fields.u64()?, fields.ranges()?)))
}

fn released(upstream: &Arc<str>, number: u64) -> Key {
    Key::Released { upstream: upstream.clone(), number }
}
