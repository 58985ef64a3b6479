//! From the engine's thread to the challengers': rows in buffers that go round.
//!
//! engine -> **hand** -> `scoring`
//!
//! Holds: it copies rows and, where it may not wait, does nothing that could; no more than [`BUFFERS`] buffers of [`ROWS`] rows exist, and
//! once they have grown nothing is allocated.

use super::figures::Figures;
use super::roster::Roster;
use cartguard_engine::batch::Outputs;
use cartguard_engine::batch::rows::{Row, RowPlan, Rows};
use cartguard_engine::decide::Decision;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Buffers, the one that is being filled among them.
pub(super) const BUFFERS: usize = 4;
/// Rows in a buffer at most: with 213 features 3.5 MB.
const ROWS: usize = 4_096;
/// Rows that are worth waking the other thread for: of fewer its thread would be woken, at some 5 us, for each batch.
const ROWS_WORTH: usize = 512;
/// How long fewer may stay. Arbitrary: at once, for a person.
const STAY_MAX: Duration = Duration::from_millis(100);

/// What is done where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Rows are left out, and counted.
    Skip,
    Wait,
}

/// An event on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) id_hash: u64,
    /// What the model said that decides.
    pub(super) score: Option<f64>,
    pub(super) decision: Decision,
}

/// Rows of one roster.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) roster: Option<Arc<Roster>>,
    pub(super) heads: Vec<Head>,
    pub(super) values: Vec<f32>,
}

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.roster = None;
        self.heads.clear();
        self.values.clear();
    }

    fn push(&mut self, sequence: u64, row: &Row<'_>) {
        let head = row.head;
        self.heads.push(Head {
            sequence,
            id_hash: head.event.id_hash,
            score: head.score,
            decision: head.decision,
        });
        self.values.extend_from_slice(row.values);
    }
}

/// See the module.
pub(crate) struct Hand {
    roster: Option<Arc<Roster>>,
    /// Of the batch at hand.
    rows: Rows,
    filling: Buffer,
    /// When the first of them came.
    since: Option<Instant>,
    full: Sender<Buffer>,
    empty: Receiver<Buffer>,
    when_full: WhenFull,
    figures: Arc<Figures>,
}

impl Hand {
    pub(super) fn new(
        full: Sender<Buffer>,
        empty: Receiver<Buffer>,
        when_full: WhenFull,
        figures: Arc<Figures>,
    ) -> Self {
        let (rows, filling) = (Rows::default(), Buffer::default());
        Self { roster: None, rows, filling, since: None, full, empty, when_full, figures }
    }

    /// From the next batch on these score; what the engine is to hand out for them.
    pub(crate) fn follow(&mut self, roster: Option<Arc<Roster>>) -> Option<Arc<RowPlan>> {
        self.pass();
        if !self.filling.heads.is_empty() {
            // Rows of another kind cannot lie with them.
            self.figures.skip(self.filling.heads.len() as u64);
            self.filling.clear();
        }
        self.roster = roster;
        self.rows()
    }

    /// What the engine is to hand out now.
    pub(crate) fn rows(&self) -> Option<Arc<RowPlan>> {
        self.roster.as_ref().map(|roster| roster.rows())
    }

    /// Takes the rows out of a batch's outputs, which can then go on.
    #[inline]
    pub(crate) fn take(&mut self, outputs: &mut Outputs) {
        if self.roster.is_some() {
            outputs.take_rows(&mut self.rows);
        }
    }

    /// Hands over the rows that were taken; the batch's first record has this number.
    #[inline]
    pub(crate) fn give(&mut self, first_sequence: u64) {
        if self.roster.is_none() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let mut skipped = 0;
        for row in rows.iter() {
            skipped += u64::from(!self.put(first_sequence + row.head.record as u64, &row));
        }
        self.rows = rows;
        if skipped > 0 {
            self.figures.skip(skipped);
        }
        self.pass_if_due();
    }

    /// Whether there was room.
    #[inline]
    fn put(&mut self, sequence: u64, row: &Row<'_>) -> bool {
        if self.filling.heads.len() >= ROWS && !self.pass() {
            return false;
        }
        self.filling.push(sequence, row);
        true
    }

    /// While there is no batch.
    pub(crate) fn idle(&mut self) {
        self.pass_if_due();
    }

    fn pass_if_due(&mut self) {
        if self.filling.heads.is_empty() {
            return;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.filling.heads.len() >= ROWS_WORTH || since.elapsed() >= STAY_MAX {
            self.pass();
        }
    }

    /// Passes on what there is; whether there is room then.
    fn pass(&mut self) -> bool {
        if self.filling.heads.is_empty() {
            return true;
        }
        let empty = match self.when_full {
            WhenFull::Skip => self.empty.try_recv().ok(),
            WhenFull::Wait => self.empty.recv().ok(),
        };
        let Some(empty) = empty else { return false };
        let mut full = std::mem::replace(&mut self.filling, empty);
        full.roster.clone_from(&self.roster);
        self.since = None;
        // There is room for all buffers that there are; without a thread at the other end there is nobody to score.
        let _ = self.full.try_send(full);
        true
    }
}

impl Drop for Hand {
    /// Nobody waits for an answer any more.
    fn drop(&mut self) {
        self.when_full = WhenFull::Wait;
        self.pass();
    }
}

#[cfg(test)]
mod tests {
    use super::super::scoring::testing::{plan, roster};
    use super::*;
    use cartguard_engine::batch::rows::RowHead;
    use cartguard_engine::event::Head as EventHead;
    use crossbeam_channel::bounded;

    /// A hand whose other end takes nothing by itself.
    fn hand(when_full: WhenFull) -> (Hand, Receiver<Buffer>, Sender<Buffer>, Arc<Figures>) {
        let figures = Arc::<Figures>::default();
        let (full, to_score) = bounded(BUFFERS);
        let (emptied, empty) = bounded(BUFFERS);
        for _ in 0..BUFFERS - 1 {
            emptied.try_send(Buffer::default()).expect("room for all");
        }
        (Hand::new(full, empty, when_full, Arc::clone(&figures)), to_score, emptied, figures)
    }

    fn put(hand: &mut Hand, sequences: std::ops::Range<u64>) -> u64 {
        let head =
            RowHead { record: 0, event: EventHead::default(), score: Some(0.5), decision: Decision::Approve };
        let row = Row { head: &head, values: &[1.0, 2.0], keys: &[] };
        let mut skipped = 0;
        for sequence in sequences {
            skipped += u64::from(!hand.put(sequence, &row));
        }
        skipped
    }

    #[test]
    fn what_finds_no_room_is_skipped_and_the_rest_comes_in_order() {
        let (mut hand, to_score, emptied, figures) = hand(WhenFull::Skip);
        hand.follow(Some(roster(&plan(), 1)));
        let room = (BUFFERS * ROWS) as u64;
        assert_eq!(put(&mut hand, 0..room), 0);
        assert_eq!(put(&mut hand, room..room + 100), 100);
        let mut first = to_score.try_recv().expect("a full buffer");
        assert!(first.heads.len() == ROWS && first.values.len() == 2 * ROWS && first.roster.is_some());
        assert_eq!((first.heads[0].sequence, first.heads[ROWS - 1].sequence), (0, ROWS as u64 - 1));
        first.clear();
        emptied.try_send(first).expect("room for all");
        assert_eq!(put(&mut hand, room + 100..room + 200), 0);
        // Other models from now on: what lies there and finds no buffer cannot wait for them.
        hand.follow(Some(roster(&plan(), 2)));
        assert_eq!(figures.skipped(), 100);
        assert_eq!(to_score.try_iter().count(), BUFFERS - 1);
    }

    #[test]
    fn where_nobody_waits_nothing_is_skipped() {
        let (mut hand, to_score, emptied, figures) = hand(WhenFull::Wait);
        hand.follow(Some(roster(&plan(), 1)));
        let total = 10 * (BUFFERS * ROWS) as u64;
        let scorer = std::thread::spawn(move || {
            let mut next = 0;
            for mut buffer in to_score {
                for head in &buffer.heads {
                    assert_eq!(head.sequence, next);
                    next += 1;
                }
                buffer.clear();
                let _ = emptied.try_send(buffer);
            }
            next
        });
        assert_eq!(put(&mut hand, 0..total), 0);
        drop(hand);
        assert_eq!((scorer.join().expect("in order"), figures.skipped()), (total, 0));
    }
}
