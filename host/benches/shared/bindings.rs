//! Many filters, of which two match.

use std::hint::black_box;

use tidegate::bindings::{Binding, Table};
use tidegate::config::{self, FaultPolicy, OnError};
use tidegate::topic::{TopicFilter, TopicName, Trie};

use super::messages::{self, BATCH};

/// A line of each plant, and one that is everybody's.
pub fn filters(count: usize) -> Vec<TopicFilter> {
    let filter = |text: &str| TopicFilter::parse(text).expect("a filter");
    let of_plants = (1..count).map(|plant| filter(&format!("site/plant{plant}/+/temperature")));
    of_plants.chain([filter("site/#")]).collect()
}

/// A [`BATCH`] of topics all over the plants.
pub fn names(count: usize) -> Vec<TopicName> {
    let plant = |index: usize| 1 + index * (count - 2) / BATCH;
    (0..BATCH).map(|index| messages::topic(&format!("site/plant{}/kiln/temperature", plant(index)))).collect()
}

pub fn trie(filters: &[TopicFilter]) -> Trie<usize> {
    let mut trie = Trie::default();
    filters.iter().enumerate().for_each(|(index, filter)| trie.insert(filter, index));
    trie
}

pub fn table(filters: &[TopicFilter]) -> Table {
    Table::new(filters.iter().map(binding).collect())
}

pub fn search(trie: &Trie<usize>, names: &[TopicName]) {
    for name in names {
        let mut found = 0;
        trie.visit(name, |index| found += usize::from(black_box(*index) < usize::MAX));
        assert_eq!(found, 2);
    }
}

pub fn look_up(table: &Table, names: &[TopicName]) {
    names.iter().for_each(|name| assert_eq!(black_box(table.matching(name)).len(), 2));
}

fn binding(filter: &TopicFilter) -> Binding {
    let spec = config::Binding {
        name: filter.to_string().as_str().into(),
        from: None,
        filters: vec![filter.clone()],
        plugins: Vec::new(),
        tick: None,
        on_error: OnError::Drop,
        faults: FaultPolicy::NONE,
        order: Default::default(),
        on_start_failure: Default::default(),
        to: Vec::new(),
    };
    Binding::new(spec, None)
}
