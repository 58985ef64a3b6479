//! The rows of features themselves: what a model scored, or would have scored.
//!
//! score -> **rows** -> the trainers, challengers, drift
//!
//! A row is of the cells from which the decision's line and the model's row are made, turned to f32 by the same `matrix`: there is
//! no second way to compute a feature.
//!
//! Holds: rows come in sequence order, one for each accepted event, with the place of its record in the batch; without a wish for
//! rows nothing is kept.
//! Not here: labels.

use crate::batch::lane::Outputs;
use crate::batch::matrix::ModelColumns;
use crate::decide::Decision;
use crate::event::{EventRef, Head};
use crate::features::plan::Plan;
use std::ops::Range;

/// A share of all events: the same ones in every process and for whoever asks, by a hash of the event's id. A smaller share is part of
/// a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    pub const ALL: Self = Self(u64::MAX);

    /// Of a number above 0, up to 1.
    pub fn of(share: f64) -> Option<Self> {
        // 2^64 has no f64 below it that is nearer than 2^11; the cast saturates.
        (share > 0.0 && share <= 1.0).then_some(Self((share * 18_446_744_073_709_551_616.0) as u64))
    }

    /// Whether it has the event whose id has this hash ([`Head::id_hash`]).
    #[inline]
    pub fn has(self, id_hash: u64) -> bool {
        // Shards of ids go by other bits: a share is spread over all of them.
        id_hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) <= self.0
    }
}

/// Which features of which events are handed out. Made by whoever has the time.
#[derive(Debug)]
pub struct RowPlan {
    pub(crate) columns: ModelColumns,
    pub(crate) share: Share,
}

impl RowPlan {
    /// Of these features of the plan, by place.
    ///
    /// # Panics
    /// If the plan has no such feature.
    pub fn new(plan: &Plan, features: &[usize], share: Share) -> Self {
        Self { columns: ModelColumns::new(&plan.shapes, features), share }
    }
}

/// An event beside its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowHead {
    /// Index of its record in the batch.
    pub record: usize,
    /// Time, amount, currency, and where its id stands in the record.
    pub event: Head,
    /// What the model in force said.
    pub score: Option<f64>,
    pub decision: Decision,
}

/// An event, its features in the order asked for (NaN is missing), and its key of each entity, hashed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub head: &'a RowHead,
    pub values: &'a [f32],
    pub keys: &'a [u64],
}

/// The rows of a batch, apart from its lines.
#[derive(Debug, Default)]
pub struct Rows {
    lanes: Vec<RowLane>,
    /// Lane and rows of each block that has some.
    blocks: Vec<(usize, Range<usize>)>,
}

impl Rows {
    /// In sequence order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.blocks.iter().flat_map(|(lane, rows)| self.lanes[*lane].rows(rows.clone()))
    }
}

/// Rows that a worker wrote.
#[derive(Debug, Default)]
pub(crate) struct RowLane {
    heads: Vec<RowHead>,
    values: Vec<f32>,
    keys: Vec<u64>,
}

impl RowLane {
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.values.clear();
        self.keys.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(crate) fn push(
        &mut self,
        record: usize,
        event: &EventRef<'_>,
        (score, decision): (Option<f64>, Decision),
        values: &[f32],
    ) {
        self.heads.push(RowHead { record, event: *event.head, score, decision });
        self.values.extend_from_slice(values);
        self.keys.extend_from_slice(event.keys);
    }

    fn rows(&self, range: Range<usize>) -> impl Iterator<Item = Row<'_>> {
        // All rows of a lane are alike wide.
        let width = self.values.len().checked_div(self.heads.len()).unwrap_or(0);
        let keys = self.keys.len().checked_div(self.heads.len()).unwrap_or(0);
        range.map(move |at| Row {
            head: &self.heads[at],
            values: &self.values[at * width..(at + 1) * width],
            keys: &self.keys[at * keys..(at + 1) * keys],
        })
    }
}

impl Outputs {
    /// Takes the rows of the batch out, so that its lines can go on without them; `rows` gives its memory for those of a later batch.
    pub fn take_rows(&mut self, rows: &mut Rows) {
        rows.lanes.resize_with(self.lanes.len(), RowLane::default);
        for (ours, theirs) in self.lanes.iter_mut().zip(&mut rows.lanes) {
            std::mem::swap(&mut ours.rows, theirs);
        }
        rows.blocks.clear();
        for block in &mut self.blocks {
            let taken = std::mem::take(&mut block.rows);
            if !taken.is_empty() {
                rows.blocks.push((block.lane, taken));
            }
        }
    }

    /// The rows of the batch, in sequence order; none unless [`Engine::hand_out`](super::Engine::hand_out) asked for them.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.blocks.iter().flat_map(|block| self.lanes[block.lane].rows.rows(block.rows.clone()))
    }
}
