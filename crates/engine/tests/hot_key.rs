//! F11: one hot key. Its memory has a bound, and every other key has the values that it has without it.

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
use serde_json::Value;
use std::sync::Arc;

const ENTRIES_PER_KEY: usize = 64;
const KEYS: u64 = 40;

const FEATURES: &str = r#"
[[feature]]
entity = "customer"
windows = ["1m", "1h", "7d"]
aggregates = ["count", "sum", "mean", "max", "std"]

[[feature]]
entity = "customer"
windows = ["1h"]
aggregates = ["distinct"]
of = ["card"]

[[feature]]
entity = "customer"
aggregates = ["seconds_since_last", "seconds_since_first"]
"#;

fn engine(workers: usize) -> Engine {
    let entities = vec![entity("customer", &["customer"]), entity("card", &["card"])];
    let schema = Schema { entities, ..least() };
    let set = file::read(FEATURES, Layer::File, "test", &schema).expect("the features are right");
    let plan = Arc::new(Plan::new(Arc::new(schema), Arc::new(set), 60_000));
    let settings = EngineSettings {
        workers,
        state: StateSettings {
            shards: 8,
            memory_bytes: 1 << 24,
            entries_per_key: ENTRIES_PER_KEY,
            values_per_key: 1_024,
            forget_after_ms: 400 * 86_400_000,
            sweep_every: 1 << 20,
            lateness_ms: 60_000,
        },
        dedupe: DedupeSettings { span_ms: 60_000, memory_bytes: 1 << 22 },
        output: OutputSettings { features: OutputFeatures::All, as_array: false, event: false },
        reasons: ReasonSettings { top: 5, max_share: 0.01 },
        ids: None,
    };
    Engine::new(plan, settings, None)
}

/// The n-th event, a fifth of a second after the one before: of 50 one is of another customer, the rest of customer 0.
fn customer(n: u64) -> u64 {
    if n.is_multiple_of(50) { 1 + n / 50 % KEYS } else { 0 }
}

fn record(n: u64) -> String {
    let (customer, time) = (customer(n), 1_720_000_000_000 + 200 * n);
    // The hot key has a new card each time: more than the values that a key keeps.
    let card = if customer == 0 { n } else { customer };
    format!(
        r#"{{"id":"e{n}","t":{time},"amount":"{}.{:02}","customer":"c{customer}","card":"k{card}"}}"#,
        n % 500,
        n % 100
    )
}

/// Decisions by event id, and keys, entries and distinct values at the end.
fn run(workers: usize, events: impl Iterator<Item = u64>) -> (Vec<(u64, Value)>, [u64; 3]) {
    let (mut engine, mut batch, mut outputs) = (engine(workers), Records::default(), Outputs::default());
    let mut decisions = Vec::new();
    let mut flush = |batch: &mut Records, engine: &mut Engine| {
        engine.process(batch, &mut outputs);
        let text: Vec<u8> = outputs.decisions().flatten().copied().collect();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("a line is JSON");
            let id = line["event_id"].as_str().and_then(|id| id[1..].parse().ok()).expect("an id of ours");
            decisions.push((id, line));
        }
        batch.clear();
    };
    for n in events {
        batch.push_json(record(n).as_bytes());
        if batch.len() == 1_000 {
            flush(&mut batch, &mut engine);
        }
    }
    flush(&mut batch, &mut engine);
    let state = engine.state();
    assert_eq!(state.evicted, 0);
    (decisions, [state.keys, state.entries, state.values])
}

#[test]
fn a_hot_key_is_bounded_and_touches_no_other() {
    const EVENTS: u64 = 20_000;
    let (alone, _) = run(1, (0..EVENTS).filter(|n| customer(*n) != 0));
    for workers in [1, 2] {
        let (decisions, [keys, entries, values]) = run(workers, 0..EVENTS);
        assert_eq!((decisions.len() as u64, keys), (EVENTS, KEYS + 1));
        // Bounded by the keys, not by the 19,600 events and cards of the hot one.
        assert!(entries <= (KEYS + 1) * ENTRIES_PER_KEY as u64, "{entries} entries");
        assert!(values <= 1_024 + KEYS, "{values} values");
        let others: Vec<_> = decisions.iter().filter(|(n, _)| customer(*n) != 0).collect();
        assert_eq!(others.len(), alone.len());
        for ((n, decision), (n_alone, decision_alone)) in others.into_iter().zip(&alone) {
            assert_eq!((n, &decision["features"]), (n_alone, &decision_alone["features"]));
            assert_eq!((n, &decision["marks"]), (n_alone, &decision_alone["marks"]));
        }
        // What the hot key itself says is exact, or says that it may not be.
        for (n, decision) in decisions.iter().filter(|(n, _)| customer(*n) == 0) {
            let earlier = n.saturating_sub(n / 50 + 1);
            assert_eq!(decision["features"]["customer.count_7d"], earlier, "event {n}");
        }
        let is_saturated =
            |decision: &Value| decision["marks"].as_array().is_some_and(|marks| !marks.is_empty());
        assert!(decisions.iter().any(|(n, decision)| customer(*n) == 0 && is_saturated(decision)));
    }
}
