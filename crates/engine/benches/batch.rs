//! Whole batches through the engine on one worker: cold keys, one hot key, late events, a skewed shop.
//!
//! `cargo bench -p cartguard-engine --bench batch`

use cartguard_engine::batch::{
    DedupeSettings, Engine, EngineSettings, OutputFeatures, OutputSettings, Outputs, ReasonSettings,
    StateSettings,
};
use cartguard_engine::document::Layer;
use cartguard_engine::features::file;
use cartguard_engine::features::plan::Plan;
use cartguard_engine::record::Records;
use cartguard_engine::schema::Schema;
use cartguard_engine::schema::samples::{entity, least};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const BATCH: u64 = 1_024;
const MINUTE_MS: i64 = 60_000;

const FEATURES: &str = r#"
[[feature]]
entity = ["customer", "card"]
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

fn engine(plan: &Arc<Plan>) -> Engine {
    let settings = EngineSettings {
        workers: 1,
        state: StateSettings {
            shards: 64,
            memory_bytes: 4 << 30,
            entries_per_key: 4_096,
            values_per_key: 1_024,
            forget_after_ms: 400 * 86_400_000,
            sweep_every: 1 << 22,
            lateness_ms: MINUTE_MS,
        },
        dedupe: DedupeSettings { span_ms: 10 * MINUTE_MS, memory_bytes: 1 << 28 },
        output: OutputSettings { features: OutputFeatures::All, as_array: true, event: true },
        reasons: ReasonSettings { top: 5, max_share: 0.01 },
        ids: None,
    };
    Engine::new(plan.clone(), settings, None)
}

/// The n-th event of a history, as its customer and its time.
type History = fn(u64) -> (u64, i64);

/// Every event another customer.
fn cold(n: u64) -> (u64, i64) {
    (n, 10 * n as i64)
}

/// One customer.
fn hot(n: u64) -> (u64, i64) {
    (0, 1_000 * n as i64)
}

/// A hundred customers, every other event half a minute late.
fn late(n: u64) -> (u64, i64) {
    (n % 100, 100 * n as i64 - if n.is_multiple_of(2) { 30_000 } else { 0 })
}

/// Customers in proportion to a square: some have many orders, most few.
fn skewed(n: u64) -> (u64, i64) {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (spread * spread / (1 << 32) * 50_000 / (1 << 32), 100 * n as i64)
}

fn fill(batch: &mut Records, history: History, from: u64) {
    batch.clear();
    for n in from..from + BATCH {
        let (customer, ms) = history(n);
        let time = 1_720_000_000_000 + ms;
        let line = format!(
            r#"{{"id":"e{n}","t":{time},"amount":"{}.{:02}","customer":"c{customer}","card":"k{}"}}"#,
            n % 500,
            n % 100,
            customer * 2 + n % 2
        );
        batch.push_json(line.as_bytes());
    }
}

fn batches(criterion: &mut Criterion) {
    let plan = plan();
    let mut group = criterion.benchmark_group("batch of 1,024");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    let histories: [(&str, History); 4] =
        [("cold keys", cold), ("one hot key", hot), ("half late", late), ("skewed", skewed)];
    for (name, history) in histories {
        let mut engine = engine(&plan);
        let mut outputs = Outputs::default();
        let mut next = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    let mut batch = Records::default();
                    fill(&mut batch, history, next);
                    next += BATCH;
                    batch
                },
                |batch| {
                    engine.process(batch, &mut outputs);
                    black_box(outputs.decisions().count())
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, batches);
criterion_main!(benches);
