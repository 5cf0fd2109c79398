//! What was promised and what was kept. It stands outside the gateway: it knows what was sent, which acks came, what arrived where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::broker::POISON;
use super::plan::{LARGE, Route, Sending};

/// Where a message has to turn up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Upstream(String),
    DeadLetters,
    /// A local one, or the group.
    Subscriber(String),
}

/// The name of the group among the subscribers.
pub const GROUP: &str = "group";

/// Somebody who has subscribed.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    pub qos: u8,
    pub hears_raw: bool,
    pub hates_poison: bool,
}

#[derive(Debug)]
pub struct Sent {
    /// One device and topic: within it order is promised.
    pub stream: String,
    pub number: usize,
    pub qos: u8,
    /// What arrives of it, and where.
    pub due: Vec<(Place, String)>,
    pub acked: bool,
}

#[derive(Default)]
pub struct Book {
    sent: BTreeMap<String, Sent>,
    /// In the order of arrival, each as often as it came.
    arrived: BTreeMap<String, Vec<String>>,
    letters: BTreeSet<String>,
    /// By upstream, what it has refused once: when the gateway never heard of it, it sends that again behind newer ones.
    refused: BTreeSet<(String, String)>,
    /// Other promises that were broken, found while it ran.
    pub broken: Vec<String>,
    /// A broker forgot its session: QoS 2 may come twice.
    pub forgetful: BTreeSet<String>,
    /// Where order is not promised.
    pub unordered: BTreeSet<String>,
    listeners: BTreeMap<String, Listener>,
    /// An upstream that is not configured at the moment.
    absent: Option<String>,
    /// What may have met a configuration without that upstream, and need not be there.
    uncertain: BTreeSet<(String, String)>,
}

#[derive(Clone, Default)]
pub struct Oracle(Arc<Mutex<Book>>);

// === impl Oracle ===

impl Oracle {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    pub fn sent(&self, id: &str, sent: Sent) {
        let mut book = self.book();
        if let Some(absent) = book.absent.clone() {
            book.uncertain.insert((absent, id.to_owned()));
        }
        book.sent.insert(id.to_owned(), sent);
    }

    pub fn acked(&self, id: &str) {
        if let Some(sent) = self.book().sent.get_mut(id) {
            sent.acked = true;
        }
    }

    pub fn arrived(&self, upstream: &str, id: &str) {
        self.book().arrived.entry(upstream.to_owned()).or_default().push(id.to_owned());
    }

    pub fn refused(&self, upstream: &str, id: &str) {
        self.book().refused.insert((upstream.to_owned(), id.to_owned()));
    }

    pub fn letter(&self, id: &str) {
        self.book().letters.insert(id.to_owned());
    }

    /// From now on an upstream is not configured; none: all are.
    pub fn absent(&self, upstream: Option<&str>) {
        let mut book = self.book();
        book.absent = upstream.map(str::to_owned);
        let open = book.sent.iter().filter(|(_, sent)| !sent.acked).map(|(id, _)| id.clone());
        let open: Vec<_> = upstream.into_iter().flat_map(|name| open.clone().map(|id| (name.to_owned(), id))).collect();
        book.uncertain.extend(open);
    }

    /// From now on it is owed what it has subscribed to.
    pub fn listens(&self, name: &str, listener: Listener) {
        let mut book = self.book();
        if listener.qos < 2 {
            book.forgetful.insert(name.to_owned());
        }
        book.listeners.insert(name.to_owned(), listener);
    }

    /// Who is owed this one.
    pub fn listeners(&self, sending: &Sending) -> impl Iterator<Item = Place> + use<> {
        let hears = |(_, listener): &(&String, &Listener)| {
            let is_heard = sending.route == Route::Local || (sending.route == Route::Raw && listener.hears_raw);
            // Packets of that size are not let in where a record has no room for them (`app/ingress`).
            is_heard && sending.padding < LARGE && !(listener.hates_poison && sending.padding == POISON)
        };
        let book = self.book();
        let places = book.listeners.iter().filter(hears).map(|(name, _)| Place::Subscriber(name.clone()));
        places.collect::<Vec<_>>().into_iter()
    }

    pub fn broken(&self, promise: String) {
        self.book().broken.push(promise);
    }

    pub fn obligations(&self) -> usize {
        self.book().sent.values().filter(|sent| sent.acked && !sent.due.is_empty()).count()
    }

    /// Each promise that was broken, in words. `finished`: everything has had its time.
    pub fn judge(&self, finished: bool) -> Vec<String> {
        let book = self.book();
        let mut faults = book.broken.clone();
        if finished {
            faults.extend(book.lost());
        }
        faults.extend(book.twice());
        faults.extend(book.disordered());
        faults
    }
}

// === impl Book ===

impl Book {
    fn is_at(&self, place: &Place, id: &str) -> bool {
        // What an upstream refuses for good may be in the dead letters instead.
        let in_letters = self.letters.contains(id);
        match place {
            Place::DeadLetters => in_letters,
            Place::Subscriber(_) => false,
            Place::Upstream(name) => {
                in_letters || self.arrived.get(name).is_some_and(|ids| ids.iter().any(|one| one == id))
            }
        }
    }

    fn lost(&self) -> Vec<String> {
        let mut lost = Vec::new();
        let seen: BTreeMap<&String, BTreeSet<&String>> =
            self.arrived.iter().map(|(name, ids)| (name, ids.iter().collect())).collect();
        for (id, sent) in self.sent.iter().filter(|(_, sent)| sent.acked && sent.qos > 0) {
            for (place, due) in &sent.due {
                let there = match place {
                    Place::Upstream(name) if self.uncertain.contains(&(name.clone(), id.clone())) => true,
                    Place::Upstream(name) | Place::Subscriber(name)
                        if seen.get(name).is_some_and(|ids| ids.contains(due)) =>
                    {
                        true
                    }
                    place => self.is_at(place, due),
                };
                if !there {
                    lost.push(format!("acknowledged and lost: {id} at QoS {}: {due} is not at {place:?}", sent.qos));
                }
            }
        }
        lost
    }

    fn twice(&self) -> Vec<String> {
        let of_due: BTreeMap<&String, u8> =
            self.sent.values().flat_map(|sent| sent.due.iter().map(|(_, due)| (due, sent.qos))).collect();
        let mut twice = Vec::new();
        for (upstream, ids) in self.arrived.iter().filter(|(name, _)| !self.forgetful.contains(*name)) {
            let mut seen = BTreeSet::new();
            for id in ids {
                if !seen.insert(id) && of_due.get(id) == Some(&2) {
                    twice.push(format!("twice at QoS 2: {id} at {upstream}"));
                }
            }
        }
        twice
    }

    fn disordered(&self) -> Vec<String> {
        let mut places: BTreeMap<&String, (&String, usize)> = BTreeMap::new();
        for sent in self.sent.values().filter(|sent| sent.qos > 0) {
            for (part, (_, due)) in sent.due.iter().enumerate() {
                places.insert(due, (&sent.stream, sent.number * 8 + part));
            }
        }
        let mut disordered = Vec::new();
        for (upstream, ids) in self.arrived.iter().filter(|(name, _)| *name != GROUP && !self.unordered.contains(*name))
        {
            let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
            for id in ids {
                let Some((stream, place)) = places.get(id) else { continue };
                if !seen.insert(id) || self.refused.contains(&(upstream.clone(), id.clone())) {
                    continue;
                }
                if last.get(stream).is_some_and(|before| before > place) {
                    disordered.push(format!("out of order: {id} of {stream} at {upstream}"));
                }
                let last = last.entry(stream).or_insert(*place);
                *last = (*last).max(*place);
            }
        }
        disordered
    }

    /// What has not come yet of what is owed, for the story.
    pub fn open(&self) -> usize {
        self.lost().len()
    }
}
