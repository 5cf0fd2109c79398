//! Filters and a name as anybody may write them: the trie finds exactly what matching one by one finds, and what was filed
//! can be taken out again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::topic::{TopicFilter, TopicName, Trie};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Some(Ok(name)) = lines.next().map(TopicName::parse) else { return };
    let filters: Vec<TopicFilter> = lines.filter_map(|line| TopicFilter::parse(line).ok()).collect();
    let mut trie = Trie::default();
    for (index, filter) in filters.iter().enumerate() {
        trie.insert(filter, index);
    }
    let mut found: Vec<usize> = trie.matches(&name).into_iter().copied().collect();
    found.sort_unstable();
    let oracle: Vec<usize> = (0..filters.len()).filter(|index| filters[*index].matches(&name)).collect();
    assert_eq!(found, oracle);
    for (index, filter) in filters.iter().enumerate() {
        assert_eq!(trie.retain(filter, |value| *value != index), 1);
    }
    assert!(trie.matches(&name).is_empty());
});
