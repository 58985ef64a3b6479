//! Windows and the store by themselves: one key's update, and batches of updates over many keys.
//!
//! `cargo bench -p cartguard-engine --bench store`

use cartguard_engine::batch::StateSettings;
use cartguard_engine::document::Layer;
use cartguard_engine::features::file;
use cartguard_engine::features::plan::Plan;
use cartguard_engine::measured::{Event, Store};
use cartguard_engine::schema::Schema;
use cartguard_engine::schema::samples::{entity, least};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
/// Updates of a batch in the store: those of a worker's shards in a batch of 1,024 events with four keys each, of two workers.
const BATCH: u64 = 2_048;

/// What the workload has for a customer.
const FEATURES: &str = r#"
[[feature]]
entity = "customer"
windows = ["1m", "10m", "1h", "24h", "7d"]
aggregates = ["count", "sum", "mean", "max"]

[[feature]]
entity = "customer"
windows = ["24h"]
aggregates = ["distinct"]
of = ["card"]
"#;

fn plan() -> Arc<Plan> {
    let entities = vec![entity("customer", &["customer"]), entity("card", &["card"])];
    let schema = Schema { entities, ..least() };
    let set = file::read(FEATURES, Layer::File, "bench", &schema).expect("the features are right");
    Arc::new(Plan::new(Arc::new(schema), Arc::new(set), MINUTE_MS))
}

fn store(shards: usize) -> Store {
    let settings = StateSettings {
        shards,
        memory_bytes: 16 << 30,
        entries_per_key: 50_000,
        values_per_key: 1_024,
        forget_after_ms: 400 * 86_400_000,
        sweep_every: 1 << 22,
        lateness_ms: MINUTE_MS,
    };
    Store::new(plan(), settings)
}

/// The n-th event of a history: which key, and when.
type History = fn(u64) -> (u64, i64);

fn event(history: History, n: u64) -> Event {
    let (key, time_ms) = history(n);
    // Spread as hashes are; odd, so that no two keys meet and none is 0.
    let spread = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Event { key: spread(key), time_ms, amount: (n % 50_000) as i64, other: spread(n % 3) }
}

/// Every event another key.
fn cold(n: u64) -> (u64, i64) {
    (n, 10 * n as i64)
}

/// One key, an event a minute: 10,080 lie in its longest window.
fn hot(n: u64) -> (u64, i64) {
    (0, MINUTE_MS * n as i64)
}

/// A thousand keys of six events a week, which stay small.
fn small(n: u64) -> (u64, i64) {
    (n % 1_000, 100_000 * n as i64)
}

/// The hot key, where every other event comes half a minute late.
fn late(n: u64) -> (u64, i64) {
    (0, MINUTE_MS * n as i64 - if n.is_multiple_of(2) { 90_000 } else { 0 })
}

/// A million keys in proportion to a square: some have many events, most few.
fn skewed(n: u64) -> (u64, i64) {
    let drawn = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((((drawn * drawn) >> 32) * 1_000_000) >> 32, 100 * n as i64)
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("window update");
    group.throughput(Throughput::Elements(1));
    let histories: [(&str, u64, History); 4] = [
        ("cold keys", 0, cold),
        ("small keys", 20_000, small),
        ("one hot key", 20_000, hot),
        ("one hot key, half late", 20_000, late),
    ];
    for (name, before, history) in histories {
        let mut store = store(1);
        let mut next = 0;
        let mut step = |store: &mut Store| {
            let marks = store.update(&event(history, next));
            next += 1;
            marks
        };
        for _ in 0..before {
            step(&mut store);
        }
        group.bench_function(name, |bencher| bencher.iter(|| black_box(step(&mut store))));
    }
    group.finish();
}

fn skew(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store under skew");
    group.throughput(Throughput::Elements(BATCH)).sample_size(50);
    for (name, is_ahead) in [("asked for ahead", true), ("one after the other", false)] {
        let mut store = store(64);
        let mut next = 0;
        let mut batch = || {
            let events: Vec<Event> = (next..next + BATCH).map(|n| event(skewed, n)).collect();
            next += BATCH;
            events
        };
        for _ in 0..1_000 {
            store.update_all(&mut batch(), is_ahead);
        }
        assert!(store.keys() > 500_000, "more keys than a cache holds: {}", store.keys());
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                &mut batch,
                |events| black_box(store.update_all(events, is_ahead)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, updates, skew);
criterion_main!(benches);
