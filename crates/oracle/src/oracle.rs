//! The oracle itself: duplicates (§1), the steps of an event (§2), eviction and sweep (§5).

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Counts, Definition, Event, Outcome, Settings, Value};
use crate::read::{Read, Reading};
use crate::state::{Key, Kind};

/// Takes events in the order of their sequence.
pub struct Oracle {
    settings: Settings,
    definitions: Vec<Definition>,
    kinds: Vec<Kind>,
    /// `M`
    stream_time: Option<i64>,
    /// Per shard of ids: (id, t0), in the order of acceptance.
    ids: Vec<Vec<(u64, i64)>>,
    shards: Vec<Shard>,
    evicted_keys: u64,
    evicted_ids: u64,
}

#[derive(Default)]
struct Shard {
    /// By (entity, key).
    keys: BTreeMap<(usize, u64), Key>,
    horizon: Option<i64>,
    /// `m` of the last update (§5).
    swept: u64,
}

impl Oracle {
    pub fn new(settings: Settings, definitions: Vec<Definition>) -> Self {
        for definition in &definitions {
            // §3: "`inclusive` is allowed only with d = 0".
            assert!(!definition.inclusive || definition.delay_ms == 0, "{definition:?}");
        }
        let kinds = (0..settings.sizes.len())
            .map(|entity| Kind::of(entity, &definitions, &settings.bounds))
            .collect();
        Self {
            definitions,
            kinds,
            stream_time: None,
            ids: vec![Vec::new(); settings.bounds.dedupe_shards],
            shards: (0..settings.bounds.shards).map(|_| Shard::default()).collect(),
            evicted_keys: 0,
            evicted_ids: 0,
            settings,
        }
    }

    pub fn event(&mut self, event: &Event) -> Outcome {
        // §1 "Stream time": this one and duplicates included.
        let stream_time = self.stream_time.map_or(event.time_ms, |before| before.max(event.time_ms));
        self.stream_time = Some(stream_time);
        if self.is_duplicate(event, stream_time) {
            return Outcome::Duplicate;
        }
        let count = self.definitions.len();
        // §3: "No key in the event: every feature of the entity is missing".
        let mut values = vec![Value::Missing; count];
        let (mut saturated, mut degraded, mut late) = (vec![false; count], vec![false; count], false);
        for entity in 0..self.kinds.len() {
            let Some(key) = event.keys[entity] else { continue };
            let (reads, entity_late) = self.update(event, entity, key, stream_time);
            late |= entity_late;
            for (at, read) in reads {
                (values[at], saturated[at], degraded[at]) = (read.value, read.saturated, read.degraded);
            }
        }
        // §3: "`or = x` replaces missing, as the last step".
        for (value, definition) in values.iter_mut().zip(&self.definitions) {
            if let (Value::Missing, Some(or)) = (*value, definition.or) {
                *value = Value::Real(or as f32);
            }
        }
        Outcome::Accepted { values, late, saturated, degraded }
    }

    /// §1 "Duplicate"; an id that is none is accepted.
    fn is_duplicate(&mut self, event: &Event, stream_time: i64) -> bool {
        let bounds = &self.settings.bounds;
        let shard = &mut self.ids[(self.settings.shard_of_id)(event.id)];
        if let Some((_, t0)) = shard.iter_mut().find(|(id, _)| *id == event.id) {
            if *t0 > stream_time - bounds.dedupe_span_ms {
                return true;
            }
            // "accepting it again replaces its t0": it keeps its place in the order.
            *t0 = event.time_ms;
            return false;
        }
        shard.push((event.id, event.time_ms));
        if shard.len() > bounds.dedupe_ids_per_shard {
            shard.remove(0);
            self.evicted_ids += 1;
        }
        false
    }

    /// §2, the steps of an event at one of its keys: the features by index, and whether the event is late.
    fn update(
        &mut self,
        event: &Event,
        entity: usize,
        key: u64,
        stream_time: i64,
    ) -> (Vec<(usize, Read)>, bool) {
        let Self { settings, definitions, kinds, .. } = self;
        let (bounds, kind) = (&settings.bounds, &kinds[entity]);
        let shard = &mut self.shards[(settings.shard_of)(entity, key)];
        let name = (entity, key);
        // 1. Forget.
        if shard.keys.get(&name).is_some_and(|stored| stored.is_forgotten(stream_time, bounds)) {
            shard.keys.remove(&name);
        }
        // 2. Read.
        let stored = shard.keys.get(&name);
        let lost_before = stored.map_or(shard.horizon, |stored| stored.lost_before);
        let fresh = Key::new(event, kind, shard.horizon);
        let any_inclusive =
            definitions.iter().any(|definition| definition.entity == entity && definition.inclusive);
        let inclusive = any_inclusive.then(|| stored.unwrap_or(&fresh).with(event, kind, bounds));
        let mut reads = Vec::new();
        for (at, definition) in definitions.iter().enumerate() {
            if definition.entity == entity {
                let key = if definition.inclusive { inclusive.as_ref() } else { stored };
                let columns = &settings.columns;
                reads.push((at, Reading { event, definition, kind, columns, key, lost_before }.read()));
            }
        }
        // 3. Late? "A late event that was not stored is no update" (§5): no sweep, no eviction.
        if stored.is_some_and(|stored| stored.is_late(event, bounds)) {
            return (reads, true);
        }
        // §5, the sweep: "before that update".
        let quotient = (bounds.sweep_every / 1024).max(1);
        let due = event.sequence / quotient;
        let parts: BTreeSet<u64> = (shard.swept + 1..=due).rev().take(1024).map(|k| k % 1024).collect();
        if !parts.is_empty() {
            shard.keys.retain(|&(entity, key), stored| {
                !(parts.contains(&(settings.part_of)(entity, key))
                    && stored.is_forgotten(stream_time, bounds))
            });
        }
        shard.swept = due;
        // 4. Store. 5. Merge.
        shard.keys.entry(name).or_insert(fresh).store(event, entity, kind, bounds);
        // 6. Evict.
        let limit = bounds.memory / bounds.shards as u64;
        while shard.bytes(settings) > limit {
            let others = shard.keys.iter().filter(|(other, _)| **other != name);
            let Some((&oldest, _)) = others.min_by_key(|(_, stored)| stored.updated) else { break };
            let removed = shard.keys.remove(&oldest).expect("it was found above");
            shard.horizon = shard.horizon.max(Some(removed.newest));
            self.evicted_keys += 1;
        }
        (reads, false)
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            evicted_keys: self.evicted_keys,
            evicted_ids: self.evicted_ids,
            ids: self.ids.iter().map(|shard| shard.len() as u64).sum(),
            ..Counts::default()
        };
        for shard in &self.shards {
            counts.bytes += shard.bytes(&self.settings);
            counts.keys += shard.keys.len() as u64;
            for key in shard.keys.values() {
                counts.entries += key.entries.len() as u64;
                counts.spans += key.spans.len() as u64;
                counts.values += key.values();
            }
        }
        counts
    }
}

impl Shard {
    fn bytes(&self, settings: &Settings) -> u64 {
        self.keys.iter().map(|(&(entity, _), key)| key.bytes(&settings.sizes[entity])).sum()
    }
}
