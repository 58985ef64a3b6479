//! Phase 3 of a batch: every key of a worker's shards, read and stored.
//!
//! worker -> **update** -> state
//!
//! A worker goes through the events in their order, so that what it reads of them and writes for them lies in a row; its shards stay
//! locked meanwhile, for nobody else asks for them in this phase.
//!
//! Holds: within a shard the updates are done by (sequence, entity), whatever the batch and whoever does them.

use crate::batch::lane::{CellLane, NO_PLACE};
use crate::batch::shared::{Job, Shared};
use crate::batch::worker::{Lanes, is_accepted, owner};
use crate::event::NO_KEY;
use crate::features::plan::Plan;
use crate::limits::WORKERS_MAX;
use crate::state::Shards;
use crate::state::shard::{Shard, Update};
use crate::window::read;
use crate::window::write::Entry;
use dashmap::mapref::one::RefMut;
use std::sync::atomic::Ordering;

/// Updates whose memory is asked for before the first of them is done, and those of the last of their events: as many misses as overlap,
/// and no more than the nearest cache holds.
const TASKS_AHEAD: usize = 48;

const _: () = assert!(WORKERS_MAX - 1 <= u8::MAX as usize, "a shard names its worker in 8 bits");

/// What the phases before left for this one.
pub(super) struct Batch<'a> {
    pub(super) shared: &'a Shared,
    pub(super) job: &'a Job,
    pub(super) lanes: &'a Lanes<'a>,
    /// M at each event.
    pub(super) stream_ms: &'a [i64],
}

/// One event's update of one key, before it is done.
#[derive(Clone, Copy, Debug)]
struct Task {
    event: u32,
    /// Index in the plan's entities.
    entity: u16,
    /// Lane of the decoded event, and its row.
    lane: u16,
    row: u32,
    /// Index among the worker's own shards.
    shard: u32,
    slot: Option<u32>,
    hash: u64,
}

/// The shards of a worker in one layer, each locked when it is first asked for, until the phase ends.
struct OwnShards<'a> {
    shards: &'a Shards,
    /// Number of the worker's first, and how far it is from one to the next.
    first: usize,
    step: usize,
    held: Vec<Option<Held<'a>>>,
}

type Held<'a> = RefMut<'a, usize, Shard>;

impl<'a> OwnShards<'a> {
    fn new(shared: &'a Shared, layer: usize, worker: usize, crew: usize) -> Self {
        let shards = shared.settings.state.shards;
        let mut held = Vec::new();
        held.resize_with(shards.div_ceil(crew), || None);
        Self { shards: &shared.shards, first: layer * shards + worker, step: crew, held }
    }

    #[inline]
    fn get(&mut self, index: u32) -> &mut Shard {
        let held = &mut self.held[index as usize];
        let number = self.first + index as usize * self.step;
        held.get_or_insert_with(|| self.shards.get_mut(&number).expect("every shard is there from the start"))
    }
}

/// A worker's buffers of this phase.
pub(super) struct Updates {
    worker: usize,
    tasks: Vec<Task>,
    /// Of each shard its worker and its index among that worker's, in a crew of the size for which it was made.
    owners: Vec<(u8, u32)>,
    owners_crew: usize,
    /// The event at hand as each entity stores it.
    entries: Vec<Entry>,
    reads: Vec<read::Scratch>,
}

impl Updates {
    pub(super) fn new(worker: usize, plan: &Plan) -> Self {
        Self {
            worker,
            tasks: Vec::new(),
            owners: Vec::new(),
            owners_crew: 0,
            entries: vec![Entry::default(); plan.entities.len()],
            reads: plan.entities.iter().map(read::Scratch::new).collect(),
        }
    }

    /// The worker of a shard in this batch.
    #[inline]
    pub(super) fn owner(&self, shard: usize) -> usize {
        self.owners[shard].0 as usize
    }

    /// Updates the keys of this worker's shards in a layer, and leaves their cells and marks in `out`.
    pub(super) fn run(&mut self, batch: &Batch<'_>, layer: usize, crew: usize, out: &mut CellLane) {
        let shared = batch.shared;
        if self.owners_crew != crew {
            let shards = 0..shared.settings.state.shards;
            self.owners = shards.map(|shard| ((shard % crew) as u8, (shard / crew) as u32)).collect();
            self.owners_crew = crew;
        }
        if layer == 0 {
            out.reset(batch.job.records.len(), shared.plan.entities.len());
        }
        let mut shards = OwnShards::new(shared, layer, self.worker, crew);
        let mut tasks = std::mem::take(&mut self.tasks);
        let mut next = 0;
        while next < batch.job.records.len() {
            tasks.clear();
            while next < batch.job.records.len() && tasks.len() < TASKS_AHEAD {
                self.collect(batch, layer, next, &mut tasks);
                next += 1;
            }
            reach(batch, &mut shards, &mut tasks);
            self.update(batch, layer, &mut shards, &tasks, out);
        }
        self.tasks = tasks;
    }

    /// Collects what this worker has to do of an event.
    #[inline]
    fn collect(&self, batch: &Batch<'_>, layer: usize, event: usize, tasks: &mut Vec<Task>) {
        let shared = batch.shared;
        if !is_accepted(shared, event) {
            return;
        }
        let (lane, row) = owner(shared, event);
        let keys = batch.lanes[lane].event(row).keys;
        let entities = shared.plan.layers[layer].entities.clone();
        for (index, entity) in entities.clone().zip(&shared.plan.entities[entities]) {
            let hash = keys[entity.entity];
            let (worker, shard) = self.owners[shared.shard_of.of(hash)];
            if hash != NO_KEY && worker as usize == self.worker {
                tasks.push(Task {
                    event: event as u32,
                    entity: index as u16,
                    lane: lane as u16,
                    row: row as u32,
                    shard,
                    slot: None,
                    hash,
                });
            }
        }
    }

    fn update(
        &mut self,
        batch: &Batch<'_>,
        layer: usize,
        shards: &mut OwnShards<'_>,
        tasks: &[Task],
        out: &mut CellLane,
    ) {
        let plan = &*batch.shared.plan;
        let entities = &plan.entities[plan.layers[layer].entities.clone()];
        for task in tasks {
            let lane = &batch.lanes[task.lane as usize];
            let event = lane.event(task.row as usize);
            let entity = &plan.entities[task.entity as usize];
            let entry = &mut self.entries[task.entity as usize];
            let met = if layer > 0 {
                batch.shared.flags[task.event as usize].load(Ordering::Relaxed)
            } else if plan.set.conditions.is_empty() {
                0
            } else {
                lane.met(task.row as usize)
            };
            entity.fill(&event, met, entry);
            let place = out.add(entity.features.len());
            let update = Update {
                hash: task.hash,
                sequence: batch.job.first_sequence + u64::from(task.event),
                time_ms: event.head.time_ms,
                stream_ms: batch.stream_ms[task.event as usize],
            };
            let marks = shards.get(task.shard).update(
                &batch.shared.settings.state,
                entities,
                entity,
                task.slot,
                &update,
                entry,
                &mut self.reads[task.entity as usize],
                &mut out.cells[place..place + entity.features.len()],
            );
            debug_assert_ne!(place as u32, NO_PLACE);
            out.places[task.event as usize * plan.entities.len() + task.entity as usize] = place as u32;
            out.marks[task.event as usize] |= marks;
        }
    }
}

/// Asks for the memory of the keys of some tasks, so that the misses overlap: what is found through a pointer a round after the
/// pointer.
fn reach(batch: &Batch<'_>, shards: &mut OwnShards<'_>, tasks: &mut [Task]) {
    let entities = &batch.shared.plan.entities;
    for task in &*tasks {
        shards.get(task.shard).prefetch_place(task.hash);
    }
    for task in &mut *tasks {
        task.slot = shards.get(task.shard).guess(task.hash);
    }
    for task in &mut *tasks {
        let entity = &entities[task.entity as usize];
        task.slot = shards.get(task.shard).confirm(entity, task.slot, task.hash);
    }
    for task in &*tasks {
        let entity = &entities[task.entity as usize];
        // What lies apart from the root.
        if let Some(slot) = task.slot {
            let time_ms = batch.lanes[task.lane as usize].head(task.row as usize).time_ms;
            shards.get(task.shard).prefetch_rows(entity, slot, time_ms);
        }
    }
}
