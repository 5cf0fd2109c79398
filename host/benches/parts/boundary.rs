//! What a call into a plugin costs, by how many messages share it; and the life of an instance.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use tidegate::chain::Outcome;

use crate::shared::messages::{batch, json};
use crate::shared::{native, plugins};

const SIZES: [usize; 4] = [1, 8, 32, 128];

pub fn bench(criterion: &mut Criterion) {
    let (forwarding, vices) = (plugins::forwarding(), plugins::vices());
    let payload = json();
    let mut group = criterion.benchmark_group("plugin");
    let cases = [
        ("forward", &forwarding),
        ("replace", &plugins::replacing()),
        ("JSON filter and convert", &plugins::reading()),
    ];
    for (name, plugin) in cases {
        for size in SIZES {
            let (mut instance, batch) = (plugins::instance(plugin), batch(&payload, size));
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| plugins::cross(&mut instance, &batch));
            });
        }
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("JSON filter and convert, native", |bencher| {
        bencher.iter(|| assert!(native::filter_and_convert(black_box(payload.as_bytes())).is_some()));
    });
    group.bench_function("start and drop an instance", |bencher| bencher.iter(|| plugins::instance(&forwarding)));
    group.bench_function("from a trap to the next answer", |bencher| {
        let (mut chain, mut inputs) = (plugins::chain(&vices), batch("trap", 1));
        inputs.extend(batch(&payload, 1));
        bencher.iter(|| {
            let outcomes: Vec<_> = chain.run(inputs.clone()).into_iter().map(|done| done.outcome).collect();
            assert!(matches!(outcomes[..], [Outcome::Failed(_), Outcome::Outputs(_)]));
        });
    });
    group.finish();
}
