//! A decision is one line, whatever white space the record has: blocks, workers and what the decoder knows of a layout mix nothing up.

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
use std::sync::Arc;

const FEATURES: &str = "[[feature]]\nname = 'amount'\nvalue = 'amount'\n";
const RECORDS: usize = 1_500;

fn engine(workers: usize) -> Engine {
    let schema = Schema { entities: vec![entity("card", &["card"])], ..least() };
    let set = file::read(FEATURES, Layer::File, "test", &schema).expect("the features are right");
    let state = StateSettings {
        shards: 8,
        memory_bytes: 1 << 30,
        entries_per_key: 4_096,
        values_per_key: 1_024,
        forget_after_ms: 400 * 86_400_000,
        sweep_every: 1 << 22,
        lateness_ms: 0,
    };
    let settings = EngineSettings {
        workers,
        state,
        dedupe: DedupeSettings { span_ms: 60_000, memory_bytes: 1 << 26 },
        output: OutputSettings { features: OutputFeatures::All, as_array: true, event: true },
        reasons: ReasonSettings { top: 0, max_share: 0.01 },
        ids: None,
    };
    Engine::new(Arc::new(Plan::new(Arc::new(schema), Arc::new(set), 0)), settings, None)
}

/// A record with this between its tokens, and the same with spaces in the place of line ends.
fn record(n: usize, between: &str) -> (String, String) {
    let with = |between: &str| {
        format!(
            r#"{{"id":"e{n}",{between}"t":{},{between}"amount":"{}.50"{between},"card":"k{}"}}"#,
            1_720_000_000_000i64 + n as i64,
            n % 300,
            n % 17
        )
    };
    (with(between), with(&between.replace(['\r', '\n'], " ")))
}

#[test]
fn records_with_line_ends_among_others_give_one_line_each() {
    // One kind for long, so that its layout is known, then kinds by turns, in runs that cut through blocks.
    let kinds = ["", " ", "\n", "\r\n", "", "\n\n", "\r"];
    let kind = |n: usize| if n < 200 { "" } else { kinds[n / 3 % kinds.len()] };
    let records: Vec<_> = (0..RECORDS).map(|n| record(n, kind(n))).collect();
    let mut found = Vec::new();
    for workers in [1, 3] {
        let (mut engine, mut batch, mut outputs) = (engine(workers), Records::default(), Outputs::default());
        let mut text = Vec::new();
        for records in records.chunks(700) {
            batch.clear();
            for (record, _) in records {
                batch.push_json(record.as_bytes());
            }
            engine.process(&mut batch, &mut outputs);
            text.extend(outputs.decisions().flatten().copied());
        }
        let text = String::from_utf8(text).expect("JSON");
        assert_eq!(text.lines().count(), RECORDS, "one line a record");
        for (line, (_, one_line)) in text.lines().zip(&records) {
            assert!(line.ends_with(&format!("\"event\":{one_line}}}")), "{line}");
        }
        found.push(text);
    }
    assert_eq!(found[0], found[1], "one worker and three");
}
