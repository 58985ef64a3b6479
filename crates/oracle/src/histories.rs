//! Random settings, features and histories from a seed, made to fall on the edges.
//!
//! A case is plain data: a test maps it to the oracle ([`Case::oracle`]) and to the engine, and holds the two equal.
//! What it may contain: ties; late and very late events; clocks far ahead; events within a millisecond of a
//! window's edge, of lateness and of forgetting; hot keys past a small bound; memory so small that keys are evicted;
//! duplicates, also of ids that lost their place; absent keys, amounts and values; gaps in the sequence (rejects).
//!
//! Holds: the same seed gives the same case everywhere (`SplitMix64`, integers only). Column 0 is money, present
//! in every event and not negative, as a checkout's amount is; column 1 is a number.
//! Not here: texts. Keys, ids and values are numbers; a test that needs text makes it of them.

mod labels;

use self::labels::{announce, labels};
use crate::oracle::Oracle;
use crate::plan::{
    Aggregate, Bounds, Column, Definition, Event, Flag, LabelLine, Labels, LabelsFrom, Operand, Settings,
    Sizes,
};

/// Everything of a random test.
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub entities: usize,
    pub columns: Vec<Column>,
    /// Fields of which different values are counted.
    pub values: usize,
    pub conditions: usize,
    /// `bounds.memory` holds for [`SIZES`]; see [`Case::fit_memory`].
    pub bounds: Bounds,
    pub tight: Option<Tight>,
    /// A definition's condition from `conditions` on is one of the flags.
    pub definitions: Vec<Definition>,
    pub flags: Vec<Flag>,
    pub labels: Option<Labels>,
    pub events: Vec<Event>,
    /// Labels that are records of their own, in the order of their sequence.
    pub label_lines: Vec<LabelLine>,
}

/// What the engine takes, in the order of the sequence.
#[derive(Clone, Copy, Debug)]
pub enum Take<'a> {
    Event(&'a Event),
    Label(&'a LabelLine),
}

/// Memory for about so many keys and entries a shard.
#[derive(Clone, Copy, Debug)]
pub struct Tight {
    pub keys: u64,
    pub entries: u64,
}

/// A formula for tests that have none of their own.
pub const SIZES: Sizes = Sizes { key_bytes: 200, entry_bytes: 40, span_bytes: 90, value_bytes: 16 };

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low) as u64 + 1) as i64
    }

    pub fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    /// Up to `bound`, small numbers as likely as large ones.
    fn of_any_size(&mut self, bound: i64) -> i64 {
        let bits = u64::from(64 - bound.leading_zeros());
        let shift = self.below(bits + 1);
        self.within(0, bound >> shift)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Case {
    /// The case of a seed, with up to `events_max` events.
    pub fn new(seed: u64, events_max: u64) -> Self {
        let mut random = Random::new(seed);
        let entities = random.within(1, 4) as usize;
        let columns = vec![Column { digits: 2, money: true }, Column { digits: 6, money: false }];
        let (values, conditions) = (2, 2);
        let mut definitions = Vec::new();
        for _ in 0..random.within(1, 16) {
            definitions.push(definition(&mut random, entities, values as u64, conditions as u64));
        }
        let flags = flags(seed, &mut definitions, conditions);
        let labels = labels(seed, &mut definitions, conditions);
        let (bounds, tight) = bounds(&mut random, &definitions);
        let mut case = Self {
            seed,
            entities,
            columns,
            values,
            conditions,
            bounds,
            tight,
            definitions,
            flags,
            labels,
            events: Vec::new(),
            label_lines: Vec::new(),
        };
        case.fit_memory(&[SIZES]);
        case.events = History::new(&mut random, &case).take(events_max);
        announce(&mut case);
        case
    }

    /// Events and labels, in the order of the sequence.
    pub fn takes(&self) -> Vec<Take<'_>> {
        let labels = self.label_lines.iter().map(|label| (label.sequence, Take::Label(label)));
        let events = self.events.iter().map(|event| (event.sequence, Take::Event(event)));
        let mut all: Vec<_> = labels.chain(events).collect();
        all.sort_by_key(|(sequence, _)| *sequence);
        all.into_iter().map(|(_, take)| take).collect()
    }

    /// Sets the room for labels to what is meant, under another formula.
    pub fn fit_labels(&mut self, event: u64, label: u64) {
        let Some(LabelsFrom::Input { bytes, event_bytes, label_bytes, .. }) =
            self.labels.as_mut().map(|labels| &mut labels.from)
        else {
            return;
        };
        *bytes = *bytes / *event_bytes * event + label / 2;
        (*event_bytes, *label_bytes) = (event, label);
    }

    /// Sets `bounds.memory` to what is meant, under another formula (per entity).
    pub fn fit_memory(&mut self, sizes: &[Sizes]) {
        let Some(tight) = self.tight else { return };
        let key_bytes = sizes.iter().map(|sizes| sizes.key_bytes).max().unwrap_or_default();
        let entry_bytes = sizes.iter().map(|sizes| sizes.entry_bytes).max().unwrap_or_default();
        let shard_bytes = tight.keys * key_bytes + tight.entries * entry_bytes;
        self.bounds.memory = shard_bytes * self.bounds.shards as u64;
    }

    /// The same with conditions over fields in the place of flags, and no label.
    #[must_use]
    pub fn without_flags(mut self) -> Self {
        self = self.without_labels();
        self.flags.clear();
        for definition in &mut self.definitions {
            definition.condition = definition.condition.map(|condition| condition % self.conditions);
        }
        self
    }

    /// The same without labels; what is of no use without one counts.
    #[must_use]
    pub fn without_labels(mut self) -> Self {
        self.labels = None;
        self.label_lines.clear();
        for definition in &mut self.definitions {
            let was_label = definition.label.take().is_some();
            let needs_condition = matches!(definition.aggregate, Aggregate::Share | Aggregate::Last);
            if was_label && needs_condition && definition.condition.is_none() {
                definition.aggregate = Aggregate::Count;
            }
        }
        self
    }

    /// Makes sums leave 64 bits: the numbers of column 1 times 2^56, at most the ends.
    #[must_use]
    pub fn stretched(mut self) -> Self {
        for event in &mut self.events {
            event.columns[1] = event.columns[1].map(|number| number.saturating_mul(1 << 56));
        }
        self
    }

    /// The oracle of this case under [`SIZES`], keys and ids spread by a mix of their own.
    pub fn oracle(&self) -> Oracle {
        let (shards, id_shards) = (self.bounds.shards as u64, self.bounds.dedupe_shards as u64);
        let settings = Settings {
            bounds: self.bounds.clone(),
            // As many layers as there may be.
            sizes: vec![vec![SIZES; self.entities]; self.flags.len() + 2],
            flags: self.flags.clone(),
            labels: self.labels.clone(),
            columns: self.columns.clone(),
            shard_of: Box::new(move |entity, key| {
                (mix(key.wrapping_mul(31).wrapping_add(entity as u64)) % shards) as usize
            }),
            part_of: Box::new(|_, key| mix(key) >> 54),
            shard_of_id: Box::new(move |id| (mix(id) % id_shards) as usize),
        };
        Oracle::new(settings, self.definitions.clone(), self.conditions)
    }
}

fn definition(random: &mut Random, entities: usize, values: u64, conditions: u64) -> Definition {
    let windows = [SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY];
    let column = random.below(2) as usize;
    let value = random.below(values) as usize;
    let condition = random.below(conditions) as usize;
    let aggregate = match random.below(15) {
        0 | 1 => Aggregate::Count,
        2 => Aggregate::Sum(column),
        3 => Aggregate::Mean(column),
        4 => Aggregate::Min(column),
        5 => Aggregate::Max(column),
        6 => Aggregate::Std(column),
        7 => Aggregate::Zscore(column),
        8 | 9 => Aggregate::Distinct(value),
        10 => Aggregate::Share,
        11 => Aggregate::Run,
        12 => Aggregate::SecondsSinceLast,
        13 => Aggregate::SecondsSinceFirst,
        _ => {
            let of = random.one_of(&[
                Aggregate::Count,
                Aggregate::Sum(column),
                Aggregate::Mean(column),
                Aggregate::Min(column),
                Aggregate::Max(column),
                Aggregate::Std(column),
                Aggregate::Distinct(value),
            ]);
            Aggregate::Ratio { of: Box::new(of), over_ms: random.one_of(&windows) }
        }
    };
    let met = matches!(aggregate, Aggregate::Share | Aggregate::Run);
    let ever = matches!(aggregate, Aggregate::Run | Aggregate::SecondsSinceFirst)
        || matches!(aggregate, Aggregate::SecondsSinceLast) && random.chance(50);
    let conditional = met || aggregate != Aggregate::SecondsSinceFirst && random.chance(25);
    let delay_ms = if ever || random.chance(70) { 0 } else { random.one_of(&[1, SECOND, MINUTE, HOUR]) };
    Definition {
        entity: random.below(entities as u64) as usize,
        aggregate,
        window_ms: (!ever).then(|| random.one_of(&windows)),
        delay_ms,
        inclusive: delay_ms == 0 && random.chance(30),
        condition: conditional.then_some(condition),
        label: None,
        or: random.chance(10).then(|| random.one_of(&[0.0, -1.0, 0.1])),
    }
}

/// Flags for half of all cases, and windows that count them. A flag reads windows over fields and over flags before it.
fn flags(seed: u64, definitions: &mut [Definition], conditions: usize) -> Vec<Flag> {
    let mut random = Random::new(mix(seed ^ 0xf1a6));
    let count = if random.chance(50) { random.within(1, 4) as usize } else { 0 };
    for definition in definitions.iter_mut().filter(|definition| definition.condition.is_some()) {
        if count > 0 && random.chance(70) {
            definition.condition = Some(conditions + random.below(count as u64) as usize);
        }
    }
    (0..count)
        .map(|flag| {
            let may_read: Vec<usize> = (0..definitions.len())
                .filter(|&at| {
                    let definition = &definitions[at];
                    // A default of many decimals is exact money to the engine and an f32 to the oracle.
                    definition.condition.is_none_or(|condition| condition < conditions + flag)
                        && definition.or != Some(0.1)
                })
                .collect();
            let operand = |random: &mut Random| match random.below(4) {
                0 => Operand::Amount,
                1 => Operand::Constant(random.one_of(&[0.0, 1.0, 2.5, 60.0])),
                _ if may_read.is_empty() => Operand::Amount,
                _ => Operand::Feature(random.one_of(&may_read)),
            };
            Flag {
                left: operand(&mut random),
                factor: random.one_of(&[1.0, 0.5, 2.2]),
                right: operand(&mut random),
                and: (flag > 0 && random.chance(40))
                    .then(|| (random.below(flag as u64) as usize, random.chance(50))),
            }
        })
        .collect()
}

fn bounds(random: &mut Random, definitions: &[Definition]) -> (Bounds, Option<Tight>) {
    let lateness_ms = random.one_of(&[0, 1, 2 * SECOND, MINUTE, HOUR, HOUR]);
    let longest = definitions.iter().map(reach).max().unwrap_or_default();
    // Mostly longer than anything that is kept, now and then not.
    let forget_after_ms = match random.below(8) {
        0 => random.one_of(&[SECOND, HOUR]),
        1..3 => longest + lateness_ms + 1,
        _ => 400 * DAY,
    };
    let tight = random.chance(35).then(|| Tight { keys: random.below(6) + 1, entries: random.below(40) });
    let bounds = Bounds {
        shards: random.one_of(&[1, 2, 64]),
        memory: 1 << 40,
        entries_per_key: random.one_of(&[1, 2, 8, 8, 13, 32, 64, 4096]),
        distinct_max: random.one_of(&[1, 2, 8, 1024, 1024]),
        forget_after_ms,
        lateness_ms,
        sweep_every: random.one_of(&[1, 50, 2_000, 9_000]),
        dedupe_span_ms: random.one_of(&[SECOND, 10 * MINUTE, DAY]),
        dedupe_shards: random.one_of(&[1, 64]),
        dedupe_ids_per_shard: random.one_of(&[1, 2, 16, 1 << 20]),
    };
    (bounds, tight)
}

/// How far back a feature looks.
fn reach(definition: &Definition) -> i64 {
    let over_ms = if let Aggregate::Ratio { over_ms, .. } = definition.aggregate { over_ms } else { 0 };
    definition.window_ms.unwrap_or_default().max(over_ms) + definition.delay_ms
}

/// The writer of a history: a true clock, and events about it.
struct History<'a> {
    random: &'a mut Random,
    case: &'a Case,
    /// The true clock.
    now: i64,
    /// A usual step of it.
    pace: i64,
    /// Distances at which something changes.
    edges: Vec<i64>,
    /// Keys of each entity, and of each distinct value.
    keys: Vec<u64>,
    values: Vec<u64>,
    /// Per cent of events that meet each condition.
    conditions: Vec<u64>,
    amounts: i64,
    events: Vec<Event>,
}

impl<'a> History<'a> {
    fn new(random: &'a mut Random, case: &'a Case) -> Self {
        let bounds = &case.bounds;
        let mut edges = vec![bounds.lateness_ms, bounds.forget_after_ms, bounds.dedupe_span_ms];
        let mut longest = 0;
        for definition in &case.definitions {
            longest = longest.max(reach(definition));
            edges.extend([definition.delay_ms, reach(definition)]);
            if let Aggregate::Ratio { over_ms, .. } = definition.aggregate {
                let shorter = definition.window_ms.unwrap_or_default().min(over_ms);
                edges.push(shorter + definition.delay_ms);
            }
        }
        edges.push(longest + bounds.lateness_ms);
        let pace = random.of_any_size(HOUR);
        Self {
            // Some day in 2024; a history may reach years from it.
            now: 1_720_000_000_000 + random.within(0, DAY),
            pace,
            edges,
            keys: (0..case.entities).map(|_| random.one_of(&[1, 2, 5, 40])).collect(),
            values: (0..case.values).map(|_| random.one_of(&[1, 3, 12, 3000])).collect(),
            conditions: (0..case.conditions).map(|_| random.one_of(&[5, 50, 95])).collect(),
            amounts: random.one_of(&[0, 3, 10_000, 1_000_000_000_000]),
            events: Vec::new(),
            random,
            case,
        }
    }

    fn take(mut self, events_max: u64) -> Vec<Event> {
        let mut sequence = 0;
        for _ in 0..=self.random.below(events_max) {
            let event = self.event(sequence);
            self.events.push(event);
            sequence += if self.random.chance(3) { self.random.below(60) } else { 0 } + 1;
        }
        self.events
    }

    fn event(&mut self, sequence: u64) -> Event {
        let time_ms = self.time();
        let random = &mut *self.random;
        let keys = self.keys.iter().map(|&keys| {
            // The lower of two: some keys are hot.
            let key = random.below(keys).min(random.below(keys));
            (!random.chance(5)).then_some(key)
        });
        let keys = keys.collect();
        let amount = random.of_any_size(self.amounts);
        let number = random.within(-3, 3) * random.of_any_size(1 + self.amounts.min(1 << 24));
        let values =
            self.values.iter().map(|&values| (!random.chance(8)).then(|| random.below(values))).collect();
        let conditions = self.conditions.iter().map(|&percent| random.chance(percent)).collect();
        let mut own = Random::new(mix(sequence ^ self.case.seed << 20));
        let label = (!own.chance(20)).then(|| own.chance(30));
        // A duplicate is the same event, or one of the same id.
        let old =
            if random.chance(6) { random.below(self.events.len() as u64 + 1) as usize } else { usize::MAX };
        if let Some(old) = self.events.get(old)
            && random.chance(50)
        {
            return Event { sequence, ..old.clone() };
        }
        Event {
            sequence,
            id: self.events.get(old).map_or_else(|| random.next_u64(), |old| old.id),
            time_ms,
            keys,
            columns: vec![Some(amount), (!random.chance(10)).then_some(number)],
            values,
            conditions,
            label,
        }
    }

    /// The next event's time; mostly moves the true clock.
    fn time(&mut self) -> i64 {
        let random = &mut *self.random;
        let earlier = |random: &mut Random, events: &[Event], near: u64| -> Option<i64> {
            let back = random.below(near).min(random.below(near)) as usize;
            events.len().checked_sub(back + 1).map(|at| events[at].time_ms)
        };
        match random.below(100) {
            // A tie with the clock, or with an event not long ago.
            0..12 => {}
            12..20 => return earlier(random, &self.events, 8).unwrap_or(self.now),
            // Within a millisecond of an edge seen from an earlier event, ahead or back.
            20..40 => {
                let edge = random.one_of(&self.edges);
                let Some(from) = earlier(random, &self.events, 40) else { return self.now };
                let at = from + edge + random.within(-1, 1);
                // Not so far ahead that every edge empties all windows.
                if at > self.now && (at - self.now <= self.pace.saturating_mul(50) || random.chance(3)) {
                    self.now = at;
                } else if at <= self.now {
                    return at;
                }
            }
            40..44 => return self.now - random.one_of(&self.edges) + random.within(-1, 1),
            44..50 => return self.now - random.of_any_size(self.case.bounds.lateness_ms),
            50..52 => return self.now - random.of_any_size(30 * DAY),
            // A clock that is ahead by up to the skew; seldom by more, as where no arrival is known.
            52 => return self.now + random.within(0, 10 * MINUTE),
            53 if random.chance(10) => return self.now + random.of_any_size(800 * DAY),
            // A burst, the usual pace, a pause.
            54..70 => self.now += random.of_any_size(10),
            70..98 => self.now += random.within(0, self.pace),
            _ => self.now += random.of_any_size(self.pace.saturating_mul(100).min(40 * DAY)),
        }
        self.now
    }
}
