//! The life of a batch: the engine's one function in data order.
//!
//! sources -> **batch** -> sinks
//!
//! A batch of records goes through four phases. In each the workers share the work by a rule that decides only who does it,
//! never what comes out:
//!
//! 1. **decode** by blocks of records, whoever is free;
//! 2. **order**: stream time and duplicates, by the ids' shards;
//! 3. **update** by the keys' shards, in sequence order;
//! 4. **score**, then **encode**, by blocks of events.
//!
//! A small batch runs on the calling thread alone, with no hand-off and no barrier.
//!
//! Not here: clocks, I/O, where records come from. A worker's phases are in `worker` and `update`, what they share in `shared`.

mod crew;
mod labels;
pub(crate) mod lane;
mod matrix;
mod recent;
pub mod rows;
mod shared;
pub mod snapshot;
mod update;
mod worker;

pub use lane::{Counts, Outputs};
pub use shared::{Scorer, StateSize};
pub use worker::decode_is_guarded;

use crate::batch::crew::{AbortOnPanic, Barrier};
use crate::batch::rows::{RowPlan, Share};
use crate::batch::shared::{InForce, Shared};
use crate::batch::worker::Worker;
pub use crate::encode::IdSettings;
use crate::encode::Selection;
use crate::features::plan::Plan;
use crate::record::Records;
pub use crate::state::ids::DedupeSettings;
pub use crate::state::shard::StateSettings;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// Records in a batch at most; a source's batch is refused above it.
pub const BATCH_RECORDS_MAX: usize = 8_192;

/// Batches smaller than this run on the calling thread: dividing them costs more than it brings.
pub const INLINE_BELOW: usize = 32;

/// How an engine is set up, besides its plan.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Workers, the calling thread among them; at most [`crate::limits::WORKERS_MAX`], whatever is asked for.
    pub workers: usize,
    pub state: StateSettings,
    pub dedupe: DedupeSettings,
    pub output: OutputSettings,
    pub reasons: ReasonSettings,
    /// Whose decisions they are, where they have ids.
    pub ids: Option<IdSettings>,
}

/// `[reasons]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReasonSettings {
    /// Reasons of an alert at most, up to [`crate::limits::REASONS_MAX`].
    pub top: usize,
    /// Share of alerts, of 1, above which reasons are the cheap kind.
    pub max_share: f64,
}

/// `[output]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    pub features: OutputFeatures,
    pub as_array: bool,
    pub event: bool,
}

/// Which features a decision carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFeatures {
    All,
    Model,
    None,
}

/// The engine: state, workers, and the sequence.
pub struct Engine {
    shared: Arc<Shared>,
    worker: Worker,
    threads: Vec<JoinHandle<()>>,
    next_sequence: u64,
    counts: Counts,
    /// The snapshot that is being taken.
    taking: Option<snapshot::Taking>,
}

impl Engine {
    /// An engine with an empty state. `scorer` may be absent: scores are then null and every decision is approve.
    pub fn new(plan: Arc<Plan>, settings: EngineSettings, scorer: Option<Arc<Scorer>>) -> Self {
        let shared = Arc::new(Shared::new(plan, settings, scorer));
        let threads = (1..shared.settings.workers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("engine-{index}"))
                    .spawn(move || serve(&shared, Worker::new(index, &shared)))
                    .expect("the system has room for the engine's threads at start")
            })
            .collect();
        Self {
            worker: Worker::new(0, &shared),
            shared,
            threads,
            next_sequence: 0,
            counts: Counts::default(),
            taking: None,
        }
    }

    /// The names of the partitions that record numbers stand for, for rejects.
    pub fn set_partitions(&mut self, names: &[String]) {
        let mut job = self.shared.job.write().unwrap_or_else(PoisonError::into_inner);
        job.partitions = names.to_vec();
        if let Some(ids) = &self.shared.settings.ids {
            job.id_keys = names.iter().map(|name| ids.partition(name)).collect();
        }
    }

    /// The model that decides.
    pub fn scorer(&self) -> Option<Arc<Scorer>> {
        self.shared.job.read().unwrap_or_else(PoisonError::into_inner).in_force.scorer.clone()
    }

    /// From the next batch on another model decides, or none. The state and the sequence go on.
    pub fn set_scorer(&mut self, scorer: Option<Arc<Scorer>>) {
        let prepared = self.preparer().prepare(scorer);
        self.set_prepared(prepared);
    }

    /// Whoever makes models ready for this engine, on a thread that has the time.
    pub fn preparer(&self) -> Preparer {
        Preparer { plan: Arc::clone(&self.shared.plan), settings: self.shared.settings.clone() }
    }

    /// As [`Engine::set_scorer`], with nothing left to be made; gives back what decided until now, to be dropped by whoever has the time.
    pub fn set_prepared(&mut self, prepared: Prepared) -> Prepared {
        let mut job = self.shared.job.write().unwrap_or_else(PoisonError::into_inner);
        Prepared(std::mem::replace(&mut job.in_force, prepared.0))
    }

    /// From now on hands out rows of accepted events as [`Outputs::rows`], or no more.
    pub fn hand_out(&mut self, plan: Option<Arc<RowPlan>>) {
        self.shared.job.write().unwrap_or_else(PoisonError::into_inner).handed_out = plan;
    }

    /// From now on hands out these features of each accepted event, by place in the plan, and its keys: for training.
    ///
    /// # Panics
    /// If the plan has no such feature.
    pub fn hand_out_rows(&mut self, features: &[usize]) {
        let plan = RowPlan::new(&self.shared.plan, features, Share::ALL).with_keys();
        self.hand_out(Some(Arc::new(plan)));
    }

    /// Takes a batch through all phases. `records` comes back as it was; `outputs` is filled anew.
    ///
    /// # Panics
    /// If the batch has more than [`BATCH_RECORDS_MAX`] records.
    pub fn process(&mut self, records: &mut Records, outputs: &mut Outputs) {
        assert!(records.len() <= BATCH_RECORDS_MAX, "a batch has at most {BATCH_RECORDS_MAX} records");
        let shared = &*self.shared;
        let crew = if records.len() < INLINE_BELOW { 1 } else { shared.settings.workers };
        shared.begin(records, self.next_sequence, crew, outputs);
        if crew > 1 {
            shared.start.wait();
        }
        self.worker.run(shared, crew);
        self.next_sequence += shared.end(records, outputs, &mut self.counts);
    }

    /// The sequence number of the next record.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What the state holds.
    pub fn state(&self) -> StateSize {
        self.shared.size()
    }

    /// Whether the memory that the first keys will take is ready.
    pub fn has_reserve(&self) -> bool {
        self.shared.reserve.is_full()
    }

    /// The names of the features that decisions carry, as the text of `features.json`.
    pub fn feature_names_json(&self) -> Vec<u8> {
        let job = self.shared.job.read().unwrap_or_else(PoisonError::into_inner);
        job.in_force.lines.names_json().to_vec()
    }
}

/// See [`Engine::preparer`].
#[derive(Clone, Debug)]
pub struct Preparer {
    plan: Arc<Plan>,
    settings: EngineSettings,
}

/// A model with everything that an engine needs to decide with it from one batch to the next.
#[derive(Debug)]
pub struct Prepared(InForce);

impl Preparer {
    /// Lays out lines and gives each worker its writer and its scratch memory.
    pub fn prepare(&self, scorer: Option<Arc<Scorer>>) -> Prepared {
        Prepared(InForce::new(&self.plan, &self.settings, scorer))
    }

    /// What the engine computes.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.start.wait();
        for thread in self.threads.drain(..) {
            // A worker that panicked has aborted the process.
            let _ = thread.join();
        }
    }
}

/// The life of a worker thread.
fn serve(shared: &Shared, mut worker: Worker) {
    let _guard = AbortOnPanic;
    loop {
        shared.start.wait();
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        worker.run(shared, shared.settings.workers);
    }
}

impl OutputSettings {
    fn selection(&self, scorer: Option<&Scorer>) -> Selection {
        match self.features {
            OutputFeatures::All => Selection::All,
            OutputFeatures::None => Selection::None,
            OutputFeatures::Model => {
                let mut list: Vec<u16> = scorer.map_or_else(Vec::new, |scorer| {
                    scorer.features.iter().map(|&index| index as u16).collect()
                });
                list.sort_unstable();
                list.dedup();
                Selection::Model(list)
            }
        }
    }
}

impl Barrier {
    /// A barrier for the phases of a batch of `crew` workers does nothing for one.
    fn wait_for(&self, crew: usize) {
        if crew > 1 {
            self.wait();
        }
    }
}
