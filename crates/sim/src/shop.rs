//! What is put, and an engine for it: a card is a partition key, a device is not, so that a device's features depend on the order in
//! which shards were taken.

use crate::stream::Stream;
use crate::world::{Chance, Shared, World};
use cartguard_engine::batch::{
    DedupeSettings, Engine, EngineSettings, IdSettings, OutputFeatures, OutputSettings, ReasonSettings,
    Scorer, StateSettings,
};
use cartguard_engine::decide::Thresholds;
use cartguard_engine::features::plan::Plan;
use cartguard_engine::features::sentence::Sentences;
use cartguard_engine::features::spec::{Aggregate, Column, Definition, Feature, FeatureSet, WindowFeature};
use cartguard_engine::schema::Schema;
use cartguard_engine::schema::samples::{entity, least};
use cartguard_forest::{Format, Model};
use cartguard_history::SequenceNumber;
use cartguard_io::Trouble;
use cartguard_recovery::Models;
use cartguard_shards::aggregate::{Aggregate as Packed, Part, aggregated};
use std::ops::Range;
use std::sync::Arc;

/// Of all windows.
pub(crate) const WINDOW_MS: i64 = 60_000;
/// Within this events are late at most: none is marked late.
const LATENESS_MS: i64 = 3_600_000;
const CARDS: u64 = 12;
const DEVICES: u64 = 5;

/// An event as it was put.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) id: String,
    pub(crate) time_ms: i64,
    /// Hundredths.
    pub(crate) amount: i64,
    pub(crate) card: u64,
    pub(crate) device: u64,
}

impl Put {
    fn text(&self) -> String {
        let Self { id, time_ms, amount, card, device } = self;
        let (whole, rest) = (amount / 100, amount % 100);
        format!(
            "{{\"id\":\"{id}\",\"t\":{time_ms},\"amount\":\"{whole}.{rest:02}\",\"card\":\"c{card}\",\"device\":\"d{device}\"}}"
        )
    }
}

/// The shop, and everything that it has put.
pub(crate) struct Shop {
    stream: Stream,
    pub(crate) puts: Vec<Put>,
    /// Every copy of an event that was put, in order.
    pub(crate) copies: Vec<Copy>,
    /// How many records it will put.
    left: u64,
}

/// An event in the stream.
pub(crate) struct Copy {
    /// Its index among the events.
    pub(crate) event: usize,
    pub(crate) shard: String,
    pub(crate) number: SequenceNumber,
    /// Which part of its record.
    pub(crate) part: u64,
}

/// A record that is put: hash key, bytes, what an engine makes of it, and which events those are.
type Record = (u128, Vec<u8>, u64, Range<usize>);

impl Shop {
    pub(crate) fn new(world: &Shared, stream: &Stream) -> Self {
        let left = world.lock().mood.puts;
        Self { stream: stream.clone(), puts: Vec::new(), copies: Vec::new(), left }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Puts one record, if there is one left: an event, several in one, one that was put before, or what is none.
    fn put(&mut self, world: &mut World) -> Option<Record> {
        self.left = self.left.checked_sub(1)?;
        let pause_us = world.chance.below(4_000_000);
        world.pass(pause_us);
        let (now_ms, chance) = (world.now_us as i64 / 1_000, &mut world.chance);
        let card = chance.below(CARDS);
        let hash_key = u128::from(mix(card)) << 64;
        let next = self.puts.len();
        match chance.below(20) {
            0 => Some((hash_key, b"no event".to_vec(), 1, 0..0)),
            // A producer that did not hear of its success puts again.
            1 if !self.puts.is_empty() => {
                let at = chance.index(self.puts.len());
                let again = self.puts[at].clone();
                let hash_key = u128::from(mix(again.card)) << 64;
                Some((hash_key, again.text().into_bytes(), 1, at..at + 1))
            }
            2..5 => {
                let parts = 1 + chance.below(5);
                let records = (0..parts).map(|_| {
                    let data = Some(self.event(card, now_ms, chance).into_bytes().into());
                    Part { partition_key: Some(0), explicit_hash_key: None, data }
                });
                let records = records.collect();
                let partition_keys = vec![format!("c{card}")];
                let packed = Packed { partition_keys, explicit_hash_keys: Vec::new(), records };
                Some((hash_key, aggregated(&packed), parts, next..self.puts.len()))
            }
            _ => Some((hash_key, self.event(card, now_ms, chance).into_bytes(), 1, next..next + 1)),
        }
    }

    fn event(&mut self, card: u64, now_ms: i64, chance: &mut Chance) -> String {
        let put = Put {
            id: format!("e{}", self.puts.len()),
            time_ms: now_ms - chance.below(30_000) as i64,
            amount: chance.below(10_000) as i64,
            card,
            device: chance.below(DEVICES),
        };
        let text = put.text();
        self.puts.push(put);
        text
    }

    /// Everything that it would put, for whoever puts it: hash key, bytes, and what an engine makes of them.
    pub(crate) fn records(&mut self, world: &Shared) -> Vec<(u128, Vec<u8>, u64)> {
        let world = &mut *world.lock();
        let next = || self.put(world).map(|(hash_key, data, parts, _)| (hash_key, data, parts));
        std::iter::from_fn(next).collect()
    }

    /// Puts what comes, and reshards.
    pub(crate) fn go_on(&mut self, world: &Shared) {
        let mut world = world.lock();
        let reshard = world.mood.reshard;
        if !self.is_done() && world.chance.percent(reshard) {
            world.saw("reshards");
            world.note(format_args!("a reshard"));
            let now_ms = world.now_us as i64 / 1_000;
            self.stream.reshard(&mut world.chance, now_ms);
        }
        let mut puts = Vec::new();
        for _ in 0..world.chance.below(6) {
            puts.extend(self.put(&mut world));
        }
        drop(world);
        for (hash_key, data, parts, events) in puts {
            let (shard, number) = self.stream.put(hash_key, data, parts);
            for (part, event) in (0..).zip(events) {
                let (shard, number) = (shard.clone(), number.clone());
                self.copies.push(Copy { event, shard, number, part });
            }
        }
    }
}

/// `SplitMix64`'s: cards spread over the shards.
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The version that says that no model decides.
const NO_MODEL: &str = "none";
/// What may decide: models, and the last is none.
pub(crate) const DECIDERS: usize = 4;

/// What makes engines: each process has its own.
pub(crate) struct Engines {
    plan: Arc<Plan>,
    scorers: [Arc<Scorer>; 3],
}

impl Models for Engines {
    fn load(&self, version: &str) -> Result<Option<Arc<Scorer>>, Trouble> {
        if version == NO_MODEL {
            return Ok(None);
        }
        let scorer = self.scorers.iter().find(|scorer| scorer.name == version);
        scorer
            .map(|scorer| Some(Arc::clone(scorer)))
            .ok_or_else(|| Trouble::refuse(format!("no model {version}")))
    }
}

/// Its versions differ in what they hold for too many events of a device.
fn scorer(version: u32, plan: &Plan) -> Arc<Scorer> {
    let text = format!(
        r#"{{"format":"cartguard.logistic","version":1,"features":["device_count"],"weights":[1.0],"intercept":-{version}.0}}"#
    );
    Arc::new(Scorer {
        name: format!("sim/{version}"),
        model: Arc::new(Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("a model")),
        features: vec![plan.features() - 2],
        thresholds: Thresholds { review_at: 0.5, decline_at: 0.9 },
    })
}

impl Engines {
    pub(crate) fn new() -> Self {
        let entities = vec![entity("card", &["card"]), entity("device", &["device"])];
        let schema = Arc::new(Schema { entities, hash_seed: 7, ..least() });
        let window = |name: &str, entity: usize, aggregate: Aggregate| Feature {
            name: name.to_owned(),
            definition: Definition::Window(WindowFeature {
                entity,
                aggregate,
                window_ms: Some(WINDOW_MS),
                delay_ms: 0,
                inclusive: false,
                condition: None,
                label: None,
            }),
            or: Some(0.0),
            meaning: String::new(),
            unit: String::new(),
            reason: Sentences::default(),
            code: String::new(),
        };
        let features = vec![
            window("card_count", 0, Aggregate::Count),
            window("card_sum", 0, Aggregate::Sum(Column::Amount)),
            window("device_count", 1, Aggregate::Count),
            window("device_sum", 1, Aggregate::Sum(Column::Amount)),
        ];
        let set = Arc::new(FeatureSet { features, conditions: Vec::new(), flags: Vec::new() });
        let plan = Arc::new(Plan::new(schema, set, LATENESS_MS));
        Self { scorers: [1, 2, 3].map(|version| scorer(version, &plan)), plan }
    }

    /// What may decide, by its name.
    pub(crate) fn version(&self, at: usize) -> &str {
        self.scorers.get(at).map_or(NO_MODEL, |scorer| &scorer.name)
    }

    pub(crate) fn scorer(&self, at: usize) -> Option<Arc<Scorer>> {
        self.scorers.get(at).cloned()
    }

    /// With the model at this place.
    pub(crate) fn engine(&self, workers: usize, model: usize) -> Engine {
        let settings = EngineSettings {
            workers,
            state: StateSettings {
                shards: 2,
                memory_bytes: 1 << 28,
                entries_per_key: 4_096,
                values_per_key: 16,
                forget_after_ms: 86_400_000,
                sweep_every: 64,
                lateness_ms: LATENESS_MS,
            },
            dedupe: DedupeSettings { span_ms: 86_400_000, memory_bytes: 1 << 20 },
            output: OutputSettings { features: OutputFeatures::All, as_array: true, event: false },
            reasons: ReasonSettings { top: 2, max_share: 1.0 },
            ids: Some(IdSettings { pipeline: "sim".to_owned(), source: "a simulated stream".to_owned() }),
        };
        Engine::new(Arc::clone(&self.plan), settings, self.scorer(model))
    }
}
