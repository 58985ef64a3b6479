//! Phase 3 of a batch: every key of a worker's shards, read and stored.
//!
//! worker -> **update** -> state
//!
//! Holds: within a shard the updates are done by (sequence, entity), whatever the batch and whoever does them.

use crate::batch::lane::{CellLane, NO_PLACE};
use crate::batch::shared::{Job, Shared};
use crate::batch::worker::{Lanes, is_accepted, owner};
use crate::event::NO_KEY;
use crate::features::plan::Plan;
use crate::state::shard::{Shard, Update};
use crate::window::read;
use crate::window::write::Entry;
use std::sync::atomic::Ordering;

/// Updates whose memory is asked for before the first of them is done, of one shard or of several: as many misses as overlap, and no
/// more than the nearest cache holds.
const TASKS_AHEAD: usize = 48;

/// What the phases before left for this one.
pub(super) struct Batch<'a> {
    pub(super) shared: &'a Shared,
    pub(super) job: &'a Job,
    pub(super) lanes: &'a Lanes<'a>,
    /// M at each event.
    pub(super) stream_ms: &'a [i64],
}

/// One event's update of one key, before it is done.
#[derive(Clone, Copy, Debug, Default)]
struct Task {
    event: u32,
    /// Index in the plan's entities.
    entity: u16,
    /// Lane of the decoded event, and its row.
    lane: u16,
    row: u32,
    /// The shard of its layer.
    store: u32,
    slot: Option<u32>,
    hash: u64,
}

/// A worker's buffers of this phase.
pub(super) struct Updates {
    worker: usize,
    /// By shard, within a shard by (sequence, entity).
    tasks: Vec<Task>,
    /// In the order of events.
    unsorted: Vec<Task>,
    /// First task of each shard, and the end.
    starts: Vec<u32>,
    /// The worker of each shard, in a crew of the size for which it was made.
    owners: Vec<u8>,
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
            unsorted: Vec::new(),
            starts: Vec::new(),
            owners: Vec::new(),
            owners_crew: 0,
            entries: vec![Entry::default(); plan.entities.len()],
            reads: plan.entities.iter().map(read::Scratch::new).collect(),
        }
    }

    /// The worker of a shard in this batch.
    #[inline]
    pub(super) fn owner(&self, shard: usize) -> usize {
        self.owners[shard] as usize
    }

    /// Updates the keys of this worker's shards in a layer, and leaves their cells and marks in `out`.
    pub(super) fn run(&mut self, batch: &Batch<'_>, layer: usize, crew: usize, out: &mut CellLane) {
        let shards = batch.shared.settings.state.shards;
        if self.owners_crew != crew {
            self.owners = (0..shards).map(|shard| (shard % crew) as u8).collect();
            self.owners_crew = crew;
        }
        if layer == 0 {
            out.reset(batch.job.records.len(), batch.shared.plan.entities.len());
        }
        self.collect(batch, layer);
        let mut tasks = std::mem::take(&mut self.tasks);
        for ahead in tasks.chunks_mut(TASKS_AHEAD) {
            reach(batch, ahead);
            for tasks in ahead.chunk_by(|a, b| a.store == b.store) {
                self.update(batch, layer, tasks, out);
            }
        }
        self.tasks = tasks;
    }

    /// Collects this worker's tasks and sorts them by shard.
    fn collect(&mut self, batch: &Batch<'_>, layer: usize) {
        let shared = batch.shared;
        let range = shared.plan.layers[layer].entities.clone();
        let first_store = layer * self.owners.len();
        self.starts.clear();
        self.starts.resize(self.owners.len() + 1, 0);
        self.unsorted.clear();
        for event in 0..batch.job.records.len() {
            if !is_accepted(shared, event) {
                continue;
            }
            let (lane, row) = owner(shared, event);
            let keys = batch.lanes[lane].event(row).keys;
            for (index, entity) in range.clone().zip(&shared.plan.entities[range.clone()]) {
                let hash = keys[entity.entity];
                let shard = shared.shard_of.of(hash);
                if hash != NO_KEY && self.owners[shard] as usize == self.worker {
                    self.starts[shard + 1] += 1;
                    let task = Task {
                        event: event as u32,
                        entity: index as u16,
                        lane: lane as u16,
                        row: row as u32,
                        store: (first_store + shard) as u32,
                        slot: None,
                        hash,
                    };
                    self.unsorted.push(task);
                }
            }
        }
        for shard in 0..self.owners.len() {
            self.starts[shard + 1] += self.starts[shard];
        }
        self.tasks.resize(self.unsorted.len(), Task::default());
        for &task in &self.unsorted {
            let place = &mut self.starts[task.store as usize - first_store];
            self.tasks[*place as usize] = task;
            *place += 1;
        }
        // Each start has moved to its shard's end, which is the next one's start.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Updates keys of one shard.
    fn update(&mut self, batch: &Batch<'_>, layer: usize, tasks: &[Task], out: &mut CellLane) {
        let plan = &*batch.shared.plan;
        let entities = &plan.entities[plan.layers[layer].entities.clone()];
        let Some(mut shard) =
            tasks.first().and_then(|task| batch.shared.shards.get_mut(&(task.store as usize)))
        else {
            return;
        };
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
            let marks = shard.update(
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
fn reach(batch: &Batch<'_>, tasks: &mut [Task]) {
    let entities = &batch.shared.plan.entities;
    for task in &*tasks {
        batch.lanes[task.lane as usize].prefetch(task.row as usize);
    }
    round(batch, tasks, |shard, task| shard.prefetch_place(task.hash));
    round(batch, tasks, |shard, task| task.slot = shard.guess(task.hash));
    round(batch, tasks, |shard, task| {
        task.slot = shard.confirm(task.slot, task.hash);
        if let Some(slot) = task.slot {
            shard.prefetch_root(&entities[task.entity as usize], slot);
        }
    });
    round(batch, tasks, |shard, task| {
        if let Some(slot) = task.slot {
            let time_ms = batch.lanes[task.lane as usize].head(task.row as usize).time_ms;
            shard.prefetch_rows(&entities[task.entity as usize], slot, time_ms);
        }
    });
}

#[inline]
fn round(batch: &Batch<'_>, tasks: &mut [Task], mut step: impl FnMut(&Shard, &mut Task)) {
    for tasks in tasks.chunk_by_mut(|a, b| a.store == b.store) {
        let Some(shard) = tasks.first().and_then(|task| batch.shared.shards.get(&(task.store as usize)))
        else {
            continue;
        };
        for task in tasks {
            step(&shard, task);
        }
    }
}
