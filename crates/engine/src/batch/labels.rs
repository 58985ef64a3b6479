//! Labels of a batch: when they begin to count, and the windows over them.
//!
//! worker -> **labels** -> state (waiting, apart)
//!
//! An accepted event waits with what windows of labels keep of it, in the shard of its id (`await_labels`). Its label begins to count before
//! the first event whose stream time gets there: it is then stored under the event's keys, which others' events read
//! (`update_labels`). One that comes later for an event changes what was stored. Holds: a shard of keys sees labels and events in the order of docs/semantics.md, 7, whatever the batches.

use crate::batch::lane::{CellLane, LabelRead, Taken};
use crate::batch::shared::Shared;
use crate::batch::update::Batch;
use crate::batch::worker::{Lanes, is_accepted, owner};
use crate::event::{EventRef, NO_KEY};
use crate::features::plan::Plan;
use crate::state::ids;
use crate::state::shard::Update;
use crate::state::waiting::{Known, Waiting};
use crate::window::read;
use crate::window::write::Entry;
use std::sync::{MutexGuard, PoisonError};

/// A worker's buffers for windows of labels.
pub(super) struct Labels {
    entries: Vec<Entry>,
    reads: Vec<read::Scratch>,
}

impl Labels {
    pub(super) fn new(plan: &Plan) -> Self {
        let entities = &plan.entities[plan.labels.clone()];
        Self {
            entries: vec![Entry::default(); entities.len()],
            reads: entities.iter().map(read::Scratch::new).collect(),
        }
    }

    /// Phase 2, once ids are known: takes the labels that begin to count, and has the accepted events wait for theirs.
    pub(super) fn await_labels(
        worker: usize,
        crew: usize,
        shared: &Shared,
        lanes: &Lanes<'_>,
        (first_sequence, stream_ms): (u64, &[i64]),
        is_accepted_here: impl Fn(usize) -> bool,
    ) {
        let mut known = shared.known[worker].write().unwrap_or_else(PoisonError::into_inner);
        known.clear();
        let mut shards: Vec<MutexGuard<'_, Waiting>> = shared
            .waiting
            .iter()
            .skip(worker)
            .step_by(crew)
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let next_of = |shards: &[MutexGuard<'_, Waiting>]| {
            shards.iter().map(|shard| shard.next_ms()).min().unwrap_or(i64::MAX)
        };
        let mut next_ms = next_of(&shards);
        for (event, &stream_ms) in stream_ms.iter().enumerate() {
            let (lane, row) = owner(shared, event);
            match lanes[lane].taken_at(row, stream_ms) {
                Taken::Event => {}
                Taken::Label => {
                    let LabelRead { id_hash, is_fraud, known_ms } = lanes[lane].label(row);
                    if ids::shard_of(id_hash) % crew == worker {
                        let shard = &mut shards[ids::shard_of(id_hash) / crew];
                        shard.announce(id_hash, first_sequence + event as u64, known_ms, is_fraud);
                        next_ms = next_ms.min(shard.next_ms());
                    }
                    continue;
                }
                Taken::Reject(_) => continue,
            }
            if next_ms <= stream_ms {
                for shard in &mut shards {
                    shard.take(stream_ms, event as u32, &mut known);
                }
                next_ms = next_of(&shards);
            }
            if is_accepted_here(event) {
                let entry = lanes[lane].event(row);
                let shard = &mut shards[ids::shard_of(entry.head.id_hash) / crew];
                shard.add(&entry, lanes[lane].met(row), first_sequence + event as u64, stream_ms);
                next_ms = next_ms.min(shard.next_ms());
            }
        }
    }

    /// Phase 3: the labels and the events of this worker's shards of labels. `owner_of` tells whose a shard is.
    pub(super) fn update_labels(
        &mut self,
        batch: &Batch<'_>,
        worker: usize,
        owner_of: impl Fn(usize) -> usize,
        out: &mut CellLane,
    ) {
        let shared = batch.shared;
        let lanes: Vec<_> =
            shared.known.iter().map(|known| known.read().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut known: Vec<&Known> = lanes.iter().flat_map(|lane| lane.iter()).collect();
        known.sort_unstable_by_key(|known| (known.record, *known));
        let mut next = 0;
        for event in 0..batch.job.records.len() {
            while let Some(known) = known.get(next).filter(|known| known.record as usize == event) {
                self.store(batch, known, |shard| owner_of(shard) == worker);
                next += 1;
            }
            if is_accepted(shared, event) {
                self.read(batch, event, |shard| owner_of(shard) == worker, out);
            }
        }
    }

    fn store(&mut self, batch: &Batch<'_>, known: &Known, is_own: impl Fn(usize) -> bool) {
        let shared = batch.shared;
        let plan = &*shared.plan;
        let plans = &plan.entities[plan.labels.clone()];
        let head = known.head();
        let event = EventRef { head: &head, keys: &known.keys, slots: &known.slots };
        for (entity, entry) in plans.iter().zip(&mut self.entries) {
            let hash = event.keys[entity.entity];
            let shard = shared.shard_of.of(hash);
            if hash == NO_KEY || !is_own(shard) {
                continue;
            }
            entity.fill(&event, entity.labels_met(known.met, known.is_fraud), entry);
            let update = Update {
                hash,
                sequence: batch.job.first_sequence + u64::from(known.record),
                time_ms: known.time_ms,
                stream_ms: batch.stream_ms[known.record as usize],
            };
            entry.event = known.event;
            if let Some(mut shard) = shared.shards.get_mut(&shared.label_store(shard)) {
                let state = &shared.settings.state;
                if known.is_again {
                    shard.change_apart(state, plans, entity, &update, entry);
                } else {
                    shard.store_apart(state, plans, entity, &update, entry);
                }
            }
        }
    }

    fn read(&mut self, batch: &Batch<'_>, event: usize, is_own: impl Fn(usize) -> bool, out: &mut CellLane) {
        let shared = batch.shared;
        let plan = &*shared.plan;
        let plans = &plan.entities[plan.labels.clone()];
        let (lane, row) = owner(shared, event);
        let entry_of = batch.lanes[lane].event(row);
        for (at, entity) in plans.iter().enumerate() {
            let hash = entry_of.keys[entity.entity];
            let shard = shared.shard_of.of(hash);
            if hash == NO_KEY || !is_own(shard) {
                continue;
            }
            let entry = &mut self.entries[at];
            entity.fill(&entry_of, 0, entry);
            let place = out.add(entity.features.len());
            let update = Update {
                hash,
                sequence: batch.job.first_sequence + event as u64,
                time_ms: entry_of.head.time_ms,
                stream_ms: batch.stream_ms[event],
            };
            let cells = &mut out.cells[place..place + entity.features.len()];
            if let Some(mut shard) = shared.shards.get_mut(&shared.label_store(shard)) {
                let scratch = &mut self.reads[at];
                let state = &shared.settings.state;
                let marks = shard.read_apart(state, plans, entity, &update, entry, scratch, cells);
                out.marks[event] |= marks;
            }
            out.places[event * plan.entities.len() + plan.labels.start + at] = place as u32;
        }
    }
}
