//! The event ids that were accepted, to drop duplicates (docs/semantics.md, 1).
//!
//! decode -> **ids** -> window

use crate::limits::{DEDUPE_ID_BYTES, DEDUPE_SHARDS};
use crate::state::part::{Part, PartFault, PartKind, Read};
use crate::window::capture::{FRAME_WORDS, Frame, FramePool};
use hashbrown::HashTable;
use std::collections::VecDeque;

/// Settings of the duplicate check, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupeSettings {
    /// `dedupe.span`, ms of stream time.
    pub span_ms: i64,
    /// `dedupe.memory`, bytes.
    pub memory_bytes: u64,
}

/// The shard of an id.
#[inline]
pub(crate) fn shard_of(id_hash: u64) -> usize {
    id_hash as usize % DEDUPE_SHARDS
}

/// One shard of accepted ids.
#[derive(Debug)]
pub(crate) struct IdShard {
    table: HashTable<Seen>,
    /// Accepted ids in the order of acceptance; one that was accepted again is there twice, and only the later counts. At most twice as
    /// many as are in store, and [`ORDER_MIN`].
    order: VecDeque<Seen>,
    span_ms: i64,
    capacity: usize,
    pub(crate) evicted: u64,
    /// While a snapshot is taken.
    capture: Option<Capture>,
}

/// Copies of the ids that were in order at the cut, first to last. They never change, so that only the one that leaves next is in a hurry.
#[derive(Debug)]
struct Capture {
    head: [u64; IDS_HEAD_WORDS],
    /// Ids of the cut that are not copied yet; all that were copied came before them.
    left: usize,
    /// Of those that were copied, how many are still in order.
    held: usize,
    copies: Vec<Frame>,
    pool: FramePool,
}

/// An order as short as this is left as it is.
const ORDER_MIN: usize = 64;
/// Words of a part's head: ids, evicted.
const IDS_HEAD_WORDS: usize = 2;
/// Ids of a frame.
const IDS_PER_FRAME: usize = FRAME_WORDS / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    hash: u64,
    time_ms: i64,
}

impl IdShard {
    pub(crate) fn new(settings: &DedupeSettings) -> Self {
        let capacity = settings.memory_bytes as usize / DEDUPE_SHARDS / DEDUPE_ID_BYTES;
        Self {
            table: HashTable::new(),
            order: VecDeque::new(),
            span_ms: settings.span_ms,
            capacity: capacity.max(1),
            evicted: 0,
            capture: None,
        }
    }

    /// Ids in store.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Reads the place of an id so that it is in the cache when its turn comes.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.table.find(hash.rotate_right(16), |seen| seen.hash == hash).map_or(0, |seen| seen.time_ms as u64)
    }

    /// Whether the id is new as of stream time `stream_ms`; it is then accepted with `time_ms`.
    #[inline]
    pub(crate) fn accept(&mut self, hash: u64, time_ms: i64, stream_ms: i64) -> bool {
        let bound_ms = stream_ms.saturating_sub(self.span_ms);
        while let Some(&oldest) = self.order.front()
            && oldest.time_ms <= bound_ms
        {
            self.pop();
            self.remove(oldest);
        }
        let key = hash.rotate_right(16);
        if let Some(seen) = self.table.find_mut(key, |seen| seen.hash == hash) {
            if seen.time_ms > bound_ms {
                return false;
            }
            // As good as forgotten; it is accepted anew, last in order.
            let old = *seen;
            self.remove(old);
        }
        if time_ms <= bound_ms {
            return true;
        }
        self.table.insert_unique(key, Seen { hash, time_ms }, |seen| seen.hash.rotate_right(16));
        self.order.push_back(Seen { hash, time_ms });
        if self.order.len() > 2 * self.table.len().max(ORDER_MIN / 2) {
            self.tidy();
        }
        while self.table.len() > self.capacity {
            let Some(oldest) = self.pop() else { break };
            if self.remove(oldest) {
                self.evicted += 1;
            }
        }
        true
    }

    /// The id accepted first leaves the order; a snapshot that still needs it gets it before.
    #[inline]
    fn pop(&mut self) -> Option<Seen> {
        if let Some(capture) = &mut self.capture {
            if capture.held == 0 && capture.left > 0 {
                capture.copy(&self.order, 1);
            }
            capture.held = capture.held.saturating_sub(1);
        }
        self.order.pop_front()
    }

    /// Takes those out of the order that were accepted again since: an id that comes anew each time that it is forgotten would fill it.
    #[cold]
    fn tidy(&mut self) {
        if let Some(capture) = &mut self.capture {
            capture.copy(&self.order, capture.left);
        }
        let table = &self.table;
        self.order.retain(|seen| table.find(seen.hash.rotate_right(16), |held| held == seen).is_some());
    }

    /// Frames that a snapshot copies.
    pub(crate) fn frames(&self) -> usize {
        self.order.len().div_ceil(IDS_PER_FRAME)
    }

    /// The cut: what is in order now is what the part will have.
    pub(crate) fn begin_capture(&mut self, pool: &FramePool) {
        self.abandon_capture();
        let left = self.order.len();
        let head = [left as u64, self.evicted];
        self.capture = Some(Capture { head, left, held: 0, copies: Vec::new(), pool: pool.clone() });
    }

    /// Copies at least `frames` more frames, or all that are left; returns how many.
    pub(crate) fn capture_some(&mut self, frames: usize) -> usize {
        let Some(capture) = &mut self.capture else { return 0 };
        let ids = frames.saturating_mul(IDS_PER_FRAME).min(capture.left);
        capture.copy(&self.order, ids);
        ids.div_ceil(IDS_PER_FRAME)
    }

    /// Copies no more.
    pub(crate) fn abandon_capture(&mut self) {
        if let Some(Capture { copies, pool, .. }) = self.capture.take() {
            pool.give_back(copies);
        }
    }

    /// The part, once there is nothing left to copy.
    pub(crate) fn end_capture(&mut self, shard: usize, pool: &FramePool) -> Part {
        let capture = self.capture.take();
        debug_assert!(capture.as_ref().is_none_or(|capture| capture.left == 0), "an id was not copied");
        let (head, copies) = capture.map_or_else(Default::default, |capture| (capture.head, capture.copies));
        Part::new(PartKind::Ids, shard, head.to_vec(), vec![copies], pool.clone())
    }

    /// The ids as their part has them.
    pub(crate) fn restore(settings: &DedupeSettings, part: &Read) -> Result<Self, PartFault> {
        let &[ids, evicted] = part.head::<IDS_HEAD_WORDS>()?;
        let mut shard = Self { evicted, ..Self::new(settings) };
        for &[hash, time] in part.frames(0).as_chunks::<2>().0.iter().take(ids as usize) {
            let seen = Seen { hash, time_ms: time as i64 };
            let key = hash.rotate_right(16);
            // Of an id that was accepted twice the later counts.
            match shard.table.find_mut(key, |held| held.hash == hash) {
                Some(held) => *held = seen,
                None => {
                    shard.table.insert_unique(key, seen, |held| held.hash.rotate_right(16));
                }
            }
            shard.order.push_back(seen);
        }
        Ok(shard)
    }

    /// Removes an id if it is still the one that was accepted then.
    fn remove(&mut self, seen: Seen) -> bool {
        match self.table.find_entry(seen.hash.rotate_right(16), |held| *held == seen) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }
}

impl Capture {
    /// Copies the next ids.
    fn copy(&mut self, order: &VecDeque<Seen>, ids: usize) {
        if self.copies.capacity() == 0 && ids > 0 {
            self.copies = self.pool.list(self.left.div_ceil(IDS_PER_FRAME));
        }
        for seen in order.range(self.held..self.held + ids) {
            let at = (self.head[0] as usize - self.left) % IDS_PER_FRAME;
            if at == 0 {
                self.copies.push(self.pool.take());
            }
            if let Some(frame) = self.copies.last_mut() {
                frame[2 * at..][..2].copy_from_slice(&[seen.hash, seen.time_ms as u64]);
                // What stands behind the last id of a part must not depend on who used the memory before.
                if self.left == 1 {
                    frame[2 * at + 2..].fill(0);
                }
            }
            self.left -= 1;
        }
        self.held += ids;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(span_ms: i64, ids: u64) -> IdShard {
        IdShard::new(&DedupeSettings {
            span_ms,
            memory_bytes: ids * (DEDUPE_SHARDS * DEDUPE_ID_BYTES) as u64,
        })
    }

    #[test]
    fn an_id_is_a_duplicate_up_to_the_edge_of_the_span() {
        let mut ids = ids(100, 10);
        assert!(ids.accept(7, 1_000, 1_000));
        assert!(!ids.accept(7, 1_050, 1_099));
        assert!(ids.accept(7, 1_060, 1_100), "t0 > M - span no longer holds");
        assert!(!ids.accept(7, 1_060, 1_159), "its new time counts");
    }

    #[test]
    fn a_full_shard_forgets_the_id_accepted_first() {
        let mut ids = ids(1_000_000, 2);
        for id in [1, 2, 3] {
            assert!(ids.accept(id, 10, 10));
        }
        assert_eq!((ids.len(), ids.evicted), (2, 1));
        assert!(!ids.accept(2, 10, 10));
        assert!(ids.accept(1, 10, 10));
    }

    #[test]
    fn an_id_accepted_anew_is_no_longer_the_first() {
        let mut ids = ids(100, 3);
        assert!(ids.accept(1, 2_000, 2_000));
        assert!(ids.accept(2, 1_000, 2_000));
        assert!(ids.accept(3, 2_000, 2_000));
        assert!(ids.accept(2, 2_000, 2_000), "1000 <= 2000 - 100");
        for id in [4, 5] {
            assert!(ids.accept(id, 2_000, 2_000), "in the place of 1 and 3");
        }
        assert_eq!((ids.len(), ids.evicted), (3, 2));
        assert!(!ids.accept(2, 2_000, 2_000));
    }

    #[test]
    fn an_id_that_is_accepted_again_and_again_takes_no_room() {
        let mut ids = ids(10_000, 10);
        assert!(ids.accept(1, 10_000, 10_000));
        ids.begin_capture(&FramePool::default());
        for again in 0..9_000 {
            assert!(ids.accept(2, again + 1, 10_000 + again), "forgotten a millisecond later");
            assert!(ids.order.len() <= ORDER_MIN, "{} in order", ids.order.len());
        }
        assert_eq!((ids.len(), ids.evicted), (2, 0));
        let mut bytes = Vec::new();
        ids.end_capture(0, &FramePool::default()).push_bytes(&mut bytes);
        let cut = [1u64, 0].map(u64::to_le_bytes).concat();
        assert!(bytes.windows(cut.len()).any(|words| words == cut), "of the cut, one id and none evicted");
        for id in [1, 2] {
            assert!(!ids.accept(id, 10_000, 18_999));
        }
    }

    #[test]
    fn an_id_as_old_as_the_span_is_not_kept() {
        let mut ids = ids(100, 10);
        assert!(ids.accept(1, 2_000, 2_000));
        for _ in 0..3 {
            assert!(ids.accept(2, 1_900, 2_000), "1900 <= 2000 - 100");
        }
        assert_eq!((ids.len(), ids.order.len()), (1, 1));
    }

    #[test]
    fn an_expired_id_behind_a_living_one_is_still_expired() {
        let mut ids = ids(100, 10);
        assert!(ids.accept(1, 2_000, 2_000));
        assert!(ids.accept(2, 1_000, 2_000));
        assert!(ids.accept(2, 2_000, 2_000), "1000 <= 2000 - 100");
    }
}
