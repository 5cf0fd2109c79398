//! The spool as an operator sees it: read from its files, beside a running gateway or without one.

use std::collections::BTreeMap;
use std::path::Path;

use super::frame::{Outputs, has_outputs};
use super::image::Image;
use super::log::{self, Found, Frame, Location, OpenError};
use super::offsets::Offsets;
use super::wire::WireError;
use super::{DEAD_LETTERS, Key};
use crate::message::Message;

/// What the files say, folded.
pub struct View {
    image: Image,
    pub found: Found,
}

/// One upstream's share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub upstream: String,
    pub messages: u64,
    pub bytes: u64,
    /// Arrival of the oldest, in the gateway's own time.
    pub oldest_ms: Option<u64>,
    /// Received by the upstream at QoS 2 and not completed.
    pub released: u64,
    /// Whether a session at the upstream is remembered.
    pub session: bool,
}

/// A message that waits.
pub struct Waiting<'a> {
    pub upstream: &'a str,
    pub number: u64,
    /// In the gateway's own time.
    pub arrived_ms: u64,
    pub message: Message,
}

// === impl View ===

impl View {
    /// Reads everything once.
    pub fn read(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, OpenError> {
        let mut image = Image::default();
        let found = log::inspect(dir, progress, &mut |at, frame| image.apply(at, frame))?;
        image.anchor();
        Ok(Self { image, found })
    }

    /// Those that messages waited for at some time.
    pub fn upstreams(&self) -> Vec<String> {
        let names = self.image.all_offsets().iter().map(|offsets| offsets.name.to_string());
        names.filter(|name| name != DEAD_LETTERS).collect()
    }

    /// Frames that verify and make no sense to this version.
    pub fn unreadable(&self) -> u64 {
        self.image.unreadable
    }

    /// Whether all small state is there: none was in a checkpoint or segment that is gone.
    pub fn has_whole_state(&self) -> bool {
        self.image.has_whole_state(self.found.first_segment)
    }

    /// Of the small state: keys, and about their bytes.
    pub fn state(&self) -> (u64, u64) {
        (self.image.state().entries().len() as u64, self.image.state().bytes())
    }

    /// Messages that were in damaged parts.
    pub fn lost(&self) -> u64 {
        self.image.lost
    }

    /// Reads the messages: by upstream, also those that are done, so that a quiet one is listed.
    pub fn backlogs(&self, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<Backlog>, OpenError> {
        let mut backlogs: BTreeMap<String, Backlog> = BTreeMap::new();
        for offsets in self.image.all_offsets().iter().filter(|offsets| *offsets.name != *DEAD_LETTERS) {
            let session = self.image.state().entries().contains_key(&Key::Upstream { name: offsets.name.clone() });
            let released = self.image.marks(&offsets.name).len() as u64;
            let upstream = offsets.name.to_string();
            backlogs.insert(upstream.clone(), Backlog { upstream, released, session, ..Backlog::default() });
        }
        self.waiting(dir, progress, &mut |waiting| {
            if let Some(backlog) = backlogs.get_mut(waiting.upstream) {
                backlog.messages += 1;
                backlog.bytes += waiting.message.payload.len() as u64;
                let oldest = backlog.oldest_ms.unwrap_or(u64::MAX);
                backlog.oldest_ms = Some(oldest.min(waiting.arrived_ms));
            }
            true
        })?;
        Ok(backlogs.into_values().collect())
    }

    /// Shows what waits, dead letters on their way included, oldest first, until `visit` has enough.
    pub fn waiting(
        &self,
        dir: &Path,
        progress: &mut dyn FnMut(u64, u64),
        visit: &mut dyn FnMut(Waiting<'_>) -> bool,
    ) -> Result<(), OpenError> {
        let mut more = true;
        log::inspect(dir, progress, &mut |at, frame| {
            if more && has_outputs(frame.kind) {
                more = self.show(at, frame, visit).unwrap_or(true);
            }
        })?;
        Ok(())
    }

    fn show(
        &self,
        at: Location,
        frame: Frame<'_>,
        visit: &mut dyn FnMut(Waiting<'_>) -> bool,
    ) -> Result<bool, WireError> {
        let mut outputs = Outputs::read(frame.kind, frame.body)?;
        while let Some(written) = outputs.next()? {
            // A number that the first look did not see came later; it waits as well. What was written again is shown once.
            let is_elsewhere =
                |offsets: &Offsets| written.number < offsets.next() && !offsets.lives_in(written.number, at.segment);
            if self.image.offsets(written.upstream).is_some_and(is_elsewhere) {
                continue;
            }
            let message = outputs.message(&written)?;
            let (upstream, number, arrived_ms) = (written.upstream, written.number, written.arrived_ms);
            if !visit(Waiting { upstream, number, arrived_ms, message }) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
