//! What the workers of an engine share.
//!
//! batch -> **shared** -> worker

use crate::batch::crew::Barrier;
use crate::batch::lane::{BLOCK, BlockOutput, CellLane, Counts, EventLane, OutputLane, Outputs};
use crate::batch::matrix::ModelColumns;
use crate::batch::recent::Recent;
use crate::batch::rows::RowPlan;
use crate::batch::{BATCH_RECORDS_MAX, EngineSettings};
use crate::decide::Thresholds;
use crate::encode::{FeatureMeta, Id, LineOptions, LinePlan, LineWriter, PartitionKey};
use crate::features::plan::Plan;
use crate::features::spec::Definition;
use crate::limits::{DEDUPE_SHARDS, WORKERS_MAX};
use crate::record::Records;
use crate::state::ids::IdShard;
use crate::state::shard::StateSettings;
use crate::state::waiting::{Known, Waiting};
use crate::state::{ShardOf, Shards, open};
use crate::window::reserve::Reserve;
use cartguard_forest::{Model, Scratch};
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A model in force.
#[derive(Debug)]
pub struct Scorer {
    /// `name/version`
    pub name: String,
    pub model: Arc<Model>,
    /// For each of the model's features the plan's.
    pub features: Vec<usize>,
    pub thresholds: Thresholds,
}

/// What a model decides of how a batch is scored and written; of one batch there is one.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) scorer: Option<Arc<Scorer>>,
    /// What the scorer's model reads.
    pub(crate) columns: ModelColumns,
    pub(crate) lines: Arc<LinePlan>,
    /// By worker: what it takes when it begins to follow, and then what it had before, so that nothing is made or freed while events
    /// wait.
    own: Vec<Mutex<Own>>,
}

/// What a worker needs of its own to follow a model.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) writer: LineWriter,
    pub(crate) forest: Option<Scratch>,
}

impl InForce {
    pub(crate) fn new(plan: &Plan, settings: &EngineSettings, scorer: Option<Arc<Scorer>>) -> Self {
        let read = scorer.as_ref().map_or(&[][..], |scorer| &scorer.features);
        let columns = ModelColumns::new(&plan.shapes, read);
        let lines = Arc::new(line_plan(plan, settings, scorer.as_deref()));
        let mut in_force = Self { columns, lines, scorer, own: Vec::new() };
        in_force.own = (0..settings.workers.max(1)).map(|_| Mutex::new(in_force.new_own())).collect();
        in_force
    }

    /// Writer and scratch memory of a further worker.
    pub(crate) fn new_own(&self) -> Own {
        Own {
            writer: LineWriter::new(self.lines.clone()),
            forest: self.scorer.as_ref().map(|scorer| scorer.model.scratch()),
        }
    }

    /// A worker takes its own, and leaves what it had.
    pub(crate) fn swap_own(&self, worker: usize, own: &mut Own) {
        std::mem::swap(own, &mut self.own[worker].lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the state holds, by the published formula, and the memory that it lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    pub bytes: u64,
    pub keys: u64,
    pub entries: u64,
    pub values: u64,
    pub ids: u64,
    /// Bytes of all pages and tables of the keys.
    pub resident_bytes: u64,
    /// Keys removed for want of memory.
    pub evicted: u64,
    /// Ids forgotten before their span for want of memory.
    pub evicted_ids: u64,
    /// Events whose label does not count yet, or that are kept for labels, and labels that do not count yet.
    pub waiting: u64,
    /// Labels, and events kept for labels, lost for want of memory; and labels that came when their event lay in a span.
    pub lost_labels: u64,
    /// Labels that began to count when their event was not kept.
    pub labels_without_event: u64,
}

/// The batch at hand.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) in_force: InForce,
    pub(crate) records: Records,
    pub(crate) first_sequence: u64,
    pub(crate) partitions: Vec<String>,
    /// By partition; empty where decisions have no ids.
    pub(crate) id_keys: Vec<PartitionKey>,
    /// Stream time before the batch.
    pub(crate) stream_ms: i64,
    /// What of each event is handed out as a row besides its lines.
    pub(crate) handed_out: Option<Arc<RowPlan>>,
}

impl Job {
    /// Before the first batch.
    fn new(in_force: InForce) -> Self {
        Self {
            in_force,
            records: Records::default(),
            first_sequence: 0,
            partitions: Vec::new(),
            id_keys: Vec::new(),
            stream_ms: i64::MIN,
            handed_out: None,
        }
    }

    /// The id of the decision on an event.
    pub(crate) fn id_of(&self, event: usize) -> Option<Id> {
        let partition = self.records.list[event].partition as usize;
        Some(self.id_keys.get(partition)?.decision(self.records.place_of(event)))
    }
}

/// See the module. What one worker writes and another does not lies on cache lines of its own: two workers that write side by side
/// take the line from each other each time.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) settings: EngineSettings,
    /// Shards of keys, layer after layer, then those of labels; `stores` counts them all.
    pub(crate) shards: Shards,
    pub(crate) stores: StateSettings,
    /// Where the shards' pages come from.
    pub(crate) reserve: Reserve,
    pub(crate) shard_of: ShardOf,
    pub(crate) ids: Vec<CachePadded<Mutex<IdShard>>>,
    /// By shard of ids: events whose label does not count yet; none without windows of labels.
    pub(crate) waiting: Vec<CachePadded<Mutex<Waiting>>>,
    /// By worker: the labels that begin to count in the batch.
    pub(crate) known: Vec<CachePadded<RwLock<Vec<Known>>>>,
    pub(crate) job: RwLock<Job>,
    pub(crate) events: Vec<CachePadded<RwLock<EventLane>>>,
    pub(crate) cells: Vec<CachePadded<RwLock<CellLane>>>,
    pub(crate) outputs: Vec<CachePadded<Mutex<OutputLane>>>,
    pub(crate) blocks: Mutex<Vec<BlockOutput>>,
    pub(crate) recent: Mutex<Recent>,
    /// Lane and first row of each decoded block: `lane << 24 | row`.
    pub(crate) owners: Vec<AtomicU32>,
    /// By worker and event: whether the worker accepted the event's id, so that it is neither a reject nor a duplicate.
    pub(crate) accepted: Vec<Vec<AtomicU8>>,
    /// [`crate::decide::Decision`], by event.
    pub(crate) decisions: Vec<AtomicU8>,
    /// Whether an alert's reasons are the cheap ones.
    pub(crate) cheap: Vec<AtomicU8>,
    /// Conditions of the layer at hand that an event meets; of one layer none.
    pub(crate) flags: Vec<AtomicU64>,
    pub(crate) to_decode: Blocks,
    pub(crate) to_score: Blocks,
    /// The workers meet here for a batch, and between its phases.
    pub(crate) start: Barrier,
    pub(crate) phase: Barrier,
    pub(crate) stop: AtomicBool,
}

/// The blocks of a batch, each to be taken once. A worker takes its own first, so that the one that decoded an event, and has it in its
/// cache, very likely scores and encodes it; then it helps the others.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// By worker: the next of its blocks, and their end.
    ranges: Vec<CachePadded<(AtomicUsize, AtomicUsize)>>,
}

impl Blocks {
    fn new(workers: usize) -> Self {
        Self { ranges: (0..workers).map(|_| CachePadded::default()).collect() }
    }

    /// Shares out so many blocks among the first `crew` workers.
    fn divide(&self, blocks: usize, crew: usize) {
        for (worker, range) in self.ranges.iter().enumerate() {
            let (next, end) = &**range;
            next.store(blocks * worker.min(crew) / crew, Ordering::Relaxed);
            end.store(blocks * (worker + 1).min(crew) / crew, Ordering::Relaxed);
        }
    }

    /// A block for a worker, or nothing once all are taken.
    pub(crate) fn take(&self, worker: usize) -> Option<usize> {
        let workers = self.ranges.len();
        (0..workers).find_map(|other| {
            let (next, end) = &*self.ranges[(worker + other) % workers];
            let end = end.load(Ordering::Relaxed);
            // Looked at first: the counter of a range that is used up must not run on.
            if next.load(Ordering::Relaxed) >= end {
                return None;
            }
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&block| block < end)
        })
    }
}

impl Shared {
    pub(crate) fn new(plan: Arc<Plan>, settings: EngineSettings, scorer: Option<Arc<Scorer>>) -> Self {
        let workers = settings.workers.clamp(1, WORKERS_MAX);
        let schema = &plan.schema;
        let job = Job::new(InForce::new(&plan, &settings, scorer));
        let reserve = Reserve::start();
        let layers = plan.layers.len();
        let stores = StateSettings { shards: settings.state.shards * plan.tiers(), ..settings.state.clone() };
        Self {
            shards: open(&stores, &reserve),
            stores,
            reserve,
            shard_of: ShardOf::new(settings.state.shards),
            ids: (0..DEDUPE_SHARDS)
                .map(|_| CachePadded::new(Mutex::new(IdShard::new(&settings.dedupe))))
                .collect(),
            waiting: (0..if plan.labels.is_empty() { 0 } else { DEDUPE_SHARDS })
                .map(|_| CachePadded::new(Mutex::new(Waiting::new(&plan))))
                .collect(),
            known: (0..workers).map(|_| CachePadded::default()).collect(),
            job: RwLock::new(job),
            events: (0..workers)
                .map(|_| CachePadded::new(RwLock::new(EventLane::new(schema.entities.len(), schema.slots()))))
                .collect(),
            cells: (0..workers).map(|_| CachePadded::default()).collect(),
            outputs: (0..workers).map(|_| CachePadded::default()).collect(),
            blocks: Mutex::default(),
            recent: Mutex::new(Recent::new(settings.reasons.max_share)),
            owners: (0..BATCH_RECORDS_MAX.div_ceil(BLOCK)).map(|_| AtomicU32::new(0)).collect(),
            accepted: (0..workers)
                .map(|_| (0..BATCH_RECORDS_MAX).map(|_| AtomicU8::new(0)).collect())
                .collect(),
            decisions: (0..BATCH_RECORDS_MAX).map(|_| AtomicU8::new(0)).collect(),
            cheap: (0..BATCH_RECORDS_MAX).map(|_| AtomicU8::new(0)).collect(),
            flags: (0..if layers > 1 { BATCH_RECORDS_MAX } else { 0 }).map(|_| AtomicU64::new(0)).collect(),
            to_decode: Blocks::new(workers),
            to_score: Blocks::new(workers),
            start: Barrier::new(workers),
            phase: Barrier::new(workers),
            stop: AtomicBool::new(false),
            settings: EngineSettings { workers, ..settings },
            plan,
        }
    }

    /// Takes the batch in and makes the lanes ready.
    pub(crate) fn begin(
        &self,
        records: &mut Records,
        first_sequence: u64,
        crew: usize,
        outputs: &mut Outputs,
    ) {
        let mut job = self.job.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut job.records, records);
        job.first_sequence = first_sequence;
        let blocks = job.records.len().div_ceil(BLOCK);
        self.to_decode.divide(blocks, crew);
        self.to_score.divide(blocks, crew);
        outputs.lanes.resize_with(self.settings.workers, OutputLane::default);
        for (lane, output) in self.outputs.iter().zip(&mut outputs.lanes) {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *lane, output);
            (lane.counts, output.counts) = (Counts::default(), Counts::default());
            lane.decisions.clear();
            lane.alerts.clear();
            lane.rejects.clear();
            lane.rows.clear();
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.clear();
        blocks.resize(job.records.len().div_ceil(BLOCK), BlockOutput::default());
        for lane in self.cells.iter().skip(crew) {
            lane.write().unwrap_or_else(PoisonError::into_inner).places.clear();
        }
        for known in self.known.iter().skip(crew) {
            known.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        for worker in crew..self.settings.workers {
            self.accept_none(worker, job.records.len());
        }
    }

    /// The number among all shards of a shard of labels.
    pub(crate) fn label_store(&self, shard: usize) -> usize {
        self.plan.layers.len() * self.settings.state.shards + shard
    }

    /// Sets that a worker accepted none of so many events.
    pub(crate) fn accept_none(&self, worker: usize, events: usize) {
        for accepted in &self.accepted[worker][..events] {
            accepted.store(0, Ordering::Relaxed);
        }
    }

    /// Hands records and lines back; returns the number of records.
    pub(crate) fn end(&self, records: &mut Records, outputs: &mut Outputs, counts: &mut Counts) -> u64 {
        let mut job = self.job.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut job.records, records);
        let mut labels = 0;
        for (lane, output) in self.outputs.iter().zip(&mut outputs.lanes) {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *lane, output);
            counts.add(&output.counts);
            labels += output.counts.labels;
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *blocks, &mut outputs.blocks);
        counts.events += records.len() as u64 - labels;
        records.len() as u64
    }

    pub(crate) fn size(&self) -> StateSize {
        let mut total = StateSize::default();
        for shard in &self.shards {
            let size = shard.size();
            total.bytes += size.bytes;
            total.keys += size.keys;
            total.entries += size.entries;
            total.values += size.values;
            total.resident_bytes += size.resident_bytes;
            total.evicted += size.evicted;
            total.lost_labels += size.lost_labels;
        }
        for ids in &self.ids {
            let ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            total.ids += ids.len() as u64;
            total.evicted_ids += ids.evicted;
        }
        for waiting in &self.waiting {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            total.waiting += waiting.len() as u64;
            total.lost_labels += waiting.lost;
            total.labels_without_event += waiting.without_event;
        }
        total
    }
}

fn line_plan(plan: &Plan, settings: &EngineSettings, scorer: Option<&Scorer>) -> LinePlan {
    let same = plan.similar();
    let metas: Vec<FeatureMeta<'_>> = plan
        .set
        .features
        .iter()
        .enumerate()
        .map(|(index, feature)| FeatureMeta {
            name: &feature.name,
            shape: plan.shapes[index],
            same_as: same[index],
            code: &feature.code,
            reason: &feature.reason,
            unit: &feature.unit,
            entity: match &feature.definition {
                Definition::Window(window) => Some(window.entity),
                Definition::Expression(_) => None,
            },
        })
        .collect();
    let options = LineOptions {
        features: settings.output.selection(scorer),
        as_array: settings.output.as_array,
        event: settings.output.event,
        model: scorer.map(|scorer| scorer.name.clone()),
    };
    LinePlan::new(&metas, &options, &plan.schema)
}
