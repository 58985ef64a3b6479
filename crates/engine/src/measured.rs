//! The store without what stands before and behind it, for `benches/store.rs`.
//!
//! bench -> **measured** -> state -> window
//!
//! Not here: anything that the engine calls. A batch does with keys what is done here (`batch/update.rs`), for many entities at once.

use crate::features::cell::Cell;
use crate::features::plan::Plan;
use crate::state::shard::{Shard, StateSettings, Update};
use crate::state::{self, ShardOf, Shards};
use crate::window::read::Scratch;
use crate::window::reserve::Reserve;
use crate::window::write::Entry;
use std::sync::Arc;

/// An event of one key.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Hash of the key.
    pub key: u64,
    pub time_ms: i64,
    /// The value of every numeric column, minor units.
    pub amount: i64,
    /// The value of every column of distinct values.
    pub other: u64,
}

/// The keys of a plan's first entity.
pub struct Store {
    plan: Arc<Plan>,
    settings: StateSettings,
    shards: Shards,
    shard_of: ShardOf,
    step: Step,
    /// Slots of a batch's keys, as far as they are known.
    slots: Vec<Option<u32>>,
}

/// What an update needs besides its shard.
struct Step {
    entry: Entry,
    scratch: Scratch,
    cells: Vec<Cell>,
    sequence: u64,
    stream_ms: i64,
}

impl Store {
    /// An empty store.
    pub fn new(plan: Arc<Plan>, settings: StateSettings) -> Self {
        let entity = &plan.entities[0];
        Self {
            shards: state::open(&settings, &Reserve::start()),
            shard_of: ShardOf::new(settings.shards),
            step: Step {
                entry: Entry::default(),
                scratch: Scratch::new(entity),
                cells: vec![Cell::MISSING; entity.features.len()],
                sequence: 0,
                stream_ms: i64::MIN,
            },
            slots: Vec::new(),
            plan,
            settings,
        }
    }

    /// Reads the windows of an event's key, and stores the event; marks of what was read.
    pub fn update(&mut self, event: &Event) -> u8 {
        let Self { shards, shard_of, .. } = self;
        let mut shard = shards.get_mut(&shard_of.of(event.key)).expect("every shard is there");
        self.step.run(&self.plan, &self.settings, &mut shard, event, None)
    }

    /// The same for a batch: shard by shard, each taken once, and asked for ahead where `is_ahead`. (The engine has all its shards at hand and
    /// goes through the events in their order, which costs the same.)
    pub fn update_all(&mut self, events: &mut [Event], is_ahead: bool) -> u8 {
        let Self { plan, settings, shards, shard_of, step, slots } = self;
        let of = |event: &Event| shard_of.of(event.key);
        // Stable: a shard sees its events in their order.
        events.sort_by_key(of);
        let mut marks = 0;
        for events in events.chunk_by(|a, b| of(a) == of(b)) {
            let mut shard = shards.get_mut(&of(&events[0])).expect("every shard is there");
            slots.clear();
            slots.resize(events.len(), None);
            if is_ahead {
                reach(plan, &shard, events, slots);
            }
            for (event, slot) in events.iter().zip(&*slots) {
                marks |= step.run(plan, settings, &mut shard, event, *slot);
            }
        }
        marks
    }

    /// Keys in store.
    pub fn keys(&self) -> u64 {
        self.shards.iter().map(|shard| shard.size().keys).sum()
    }
}

impl Step {
    fn run(
        &mut self,
        plan: &Plan,
        settings: &StateSettings,
        shard: &mut Shard,
        event: &Event,
        slot: Option<u32>,
    ) -> u8 {
        let entity = &plan.entities[0];
        let Self { entry, scratch, cells, sequence, stream_ms } = self;
        entry.fit(entity.layout.columns.len(), entity.layout.distincts);
        entry.time_ms = event.time_ms;
        entry.columns.fill(event.amount);
        entry.present.fill(event.amount);
        entry.values.fill(Some(event.other));
        *sequence += 1;
        *stream_ms = (*stream_ms).max(event.time_ms);
        let update =
            Update { hash: event.key, sequence: *sequence, time_ms: event.time_ms, stream_ms: *stream_ms };
        shard.update(settings, &plan.entities, entity, slot, &update, entry, scratch, cells)
    }
}

/// Asks for the memory of some keys, a round after the other.
fn reach(plan: &Plan, shard: &Shard, events: &[Event], slots: &mut [Option<u32>]) {
    for event in events {
        shard.prefetch_place(event.key);
    }
    for (event, slot) in events.iter().zip(&mut *slots) {
        *slot = shard.guess(event.key);
    }
    for (event, slot) in events.iter().zip(&mut *slots) {
        *slot = shard.confirm(&plan.entities[0], *slot, event.key);
    }
    for (event, slot) in events.iter().zip(&*slots) {
        if let Some(slot) = *slot {
            shard.prefetch_rows(&plan.entities[0], slot, event.time_ms);
        }
    }
}
