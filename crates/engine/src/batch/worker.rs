//! One worker's part in each phase of a batch.
//!
//! batch -> **worker** -> decode, state, score, encode
//!
//! Holds: a worker takes a read lock on what an earlier phase wrote and a write lock on its own lane only.

use crate::batch::lane::{BLOCK, BlockOutput, CellLane, Counts, EventLane, OutputLane};
use crate::batch::matrix::Matrix;
use crate::batch::shared::{Job, Scorer, Shared};
use crate::batch::update::{Batch, Updates};
use crate::decide::Decision;
use crate::decode::Decoder;
use crate::encode::{Line, LineWriter, Reason as AlertReason, RejectLine, ScoreText};
use crate::event::{EventRef, Head, KeyTexts, NO_KEY, marks};
use crate::features::cell::{Cell, Shape};
use crate::features::expression::Context;
use crate::features::plan::Plan;
use crate::record::Form;
use crate::reject::{Reason, Reject};
use crate::state::ids;
use cartguard_forest::{Precision, Score};
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
    hash: u64,
    time_ms: i64,
}

/// A worker's own buffers; nothing in them outlives a batch but their memory.
pub(crate) struct Worker {
    index: usize,
    decoder: Decoder,
    writer: LineWriter,
    /// M at each event of the batch.
    stream_ms: Vec<i64>,
    ids: Vec<IdTask>,
    updates: Updates,
    /// Blocks that this worker scored and will encode.
    blocks: Vec<usize>,
    /// The cells of the accepted events of those blocks, row by row, and what came of them.
    rows: Vec<Cell>,
    scored: Vec<Scored>,
    operands: Vec<f64>,
    matrix: Matrix,
    scores: Vec<Score>,
    forest: Option<cartguard_forest::Scratch>,
    contributions: Vec<f64>,
    reasons: Vec<AlertReason>,
    key_texts: KeyTexts,
}

/// An accepted event between scoring and encoding.
#[derive(Clone, Copy, Debug)]
struct Scored {
    event: usize,
    marks: u8,
    score: Option<f64>,
    decision: Decision,
}

pub(super) type Lanes<'a> = Vec<RwLockReadGuard<'a, EventLane>>;

impl Worker {
    pub(crate) fn new(index: usize, shared: &Shared) -> Self {
        let plan = &shared.plan;
        Self {
            index,
            decoder: Decoder::new(plan.schema.clone()),
            writer: LineWriter::new(shared.lines.clone()),
            stream_ms: Vec::new(),
            ids: Vec::new(),
            updates: Updates::new(index, plan),
            blocks: Vec::new(),
            rows: Vec::new(),
            scored: Vec::new(),
            operands: vec![f64::NAN; plan.features()],
            matrix: Matrix::default(),
            scores: Vec::new(),
            forest: shared.scorer.as_ref().map(|scorer| scorer.model.scratch()),
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
        self.update(shared, crew);
        shared.phase.wait_for(crew);
        self.score(shared, crew);
        shared.phase.wait_for(crew);
        if self.index == 0 {
            settle(shared, self.stream_ms.last().copied());
        }
        shared.phase.wait_for(crew);
        self.encode(shared);
        shared.phase.wait_for(crew);
    }

    /// Phase 1: bytes to events, block by block.
    fn decode(&mut self, shared: &Shared) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let mut lane = shared.events[self.index].write().unwrap_or_else(PoisonError::into_inner);
        lane.clear();
        let records = job.records.len();
        while let Some(block) = shared.to_decode.take(self.index) {
            let first = block * BLOCK;
            let start = lane.add_block();
            shared.owners[block].store((self.index << 24 | start) as u32, Ordering::Relaxed);
            for (offset, event) in (first..records.min(first + BLOCK)).enumerate() {
                let row = start + offset;
                let reject = self.decode_one(&job, event, &mut lane, row);
                lane.set_reject(row, reject);
                if reject.is_none() {
                    let met = conditions_met(&shared.plan, &lane.event(row));
                    lane.set_met(row, met);
                }
            }
        }
    }

    fn decode_one(&mut self, job: &Job, event: usize, lane: &mut EventLane, row: usize) -> Option<Reject> {
        let meta = &job.records.list[event];
        if let Form::Refused(reason) = meta.form {
            return Some(Reject::record(reason));
        }
        let bytes = job.records.bytes_of(event);
        let decoder = &mut self.decoder;
        let mut target = lane.event_mut(row);
        // A record that makes the decoder panic is a reject; no other stage is guarded.
        GUARDED.set(true);
        let read =
            catch_unwind(AssertUnwindSafe(|| decoder.decode(bytes, meta.form, meta.arrival_ms, &mut target)));
        GUARDED.set(false);
        match read {
            Ok(result) => result.err(),
            Err(_) => Some(Reject::record(Reason::Panic)),
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
            if lanes[lane].reject(row).is_none() {
                let &Head { id_hash: hash, time_ms, .. } = lanes[lane].event(row).head;
                stream_ms = stream_ms.max(time_ms);
                if ids::shard_of(hash) % crew == self.index {
                    self.ids.push(IdTask { event: event as u32, hash, time_ms });
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
        let touched =
            self.ids.iter().fold(0, |sum, id| sum ^ shards[ids::shard_of(id.hash) / crew].touch(id.hash));
        std::hint::black_box(touched);
        for id in &self.ids {
            let shard = &mut shards[ids::shard_of(id.hash) / crew];
            let is_new = shard.accept(id.hash, id.time_ms, self.stream_ms[id.event as usize]);
            shared.accepted[self.index][id.event as usize].store(is_new.into(), Ordering::Relaxed);
        }
    }

    /// Phase 3: the keys of this worker's shards.
    fn update(&mut self, shared: &Shared, crew: usize) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let lanes = event_lanes(shared);
        let mut out = shared.cells[self.index].write().unwrap_or_else(PoisonError::into_inner);
        let batch = Batch { shared, job: &job, lanes: &lanes, stream_ms: &self.stream_ms };
        self.updates.run(&batch, crew, &mut out);
    }

    /// Phase 4, first half: rows of features, scores, decisions.
    fn score(&mut self, shared: &Shared, crew: usize) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let lanes = event_lanes(shared);
        let cells: Vec<_> =
            shared.cells.iter().map(|lane| lane.read().unwrap_or_else(PoisonError::into_inner)).collect();
        self.blocks.clear();
        self.scored.clear();
        let records = job.records.len();
        while let Some(block) = shared.to_score.take(self.index) {
            self.blocks.push(block);
            let first = self.scored.len();
            for event in block * BLOCK..records.min((block + 1) * BLOCK) {
                if !is_accepted(shared, event) {
                    continue;
                }
                let (lane, row) = owner(shared, event);
                let entry = lanes[lane].event(row);
                let mut marks = entry.head.marks;
                for lane in cells.iter().take(crew) {
                    marks |= lane.marks[event];
                }
                self.gather(shared, &cells, event, &entry);
                self.scored.push(Scored { event, marks, score: None, decision: Decision::Approve });
            }
            if let Some(scorer) = &shared.scorer {
                self.score_block(shared, scorer, first);
            }
            for scored in &self.scored[first..] {
                shared.decisions[scored.event].store(scored.decision as u8, Ordering::Relaxed);
            }
        }
    }

    /// Appends an event's cells, in feature order.
    fn gather(
        &mut self,
        shared: &Shared,
        lanes: &[RwLockReadGuard<'_, CellLane>],
        event: usize,
        entry: &EventRef<'_>,
    ) {
        let plan = &*shared.plan;
        let start = self.scored.len() * plan.features();
        if self.rows.len() < start + plan.features() {
            self.rows.resize(start + plan.features(), Cell::default());
        }
        let row = &mut self.rows[start..start + plan.features()];
        for (index, entity) in plan.entities.iter().enumerate() {
            let hash = entry.keys[entity.entity];
            let lane = &lanes[self.updates.owner(shared.shard_of.of(hash))];
            let cells = if hash == NO_KEY {
                &entity.missing[..]
            } else {
                let place = lane.places[event * plan.entities.len() + index] as usize;
                &lane.cells[place..place + entity.features.len()]
            };
            for &(cell, feature, count) in &entity.stretches {
                row[feature..feature + count].copy_from_slice(&cells[cell..cell + count]);
            }
        }
        for &(feature, default) in &plan.defaults {
            if row[feature].is_missing(plan.shapes[feature]) {
                row[feature] = default;
            }
        }
        for &feature in &plan.operands {
            self.operands[feature] = published(row[feature], plan.shapes[feature]);
        }
        for expression in &plan.expressions {
            let mut cell = expression.program.cell(&Context { event: *entry, features: &self.operands });
            if let Some(default) = expression.default
                && cell.is_missing(expression.shape)
            {
                cell = default;
            }
            row[expression.feature] = cell;
            if expression.is_operand {
                self.operands[expression.feature] = published(cell, expression.shape);
            }
        }
    }

    /// Scores the events from `first` on and decides.
    fn score_block(&mut self, shared: &Shared, scorer: &Scorer, first: usize) {
        let width = scorer.features.len();
        let count = self.scored.len() - first;
        let features = shared.plan.features();
        let rows = &self.rows[first * features..self.scored.len() * features];
        let matrix = self.matrix.of(&shared.columns, rows);
        self.scores.clear();
        self.scores.resize(count, Score { margin: 0.0, score: 0.0 });
        if let Some(forest) = &mut self.forest {
            scorer.model.score_rows(matrix, width, forest, &mut self.scores);
        }
        for (scored, score) in self.scored[first..].iter_mut().zip(&self.scores) {
            scored.score = Some(score.score);
            scored.decision = scorer.thresholds.decide(score.score).decision;
        }
    }

    /// Phase 4, second half: the lines of the blocks that this worker scored.
    fn encode(&mut self, shared: &Shared) {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        let lanes = event_lanes(shared);
        let mut out = shared.outputs[self.index].lock().unwrap_or_else(PoisonError::into_inner);
        let out = &mut *out;
        let mut counts = Counts::default();
        let mut next = 0;
        let blocks = std::mem::take(&mut self.blocks);
        for &block in &blocks {
            let from = (out.decisions.len(), out.alerts.len(), out.rejects.len());
            for event in block * BLOCK..job.records.len().min((block + 1) * BLOCK) {
                let (lane, row) = owner(shared, event);
                if let Some(reject) = lanes[lane].reject(row) {
                    counts.rejects[reject.reason as usize] += 1;
                    self.write_reject(&job, event, reject, out);
                } else if self.scored.get(next).is_some_and(|scored| scored.event == event) {
                    let entry = lanes[lane].event(row);
                    self.write_event(shared, &job, next, &entry, out, &mut counts);
                    next += 1;
                } else {
                    counts.duplicates += 1;
                }
            }
            let output = BlockOutput {
                lane: self.index,
                decisions: from.0..out.decisions.len(),
                alerts: from.1..out.alerts.len(),
                rejects: from.2..out.rejects.len(),
            };
            shared.blocks.lock().unwrap_or_else(PoisonError::into_inner)[block] = output;
        }
        self.blocks = blocks;
        out.counts.add(&counts);
    }

    fn write_reject(&mut self, job: &Job, event: usize, reject: Reject, out: &mut OutputLane) {
        let meta = &job.records.list[event];
        let line = RejectLine {
            partition: job.partitions.get(meta.partition as usize).map_or("", String::as_str),
            place: job.records.place_of(event),
            sequence: job.first_sequence + event as u64,
            reject,
        };
        self.writer.reject(&mut out.rejects, &line);
    }

    fn write_event(
        &mut self,
        shared: &Shared,
        job: &Job,
        index: usize,
        entry: &EventRef<'_>,
        out: &mut OutputLane,
        counts: &mut Counts,
    ) {
        let Scored { event, marks, score, decision } = self.scored[index];
        let features = shared.plan.features();
        self.reasons.clear();
        counts.accepted += 1;
        counts.late += u64::from(marks & marks::LATE != 0);
        counts.early += u64::from(marks & marks::EARLY != 0);
        counts.saturated += u64::from(marks & marks::SATURATED != 0);
        counts.degraded += u64::from(marks & marks::DEGRADED != 0);
        counts.decisions[decision as usize] += 1;
        let score_text = match (&shared.scorer, score) {
            (Some(scorer), Some(score)) => {
                counts.scores_out_of_range += u64::from(!(0.0..=1.0).contains(&score));
                Some(match scorer.model.precision() {
                    Precision::F32 => ScoreText::F32(score as f32),
                    Precision::F64 => ScoreText::F64(score),
                })
            }
            _ => None,
        };
        if decision.is_alert()
            && let Some(scorer) = &shared.scorer
        {
            counts.alerts += 1;
            let top = shared.settings.reasons.top;
            if top > 0 {
                let cheap = shared.cheap[event].load(Ordering::Relaxed) != 0;
                self.explain(shared, scorer, index, cheap);
                self.reasons.truncate(top);
                counts.reasons_approximate += u64::from(cheap);
            }
        }
        let record = job.records.bytes_of(event);
        let line = Line {
            record,
            event: *entry,
            sequence: job.first_sequence + event as u64,
            decision,
            score: score_text,
            marks,
            cells: &self.rows[index * features..(index + 1) * features],
            reasons: &self.reasons,
        };
        self.writer.decision(&mut out.decisions, &line);
        if decision.is_alert() {
            self.decoder.key_texts(record, &mut self.key_texts);
            self.writer.alert(&mut out.alerts, &line, &self.key_texts);
        }
    }

    /// The reasons of an alert: what raised the margin most, largest first, ties in feature order.
    fn explain(&mut self, shared: &Shared, scorer: &Scorer, index: usize, cheap: bool) {
        let features = shared.plan.features();
        let row = self.matrix.of(&shared.columns, &self.rows[index * features..(index + 1) * features]);
        self.contributions.clear();
        self.contributions.resize(scorer.features.len(), 0.0);
        let Some(forest) = &mut self.forest else { return };
        if cheap {
            scorer.model.path_contributions(row, forest, &mut self.contributions);
        } else {
            scorer.model.contributions(row, forest, &mut self.contributions);
        }
        self.reasons.extend(
            scorer
                .features
                .iter()
                .zip(&self.contributions)
                .filter(|&(_, &contribution)| contribution > 0.0)
                .map(|(&feature, &contribution)| AlertReason {
                    feature: feature as u16,
                    contribution,
                    approximate: cheap,
                }),
        );
        self.reasons
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution).then(a.feature.cmp(&b.feature)));
    }
}

/// Between the halves of phase 4, by one worker: which alerts come after too many, and where stream time stands.
fn settle(shared: &Shared, stream_ms: Option<i64>) {
    let records = {
        let job = shared.job.read().unwrap_or_else(PoisonError::into_inner);
        job.records.len()
    };
    let mut recent = shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
    for event in 0..records {
        let is_alert = shared.decisions[event].load(Ordering::Relaxed) != Decision::Approve as u8
            && is_accepted(shared, event);
        let cheap = recent.note(is_alert);
        if is_alert {
            shared.cheap[event].store(cheap.into(), Ordering::Relaxed);
        }
    }
    let mut job = shared.job.write().unwrap_or_else(PoisonError::into_inner);
    job.stream_ms = stream_ms.unwrap_or(job.stream_ms);
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

/// One bit for each condition that the event meets.
fn conditions_met(plan: &Plan, event: &EventRef<'_>) -> u64 {
    let context = Context { event: *event, features: &[] };
    let mut met = 0;
    for (bit, condition) in plan.set.conditions.iter().enumerate() {
        met |= u64::from(condition.program.truth(&context)) << bit;
    }
    met
}

/// The published value that expressions read.
fn published(cell: Cell, shape: Shape) -> f64 {
    match shape {
        Shape::Real => f64::from(cell.as_real()),
        _ if cell == Cell::MISSING => f64::NAN,
        Shape::Integer => cell.0 as f64,
        Shape::Decimal { digits } => cell.0 as f64 / 10f64.powi(digits as i32),
    }
}
