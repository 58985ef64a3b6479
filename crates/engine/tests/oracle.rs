//! The engine against the oracle: every feature of every event, bit for bit, over random histories, for several numbers of
//! workers and random batches.
//!
//! `CARTGUARD_ORACLE_CASES` sets the number of cases (default 300), `CARTGUARD_ORACLE_FIRST` the first seed.

use cartguard_engine::batch::{
    Counts, DedupeSettings, Engine, EngineSettings, OutputFeatures, OutputSettings, Outputs, ReasonSettings,
    StateSettings,
};
use cartguard_engine::decode::hash;
use cartguard_engine::features::expression::{Scope, compile};
use cartguard_engine::features::plan::Plan;
use cartguard_engine::features::sentence::Sentences;
use cartguard_engine::features::spec::{
    Aggregate, Column, Condition, Definition, Feature, FeatureSet, RatioOf, Value, WindowFeature,
};
use cartguard_engine::limits::DISTINCT_VALUES_MAX;
use cartguard_engine::record::{Location, Records};
use cartguard_engine::schema::samples::{entity, field, least};
use cartguard_engine::schema::{FieldKind, Schema};
use cartguard_oracle as oracle;
use cartguard_oracle::histories::{Case, Random};
use std::fmt::Write as _;
use std::sync::Arc;

const SEED: u64 = 7;

fn schema(case: &Case) -> Schema {
    let mut fields = vec![field("n1", FieldKind::Number)];
    let values = (0..case.values).map(|index| format!("v{index}"));
    let conditions = (0..case.conditions).map(|index| format!("c{index}"));
    fields.extend(values.chain(conditions).map(|name| field(&name, FieldKind::Category)));
    let entities =
        (0..case.entities).map(|index| entity(&format!("e{index}"), &[&format!("k{index}")])).collect();
    Schema { fields, entities, hash_seed: SEED, ..least() }
}

/// The engine's form of an oracle's definition; `None` where only the oracle has it.
fn feature(index: usize, definition: &oracle::Definition) -> Option<Feature> {
    let column = |index: usize| if index == 0 { Column::Amount } else { Column::Slot(0) };
    let value = |index: usize| Value::Slot(1 + index as u16);
    let aggregate = match &definition.aggregate {
        oracle::Aggregate::Count => Aggregate::Count,
        oracle::Aggregate::Sum(at) => Aggregate::Sum(column(*at)),
        oracle::Aggregate::Mean(at) => Aggregate::Mean(column(*at)),
        oracle::Aggregate::Min(at) => Aggregate::Min(column(*at)),
        oracle::Aggregate::Max(at) => Aggregate::Max(column(*at)),
        oracle::Aggregate::Std(at) => Aggregate::Std(column(*at)),
        oracle::Aggregate::Zscore(at) => Aggregate::ZScore(column(*at)),
        oracle::Aggregate::Distinct(at) => Aggregate::Distinct(value(*at)),
        oracle::Aggregate::Share => Aggregate::Share,
        oracle::Aggregate::Ratio { of, over_ms } => {
            let of = match **of {
                oracle::Aggregate::Count => RatioOf::Count,
                oracle::Aggregate::Sum(at) => RatioOf::Sum(column(at)),
                oracle::Aggregate::Mean(at) => RatioOf::Mean(column(at)),
                _ => return None,
            };
            Aggregate::Ratio { of, over_ms: *over_ms }
        }
        oracle::Aggregate::Run => Aggregate::Run,
        oracle::Aggregate::SecondsSinceLast => Aggregate::SecondsSinceLast,
        oracle::Aggregate::SecondsSinceFirst => Aggregate::SecondsSinceFirst,
    };
    let ever = matches!(aggregate, Aggregate::Run | Aggregate::SecondsSinceFirst);
    Some(Feature {
        name: format!("f{index}"),
        definition: Definition::Window(WindowFeature {
            entity: definition.entity,
            aggregate,
            window_ms: if ever { None } else { definition.window_ms },
            delay_ms: definition.delay_ms,
            inclusive: definition.inclusive,
            condition: definition.condition,
        }),
        or: definition.or,
        meaning: String::new(),
        unit: String::new(),
        reason: Sentences::default(),
        code: String::new(),
    })
}

/// An engine and an oracle for the same case.
struct Twins {
    case: Case,
    plan: Arc<Plan>,
    settings: EngineSettings,
}

impl Twins {
    fn new(mut case: Case) -> Self {
        let schema = Arc::new(schema(&case));
        case.bounds.distinct_max = case.bounds.distinct_max.min(DISTINCT_VALUES_MAX);
        case.bounds.dedupe_shards = 64;
        // "Since last" never counts the present event; the features file does not let it be asked for.
        for definition in &mut case.definitions {
            definition.inclusive &= definition.aggregate != oracle::Aggregate::SecondsSinceLast;
            // A count's default is a whole number.
            if matches!(
                definition.aggregate,
                oracle::Aggregate::Count | oracle::Aggregate::Distinct(_) | oracle::Aggregate::Run
            ) {
                definition.or = definition.or.map(f64::floor);
            }
        }
        let mut features = Vec::new();
        case.definitions.retain(|definition| match feature(features.len(), definition) {
            Some(feature) => {
                features.push(feature);
                true
            }
            None => false,
        });
        // An entity without features keeps no state.
        for entity in 0..case.entities {
            if case.definitions.iter().all(|definition| definition.entity != entity) {
                case.events.iter_mut().for_each(|event| event.keys[entity] = None);
            }
        }
        let scope = Scope { schema: &schema, features: None };
        let conditions = (0..case.conditions)
            .map(|index| Condition {
                name: format!("c{index}"),
                program: compile(&format!("c{index} == 'yes'"), &scope).expect("a condition"),
            })
            .collect();
        let set = Arc::new(FeatureSet { features, conditions });
        let plan = Arc::new(Plan::new(schema, set, case.bounds.lateness_ms));
        case.fit_memory(&sizes(&plan, case.entities));
        let bounds = &case.bounds;
        let settings = EngineSettings {
            workers: 1,
            state: StateSettings {
                shards: bounds.shards,
                memory_bytes: bounds.memory,
                entries_per_key: bounds.entries_per_key,
                values_per_key: bounds.distinct_max,
                forget_after_ms: bounds.forget_after_ms,
                sweep_every: bounds.sweep_every,
                lateness_ms: bounds.lateness_ms,
            },
            dedupe: DedupeSettings {
                span_ms: bounds.dedupe_span_ms,
                memory_bytes: (bounds.dedupe_ids_per_shard * 64 * 32) as u64,
            },
            output: OutputSettings { features: OutputFeatures::All, as_array: true, event: false },
            reasons: ReasonSettings { top: 5, max_share: 0.01 },
        };
        Self { case, plan, settings }
    }

    fn oracle(&self) -> oracle::Oracle {
        let bounds = self.case.bounds.clone();
        let shards = bounds.shards as u64;
        let settings = oracle::Settings {
            bounds,
            sizes: sizes(&self.plan, self.case.entities),
            columns: self.case.columns.clone(),
            shard_of: Box::new(move |entity, key| {
                (hash::key(SEED, entity, &[key.to_string().as_bytes()]) % shards) as usize
            }),
            part_of: Box::new(|entity, key| hash::key(SEED, entity, &[key.to_string().as_bytes()]) >> 54),
            shard_of_id: Box::new(|id| (hash::id(SEED, id.to_string().as_bytes()) % 64) as usize),
        };
        oracle::Oracle::new(settings, self.case.definitions.clone())
    }

    /// The records, gaps in the sequence filled with rejects.
    fn records(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for event in &self.case.events {
            while (records.len() as u64) < event.sequence {
                records.push(b"not an event".to_vec());
            }
            let mut text = format!("{{\"id\":\"{}\",\"t\":{}", event.id, event.time_ms);
            let amount = event.columns[0].expect("column 0 is always there");
            write!(text, ",\"amount\":\"{}.{:02}\"", amount / 100, amount % 100).expect("text");
            if let Some(number) = event.columns[1] {
                let sign = if number < 0 { "-" } else { "" };
                let number = number.unsigned_abs();
                write!(text, ",\"n1\":\"{sign}{}.{:06}\"", number / 1_000_000, number % 1_000_000)
                    .expect("text");
            }
            for (index, key) in event.keys.iter().enumerate() {
                if let Some(key) = key {
                    write!(text, ",\"k{index}\":\"{key}\"").expect("text");
                }
            }
            for (index, value) in event.values.iter().enumerate() {
                if let Some(value) = value {
                    write!(text, ",\"v{index}\":\"{value}\"").expect("text");
                }
            }
            for (index, met) in event.conditions.iter().enumerate() {
                write!(text, ",\"c{index}\":\"{}\"", if *met { "yes" } else { "no" }).expect("text");
            }
            text.push('}');
            records.push(text.into_bytes());
        }
        records
    }

    /// Everything that the engine writes, in batches cut at random.
    fn run(&self, records: &[Vec<u8>], workers: usize, batches: u64) -> (Vec<u8>, Vec<u8>, Counts, [u64; 4]) {
        let settings = EngineSettings { workers, ..self.settings.clone() };
        let mut engine = Engine::new(self.plan.clone(), settings, None);
        let mut random = Random::new(batches);
        let (mut decisions, mut rejects) = (Vec::new(), Vec::new());
        let (mut batch, mut outputs) = (Records::default(), Outputs::default());
        let mut rest = records;
        let mut line = 1;
        while !rest.is_empty() {
            let most = random.one_of(&[1, 3, 40, 300]);
            let (now, later) = rest.split_at((1 + random.below(most) as usize).min(rest.len()));
            rest = later;
            batch.clear();
            for record in now {
                batch.push_json(record);
                let meta = batch.list.last_mut().expect("just pushed");
                meta.place = Location::Row { line, offset: 0 };
                line += 1;
            }
            engine.process(&mut batch, &mut outputs);
            decisions.extend(outputs.decisions().flatten());
            rejects.extend(outputs.rejects().flatten());
        }
        let state = engine.state();
        (decisions, rejects, *engine.counts(), [state.keys, state.entries, state.values, state.evicted])
    }
}

fn sizes(plan: &Plan, entities: usize) -> Vec<oracle::Sizes> {
    let mut sizes =
        vec![oracle::Sizes { key_bytes: 0, entry_bytes: 0, span_bytes: 0, value_bytes: 0 }; entities];
    for (entity, [key_bytes, entry_bytes, span_bytes, value_bytes]) in plan.memory_formula() {
        sizes[entity] = oracle::Sizes { key_bytes, entry_bytes, span_bytes, value_bytes };
    }
    sizes
}

fn check(case: Case) {
    let twins = Twins::new(case);
    let seed = twins.case.seed;
    let mut oracle = twins.oracle();
    let records = twins.records();
    let (decisions, rejects, counts, state) = twins.run(&records, 1, seed);
    let text = String::from_utf8(decisions.clone()).expect("lines are text");
    let mut lines = text.lines();
    let mut last_sequence = 0;
    for event in &twins.case.events {
        last_sequence = event.sequence;
        let oracle::Outcome::Accepted { values, late, saturated, degraded } = oracle.event(event) else {
            continue;
        };
        let line =
            lines.next().unwrap_or_else(|| panic!("seed {seed}: no line for event {}", event.sequence));
        let decision: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(decision["sequence"], event.sequence, "seed {seed}: accepted by one only");
        let got = decision["features"].as_array().expect("an array");
        for ((wanted, got), definition) in values.iter().zip(got).zip(&twins.case.definitions) {
            assert!(
                is_same(*wanted, got),
                "seed {seed}, event {} of {}, {definition:?}: the oracle has {wanted:?}, the engine {got}; {event:?} {:?}",
                event.sequence,
                twins.case.events.len(),
                twins.case.bounds,
            );
        }
        let marks = [
            ("late", late),
            ("saturated", saturated.contains(&true)),
            ("degraded", degraded.contains(&true)),
        ];
        let marks: Vec<_> = marks.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        assert_eq!(
            decision["marks"],
            serde_json::json!(marks),
            "seed {seed}, event {}: the oracle is right; {:?} {saturated:?} {degraded:?} {:?}",
            event.sequence,
            twins.case.definitions,
            twins.case.bounds
        );
    }
    assert_eq!(lines.next(), None, "seed {seed}: lines for events that the oracle dropped");
    let wanted = oracle.counts();
    assert_eq!(counts.events, last_sequence + 1, "seed {seed}");
    let wanted = [wanted.keys, wanted.entries + wanted.spans, wanted.values, wanted.evicted_keys];
    assert_eq!(state, wanted, "seed {seed}: keys, entries, values, evicted; {:?}", twins.case.bounds);
    for workers in [1, 2, 3, 8] {
        let (again, rejects_again, counts_again, state_again) = twins.run(&records, workers, seed ^ 0x5eed);
        assert!(again == decisions, "seed {seed}: {workers} workers and other batches give other bytes");
        assert!(rejects_again == rejects, "seed {seed}: {workers} workers give other rejects");
        assert_eq!((counts_again, state_again), (counts, state), "seed {seed}: {workers} workers");
    }
}

/// Numbers as text are exact here: `serde_json` gives an f64 its shortest form.
fn is_same(wanted: oracle::Value, got: &serde_json::Value) -> bool {
    match wanted {
        oracle::Value::Missing => got.is_null(),
        oracle::Value::Real(real) => {
            got.as_f64().is_some_and(|got| (got as f32).to_bits() == real.to_bits() || got as f32 == real)
        }
        oracle::Value::Exact { scaled, digits } => {
            let scaled_text = format!("{}{}", scaled, "");
            let exact: f64 = scaled_text.parse::<f64>().expect("a number") / 10f64.powi(digits as i32);
            got.as_f64().is_some_and(|got| (got - exact).abs() <= exact.abs() * 1e-15)
        }
    }
}

#[test]
fn every_feature_equals_the_oracle() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let first = number("CARTGUARD_ORACLE_FIRST", 0);
    for seed in first..first + number("CARTGUARD_ORACLE_CASES", 300) {
        check(Case::new(seed, 400));
    }
}
