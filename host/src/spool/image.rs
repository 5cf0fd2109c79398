//! What the log says: the fold of all its frames.
//!
//! Recovery folds what it reads and the committer folds what it has written, with the same function. So what is known while
//! running is what would be known after a crash at this moment, and a snapshot of it can stand for all frames before.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{
    INPUT, INPUT_WITHOUT_BINDINGS, MOVED, MOVED_WITHOUT_BINDINGS, NOTES, Outputs, SNAPSHOT, Written, put_entry,
    put_list, put_ranges,
};
use super::key::{Change, Key};
use super::log::{Frame, Location};
use super::track::Track;
use super::wire::{Fields, WireError, put_text};

#[derive(Debug, Default)]
pub(super) struct Image {
    tracks: Vec<Track>,
    state: BTreeMap<Key, Bytes>,
    /// Frames that verify and make no sense to us.
    pub unreadable: u64,
    /// Outputs that were in damaged frames and were not done.
    pub lost: u64,
    /// Whether a snapshot has been seen: from there on, every upstream that is not in it is new.
    anchored: bool,
}

// === impl Image ===

impl Image {
    pub fn apply(&mut self, at: Location, frame: Frame<'_>) {
        let applied = match frame.kind {
            SNAPSHOT => self.apply_snapshot(Fields::new(frame.body)),
            INPUT | INPUT_WITHOUT_BINDINGS => self.apply_input(at, frame),
            MOVED | MOVED_WITHOUT_BINDINGS => self.apply_moved(at, frame),
            NOTES => self.apply_notes(Fields::new(frame.body)),
            tag => Err(WireError::Unknown { what: "kind of frame", tag }),
        };
        if let Err(error) = applied {
            self.unreadable += 1;
            tracing::error!(segment = at.segment, offset = at.offset, "a frame of the spool cannot be read: {error}");
        }
    }

    pub fn encode_snapshot(&self) -> BytesMut {
        let mut out = BytesMut::new();
        put_list(&mut out, &self.tracks, |out, track| {
            put_text(out, &track.name);
            out.put_u64_le(track.next());
            put_ranges(out, track.done());
        });
        put_list(&mut out, &self.state, |out, (key, value)| put_entry(out, key, value));
        out
    }

    pub fn track(&self, name: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| &*track.name == name)
    }

    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The upstream of this name, made when it is new.
    pub fn track_mut(&mut self, name: &str) -> &mut Track {
        let index = self.tracks.iter().position(|track| &*track.name == name).unwrap_or_else(|| {
            self.tracks.push(if self.anchored { Track::new(name) } else { Track::unknown(name) });
            self.tracks.len() - 1
        });
        &mut self.tracks[index]
    }

    /// From here on nothing unknown comes: the log has been read to its end.
    pub fn anchor(&mut self) {
        self.anchored = true;
        self.lost += self.tracks.iter_mut().map(Track::finish).sum::<u64>();
    }

    pub fn state(&self) -> &BTreeMap<Key, Bytes> {
        &self.state
    }

    /// Segments below this one hold nothing that is still wanted; none when no output waits.
    pub fn needed_segment(&self) -> Option<u64> {
        self.tracks.iter().filter_map(Track::needed_segment).min()
    }

    /// The QoS 2 messages that this upstream has received and not completed: number, and the turn of the release.
    pub fn released(&self, upstream: &Arc<str>) -> Vec<(u64, u64)> {
        let turn = |value: &Bytes| Fields::new(value).u64().unwrap_or_default();
        let numbered = self.state.range(released(upstream, 0)..=released(upstream, u64::MAX));
        let numbered = numbered.filter_map(|(key, value)| match key {
            Key::Released { number, .. } => Some((*number, turn(value))),
            _ => None,
        });
        numbered.collect()
    }

    fn apply_snapshot(&mut self, mut fields: Fields<'_>) -> Result<(), WireError> {
        let tracks = fields.list(|fields| Ok((fields.text()?, fields.u64()?, fields.ranges()?)))?;
        let state = fields.list(Fields::entry)?;
        fields.end()?;
        for (name, next, done) in tracks {
            if self.anchored || self.track(name).is_some() {
                self.lost += self.track_mut(name).snapshot(next, &done);
            } else {
                self.track_mut(name).begin_at(next, &done);
            }
        }
        self.state = state.into_iter().collect();
        self.anchored = true;
        Ok(())
    }

    fn apply_input(&mut self, at: Location, frame: Frame<'_>) -> Result<(), WireError> {
        let (outputs, mut fields) = outputs(frame)?;
        let changes = fields.list(Fields::change)?;
        fields.end()?;
        for output in outputs {
            self.lost += self.track_mut(output.upstream).output(output.number, at.segment, output.weight());
        }
        changes.into_iter().for_each(|change| self.change(change));
        Ok(())
    }

    fn apply_moved(&mut self, at: Location, frame: Frame<'_>) -> Result<(), WireError> {
        let (outputs, fields) = outputs(frame)?;
        fields.end()?;
        for output in outputs {
            self.track_mut(output.upstream).moved(output.number, at.segment, output.weight());
        }
        Ok(())
    }

    fn apply_notes(&mut self, mut fields: Fields<'_>) -> Result<(), WireError> {
        let done = fields.list(|fields| Ok((fields.text()?, fields.ranges()?)))?;
        let changes = fields.list(Fields::change)?;
        fields.end()?;
        changes.into_iter().for_each(|change| self.change(change));
        for (upstream, done) in done {
            let name = self.track_mut(upstream).name.clone();
            done.ranges().for_each(|range| self.track_mut(upstream).complete(range));
            for (number, _) in self.released(&name) {
                if done.contains(number) {
                    self.state.remove(&released(&name, number));
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        // With a session goes what was received in it.
        if let (Key::Upstream { name }, None) = (&change.key, &change.value) {
            for (number, _) in self.released(name) {
                self.state.remove(&released(name, number));
            }
        }
        match change.value {
            Some(value) => drop(self.state.insert(change.key, value)),
            None => drop(self.state.remove(&change.key)),
        }
    }
}

/// All of them, and what stands behind: nothing is applied of a frame that cannot be read to its end.
fn outputs(frame: Frame<'_>) -> Result<(Vec<Written<'_>>, Fields<'_>), WireError> {
    let (mut outputs, mut written) = (Outputs::read(frame.kind, frame.body)?, Vec::new());
    while let Some(output) = outputs.next()? {
        written.push(output);
    }
    Ok((written, outputs.rest()))
}

fn released(upstream: &Arc<str>, number: u64) -> Key {
    Key::Released { upstream: upstream.clone(), number }
}
