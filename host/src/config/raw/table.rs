//! A table that is asked for its keys by type, and remembers what it was asked.
//!
//! A question returns `None` when the key is absent *or wrong*; what is wrong has then been reported, so that a caller
//! may go on with a default and find the next problem. After the last question, [`Table::finish`] reports the keys
//! that nobody asked for.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{Kind, Limit, Placed, Reader};
use crate::access::Place;
use crate::config::problem::Problem;

pub struct Table<'a> {
    reader: &'a Reader<'a>,
    /// Its full name: `broker.listeners.local`, empty for the whole file.
    path: String,
    /// The place of its header, or of the whole table when it stands inline.
    span: Range<usize>,
    /// `None`: it is not in the file, and every question gets "absent".
    pub(super) entries: Option<&'a DeTable<'a>>,
    pub(super) asked: RefCell<Vec<&'static str>>,
}

// === impl Table ===

impl<'a> Table<'a> {
    pub fn root(reader: &'a Reader<'a>, entries: &'a DeTable<'a>) -> Self {
        let (path, span, entries) = (String::new(), 0..0, Some(entries));
        Self { reader, path, span, entries, asked: RefCell::default() }
    }

    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The line of a place in this file.
    pub fn place(&self, span: &Range<usize>) -> Place {
        self.reader.place(span)
    }

    pub(super) fn name(&self) -> &str {
        &self.path
    }

    /// Whether anything in the whole file has been reported so far.
    pub fn has_problems(&self) -> bool {
        !self.reader.is_empty()
    }

    pub fn add(&self, problem: Problem) {
        self.reader.add(problem);
    }

    /// The value of a key, whatever its type.
    pub fn value(&self, key: &'static str) -> Option<(&'a DeValue<'a>, Range<usize>)> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let value = self.entries?.get(key)?;
        Some((value.get_ref(), value.span()))
    }

    /// The name under which a key stands here that has a new one: the old one is accepted for one release, with a warning.
    pub fn renamed(&self, old: &'static str, new: &'static str) -> &'static str {
        let Some((place, _)) = self.entries.and_then(|entries| entries.get_key_value(old)) else { return new };
        let sentence = format!("`{}` is now `{}`", self.full(old), self.full(new));
        let problem = match self.value(new) {
            Some(_) => Problem::error(place.span(), sentence).advice(format!("both are given: remove `{old}`")),
            None => {
                Problem::warning(place.span(), sentence).advice("write the new name: the old one is for one release")
            }
        };
        self.value(old);
        self.add(problem);
        old
    }

    pub fn text(&self, key: &'static str) -> Option<Placed<&'a str>> {
        let (value, span) = self.value(key)?;
        let text = value.as_str().or_else(|| self.wrong(key, Kind::Text, value, &span))?;
        Some(Placed::new(span, text))
    }

    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let (value, span) = self.value(key)?;
        value.as_bool().or_else(|| self.wrong(key, Kind::Flag, value, &span))
    }

    pub fn number<N: Limit + TryFrom<i64>>(&self, key: &'static str, range: RangeInclusive<N>) -> Option<N> {
        let (value, span) = self.value(key)?;
        let integer = value.as_integer().or_else(|| self.wrong(key, Kind::Number, value, &span))?;
        let number = signed(integer).and_then(|number| N::try_from(number).ok());
        self.within(key, number, &range, span)
    }

    pub fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (text, span) = self.unit(key, Kind::Duration)?;
        let duration = humantime::parse_duration(text).ok();
        let duration = duration.or_else(|| self.misread(key, Kind::Duration, text, &span))?;
        self.within(key, Some(duration), &range, span)
    }

    pub fn size(&self, key: &'static str, range: RangeInclusive<ByteSize>) -> Option<usize> {
        let (text, span) = self.unit(key, Kind::Size)?;
        let size: Option<ByteSize> = text.parse().ok();
        let size = size.or_else(|| self.misread(key, Kind::Size, text, &span))?;
        let size = self.within(key, Some(size), &range, span)?;
        usize::try_from(size.as_u64()).ok()
    }

    /// A file that must exist. Paths are relative to the folder of the configuration.
    pub fn file(&self, key: &'static str, advice: &str) -> Option<PathBuf> {
        let path = self.path(key, advice, Problem::error)?;
        path.is_file().then_some(path)
    }

    /// One that may still be put there: that it is missing is no more than a doubt.
    pub fn file_to_come(&self, key: &'static str, advice: &str) -> Option<PathBuf> {
        self.path(key, advice, Problem::warning)
    }

    fn path(&self, key: &'static str, advice: &str, missing: fn(Range<usize>, String) -> Problem) -> Option<PathBuf> {
        let typed = self.text(key)?;
        let path = self.reader.path(typed.get_ref());
        if !path.is_file() {
            let sentence = match path.is_dir() {
                true => format!("`{key}`: `{}` is a folder, and a file is needed", typed.get_ref()),
                false => format!("`{key}`: there is no file `{}`", typed.get_ref()),
            };
            let advice = format!("paths begin at the folder of this configuration; {advice}");
            self.add(missing(typed.span(), sentence).advice(advice));
        }
        Some(path)
    }

    /// A folder that the gateway makes when it is missing.
    pub fn folder(&self, key: &'static str, default: &str) -> PathBuf {
        self.reader.path(self.text(key).map_or(default, Placed::into_inner))
    }

    /// Everything in it, without questions: a plugin's own configuration.
    pub fn free_form(&self) -> Option<&'a DeTable<'a>> {
        self.entries
    }

    /// The text of a value that is written with a unit.
    fn unit(&self, key: &'static str, kind: Kind) -> Option<(&'a str, Range<usize>)> {
        let (value, span) = self.value(key)?;
        let text = value.as_str().or_else(|| self.wrong(key, kind, value, &span))?;
        Some((text, span))
    }

    /// The name of a key from the top of the file.
    pub(super) fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A table in this one.
    pub(super) fn inner(&self, key: &str, span: Range<usize>, entries: Option<&'a DeTable<'a>>) -> Self {
        Self { reader: self.reader, path: self.full(key), span, entries, asked: RefCell::default() }
    }
}

/// TOML integers are signed 64-bit; a longer one is out of every range here.
fn signed(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
