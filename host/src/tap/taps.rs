//! The taps of a gateway that are open, and which messages each of them wants.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::step::{Line, Step, name};
use super::trace::Trace;
use super::{MOST_BYTES, MOST_LINES};
use crate::base::clock;
use crate::base::held_bytes::{HeldBytes, HeldPart};
use crate::base::rate_limit::RateLimit;
use crate::topic::{TopicFilter, TopicName};

/// At once, in one gateway: half of the connections that the admin socket has, so that commands get through.
pub const MOST_TAPS: usize = 4;

/// Messages that a tap may begin to follow in a second.
pub const MAX_RATE: u32 = 1_000;

/// How long a tap stays open. Longer than anybody looks; one that is forgotten ends.
pub const MAX_SECONDS: u64 = 86_400;

/// Of all gateways in this process: whether anybody has to be asked.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Whether a tap is open. One relaxed load of what is hardly ever written.
pub fn is_on() -> bool {
    OPEN.load(Ordering::Relaxed) > 0
}

/// Those of one gateway.
#[derive(Default)]
pub struct Taps {
    open: Mutex<Vec<Arc<Tap>>>,
    last: AtomicU64,
}

/// What an operator wants to see.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub filter: String,
    /// Of this client alone.
    #[serde(default)]
    pub client: Option<String>,
    /// The whole way, and not only that it came in.
    #[serde(default)]
    pub why: bool,
    /// One of so many that match.
    #[serde(default = "one")]
    pub every: u32,
    /// New messages in a second.
    pub rate: u32,
    /// So many messages, and no more.
    #[serde(default)]
    pub count: Option<u64>,
    pub seconds: u64,
}

pub(super) struct Tap {
    filter: TopicFilter,
    wanted: Wanted,
    matched: AtomicU64,
    begun: AtomicU64,
    rate: RateLimit,
    left_out: AtomicU64,
    lines: mpsc::Sender<(Line, HeldPart)>,
    waiting: HeldBytes,
    lost: AtomicU64,
}

/// For who reads. The tap is open as long as this lives.
pub struct Watching {
    taps: Arc<Taps>,
    tap: Arc<Tap>,
    lines: mpsc::Receiver<(Line, HeldPart)>,
}

fn one() -> u32 {
    1
}

// === impl Taps ===

impl Taps {
    pub fn open(self: &Arc<Self>, wanted: Wanted) -> Result<Watching, String> {
        let (tap, lines) = Tap::new(wanted)?;
        let mut open = self.lock();
        if open.len() >= MOST_TAPS {
            return Err(format!("{MOST_TAPS} taps are open already: end one of them"));
        }
        let tap = Arc::new(tap);
        open.push(tap.clone());
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Watching { taps: self.clone(), tap, lines })
    }

    /// Follows a message from here on, when somebody wants it.
    pub fn begin(&self, topic: &TopicName, client: &str, hides: bool) -> Option<Trace> {
        let taps: Vec<_> = self.lock().iter().filter(|tap| tap.wants(topic, client)).cloned().collect();
        let number = || self.last.fetch_add(1, Ordering::Relaxed) + 1;
        (!taps.is_empty()).then(|| Trace::new(number(), taps, hides))
    }

    /// It goes nowhere: its device may not publish it.
    pub fn denied(&self, topic: &TopicName, client: &str, reason: &str) {
        if let Some(trace) = self.begin(topic, client, false) {
            let (topic, client) = (name(topic.as_str()), name(client));
            trace.tell(|| Step::Denied { topic, client, reason: reason.to_owned() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Tap>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tap ===

impl Tap {
    fn new(wanted: Wanted) -> Result<(Self, mpsc::Receiver<(Line, HeldPart)>), String> {
        let filter = TopicFilter::parse(&wanted.filter).map_err(|error| error.to_string())?;
        if wanted.rate == 0 || wanted.rate > MAX_RATE || wanted.every == 0 {
            return Err(format!("a tap follows 1 to {MAX_RATE} messages a second, of every 1 or more"));
        }
        if wanted.seconds == 0 || wanted.seconds > MAX_SECONDS {
            return Err(format!("a tap is open for 1 to {MAX_SECONDS} seconds"));
        }
        let (lines, heard) = mpsc::channel(MOST_LINES);
        let rate = RateLimit::per_second(wanted.rate);
        let (matched, begun, left_out, lost) = Default::default();
        let waiting = HeldBytes::default();
        Ok((Self { filter, wanted, matched, begun, rate, left_out, lines, waiting, lost }, heard))
    }

    pub fn is_open(&self) -> bool {
        !self.lines.is_closed()
    }

    fn wants(&self, topic: &TopicName, client: &str) -> bool {
        if !self.filter.matches(topic) || self.wanted.client.as_ref().is_some_and(|wanted| wanted != client) {
            return false;
        }
        let before = self.matched.fetch_add(1, Ordering::Relaxed);
        if !before.is_multiple_of(self.wanted.every.into()) || self.has_all() {
            return false;
        }
        let Some(suppressed) = self.rate.permit() else { return false };
        self.left_out.fetch_add(suppressed, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Asked under the lock of all taps, as everything in `wants`.
    fn has_all(&self) -> bool {
        self.wanted.count.is_some_and(|count| self.begun.load(Ordering::Relaxed) >= count)
    }

    /// What was not told, since the last time.
    fn left_over(&self) -> Option<Step> {
        let (lines, messages) = (self.lost.swap(0, Ordering::Relaxed), self.left_out.swap(0, Ordering::Relaxed));
        if lines > 0 {
            // The other one with the next line.
            self.left_out.fetch_add(messages, Ordering::Relaxed);
            return Some(Step::Lost { lines });
        }
        (messages > 0).then_some(Step::LeftOut { messages })
    }

    pub fn tell(&self, line: Line) {
        if !self.wanted.why && !line.step.is_arrival() {
            return;
        }
        let room = self.waiting.hold_within(line.step.weight(), MOST_BYTES);
        if room.is_none_or(|room| self.lines.try_send((line, room)).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === impl Watching ===

impl Watching {
    pub fn seconds(&self) -> u64 {
        self.tap.wanted.seconds
    }

    /// The next line. It may be dropped and called again at any time.
    pub async fn next(&mut self) -> Line {
        if let Some(step) = self.tap.left_over() {
            return Line { message: 0, at_ms: clock::unix_ms(), after_us: 0, step };
        }
        match self.lines.recv().await {
            Some((line, _room)) => line,
            // The tap itself has a sender.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.lines.close();
        self.taps.lock().retain(|tap| !Arc::ptr_eq(tap, &self.tap));
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(filter: &str) -> Wanted {
        Wanted { filter: filter.into(), client: None, why: true, every: 1, rate: 1_000, count: None, seconds: 60 }
    }

    fn topic(name: &str) -> TopicName {
        TopicName::parse(name).unwrap()
    }

    fn is_followed(taps: &Taps, name: &str, client: &str) -> bool {
        taps.begin(&topic(name), client, false).is_some()
    }

    #[test]
    fn only_what_is_wanted_is_followed_and_only_while_somebody_listens() {
        let taps = Arc::new(Taps::default());
        assert!(!is_followed(&taps, "a/b", "one"));
        let watching = taps.open(Wanted { client: Some("one".into()), ..wanted("a/#") }).unwrap();
        assert!(is_on() && is_followed(&taps, "a/b", "one"));
        assert!(!is_followed(&taps, "b", "one") && !is_followed(&taps, "a/b", "two"));
        drop(watching);
        assert!(!is_followed(&taps, "a/b", "one"));
    }

    #[test]
    fn one_of_so_many_is_followed_and_no_more_than_the_rate_and_the_count() {
        let taps = Arc::new(Taps::default());
        for (limited, followed) in [
            (Wanted { every: 3, ..wanted("#") }, 4),
            (Wanted { rate: 2, ..wanted("#") }, 2),
            (Wanted { count: Some(5), ..wanted("#") }, 5),
        ] {
            let _watching = taps.open(limited.clone()).unwrap();
            let begun = (0..12).filter(|_| is_followed(&taps, "a", "one")).count();
            // A second may begin in between.
            assert!(begun == followed || (limited.rate == 2 && begun <= 4), "{begun} of {limited:?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_read_loses_lines_and_hears_how_many() {
        let taps = Arc::new(Taps::default());
        let mut watching = taps.open(wanted("#")).unwrap();
        let trace = taps.begin(&topic("a"), "one", false).unwrap();
        (0..MOST_LINES + 7).for_each(|_| trace.tell(|| Step::Bindings { bindings: Vec::new() }));
        assert_eq!(watching.next().await.step, Step::Lost { lines: 7 });
        assert_eq!(watching.next().await.step, Step::Bindings { bindings: Vec::new() });
        drop(watching);
        trace.tell(|| panic!("nobody listens"));
    }

    #[tokio::test]
    async fn large_steps_have_room_for_their_bytes_and_no_more() {
        let taps = Arc::new(Taps::default());
        let mut watching = taps.open(wanted("#")).unwrap();
        let trace = taps.begin(&topic("a"), "one", false).unwrap();
        let after = vec![super::super::Made::new("t", super::super::Payload::of(&[b'x'; 2048])); 16];
        let step = || Step::Plugin {
            binding: "b".into(),
            plugin: "p".into(),
            verdict: super::super::Verdict::Emit,
            detail: None,
            before: super::super::Payload::default(),
            after: after.clone(),
            more: 0,
        };
        (0..MOST_LINES).for_each(|_| trace.tell(step));
        let Step::Lost { lines } = watching.next().await.step else { panic!("all had room") };
        assert!((MOST_LINES as u64 - lines) * 32_768 <= MOST_BYTES as u64);
    }

    #[tokio::test]
    async fn it_is_over_when_the_last_who_holds_it_lets_go_also_without_why() {
        let taps = Arc::new(Taps::default());
        let mut watching = taps.open(Wanted { why: false, ..wanted("#") }).unwrap();
        let trace = taps.begin(&topic("a"), "one", false).unwrap();
        let further = trace.further(true);
        trace.tell(|| Step::Bindings { bindings: Vec::new() });
        drop(trace);
        assert!(further.hides());
        drop(further);
        assert_eq!(watching.next().await.step, Step::Done);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_so_is_one_tap_too_many() {
        let taps = Arc::new(Taps::default());
        for wrong in [
            wanted("a/#/b"),
            Wanted { rate: 0, ..wanted("#") },
            Wanted { rate: MAX_RATE + 1, ..wanted("#") },
            Wanted { every: 0, ..wanted("#") },
            Wanted { seconds: 0, ..wanted("#") },
        ] {
            assert!(taps.open(wrong).is_err());
        }
        let open: Vec<_> = (0..MOST_TAPS).map(|_| taps.open(wanted("#")).unwrap()).collect();
        assert!(taps.open(wanted("#")).is_err());
        drop(open);
        assert!(taps.open(wanted("#")).is_ok());
    }
}
