//! What the workers write during a batch, each into its own lane, and all may read in the next phase.
//!
//! batch -> **lane**
//!
//! A lane is locked once a phase, never contended: the barrier between phases sees to that.

use crate::batch::rows::RowLane;
use crate::decide::Decision;
use crate::event::{EventMut, EventRef, Head};
use crate::features::cell::Cell;
use crate::limits::LABEL_AHEAD_MS_MAX;
use crate::reject::{Reason, Reject, Subject};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Events that a worker takes at a time to decode, score and encode.
pub(crate) const BLOCK: usize = 32;

/// Decoded events, in blocks, in the order in which the worker took them.
#[derive(Debug, Default)]
pub(crate) struct EventLane {
    heads: Vec<Head>,
    keys: Vec<u64>,
    slots: Vec<i64>,
    /// One bit a condition of the feature set.
    met: Vec<u64>,
    taken: Vec<Taken>,
    /// Whether an event's record is known to have no line end.
    one_line: Vec<bool>,
    keys_per_event: usize,
    slots_per_event: usize,
    used: usize,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Taken {
    #[default]
    Event,
    Label,
    Reject(Reject),
}

/// A label that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelRead {
    pub(crate) id_hash: u64,
    pub(crate) is_fraud: bool,
    pub(crate) known_ms: i64,
}

impl EventLane {
    pub(crate) fn new(keys_per_event: usize, slots_per_event: usize) -> Self {
        Self { keys_per_event, slots_per_event, ..Self::default() }
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// Makes room for a block and returns its first row.
    pub(crate) fn add_block(&mut self) -> usize {
        let first = self.used;
        self.used += BLOCK;
        if self.heads.len() < self.used {
            self.heads.resize(self.used, Head::default());
            self.keys.resize(self.used * self.keys_per_event, 0);
            self.slots.resize(self.used * self.slots_per_event, 0);
            self.met.resize(self.used, 0);
            self.taken.resize(self.used, Taken::Event);
            self.one_line.resize(self.used, false);
        }
        first
    }

    pub(crate) fn event_mut(&mut self, row: usize) -> EventMut<'_> {
        let (keys, slots) = (self.keys_per_event, self.slots_per_event);
        EventMut {
            head: &mut self.heads[row],
            keys: &mut self.keys[row * keys..(row + 1) * keys],
            slots: &mut self.slots[row * slots..(row + 1) * slots],
        }
    }

    #[inline]
    pub(crate) fn event(&self, row: usize) -> EventRef<'_> {
        let (keys, slots) = (self.keys_per_event, self.slots_per_event);
        EventRef {
            head: &self.heads[row],
            keys: &self.keys[row * keys..(row + 1) * keys],
            slots: &self.slots[row * slots..(row + 1) * slots],
        }
    }

    #[inline]
    pub(crate) fn head(&self, row: usize) -> &Head {
        &self.heads[row]
    }

    pub(crate) fn set_taken(&mut self, row: usize, taken: Taken) {
        self.taken[row] = taken;
    }

    /// The same once stream time at the record is known.
    #[inline]
    pub(crate) fn taken_at(&self, row: usize, stream_ms: i64) -> Taken {
        let taken = self.taken[row];
        // Before the first event there is no stream time: a history has all of its labels in front.
        let is_too_far = matches!(taken, Taken::Label)
            && stream_ms != i64::MIN
            && self.heads[row].time_ms > stream_ms.saturating_add(LABEL_AHEAD_MS_MAX);
        if is_too_far {
            return Taken::Reject(Reject { reason: Reason::KnownAtTooFar, subject: Subject::LabelKnownAt });
        }
        taken
    }

    #[inline]
    pub(crate) fn is_event(&self, row: usize) -> bool {
        matches!(self.taken[row], Taken::Event)
    }

    /// A label lies in the head that an event would have there: its time is since when it is known, its amount whether it is fraud.
    pub(crate) fn set_label(&mut self, row: usize, label: LabelRead) {
        let LabelRead { id_hash, is_fraud, known_ms } = label;
        self.heads[row] =
            Head { id_hash, time_ms: known_ms, amount_minor: is_fraud.into(), ..Head::default() };
    }

    /// The label of a row that was taken as one.
    pub(crate) fn label(&self, row: usize) -> LabelRead {
        let head = &self.heads[row];
        LabelRead { id_hash: head.id_hash, is_fraud: head.amount_minor != 0, known_ms: head.time_ms }
    }

    pub(crate) fn set_one_line(&mut self, row: usize, is_known: bool) {
        self.one_line[row] = is_known;
    }

    #[inline]
    pub(crate) fn is_one_line(&self, row: usize) -> bool {
        self.one_line[row]
    }

    pub(crate) fn set_met(&mut self, row: usize, met: u64) {
        self.met[row] = met;
    }

    #[inline]
    pub(crate) fn met(&self, row: usize) -> u64 {
        self.met[row]
    }
}

/// Where a worker put the cells of an event's entity; 0 is none.
pub(crate) const NO_PLACE: u32 = 0;

/// Feature values that a worker read from its shards.
#[derive(Debug, Default)]
pub(crate) struct CellLane {
    /// From 1 on; cell 0 is never used, so that place 0 means none.
    pub(crate) cells: Vec<Cell>,
    /// Cells in use; the vector only grows, so that nothing is cleared twice.
    pub(crate) used: usize,
    /// First cell, by event × entities + entity.
    pub(crate) places: Vec<u32>,
    /// Marks, by event.
    pub(crate) marks: Vec<u8>,
}

impl CellLane {
    /// Makes it empty, for a batch of so many events.
    pub(crate) fn reset(&mut self, events: usize, entities: usize) {
        self.places.clear();
        self.places.resize(events * entities, NO_PLACE);
        self.marks.clear();
        self.marks.resize(events, 0);
        self.used = 1;
    }

    /// Room for an entity's cells, whatever they hold; its place.
    #[inline]
    pub(crate) fn add(&mut self, cells: usize) -> usize {
        let place = self.used;
        self.used += cells;
        if self.cells.len() < self.used {
            self.cells.resize(self.used.next_power_of_two(), Cell::default());
        }
        place
    }
}

/// Lines that a worker wrote, and its counts.
#[derive(Debug, Default)]
pub(crate) struct OutputLane {
    pub(crate) decisions: Vec<u8>,
    pub(crate) alerts: Vec<u8>,
    pub(crate) rejects: Vec<u8>,
    pub(crate) rows: RowLane,
    pub(crate) counts: Counts,
}

/// Where the lines of one block lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockOutput {
    pub(crate) lane: usize,
    pub(crate) decisions: Range<usize>,
    pub(crate) alerts: Range<usize>,
    pub(crate) rejects: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// The lines of a batch, in sequence order, in the workers' buffers.
#[derive(Debug, Default)]
pub struct Outputs {
    pub(crate) lanes: Vec<OutputLane>,
    pub(crate) blocks: Vec<BlockOutput>,
}

impl Outputs {
    /// The decision lines, piece by piece, in sequence order.
    pub fn decisions(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces(|block| &block.decisions, |lane| &lane.decisions)
    }

    /// The alert lines.
    pub fn alerts(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces(|block| &block.alerts, |lane| &lane.alerts)
    }

    /// The reject lines.
    pub fn rejects(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces(|block| &block.rejects, |lane| &lane.rejects)
    }

    fn pieces(
        &self,
        range: fn(&BlockOutput) -> &Range<usize>,
        bytes: fn(&OutputLane) -> &Vec<u8>,
    ) -> impl Iterator<Item = &[u8]> {
        self.blocks
            .iter()
            .map(move |block| &bytes(&self.lanes[block.lane])[range(block).clone()])
            .filter(|piece| !piece.is_empty())
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records taken, but for labels.
    pub events: u64,
    /// Labels taken that are records of their own.
    pub labels: u64,
    pub accepted: u64,
    pub duplicates: u64,
    /// By [`Reason`], in its order.
    #[serde(with = "by_reason")]
    pub rejects: [u64; Reason::ALL.len()],
    pub late: u64,
    pub early: u64,
    pub saturated: u64,
    pub degraded: u64,
    /// By [`Decision`], in its order.
    pub decisions: [u64; Decision::ALL.len()],
    pub alerts: u64,
    /// Scores that were NaN or outside 0 to 1.
    pub scores_out_of_range: u64,
    /// Alerts whose reasons are from path contributions.
    pub reasons_approximate: u64,
}

mod by_reason {
    //! Reasons that came later stand behind those that every version knows, and only where they occurred, so that an older version reads
    //! the counts too.
    use crate::reject::Reason;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Reasons that every version knows.
    const ALWAYS: usize = 20;

    pub(super) fn serialize<S: Serializer>(
        counts: &[u64; Reason::ALL.len()],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let last = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        counts[..last.max(ALWAYS)].serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u64; Reason::ALL.len()], D::Error> {
        let held = Vec::<u64>::deserialize(from)?;
        let mut counts = [0; Reason::ALL.len()];
        let place =
            counts.get_mut(..held.len()).ok_or_else(|| D::Error::custom("more reasons than there are"))?;
        place.copy_from_slice(&held);
        Ok(counts)
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.labels += other.labels;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        for (count, more) in self.rejects.iter_mut().zip(other.rejects) {
            *count += more;
        }
        self.late += other.late;
        self.early += other.early;
        self.saturated += other.saturated;
        self.degraded += other.degraded;
        for (count, more) in self.decisions.iter_mut().zip(other.decisions) {
            *count += more;
        }
        self.alerts += other.alerts;
        self.scores_out_of_range += other.scores_out_of_range;
        self.reasons_approximate += other.reasons_approximate;
    }

    /// Rejects of all reasons.
    pub fn rejected(&self) -> u64 {
        self.rejects.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots have counts; a version that knows fewer reasons reads and writes them too.
    #[test]
    fn counts_are_read_by_the_version_before_and_from_it() {
        let mut counts = Counts { accepted: 7, ..Counts::default() };
        counts.rejects[3] = 5;
        let text = serde_json::to_string(&counts).expect("plain data");
        assert!(text.contains(&format!("\"rejects\":[0,0,0,5{}]", ",0".repeat(16))), "{text}");
        let back = |text: &str| serde_json::from_str::<Counts>(text);
        assert_eq!(back(&text).ok(), Some(counts));
        assert_eq!(back(&text.replace("\"labels\":0,", "")).ok(), Some(counts));
        counts.rejects[Reason::UnknownLabel as usize] = 1;
        let text = serde_json::to_string(&counts).expect("plain data");
        assert_eq!(back(&text).ok(), Some(counts));
        assert!(back(&text.replace("0,5,", "0,0,0,0,5,")).is_err(), "more reasons than there are");
    }
}
