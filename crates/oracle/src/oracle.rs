//! The oracle itself: duplicates (§1), the steps of an event (§2), eviction and sweep (§5); labels (§7) in `labels`.

mod labels;

use std::collections::{BTreeMap, BTreeSet};

use crate::flags;
use crate::plan::{Counts, Definition, Event, LabelLine, Outcome, Settings, Sizes, Value};
use crate::read::{Read, Reading};
use crate::state::{Key, Kind};
use labels::Waiting;

/// Takes events in the order of their sequence.
pub struct Oracle {
    settings: Settings,
    definitions: Vec<Definition>,
    /// Of the definitions.
    layer_of: Vec<usize>,
    /// Of the flags.
    flag_layer_of: Vec<usize>,
    /// Windows over fields and flags by layer, then those of labels (§7).
    layers: Vec<Layer>,
    /// How many of them are windows over fields and flags.
    layer_count: usize,
    /// Per shard of ids: events whose label does not count yet, or that are kept for labels.
    waiting: Vec<Vec<Waiting>>,
    /// Per shard of ids: labels that do not count yet.
    announced: Vec<Vec<LabelLine>>,
    lost_labels: u64,
    labels_without_event: u64,
    /// Labels stored, in each shard of them.
    labels_stored: Vec<u64>,
    /// `M`
    stream_time: Option<i64>,
    /// Per shard of ids: (id, t0), in the order of acceptance.
    ids: Vec<Vec<(u64, i64)>>,
    evicted_keys: u64,
    evicted_ids: u64,
}

/// The windows of one layer (§6) and their state.
struct Layer {
    kinds: Vec<Kind>,
    shards: Vec<Shard>,
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
    /// `conditions` are those that events bring; flags are numbered behind them.
    pub fn new(settings: Settings, definitions: Vec<Definition>, conditions: usize) -> Self {
        for definition in &definitions {
            // §3: "`inclusive` is allowed only with d = 0".
            assert!(!definition.inclusive || definition.delay_ms == 0, "{definition:?}");
        }
        let (mut layer_of, flag_layer_of) = flags::layers(&definitions, &settings.flags, conditions);
        let layer_count = layer_of.iter().copied().max().unwrap_or(0) + 1;
        for (layer, definition) in layer_of.iter_mut().zip(&definitions) {
            if definition.label.is_some() {
                *layer = layer_count;
            }
        }
        let layer = |layer: usize| {
            let own: Vec<Definition> = definitions
                .iter()
                .zip(&layer_of)
                .filter(|(_, own)| **own == layer)
                .map(|(definition, _)| definition.clone())
                .collect();
            let entities = settings.sizes.first().map_or(0, Vec::len);
            Layer {
                kinds: (0..entities).map(|entity| Kind::of(entity, &own, &settings.bounds)).collect(),
                shards: (0..settings.bounds.shards).map(|_| Shard::default()).collect(),
            }
        };
        let layers = (0..=layer_of.iter().copied().max().unwrap_or(0)).map(layer).collect();
        Self {
            definitions,
            layer_of,
            flag_layer_of,
            layers,
            layer_count,
            waiting: (0..settings.bounds.dedupe_shards).map(|_| Vec::new()).collect(),
            announced: (0..settings.bounds.dedupe_shards).map(|_| Vec::new()).collect(),
            lost_labels: 0,
            labels_without_event: 0,
            labels_stored: vec![0; settings.bounds.shards],
            stream_time: None,
            ids: vec![Vec::new(); settings.bounds.dedupe_shards],
            evicted_keys: 0,
            evicted_ids: 0,
            settings,
        }
    }

    pub fn event(&mut self, event: &Event) -> Outcome {
        // §1 "Stream time": this one and duplicates included.
        let stream_time = self.stream_time.map_or(event.time_ms, |before| before.max(event.time_ms));
        self.stream_time = Some(stream_time);
        self.labels(event.sequence, stream_time);
        if self.is_duplicate(event, stream_time) {
            return Outcome::Duplicate;
        }
        self.await_label(event, stream_time);
        let count = self.definitions.len();
        // §3: "No key in the event: every feature of the entity is missing".
        let mut values = vec![Value::Missing; count];
        let (mut saturated, mut degraded, mut late) = (vec![false; count], vec![false; count], false);
        // The label beside an event is no part of what it is now.
        let mut event = Event { label: None, ..event.clone() };
        let conditions = event.conditions.len();
        event.conditions.resize(conditions + self.settings.flags.len(), false);
        // §7: windows of labels are read before the flags of layer 1.
        let tiers = self.layers.len();
        let order = [0, self.layer_count].into_iter().chain(1..self.layer_count);
        for layer in order.filter(|&layer| layer < tiers) {
            // §6: "the flags of a layer are evaluated before its windows are read".
            for (flag, _) in self.flag_layer_of.iter().enumerate().filter(|(_, own)| **own == layer) {
                let digits = self.settings.columns[0].digits;
                let holds = flags::holds(&self.settings.flags, flag, &event, &values, digits);
                event.conditions[conditions + flag] = holds == Some(true);
            }
            for entity in 0..event.keys.len() {
                let Some(key) = event.keys[entity] else { continue };
                // "An entity kind without features keeps no state", nor does one without windows in a layer.
                if !self.has_windows(layer, entity) {
                    continue;
                }
                let (reads, entity_late) = self.update(&event, layer, entity, key, stream_time);
                late |= entity_late;
                for (at, read) in reads {
                    (values[at], saturated[at], degraded[at]) = (read.value, read.saturated, read.degraded);
                }
            }
            // §3: "`or = x` replaces missing, as the last step".
            for (at, definition) in self.definitions.iter().enumerate() {
                if let (true, Value::Missing, Some(or)) =
                    (self.layer_of[at] == layer, values[at], definition.or)
                {
                    values[at] = Value::Real(or as f32);
                }
            }
        }
        Outcome::Accepted { values, late, saturated, degraded }
    }

    fn has_windows(&self, layer: usize, entity: usize) -> bool {
        let mut own = self.definitions.iter().zip(&self.layer_of);
        own.any(|(definition, own)| *own == layer && definition.entity == entity)
    }

    /// §1 "Duplicate"; an id that is none is accepted.
    fn is_duplicate(&mut self, event: &Event, stream_time: i64) -> bool {
        let bounds = &self.settings.bounds;
        let shard = &mut self.ids[(self.settings.shard_of_id)(event.id)];
        if let Some(at) = shard.iter().position(|(id, _)| *id == event.id) {
            if shard[at].1 > stream_time - bounds.dedupe_span_ms {
                return true;
            }
            // "as good as forgotten": accepted anew, it is the last of those accepted.
            shard.remove(at);
        }
        if event.time_ms <= stream_time - bounds.dedupe_span_ms {
            return false; // "as good as forgotten" at once: it is not kept.
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
        layer: usize,
        entity: usize,
        key: u64,
        stream_time: i64,
    ) -> (Vec<(usize, Read)>, bool) {
        let Self { settings, definitions, layer_of, layers, .. } = self;
        let tiers = layers.len();
        let Layer { kinds, shards } = &mut layers[layer];
        let (bounds, kind) = (&settings.bounds, &kinds[entity]);
        let shard = &mut shards[(settings.shard_of)(entity, key)];
        let is_own = |at: usize| layer_of[at] == layer && definitions[at].entity == entity;
        let name = (entity, key);
        // 1. Forget.
        if shard.keys.get(&name).is_some_and(|stored| stored.is_forgotten(stream_time, bounds)) {
            shard.keys.remove(&name);
        }
        // 2. Read.
        let stored = shard.keys.get(&name);
        let lost_before = stored.map_or(shard.horizon, |stored| stored.lost_before);
        let fresh = Key::new(event, kind, shard.horizon);
        let any_inclusive = (0..definitions.len()).any(|at| is_own(at) && definitions[at].inclusive);
        let inclusive = any_inclusive.then(|| stored.unwrap_or(&fresh).with(event, kind, bounds));
        let mut reads = Vec::new();
        for (at, definition) in definitions.iter().enumerate() {
            if is_own(at) {
                let key = if definition.inclusive { inclusive.as_ref() } else { stored };
                let columns = &settings.columns;
                reads.push((at, Reading { event, definition, kind, columns, key, lost_before }.read()));
            }
        }
        let is_late = stored.is_some_and(|stored| stored.is_late(event, bounds));
        // 3. Late? "A late event that was not stored is no update" (§5): no sweep, no eviction. §7: an event is never stored as its label is.
        if !is_late && layer < self.layer_count {
            let sizes = (&settings.sizes[layer][..], bounds.memory / (bounds.shards * tiers) as u64);
            self.evicted_keys += shard.store(
                settings,
                kind,
                sizes,
                (event, (event.sequence, event.sequence)),
                name,
                stream_time,
            );
        }
        (reads, is_late)
    }

    /// The layer of the windows of labels, if there are any.
    fn label_tier(&self) -> Option<usize> {
        self.layers.len().checked_sub(1).filter(|&tier| tier == self.layer_count)
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            evicted_keys: self.evicted_keys,
            evicted_ids: self.evicted_ids,
            waiting: self.waiting.iter().map(|shard| shard.len() as u64).sum::<u64>()
                + self.announced.iter().map(|shard| shard.len() as u64).sum::<u64>(),
            lost_labels: self.lost_labels,
            labels_without_event: self.labels_without_event,
            ids: self.ids.iter().map(|shard| shard.len() as u64).sum(),
            ..Counts::default()
        };
        let shards = self.layers.iter().enumerate();
        for (layer, shard) in shards.flat_map(|(at, layer)| layer.shards.iter().map(move |shard| (at, shard)))
        {
            counts.bytes += shard.bytes(&self.settings.sizes[layer]);
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
    /// §5 and §2: the sweep, 4. Store, 5. Merge, 6. Evict; `order` is that of updates, `at` the sequence of the record at which that is. The
    /// keys evicted.
    fn store(
        &mut self,
        settings: &Settings,
        kind: &Kind,
        (sizes, limit): (&[Sizes], u64),
        (event, (order, at)): (&Event, (u64, u64)),
        name: (usize, u64),
        stream_time: i64,
    ) -> u64 {
        let bounds = &settings.bounds;
        // §5, the sweep: "before that update".
        let due = at / (bounds.sweep_every / 1024).max(1);
        let parts: BTreeSet<u64> = (self.swept + 1..=due).rev().take(1024).map(|k| k % 1024).collect();
        if !parts.is_empty() {
            self.keys.retain(|&(entity, key), stored| {
                !(parts.contains(&(settings.part_of)(entity, key))
                    && stored.is_forgotten(stream_time, bounds))
            });
        }
        self.swept = due;
        let horizon = self.horizon;
        let key = self.keys.entry(name).or_insert_with(|| Key::new(event, kind, horizon));
        key.store(event, order, name.0, kind, bounds);
        let mut evicted = 0;
        while self.bytes(sizes) > limit {
            let others = self.keys.iter().filter(|(other, _)| **other != name);
            let Some((&oldest, _)) = others.min_by_key(|(_, stored)| stored.updated) else { break };
            let removed = self.keys.remove(&oldest).expect("it was found above");
            self.horizon = self.horizon.max(Some(removed.newest));
            evicted += 1;
        }
        evicted
    }

    /// `sizes` are those of the layer.
    fn bytes(&self, sizes: &[Sizes]) -> u64 {
        self.keys.iter().map(|(&(entity, _), key)| key.bytes(&sizes[entity])).sum()
    }
}
