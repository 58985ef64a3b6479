//! An engine and an oracle for one random history.

#![allow(dead_code, reason = "no test needs all of it")]

use cartguard_engine::batch::{
    Counts, DedupeSettings, Engine, EngineSettings, OutputFeatures, OutputSettings, Outputs, ReasonSettings,
    StateSettings,
};
use cartguard_engine::decode::hash;
use cartguard_engine::features::expression::{Scope, compile};
use cartguard_engine::features::plan::Plan;
use cartguard_engine::features::sentence::Sentences;
use cartguard_engine::features::spec::{
    Aggregate, Column, Condition, Definition, Feature, FeatureSet, LabelIs, RatioOf, Value, WindowFeature,
};
use cartguard_engine::limits::{DISTINCT_VALUES_MAX, KEPT_EVENT_BYTES, KEPT_LABEL_BYTES, LABEL_BYTES};
use cartguard_engine::record::{Form, Location, Records};
use cartguard_engine::schema::samples::{entity, field, least, path};
use cartguard_engine::schema::{FieldKind, Labels, LabelsFrom, Schema};
use cartguard_oracle as oracle;
use cartguard_oracle::histories::{Case, Random, Take};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const SEED: u64 = 7;

fn schema(case: &mut Case) -> Schema {
    let mut fields = vec![field("n1", FieldKind::Number)];
    let values = (0..case.values).map(|index| format!("v{index}"));
    let conditions = (0..case.conditions).map(|index| format!("c{index}"));
    fields.extend(values.chain(conditions).map(|name| field(&name, FieldKind::Category)));
    let entities =
        (0..case.entities).map(|index| entity(&format!("e{index}"), &[&format!("k{index}")])).collect();
    let words = 8 * (case.entities + fields.len()) as u64;
    case.fit_labels(KEPT_EVENT_BYTES + words, KEPT_LABEL_BYTES);
    let labels = case.labels.as_ref().map(|labels| {
        let (from, memory_bytes) = match labels.from {
            oracle::LabelsFrom::Column { delay_ms, waiting_max } => {
                let memory_bytes = waiting_max as u64 * 64 * (LABEL_BYTES + words + 8);
                (LabelsFrom::Column { path: path("label"), delay_ms }, memory_bytes)
            }
            oracle::LabelsFrom::Input { span_ms, bytes, .. } => (LabelsFrom::Input { span_ms }, bytes * 64),
        };
        Labels { from, maturity_ms: labels.maturity_ms, memory_bytes }
    });
    Schema { fields, entities, labels, hash_seed: SEED, ..least() }
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
        oracle::Aggregate::Last => Aggregate::Last,
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
    let ever = aggregate == Aggregate::Run;
    Some(Feature {
        name: format!("f{index}"),
        definition: Definition::Window(WindowFeature {
            entity: definition.entity,
            aggregate,
            window_ms: if ever { None } else { definition.window_ms },
            delay_ms: definition.delay_ms,
            inclusive: definition.inclusive,
            label: definition.label.map(|label| match label {
                oracle::LabelIs::Known => LabelIs::Known,
                oracle::LabelIs::Fraud => LabelIs::Fraud,
                oracle::LabelIs::Genuine => LabelIs::Genuine,
            }),
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
pub(crate) struct Twins {
    pub(crate) case: Case,
    plan: Arc<Plan>,
    settings: EngineSettings,
}

impl Twins {
    pub(crate) fn new(mut case: Case) -> Self {
        let schema = Arc::new(schema(&mut case));
        case.bounds.distinct_max = case.bounds.distinct_max.min(DISTINCT_VALUES_MAX);
        case.bounds.dedupe_shards = 64;
        // "Since last" never counts the present event; the features file does not let it be asked for.
        for definition in &mut case.definitions {
            definition.inclusive &= !matches!(
                definition.aggregate,
                oracle::Aggregate::SecondsSinceLast | oracle::Aggregate::Last
            ) && (definition.aggregate != oracle::Aggregate::SecondsSinceFirst
                || definition.window_ms.is_none());
            // A count's default is a whole number.
            if matches!(
                definition.aggregate,
                oracle::Aggregate::Count
                    | oracle::Aggregate::Distinct(_)
                    | oracle::Aggregate::Run
                    | oracle::Aggregate::Last
            ) {
                definition.or = definition.or.map(f64::floor);
            }
        }
        let mut features = Vec::new();
        let mut kept = Vec::new();
        case.definitions.retain(|definition| match feature(features.len(), definition) {
            Some(feature) => {
                kept.push(Some(features.len()));
                features.push(feature);
                true
            }
            None => {
                kept.push(None);
                false
            }
        });
        for flag in &mut case.flags {
            for operand in [&mut flag.left, &mut flag.right] {
                if let oracle::Operand::Feature(at) = *operand {
                    *operand = kept[at].map_or(oracle::Operand::Amount, oracle::Operand::Feature);
                }
            }
        }
        // An entity without features keeps no state.
        for entity in 0..case.entities {
            if case.definitions.iter().all(|definition| definition.entity != entity) {
                case.events.iter_mut().for_each(|event| event.keys[entity] = None);
            }
        }
        let names = (0..features.len()).map(|index| format!("f{index}"));
        let flag_names = (0..case.flags.len()).map(|index| format!("g{index}"));
        let names: BTreeMap<String, usize> =
            names.chain(flag_names).enumerate().map(|(index, name)| (name, index)).collect();
        let scope = Scope { schema: &schema, operands: Some(&names), flags_from: features.len() };
        let condition = |name: String, text: &str, flag: Option<usize>| Condition {
            name,
            program: compile(text, &scope).unwrap_or_else(|faults| panic!("{text}: {faults:?}")),
            flag,
        };
        let mut conditions: Vec<Condition> = (0..case.conditions)
            .map(|index| condition(format!("c{index}"), &format!("c{index} == 'yes'"), None))
            .collect();
        let flags: Vec<Condition> = case
            .flags
            .iter()
            .enumerate()
            .map(|(index, flag)| condition(format!("g{index}"), &expression(flag), Some(index)))
            .collect();
        conditions.extend(flags.iter().cloned());
        let set = Arc::new(FeatureSet { features, conditions, flags });
        let plan = Arc::new(Plan::new(schema, set, case.bounds.lateness_ms));
        case.fit_memory(&sizes(&plan, case.entities).concat());
        // As many keys a shard, however many layers share the memory.
        case.bounds.memory = case.bounds.memory.saturating_mul(sizes(&plan, case.entities).len() as u64);
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
            ids: None,
        };
        Self { case, plan, settings }
    }

    pub(crate) fn oracle(&self) -> oracle::Oracle {
        let bounds = self.case.bounds.clone();
        let shards = bounds.shards as u64;
        let settings = oracle::Settings {
            bounds,
            sizes: sizes(&self.plan, self.case.entities),
            columns: self.case.columns.clone(),
            flags: self.case.flags.clone(),
            labels: self.case.labels.clone(),
            shard_of: Box::new(move |entity, key| {
                (hash::key(SEED, entity, &[key.to_string().as_bytes()]) % shards) as usize
            }),
            part_of: Box::new(|entity, key| hash::key(SEED, entity, &[key.to_string().as_bytes()]) >> 54),
            shard_of_id: Box::new(|id| (hash::id(SEED, id.to_string().as_bytes()) % 64) as usize),
        };
        oracle::Oracle::new(settings, self.case.definitions.clone(), self.case.conditions)
    }

    /// The records, gaps in the sequence filled with rejects.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for take in self.case.takes() {
            let (Take::Event(oracle::Event { sequence, .. })
            | Take::Label(oracle::LabelLine { sequence, .. })) = take;
            while (records.len() as u64) < *sequence {
                records.push(b"not an event".to_vec());
            }
            let event = match take {
                Take::Event(event) => event,
                Take::Label(label) => {
                    records.push(label_record(label));
                    continue;
                }
            };
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
            if let Some(label) = event.label {
                let texts = if label { ["\"fraud\"", "true", "1"] } else { ["\"legit\"", "false", "0"] };
                write!(text, ",\"label\":{}", texts[event.sequence as usize % 3]).expect("text");
            }
            text.push('}');
            records.push(text.into_bytes());
        }
        records
    }

    /// How many features there are.
    pub(crate) fn features(&self) -> usize {
        self.plan.features()
    }

    /// An engine with so many workers.
    pub(crate) fn engine(&self, workers: usize) -> Engine {
        Engine::new(self.plan.clone(), EngineSettings { workers, ..self.settings.clone() }, None)
    }

    /// Everything that the engine writes, in batches cut at random.
    pub(crate) fn run(&self, records: &[Vec<u8>], workers: usize, batches: u64) -> Written {
        let mut engine = self.engine(workers);
        let mut random = Random::new(batches);
        let mut written = Written::default();
        let mut next = 0;
        while next < records.len() {
            next = step(&mut engine, &mut random, records, next, &mut written);
        }
        written.end(&engine);
        written
    }
}

/// The record of a label: one of the ways to write it.
fn label_record(label: &oracle::LabelLine) -> Vec<u8> {
    let word = if label.is_fraud { "fraud" } else { "legit" };
    let known_at = rfc3339(label.known_ms);
    format!("{{\"event_id\":\"{}\",\"label\":\"{word}\",\"known_at\":\"{known_at}\"}}", label.id).into_bytes()
}

/// The text of a time after 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn rfc3339(ms: i64) -> String {
    let (days, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, ms) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// What an engine wrote, and what it holds at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) decisions: Vec<u8>,
    pub(crate) rejects: Vec<u8>,
    pub(crate) counts: Counts,
    /// Keys, entries, values, evicted; waiting, lost labels, labels without an event.
    pub(crate) state: [u64; 7],
}

impl Written {
    /// Notes what the engine holds now.
    pub(crate) fn end(&mut self, engine: &Engine) {
        let state = engine.state();
        self.counts = *engine.counts();
        self.state = [
            state.keys,
            state.entries,
            state.values,
            state.evicted,
            state.waiting,
            state.lost_labels,
            state.labels_without_event,
        ];
    }
}

/// Takes a batch of random size from record `from` on; returns the number of the record behind it.
pub(crate) fn step(
    engine: &mut Engine,
    random: &mut Random,
    records: &[Vec<u8>],
    from: usize,
    written: &mut Written,
) -> usize {
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let most = random.one_of(&[1, 3, 40, 300]);
    let to = (from + 1 + random.below(most) as usize).min(records.len());
    for (line, record) in (from as u64 + 1..).zip(&records[from..to]) {
        batch.push_json(record);
        let meta = batch.list.last_mut().expect("just pushed");
        meta.place = Location::Row { line, offset: 0 };
        if record.starts_with(b"{\"event_id\"") {
            meta.form = Form::Label { is_row: line % 2 == 0 };
        }
    }
    engine.process(&mut batch, &mut outputs);
    written.decisions.extend(outputs.decisions().flatten());
    written.rejects.extend(outputs.rejects().flatten());
    to
}

/// The engine's text of a flag.
fn expression(flag: &oracle::Flag) -> String {
    let operand = |operand: oracle::Operand| match operand {
        oracle::Operand::Constant(constant) => format!("{constant:?}"),
        oracle::Operand::Amount => "amount".to_owned(),
        oracle::Operand::Feature(at) => format!("f{at}"),
    };
    let (left, right) = (operand(flag.left), operand(flag.right));
    let and = flag.and.map(|(other, holds)| format!(" && {}g{other}", if holds { "" } else { "!" }));
    format!("{left} > {:?} * {right}{}", flag.factor, and.unwrap_or_default())
}

/// By layer and entity.
fn sizes(plan: &Plan, entities: usize) -> Vec<Vec<oracle::Sizes>> {
    let nothing = oracle::Sizes { key_bytes: 0, entry_bytes: 0, span_bytes: 0, value_bytes: 0 };
    let mut sizes = vec![vec![nothing; entities]];
    for ((entity, layer), [key_bytes, entry_bytes, span_bytes, value_bytes]) in plan.memory_formula() {
        if sizes.len() <= layer {
            sizes.resize(layer + 1, vec![nothing; entities]);
        }
        sizes[layer][entity] = oracle::Sizes { key_bytes, entry_bytes, span_bytes, value_bytes };
    }
    sizes
}
