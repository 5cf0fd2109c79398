//! Which bindings match: searched for, and remembered.

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::shared::bindings::{filters, look_up, names, search, table, trie};
use crate::shared::messages::BATCH;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trie");
    group.throughput(Throughput::Elements(BATCH as u64));
    for count in [10, 10_000] {
        let (filters, names) = (filters(count), names(count));
        let (trie, table) = (trie(&filters), table(&filters));
        group.bench_function(BenchmarkId::new("search", count), |bencher| bencher.iter(|| search(&trie, &names)));
        group.bench_function(BenchmarkId::new("the table, which remembers", count), |bencher| {
            bencher.iter(|| look_up(&table, &names));
        });
    }
    group.finish();
}
