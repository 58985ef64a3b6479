//! One worker's part in each phase of a batch.
//!
//! batch -> **worker** (`score`) -> decode, state, score, encode
//!
//! Holds: a worker takes a read lock on what an earlier phase wrote and a write lock on its own lane only.

mod score;

use self::score::{Scored, settle};
use crate::batch::labels::Labels;
use crate::batch::lane::{BLOCK, EventLane, LabelRead, Taken};
use crate::batch::matrix::Matrix;
use crate::batch::shared::{InForce, Job, Own, Shared};
use crate::batch::update::{Batch, Updates};
use crate::decode::Decoder;
use crate::decode::label::{Label, LabelDecoder};
use crate::encode::Reason as AlertReason;
use crate::event::{Head, KeyTexts, NO_KEY};
use crate::features::cell::Cell;
use crate::features::plan::WindowOperand;
use crate::record::Form;
use crate::reject::{Reason, Reject};
use crate::state::ids;
use cartguard_forest::Score;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLockReadGuard};

thread_local! {
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether a panic of this thread at this moment is caught and becomes a reject. A panic hook that ends the process should not do so then.
pub fn decode_is_guarded() -> bool {
    GUARDED.get()
}

/// An event whose id this worker looks up.
#[derive(Clone, Copy, Debug)]
struct IdTask {
    event: u32,
    /// Among this worker's.
    shard: u32,
    hash: u64,
    time_ms: i64,
}

/// A worker's own buffers; nothing in them outlives a batch but their memory.
pub(crate) struct Worker {
    index: usize,
    decoder: Decoder,
    label_decoder: LabelDecoder,
    /// What follows the model in force.
    own: Own,
    /// M at each event of the batch.
    stream_ms: Vec<i64>,
    ids: Vec<IdTask>,
    updates: Updates,
    labels: Labels,
    /// Blocks that this worker scored and will encode, and the first of `scored` of each.
    blocks: Vec<(usize, usize)>,
    /// The cells of the accepted events of those blocks, or of one, row by row, and what came of them.
    rows: Vec<Cell>,
    scored: Vec<Scored>,
    operands: Vec<f64>,
    matrix: Matrix,
    /// The first of `scored` whose row as the model reads it is still in `matrix`, with those behind it of its block.
    rows_from: Option<usize>,
    scores: Vec<Score>,
    contributions: Vec<f64>,
    reasons: Vec<AlertReason>,
    key_texts: KeyTexts,
}

pub(super) type Lanes<'a> = Vec<RwLockReadGuard<'a, EventLane>>;

impl Worker {
    pub(crate) fn new(index: usize, shared: &Shared) -> Self {
        let plan = &shared.plan;
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        Self {
            index,
            decoder: Decoder::new(plan.schema.clone()),
            label_decoder: LabelDecoder::new(plan.schema.hash_seed),
            own: job.in_force.new_own(),
            stream_ms: Vec::new(),
            ids: Vec::new(),
            updates: Updates::new(index, plan),
            labels: Labels::new(plan),
            blocks: Vec::new(),
            rows: Vec::new(),
            scored: Vec::new(),
            operands: vec![f64::NAN; plan.operand_count()],
            matrix: Matrix::default(),
            rows_from: None,
            scores: Vec::new(),
            contributions: Vec::new(),
            reasons: Vec::new(),
            key_texts: KeyTexts::default(),
        }
    }

    /// All phases of a batch, shared by `crew` workers.
    pub(crate) fn run(&mut self, shared: &Shared, crew: usize) {
        self.decode(shared);
        shared.phase.wait_for(crew);
        self.order(shared, crew);
        shared.phase.wait_for(crew);
        for layer in 0..shared.plan.layers.len() {
            if layer > 0 {
                self.flag(shared, layer, crew);
                shared.phase.wait_for(crew);
            }
            self.update(shared, layer, crew);
            shared.phase.wait_for(crew);
        }
        if shared.settings.reasons.top > 0 {
            self.score(shared, crew);
            shared.phase.wait_for(crew);
            if self.index == 0 {
                settle(shared);
            }
            shared.phase.wait_for(crew);
            self.encode(shared);
            shared.phase.wait_for(crew);
        } else {
            self.score_and_encode(shared, crew);
            shared.phase.wait_for(crew);
            if self.index == 0 {
                settle(shared);
            }
        }
        if self.index == 0 {
            let mut job = shared.job.write().unwrap_or_else(PoisonError::into_inner);
            job.stream_ms = self.stream_ms.last().copied().unwrap_or(job.stream_ms);
        }
    }

    /// Phase 1: bytes to events, block by block.
    fn decode(&mut self, shared: &Shared) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        self.follow(&job.in_force);
        let mut lane = shared.events[self.index].write().unwrap_or_else(PoisonError::into_inner);
        lane.clear();
        let records = job.records.len();
        while let Some(block) = shared.to_decode.take(self.index) {
            let first = block * BLOCK;
            let start = lane.add_block();
            shared.owners[block].store((self.index << 24 | start) as u32, Ordering::Relaxed);
            for (offset, event) in (first..records.min(first + BLOCK)).enumerate() {
                let row = start + offset;
                let taken = self.decode_one(&job, event, &mut lane, row);
                lane.set_taken(row, taken);
                if matches!(taken, Taken::Event) {
                    lane.set_one_line(row, self.decoder.is_one_line());
                    let plan = &*shared.plan;
                    let stage = &plan.layers[0].stage;
                    let met = stage.met(&plan.set, lane.event(row), |_| Cell::MISSING, &mut self.operands);
                    lane.set_met(row, met);
                }
            }
        }
    }

    /// Writes and scores as the model in force has it.
    fn follow(&mut self, in_force: &InForce) {
        if !self.own.writer.is_of(&in_force.lines) {
            in_force.swap_own(self.index, &mut self.own);
        }
        // A model that was in force before has given its own away.
        if !self.own.writer.is_of(&in_force.lines) {
            self.own = in_force.new_own();
        }
    }

    fn decode_one(&mut self, job: &Job, event: usize, lane: &mut EventLane, row: usize) -> Taken {
        let meta = &job.records.list[event];
        let bytes = job.records.bytes_of(event);
        match meta.form {
            Form::Json | Form::Row => {}
            Form::Label { .. } => return self.decode_label(bytes, meta.form, lane, row),
            Form::Refused(reason) => return Taken::Reject(Reject::record(reason)),
        }
        let decoder = &mut self.decoder;
        let mut target = lane.event_mut(row);
        // A record that makes the decoder panic is a reject; no other stage is guarded.
        GUARDED.set(true);
        let read =
            catch_unwind(AssertUnwindSafe(|| decoder.decode(bytes, meta.form, meta.arrival_ms, &mut target)));
        GUARDED.set(false);
        match read {
            Ok(Ok(())) => Taken::Event,
            Ok(Err(reject)) => Taken::Reject(reject),
            Err(_) => Taken::Reject(Reject::record(Reason::Panic)),
        }
    }

    #[cold]
    fn decode_label(&mut self, bytes: &[u8], form: Form, lane: &mut EventLane, row: usize) -> Taken {
        let decoder = &mut self.label_decoder;
        GUARDED.set(true);
        let read = catch_unwind(AssertUnwindSafe(|| decoder.decode(bytes, form)));
        GUARDED.set(false);
        match read {
            Ok(Ok(Label { id_hash, is_fraud, known_ms, .. })) => {
                lane.set_label(row, LabelRead { id_hash, is_fraud, known_ms });
                Taken::Label
            }
            Ok(Err(reject)) => Taken::Reject(reject),
            Err(_) => Taken::Reject(Reject::record(Reason::Panic)),
        }
    }

    /// Phase 2: stream time of every event, and duplicates by the ids of this worker's shards.
    fn order(&mut self, shared: &Shared, crew: usize) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let lanes = event_lanes(shared);
        self.stream_ms.clear();
        self.ids.clear();
        shared.accept_none(self.index, job.records.len());
        let mut stream_ms = job.stream_ms;
        for event in 0..job.records.len() {
            let (lane, row) = owner(shared, event);
            if lanes[lane].is_event(row) {
                let &Head { id_hash: hash, time_ms, .. } = lanes[lane].event(row).head;
                stream_ms = stream_ms.max(time_ms);
                let shard = ids::shard_of(hash);
                if shard % crew == self.index {
                    let (event, shard) = (event as u32, (shard / crew) as u32);
                    self.ids.push(IdTask { event, shard, hash, time_ms });
                }
            }
            self.stream_ms.push(stream_ms);
        }
        // Each of this worker's shards is locked once a batch; nobody else asks for it meanwhile.
        let mut shards: Vec<_> = shared
            .ids
            .iter()
            .skip(self.index)
            .step_by(crew)
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let touched = self.ids.iter().fold(0, |sum, id| sum ^ shards[id.shard as usize].touch(id.hash));
        std::hint::black_box(touched);
        for id in &self.ids {
            let shard = &mut shards[id.shard as usize];
            let is_new = shard.accept(id.hash, id.time_ms, self.stream_ms[id.event as usize]);
            shared.accepted[self.index][id.event as usize].store(is_new.into(), Ordering::Relaxed);
        }
        if !shared.waiting.is_empty() {
            let is_accepted_here =
                |event: usize| shared.accepted[self.index][event].load(Ordering::Relaxed) != 0;
            let times = (job.first_sequence, &self.stream_ms[..]);
            Labels::await_labels(self.index, crew, shared, &lanes, times, is_accepted_here);
        }
    }

    /// Between two layers: the flags that the windows of the next one count, by blocks of events.
    fn flag(&mut self, shared: &Shared, layer: usize, crew: usize) {
        let records = shared.job.read().unwrap_or_else(PoisonError::into_inner).records.len();
        let lanes = event_lanes(shared);
        let cells: Vec<_> = shared
            .cells
            .iter()
            .take(crew)
            .map(|lane| lane.read().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let plan = &*shared.plan;
        for block in (self.index..records.div_ceil(BLOCK)).step_by(crew) {
            for event in block * BLOCK..records.min((block + 1) * BLOCK) {
                if !is_accepted(shared, event) {
                    continue;
                }
                let (lane, row) = owner(shared, event);
                let entry = lanes[lane].event(row);
                let updates = &self.updates;
                let cell_of = |window: &WindowOperand| {
                    let entity = &plan.entities[window.entity];
                    match entry.keys[entity.entity] {
                        NO_KEY => entity.missing[window.cell],
                        hash => {
                            let lane = &cells[updates.owner(shared.shard_of.of(hash))];
                            let place = lane.places[event * plan.entities.len() + window.entity];
                            lane.cells[place as usize + window.cell]
                        }
                    }
                };
                let met = plan.layers[layer].stage.met(&plan.set, entry, cell_of, &mut self.operands);
                shared.flags[event].store(met, Ordering::Relaxed);
            }
        }
    }

    /// Phase 3: the keys of this worker's shards in one layer.
    fn update(&mut self, shared: &Shared, layer: usize, crew: usize) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let lanes = event_lanes(shared);
        let mut out = shared.cells[self.index].write().unwrap_or_else(PoisonError::into_inner);
        let batch = Batch { shared, job: &job, lanes: &lanes, stream_ms: &self.stream_ms };
        self.updates.run(&batch, layer, crew, &mut out);
        if layer == 0 && !shared.waiting.is_empty() {
            let updates = &self.updates;
            self.labels.update_labels(&batch, self.index, |shard| updates.owner(shard), &mut out);
        }
    }
}

fn event_lanes(shared: &Shared) -> Lanes<'_> {
    shared.events.iter().map(|lane| lane.read().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Lane and row of an event.
#[inline]
pub(super) fn owner(shared: &Shared, event: usize) -> (usize, usize) {
    let owner = shared.owners[event / BLOCK].load(Ordering::Relaxed) as usize;
    (owner >> 24, (owner & 0xff_ffff) + event % BLOCK)
}

/// Whether an event is neither a reject nor a duplicate; from phase 3 on.
#[inline]
pub(super) fn is_accepted(shared: &Shared, event: usize) -> bool {
    shared.accepted.iter().any(|own| own[event].load(Ordering::Relaxed) != 0)
}
