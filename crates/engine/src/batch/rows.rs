//! The rows of features themselves, for training: what a model scored, or would have scored.
//!
//! score -> **rows** -> the trainers
//!
//! A row is of the cells from which the decision's line and the model's row are made, turned to f32 by the same `matrix`: there is
//! no second way to compute a feature.
//!
//! Holds: rows come in sequence order, one for each accepted event, with the place of its record in the batch; without a wish for
//! rows nothing is kept.
//! Not here: labels.

use crate::batch::lane::Outputs;
use crate::event::{EventRef, Head};
use std::ops::Range;

/// An event beside its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowHead {
    /// Index of its record in the batch.
    pub record: usize,
    /// Time, amount, currency, and where its id stands in the record.
    pub event: Head,
    /// What the model in force said.
    pub score: Option<f64>,
}

/// An event, its features in the order asked for (NaN is missing), and its key of each entity, hashed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub head: &'a RowHead,
    pub values: &'a [f32],
    pub keys: &'a [u64],
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

    pub(crate) fn push(&mut self, record: usize, event: &EventRef<'_>, score: Option<f64>, values: &[f32]) {
        self.heads.push(RowHead { record, event: *event.head, score });
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
    /// The rows of the batch, in sequence order; none unless [`Engine::hand_out_rows`](super::Engine::hand_out_rows) asked for them.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.blocks.iter().flat_map(|block| self.lanes[block.lane].rows.rows(block.rows.clone()))
    }
}
