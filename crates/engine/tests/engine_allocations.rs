//! A batch allocates a fixed number of times, however many events and alerts it has, once keys, history and buffers have
//! grown.

mod counting;

use cartguard_engine::batch::rows::{RowPlan, Rows, Share};
use cartguard_engine::batch::snapshot::FramePool;
use cartguard_engine::batch::{
    DedupeSettings, Engine, EngineSettings, OutputFeatures, OutputSettings, Outputs, ReasonSettings, Scorer,
    StateSettings,
};
use cartguard_engine::decide::Thresholds;
use cartguard_engine::document::Layer;
use cartguard_engine::features::file;
use cartguard_engine::features::plan::Plan;
use cartguard_engine::record::Records;
use cartguard_engine::schema::Schema;
use cartguard_engine::schema::samples::{entity, least};
use cartguard_forest::{Format, Model};
use counting::{COUNT, LARGE};
use std::sync::Arc;

/// What a batch may allocate: the lists of guards of the lanes, one for each of the phases that read them (order,
/// update, encode), two for the one that scores, and one each of the ids' shards and of the keys', which are of one layer here.
const PER_BATCH: u64 = 7;

/// More than that in all rounds, for tables of the state that had not met their largest use before: measured 3, for
/// 105,000 events.
const GROWTH_MAX: u64 = 8;

const MINUTE_MS: i64 = 60_000;

/// Keys of each entity.
const KEYS: u64 = 97;

const FEATURES: &str = r#"
[[feature]]
entity = ["customer", "card"]
windows = ["1m", "10m"]
aggregates = ["count", "sum", "mean", "max"]

[[feature]]
entity = "customer"
windows = ["10m"]
aggregates = ["distinct"]
of = ["card"]

[[feature]]
name = "amount"
value = "amount"
"#;

fn plan() -> Arc<Plan> {
    let entities = vec![entity("customer", &["customer"]), entity("card", &["card"])];
    let schema = Schema { entities, ..least() };
    let set = file::read(FEATURES, Layer::File, "test", &schema).expect("the features are right");
    Arc::new(Plan::new(Arc::new(schema), Arc::new(set), MINUTE_MS))
}

/// Scores by the amount alone: above 96.00 it is an alert.
fn scorer(plan: &Plan) -> Arc<Scorer> {
    let model = r#"{"format":"cartguard.logistic","version":1,"features":["amount"],"weights":[1.0],"intercept":-96.0}"#;
    Arc::new(Scorer {
        name: "test/1".to_owned(),
        model: Arc::new(Model::from_bytes(Format::LogisticJson, model.as_bytes()).expect("a model")),
        features: vec![plan.features() - 1],
        thresholds: Thresholds { review_at: 0.5, decline_at: 0.9 },
    })
}

fn engine(scored: bool) -> Engine {
    let plan = plan();
    let settings = EngineSettings {
        workers: 1,
        state: StateSettings {
            shards: 16,
            memory_bytes: 1 << 30,
            entries_per_key: 4_096,
            values_per_key: 1_024,
            forget_after_ms: 400 * 86_400_000,
            sweep_every: 1 << 22,
            lateness_ms: MINUTE_MS,
        },
        dedupe: DedupeSettings { span_ms: MINUTE_MS, memory_bytes: 1 << 26 },
        output: OutputSettings { features: OutputFeatures::All, as_array: true, event: true },
        reasons: ReasonSettings { top: 5, max_share: 0.01 },
        ids: None,
    };
    let scorer = scored.then(|| scorer(&plan));
    Engine::new(plan, settings, scorer)
}

/// `len` events from the `next`-th on, ten a second: a customer with two cards, in turn.
fn fill(batch: &mut Records, next: &mut u64, len: u64) {
    batch.clear();
    for n in *next..*next + len {
        let (customer, time) = (n * 31 % KEYS, 1_720_000_000_000 + 100 * n);
        let card = customer * 2 + n / KEYS % 2;
        let line = format!(
            r#"{{"id":"e{n:012}","t":{time},"amount":"{}.{:02}","customer":"c{customer}","card":"k{card}"}}"#,
            n % 100,
            n % 89
        );
        batch.push_json(line.as_bytes());
    }
    *next += len;
}

/// Counts the allocations of batches of several sizes, with and without alerts in them, and with rows that are handed out beside.
#[track_caller]
fn check(scored: bool, hands_out: bool) {
    let mut engine = engine(scored);
    let mut rows = Rows::default();
    if hands_out {
        let plan = RowPlan::new(engine.preparer().plan(), &[0, 1, 2], Share::ALL);
        engine.hand_out(Some(Arc::new(plan)));
    }
    let (mut batch, mut outputs, mut next) = (Records::default(), Outputs::default(), 0);
    // Longer than the longest window with its lateness, so that what comes takes the room of what goes.
    for _ in 0..16 {
        fill(&mut batch, &mut next, 2_048);
        engine.process(&mut batch, &mut outputs);
        outputs.take_rows(&mut rows);
    }
    let (mut grown, mut taken) = (0, 0);
    for round in 0..40 {
        for len in [1, 31, 32, 512, 2_048] {
            fill(&mut batch, &mut next, len);
            let keys = engine.state().keys;
            let before = COUNT.get();
            engine.process(&mut batch, &mut outputs);
            outputs.take_rows(&mut rows);
            taken += rows.iter().count();
            let count = COUNT.get() - before;
            grown += count.saturating_sub(PER_BATCH);
            assert!(grown <= GROWTH_MAX, "round {round}: {count} allocations, {len} events");
            assert_eq!(engine.state().keys, keys, "no new key");
        }
    }
    let counts = engine.counts();
    assert_eq!((counts.accepted, counts.duplicates, counts.rejected()), (next, 0, 0));
    assert_eq!(counts.alerts > 0, scored);
    assert_eq!(taken > 0, hands_out);
}

#[test]
fn a_large_batch_allocates_no_more_than_a_small_one() {
    check(false, false);
}

#[test]
fn alerts_allocate_nothing() {
    check(true, false);
}

#[test]
fn rows_that_are_handed_out_allocate_nothing() {
    check(true, true);
}

#[test]
fn the_counter_counts() {
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(COUNT.get() - before, 1);
}

/// The cut, the copies between batches and what they save: all of it lies in memory that somebody else found, and nobody frees it here.
#[test]
fn a_snapshot_is_cut_and_copied_in_memory_that_is_there() {
    let mut engine = engine(false);
    let (mut batch, mut outputs, mut next) = (Records::default(), Outputs::default(), 0);
    let pool = FramePool::default();
    for round in 0..4 {
        for _ in 0..16 {
            fill(&mut batch, &mut next, 2_048);
            engine.process(&mut batch, &mut outputs);
        }
        // By whoever stores the parts.
        pool.prepare(engine.snapshot_needs());
        let mut parts = Vec::with_capacity(engine.snapshot_parts());
        let (mut large, mut saved) = (0, 0);
        let before = LARGE.get();
        engine.begin_snapshot(&pool);
        large += LARGE.get() - before;
        while engine.is_taking_snapshot() {
            fill(&mut batch, &mut next, 32);
            let ready = pool.frames();
            engine.process(&mut batch, &mut outputs);
            saved += ready - pool.frames();
            let before = LARGE.get();
            engine.continue_snapshot(32, |part| parts.push(part));
            large += LARGE.get() - before;
            assert!(pool.frames() > 0, "there was one for all that was saved and copied");
            // By whoever stores the parts, again.
            parts.clear();
        }
        assert!(saved > 0, "something is written to before its turn");
        // Lists of what is saved grow in the first rounds.
        assert!(round < 2 || large == 0, "round {round}: {large} blocks");
    }
}
