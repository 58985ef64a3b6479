//! The event ids that were accepted, to drop duplicates (docs/semantics.md, 1).
//!
//! decode -> **ids** -> window

use crate::limits::{DEDUPE_ID_BYTES, DEDUPE_SHARDS};
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
    /// Accepted ids in the order of acceptance; one that was accepted again is there twice, and only the later counts.
    order: VecDeque<Seen>,
    span_ms: i64,
    capacity: usize,
    pub(crate) evicted: u64,
}

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
            self.order.pop_front();
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
        self.table.insert_unique(key, Seen { hash, time_ms }, |seen| seen.hash.rotate_right(16));
        self.order.push_back(Seen { hash, time_ms });
        while self.table.len() > self.capacity {
            let Some(oldest) = self.order.pop_front() else { break };
            if self.remove(oldest) {
                self.evicted += 1;
            }
        }
        true
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
    fn an_expired_id_behind_a_living_one_is_still_expired() {
        let mut ids = ids(100, 10);
        assert!(ids.accept(1, 2_000, 2_000));
        assert!(ids.accept(2, 1_000, 2_000));
        assert!(ids.accept(2, 2_000, 2_000), "1000 <= 2000 - 100");
    }
}
