//! A shard as a part of a snapshot, and back.
//!
//! shard, ids -> **part** -> whoever stores snapshots
//!
//! A part is words: what it is, the shard's counters, the copies of its pages. The index is not among them: it is made again from the
//! slots. Holds: a shard that was restored from its part does, gives out and becomes part of a later snapshot exactly what the other would.

use crate::state::index::Index;
use crate::state::shard::{Shard, Size, StateSettings};
use crate::state::slots::{SLOTS_HEAD_WORDS, Slots};
use crate::window::arena::{ARENA_HEAD_WORDS, Arena};
use crate::window::capture::{FRAME_WORDS, Frame, FramePool};
use crate::window::reserve::Reserve;

/// First word of every part: `CGPART` and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"CGPART\x01\0");

/// Counters of a shard in its head.
const COUNTERS: usize = 8;
const SHARD_HEAD_WORDS: usize = COUNTERS + SLOTS_HEAD_WORDS + ARENA_HEAD_WORDS;
/// A shard of windows of labels has two counters more.
const LABELS_HEAD_WORDS: usize = SHARD_HEAD_WORDS + 2;

/// What a part is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// Accepted event ids.
    Ids,
    /// Keys and their histories.
    Keys,
    /// Events that wait for their labels or are kept for them, and labels that do not count yet.
    Labels,
}

/// A shard as of the cut. Its memory goes back to the pool when it is dropped.
#[derive(Debug)]
pub struct Part {
    kind: PartKind,
    shard: usize,
    head: Vec<u64>,
    /// The frames, one list after the other.
    copies: Vec<Vec<Frame>>,
    pool: FramePool,
}

/// Bytes that are no part of this engine's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    #[error("is no part of a snapshot, or of another version of cartguard")]
    Foreign,
    #[error("is a part of another number of shards")]
    Shard,
    #[error("is {0} words long where {1} were expected")]
    Length(usize, usize),
}

impl Part {
    pub(crate) fn new(
        kind: PartKind,
        shard: usize,
        head: Vec<u64>,
        copies: Vec<Vec<Frame>>,
        pool: FramePool,
    ) -> Self {
        Self { kind, shard, head, copies, pool }
    }

    pub fn kind(&self) -> PartKind {
        self.kind
    }

    pub fn shard(&self) -> usize {
        self.shard
    }

    /// `keys-07`, `ids-63`, `labels-00`
    pub fn name(&self) -> String {
        let kind = match self.kind {
            PartKind::Ids => "ids",
            PartKind::Keys => "keys",
            PartKind::Labels => "labels",
        };
        format!("{kind}-{:02}", self.shard)
    }

    /// Appends the part: words, little-endian.
    pub fn push_bytes(&self, out: &mut Vec<u8>) {
        let frames: usize = self.copies.iter().map(Vec::len).sum();
        out.reserve((4 + self.head.len() + self.copies.len() + frames * FRAME_WORDS) * 8);
        let mut push = |words: &[u64]| {
            for word in words {
                out.extend_from_slice(&word.to_le_bytes());
            }
        };
        push(&[MAGIC, self.kind as u64, self.shard as u64, self.head.len() as u64]);
        push(&self.head);
        for copies in &self.copies {
            push(&[copies.len() as u64]);
        }
        for frame in self.copies.iter().flatten() {
            push(&frame[..]);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for copies in self.copies.drain(..) {
            self.pool.give_back(copies);
        }
    }
}

/// A part that was read again.
pub(crate) struct Read {
    pub(crate) kind: PartKind,
    pub(crate) shard: usize,
    words: Vec<u64>,
    head: std::ops::Range<usize>,
    /// Word counts of the lists of frames; the first list begins behind them.
    lists: Vec<usize>,
}

impl Read {
    /// Reads the bytes of a part.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, PartFault> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = chunks.iter().map(|&word| u64::from_le_bytes(word)).collect();
        let &[MAGIC, kind, shard, head_words, ..] = words.as_slice() else { return Err(PartFault::Foreign) };
        let (kind, lists) = match kind {
            kind if kind == PartKind::Ids as u64 => (PartKind::Ids, 1),
            kind if kind == PartKind::Keys as u64 => (PartKind::Keys, 2),
            kind if kind == PartKind::Labels as u64 => (PartKind::Labels, 2),
            _ => return Err(PartFault::Foreign),
        };
        let head_end = 4_usize.saturating_add(head_words as usize);
        let counts = words.get(head_end..head_end.saturating_add(lists)).ok_or(PartFault::Foreign)?;
        let lists: Vec<usize> =
            counts.iter().map(|&frames| (frames as usize).saturating_mul(FRAME_WORDS)).collect();
        let expected = lists.iter().fold(head_end + lists.len(), |sum, words| sum.saturating_add(*words));
        if words.len() != expected || !rest.is_empty() {
            return Err(PartFault::Length(words.len(), expected));
        }
        Ok(Self { kind, shard: shard as usize, head: 4..head_end, lists, words })
    }

    /// The head, if it has so many words.
    pub(crate) fn head<const N: usize>(&self) -> Result<&[u64; N], PartFault> {
        let head = &self.words[self.head.clone()];
        head.try_into().map_err(|_| PartFault::Length(head.len(), N))
    }

    /// Whether the head has so many words.
    fn has_head(&self, words: usize) -> bool {
        self.head.len() == words
    }

    /// The frames of a list, one after the other.
    pub(crate) fn frames(&self, list: usize) -> &[u64] {
        let start = self.head.end + self.lists.len() + self.lists[..list].iter().sum::<usize>();
        &self.words[start..start + self.lists[list]]
    }
}

impl Shard {
    /// Frames that a snapshot copies, in their lists.
    pub(crate) fn frames(&self) -> [usize; 2] {
        [self.slots.frames(), self.arena.frames()]
    }

    /// The cut: from here on everything is copied before it is written to.
    pub(crate) fn begin_capture(&mut self, pool: &FramePool) {
        let Size { keys, entries, values, bytes, evicted, .. } = self.size;
        let mut head = vec![keys, entries, values, bytes, evicted];
        head.extend([self.horizon_ms as u64, self.swept, self.next_sweep]);
        head.extend(self.slots.begin_capture(pool));
        head.extend(self.arena.begin_capture(pool));
        if self.labels_stored > 0 {
            head.extend([self.labels_stored, self.size.lost_labels]);
        }
        self.captured_head = head;
    }

    /// Copies at least `frames` more frames, or all that are left; returns how many.
    pub(crate) fn capture_some(&mut self, frames: usize) -> usize {
        let slots = self.slots.capture_some(frames);
        slots + self.arena.capture_some(frames.saturating_sub(slots))
    }

    /// Copies no more.
    pub(crate) fn abandon_capture(&mut self) {
        self.slots.abandon_capture();
        self.arena.abandon_capture();
    }

    /// The part, once there is nothing left to copy.
    pub(crate) fn end_capture(&mut self, shard: usize, pool: &FramePool) -> Part {
        let copies = vec![self.slots.end_capture(), self.arena.end_capture()];
        Part::new(PartKind::Keys, shard, std::mem::take(&mut self.captured_head), copies, pool.clone())
    }

    /// A shard as its part has it.
    pub(crate) fn restore(
        settings: &StateSettings,
        reserve: Reserve,
        part: &Read,
    ) -> Result<Self, PartFault> {
        let (head, of_labels) = if part.has_head(LABELS_HEAD_WORDS) {
            let (head, of_labels) = part.head::<LABELS_HEAD_WORDS>()?.split_at(SHARD_HEAD_WORDS);
            (head, [of_labels[0], of_labels[1]])
        } else {
            (&part.head::<SHARD_HEAD_WORDS>()?[..], [0, 0])
        };
        let (counters, rest) = head.split_at(COUNTERS);
        let (slots_head, arena_head) = rest.split_at(SLOTS_HEAD_WORDS);
        let wrong = |_| PartFault::Foreign;
        let slots = Slots::restore(&reserve, slots_head.try_into().map_err(wrong)?, part.frames(0));
        let arena_head = arena_head.try_into().map_err(wrong)?;
        let arena = Arena::restore(reserve.clone(), arena_head, part.frames(1));
        let mut index = Index::new();
        for (slot, held) in slots.taken() {
            index.insert(held.hash, slot, &reserve);
        }
        let mut shard = Self::new(settings, reserve);
        (shard.index, shard.slots, shard.arena) = (index, slots, arena);
        shard.size = Size {
            keys: counters[0],
            entries: counters[1],
            values: counters[2],
            bytes: counters[3],
            evicted: counters[4],
            resident_bytes: 0,
            lost_labels: of_labels[1],
        };
        shard.labels_stored = of_labels[0];
        (shard.horizon_ms, shard.swept, shard.next_sweep) = (counters[5] as i64, counters[6], counters[7]);
        Ok(shard)
    }
}
