//! Questions to a table for what has an inside: lists, tables in it, lists of tables.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeValue;

use super::{Kind, Placed, Table};

// === impl Table ===

impl<'a> Table<'a> {
    /// One string, or several in a list.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Placed<&'a str>>> {
        let (value, span) = self.value(key)?;
        match value {
            DeValue::String(text) => Some(vec![Placed::new(span, text.as_ref())]),
            DeValue::Array(items) => Some(self.strings(key, items)),
            other => self.wrong(key, Kind::Texts, other, &span),
        }
    }

    /// A list of strings; absent means empty.
    pub fn words(&self, key: &'static str) -> Vec<Placed<&'a str>> {
        self.items(key, Kind::List).map_or_else(Vec::new, |(items, _)| self.strings(key, items))
    }

    /// A table below this one. An absent one answers every question with "absent".
    pub fn table(&self, key: &'static str) -> Table<'a> {
        self.table_of(key, Kind::Table)
    }

    fn table_of(&self, key: &'static str, kind: Kind) -> Table<'a> {
        let Some((value, span)) = self.value(key) else { return self.inner(key, self.span(), None) };
        if !value.is_table() {
            self.wrong::<()>(key, kind, value, &span);
        }
        self.inner(key, span, value.as_table())
    }

    /// A list of tables, `[[key]]` or inline; and the place of the list.
    pub fn tables(&self, key: &'static str, kind: Kind) -> Option<(Vec<Table<'a>>, Range<usize>)> {
        let (items, span) = self.items(key, kind)?;
        let table = |item: &'a Placed<DeValue<'a>>| match item.get_ref().as_table() {
            Some(entries) => Some(self.inner(key, item.span(), Some(entries))),
            None => self.wrong(key, kind, item.get_ref(), &item.span()),
        };
        Some((items.iter().filter_map(table).collect(), span))
    }

    /// The tables that a person named: `[upstreams.cloud]` gives `cloud`, the place of the name serving for the table.
    pub fn named(&self, key: &'static str) -> Vec<(Placed<&'a str>, Table<'a>)> {
        let parent = self.table_of(key, Kind::Named);
        let open = |(name, value): (&'a Placed<Cow<'a, str>>, &'a Placed<DeValue<'a>>)| {
            let (span, name) = (name.span(), name.get_ref().as_ref());
            match value.get_ref().as_table() {
                Some(entries) => Some((Placed::new(span.clone(), name), parent.inner(name, span, Some(entries)))),
                None => parent.wrong(name, Kind::Table, value.get_ref(), &value.span()),
            }
        };
        parent.free_form().into_iter().flatten().filter_map(open).collect()
    }

    /// The strings that a person named: `keys.ops = "..."` gives `ops`.
    pub fn named_texts(&self, key: &'static str) -> Vec<(Placed<&'a str>, Placed<&'a str>)> {
        let parent = self.table(key);
        let read = |(name, value): (&'a Placed<Cow<'a, str>>, &'a Placed<DeValue<'a>>)| {
            let word = name.get_ref().as_ref();
            let Some(text) = value.get_ref().as_str() else {
                return parent.wrong(word, Kind::Text, value.get_ref(), &value.span());
            };
            Some((Placed::new(name.span(), word), Placed::new(value.span(), text)))
        };
        parent.free_form().into_iter().flatten().filter_map(read).collect()
    }

    fn items(&self, key: &'static str, kind: Kind) -> Option<(&'a [Placed<DeValue<'a>>], Range<usize>)> {
        let (value, span) = self.value(key)?;
        let items = value.as_array().or_else(|| self.wrong(key, kind, value, &span))?;
        Some((items, span))
    }

    fn strings(&self, key: &str, items: &'a [Placed<DeValue<'a>>]) -> Vec<Placed<&'a str>> {
        let string = |item: &'a Placed<DeValue<'a>>| match item.get_ref().as_str() {
            Some(text) => Some(Placed::new(item.span(), text)),
            None => self.wrong(key, Kind::Texts, item.get_ref(), &item.span()),
        };
        items.iter().filter_map(string).collect()
    }
}
