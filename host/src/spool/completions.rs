//! What egress has to say, on its way to the log and back.
//!
//! A completion is not urgent in itself: that a message is done only spares a repeat after a crash. So completions wait for company, the
//! next record or [`DELAY`], unless somebody waits for them: a mark, a state, a window that fills up.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::oneshot;

use crate::base::clock;

use super::frame::{put_change, put_list, put_ranges};
use super::intervals::Intervals;
use super::key::{Change, Key};
use super::shared::Sharing;
use super::sink::Mark;
use super::wire::put_text;

/// How long a completion may wait for company. Four syncs a second at most on an idle gateway: flash wears out.
pub(super) const DELAY: Duration = Duration::from_millis(250);

/// By upstream, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Completions {
    pub of: Vec<Completion>,
    /// When the first of them came.
    since: Option<Instant>,
    urgent: bool,
}

/// Of one upstream. Bounded: ranges by disorder, marks by what its sink has under way, and a state is remembered once for each connection.
#[derive(Debug, Default)]
pub(super) struct Completion {
    pub done: Intervals,
    pub marks: Vec<Mark>,
    pub state: Option<Remembered>,
}

/// The state of a sink, and who waits for it to be durable.
#[derive(Debug)]
pub(super) struct Remembered {
    pub value: Bytes,
    /// Another one than before: what was marked under that is forgotten.
    pub is_new: bool,
    pub durable: oneshot::Sender<()>,
}

/// What is durable by now, for the sender of one upstream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    pub done: Intervals,
    /// In the order in which they were marked.
    pub marked: Vec<u64>,
}

// === impl Completions ===

impl Completions {
    pub fn new(upstreams: usize) -> Self {
        Self { of: (0..upstreams).map(|_| Completion::default()).collect(), ..Self::default() }
    }

    pub fn done(&mut self, upstream: usize, number: u64) {
        self.completion(upstream, |completion| completion.done.insert(number));
    }

    pub fn all_done(&mut self, upstream: usize, numbers: &Intervals) {
        if !numbers.is_empty() {
            self.completion(upstream, |completion| completion.done.extend(numbers));
        }
    }

    pub fn marked(&mut self, upstream: usize, mark: Mark) {
        self.completion(upstream, |completion| completion.marks.push(mark));
        self.urgent = true;
    }

    pub fn remember(&mut self, upstream: usize, state: Remembered) {
        self.completion(upstream, |completion| completion.replace(state));
        self.urgent = true;
    }

    /// Somebody waits for what is there. Whether that is news.
    pub fn hurry(&mut self) -> bool {
        let is_news = !self.urgent && self.since.is_some();
        self.urgent |= is_news;
        is_news
    }

    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// When they have to be written; none when there is nothing to write.
    pub fn due(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.urgent { since } else { since + DELAY })
    }

    /// Adds what has come since to what could not be written yet.
    pub fn absorb(&mut self, newer: &mut Self) {
        self.since = self.since.or(newer.since.take());
        self.urgent |= std::mem::take(&mut newer.urgent);
        for (completion, newer) in self.of.iter_mut().zip(&mut newer.of) {
            completion.done.extend(&std::mem::take(&mut newer.done));
            completion.marks.append(&mut newer.marks);
            newer.state.take().into_iter().for_each(|state| completion.replace(state));
        }
        newer.since = None;
    }

    /// The body of a frame. Marks stand before states: a new state forgets them.
    pub fn encode(&self, names: &[std::sync::Arc<str>], out: &mut BytesMut) {
        let named = || names.iter().zip(&self.of);
        let done = named().filter(|(_, completion)| !completion.done.is_empty());
        put_list(out, done, |out, (name, completion)| {
            put_text(out, name);
            put_ranges(out, &completion.done);
        });
        let marks = named().flat_map(|(name, completion)| completion.marks.iter().map(move |mark| marked(name, *mark)));
        let states = named().flat_map(|(name, completion)| {
            let key = || Key::Upstream { name: name.clone() };
            let begins = completion.state.as_ref().is_some_and(|state| state.is_new);
            let end = begins.then(|| Change::delete(key()));
            end.into_iter().chain(completion.state.iter().map(move |state| Change::put(key(), state.value.clone())))
        });
        // None of them has a message.
        let mut sharing = Sharing::default();
        put_list(out, marks.chain(states), |out, change| put_change(out, &change, &mut sharing));
    }

    fn completion(&mut self, upstream: usize, completion: impl FnOnce(&mut Completion)) {
        if let Some(of) = self.of.get_mut(upstream) {
            completion(of);
            self.since.get_or_insert_with(clock::now);
        }
    }
}

// === impl Completion ===

impl Completion {
    /// One that replaces a new one is new as well.
    fn replace(&mut self, mut state: Remembered) {
        state.is_new |= self.state.as_ref().is_some_and(|before| before.is_new);
        self.state = Some(state);
    }
}

fn marked(upstream: &std::sync::Arc<str>, mark: Mark) -> Change {
    let mut value = BytesMut::new();
    value.put_u64_le(mark.value);
    Change::put(Key::Released { upstream: upstream.clone(), number: mark.number }, value)
}
