//! Phase 4 of a batch: rows, scores, decisions, lines.
//!
//! worker -> **score** -> matrix, forest, decide, encode
//!
//! Whether the reasons of an alert are exact depends on the alerts before it, of which other workers score some. Where there may be
//! reasons, lines are therefore written once all events are scored.

use super::{Lanes, Worker, event_lanes, is_accepted, owner};
use crate::batch::lane::{BLOCK, BlockOutput, CellLane, Counts, OutputLane, Taken};
use crate::batch::rows::RowPlan;
use crate::batch::shared::{InForce, Job, Scorer, Shared};
use crate::decide::Decision;
use crate::encode::{Line, Reason as AlertReason, RejectLine, ScoreText};
use crate::event::{EventRef, NO_KEY, marks};
use crate::features::cell::Cell;
use crate::features::plan::published;
use crate::reject::Reject;
use cartguard_forest::{Precision, Score};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLockReadGuard};

/// An accepted event between scoring and encoding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    event: usize,
    marks: u8,
    score: Option<f64>,
    decision: Decision,
}

/// What the phases before left for this one.
struct Inputs<'a> {
    job: RwLockReadGuard<'a, Job>,
    events: Lanes<'a>,
    /// Of so many workers as there are cells to gather from.
    cells: Vec<RwLockReadGuard<'a, CellLane>>,
}

impl<'a> Inputs<'a> {
    fn of(shared: &'a Shared, crew: usize) -> Self {
        let cells = shared.cells.iter().take(crew);
        Self {
            job: shared.job.read().unwrap_or_else(PoisonError::into_inner),
            events: event_lanes(shared),
            cells: cells.map(|lane| lane.read().unwrap_or_else(PoisonError::into_inner)).collect(),
        }
    }

    /// The events of a block.
    fn events(&self, block: usize) -> Range<usize> {
        block * BLOCK..self.job.records.len().min((block + 1) * BLOCK)
    }
}

impl Worker {
    /// The whole phase at once, where alerts carry no reasons: a block's lines are written while it is in the cache.
    pub(super) fn score_and_encode(&mut self, shared: &Shared, crew: usize) {
        let inputs = Inputs::of(shared, crew);
        let mut out = shared.outputs[self.index].lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(block) = shared.to_score.take(self.index) {
            self.scored.clear();
            self.score_block(shared, &inputs, block);
            self.encode_block(shared, &inputs, block, 0, &mut out);
        }
    }

    /// The first half: rows of features, scores, decisions.
    pub(super) fn score(&mut self, shared: &Shared, crew: usize) {
        let inputs = Inputs::of(shared, crew);
        self.blocks.clear();
        self.scored.clear();
        while let Some(block) = shared.to_score.take(self.index) {
            self.blocks.push((block, self.scored.len()));
            self.score_block(shared, &inputs, block);
        }
    }

    /// The second half: the lines of the blocks that this worker scored.
    pub(super) fn encode(&mut self, shared: &Shared) {
        let inputs = Inputs::of(shared, 0);
        let mut out = shared.outputs[self.index].lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = std::mem::take(&mut self.blocks);
        for &(block, first) in &blocks {
            self.encode_block(shared, &inputs, block, first, &mut out);
        }
        self.blocks = blocks;
    }

    fn score_block(&mut self, shared: &Shared, inputs: &Inputs<'_>, block: usize) {
        let first = self.scored.len();
        for event in inputs.events(block) {
            if !is_accepted(shared, event) {
                continue;
            }
            let (lane, row) = owner(shared, event);
            let entry = inputs.events[lane].event(row);
            let marks = inputs.cells.iter().fold(entry.head.marks, |marks, lane| marks | lane.marks[event]);
            self.gather(shared, &inputs.cells, event, &entry);
            self.scored.push(Scored { event, marks, score: None, decision: Decision::Approve });
        }
        if let Some(scorer) = &inputs.job.in_force.scorer {
            self.score_rows(shared, &inputs.job.in_force, scorer, first);
        }
        for scored in &self.scored[first..] {
            shared.decisions[scored.event].store(scored.decision as u8, Ordering::Relaxed);
        }
    }

    /// Writes the lines of a block, whose accepted events were scored from `first` on.
    fn encode_block(
        &mut self,
        shared: &Shared,
        inputs: &Inputs<'_>,
        block: usize,
        first: usize,
        out: &mut OutputLane,
    ) {
        let mut counts = Counts::default();
        let mut next = first;
        // What the model that decides read is what is handed out: most often all read the same features.
        let handed_out = inputs.job.handed_out.as_deref();
        let reads = inputs.job.in_force.scorer.as_ref().map(|scorer| &scorer.features);
        let is_read = handed_out.is_some_and(|plan| reads == Some(&plan.features));
        let from = (out.decisions.len(), out.alerts.len(), out.rejects.len(), out.rows.len());
        for event in inputs.events(block) {
            let (lane, row) = owner(shared, event);
            let taken = inputs.events[lane].taken_at(row, self.stream_ms[event]);
            if let Taken::Reject(reject) = taken {
                counts.rejects[reject.reason as usize] += 1;
                self.write_reject(&inputs.job, event, reject, out);
            } else if let Taken::Label = taken {
                counts.labels += 1;
            } else if self.scored.get(next).is_some_and(|scored| scored.event == event) {
                let entry = inputs.events[lane].event(row);
                let is_one_line = inputs.events[lane].is_one_line(row);
                self.write_event(shared, &inputs.job, next, (&entry, is_one_line), out, &mut counts);
                if let Some(plan) = handed_out.filter(|plan| plan.share.has(entry.head.id_hash)) {
                    let from = self.rows_from.filter(|from| is_read && *from == first);
                    self.hand_out(shared, plan, (next, from), &entry, out);
                }
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
            rows: from.3..out.rows.len(),
        };
        shared.blocks.lock().unwrap_or_else(PoisonError::into_inner)[block] = output;
        out.counts.add(&counts);
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
            let cell = expression.cell(*entry, &self.operands);
            // A flag has no place in the row.
            if let Some(place) = row.get_mut(expression.operand) {
                *place = cell;
            }
            if expression.is_operand {
                self.operands[expression.operand] = published(cell, expression.shape);
            }
        }
    }

    /// Scores the events from `first` on and decides.
    fn score_rows(&mut self, shared: &Shared, in_force: &InForce, scorer: &Scorer, first: usize) {
        let width = scorer.features.len();
        let count = self.scored.len() - first;
        let features = shared.plan.features();
        let rows = &self.rows[first * features..self.scored.len() * features];
        let matrix = self.matrix.of(&in_force.columns, rows);
        self.rows_from = Some(first);
        self.scores.clear();
        self.scores.resize(count, Score { margin: 0.0, score: 0.0 });
        if let Some(forest) = &mut self.own.forest {
            scorer.model.score_rows(matrix, width, forest, &mut self.scores);
        }
        for (scored, score) in self.scored[first..].iter_mut().zip(&self.scores) {
            scored.score = Some(score.score);
            scored.decision = scorer.thresholds.decide(score.score).decision;
        }
    }

    fn write_reject(&mut self, job: &Job, event: usize, reject: Reject, out: &mut OutputLane) {
        let meta = &job.records.list[event];
        let line = RejectLine {
            partition: job.partitions.get(meta.partition as usize).map_or("", String::as_str),
            place: job.records.place_of(event),
            sequence: job.first_sequence + event as u64,
            reject,
        };
        self.own.writer.reject(&mut out.rejects, &line);
    }

    fn write_event(
        &mut self,
        shared: &Shared,
        job: &Job,
        index: usize,
        (entry, is_one_line): (&EventRef<'_>, bool),
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
        let score_text = match (&job.in_force.scorer, score) {
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
            && let Some(scorer) = &job.in_force.scorer
        {
            counts.alerts += 1;
            let top = shared.settings.reasons.top;
            if top > 0 {
                let cheap = shared.cheap[event].load(Ordering::Relaxed) != 0;
                self.explain(shared, &job.in_force, scorer, index, cheap);
                self.reasons.truncate(top);
                counts.reasons_approximate += u64::from(cheap);
            }
        }
        let record = job.records.bytes_of(event);
        let line = Line {
            record,
            is_one_line,
            event: *entry,
            sequence: job.first_sequence + event as u64,
            id: job.id_of(event),
            decision,
            score: score_text,
            marks,
            cells: &self.rows[index * features..(index + 1) * features],
            reasons: &self.reasons,
        };
        self.own.writer.decision(&mut out.decisions, &line);
        if decision.is_alert() {
            self.decoder.key_texts(record, &mut self.key_texts);
            self.own.writer.alert(&mut out.alerts, &line, &self.key_texts);
        }
    }

    /// An event's row for whoever trains on it or scores it too.
    fn hand_out(
        &mut self,
        shared: &Shared,
        plan: &RowPlan,
        (index, from): (usize, Option<usize>),
        entry: &EventRef<'_>,
        out: &mut OutputLane,
    ) {
        let Scored { event, score, decision, .. } = self.scored[index];
        let row = match from {
            Some(from) => self.matrix.row(index - from, plan.features.len()),
            None => {
                self.rows_from = None;
                let features = shared.plan.features();
                self.matrix.of(&plan.columns, &self.rows[index * features..(index + 1) * features])
            }
        };
        out.rows.push(event, entry, (score, decision), row, plan.has_keys);
    }

    /// The reasons of an alert: what raised the margin most, largest first, ties in feature order.
    fn explain(&mut self, shared: &Shared, in_force: &InForce, scorer: &Scorer, index: usize, cheap: bool) {
        let features = shared.plan.features();
        self.rows_from = None;
        let row = self.matrix.of(&in_force.columns, &self.rows[index * features..(index + 1) * features]);
        self.contributions.clear();
        self.contributions.resize(scorer.features.len(), 0.0);
        let Some(forest) = &mut self.own.forest else { return };
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

/// By one worker, once all events are scored: which alerts come after too many.
pub(super) fn settle(shared: &Shared) {
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
}
