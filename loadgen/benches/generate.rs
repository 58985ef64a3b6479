//! Records a second of each world on one core: `cargo bench -p loadgen`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loadgen::{Generator, Settings, World};

/// Events of an iteration: long enough that caches and heaps are as in a long run.
const BATCH: u64 = 20_000;

fn worlds(c: &mut Criterion) {
    let mut group = c.benchmark_group("generate");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    for world in World::ALL {
        let settings = Settings::new(world);
        let mut generator = Generator::new(&settings).expect("defaults are valid");
        let mut out = Vec::with_capacity(64 * 1024);
        group.bench_function(world.name(), |b| {
            b.iter(|| {
                for _ in 0..BATCH {
                    out.clear();
                    if generator.next_event(&mut out).is_none() {
                        generator = Generator::new(&settings).expect("defaults are valid");
                    }
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, worlds);
criterion_main!(benches);
