//! A key's fixed part: one cache line.

use crate::window::arena::Handle;

/// Slots in a page: 64 KiB.
pub(crate) const SLOTS_PER_PAGE: usize = 1_024;

/// Horizon of a shard that never lost anything.
pub(crate) const NOTHING_LOST: i64 = i64::MIN;

/// What a shard knows of a key without its history.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    /// The key's hash; 0 in a free slot.
    pub(crate) hash: u64,
    /// Order of the last update: sequence × 64 + entity.
    pub(crate) updated: u64,
    /// Largest time stored.
    pub(crate) newest_ms: i64,
    /// Smallest time ever stored; of a free slot: the next free one.
    pub(crate) first_ms: i64,
    /// The shard's horizon when the key was created.
    pub(crate) lost_before_ms: i64,
    /// Small block or directory.
    pub(crate) root: Handle,
    /// Entries in store, spans not counted.
    pub(crate) entries: u32,
    pub(crate) spans: u32,
    /// Distinct values in store, all columns together.
    pub(crate) values: u32,
    /// Room of the root: entries of a small block, summaries of a directory.
    pub(crate) room: u16,
    /// Chunks; 0 for a small history.
    pub(crate) chunks: u16,
    /// Expired rows at the head of the first chunk.
    pub(crate) head_row: u8,
    pub(crate) entity: u8,
}

impl Slot {
    pub(crate) const FREE: Self = Self {
        hash: 0,
        updated: 0,
        newest_ms: i64::MIN,
        first_ms: -1,
        lost_before_ms: NOTHING_LOST,
        root: Handle::NONE,
        entries: 0,
        spans: 0,
        values: 0,
        room: 0,
        chunks: 0,
        head_row: 0,
        entity: 0,
    };
}

/// Words of a slot in a snapshot.
pub(crate) const SLOT_WORDS: usize = 8;

impl Slot {
    /// As words of a snapshot.
    pub(crate) fn to_words(self) -> [u64; SLOT_WORDS] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            self.hash,
            self.updated,
            self.newest_ms as u64,
            self.first_ms as u64,
            self.lost_before_ms as u64,
            pair(self.root.0, self.entries),
            pair(self.spans, self.values),
            u64::from(self.room)
                | u64::from(self.chunks) << 16
                | u64::from(self.head_row) << 32
                | u64::from(self.entity) << 40,
        ]
    }

    /// From words of a snapshot.
    pub(crate) fn of_words(words: &[u64; SLOT_WORDS]) -> Self {
        let &[hash, updated, newest, first, lost_before, root_entries, spans_values, small] = words;
        Self {
            hash,
            updated,
            newest_ms: newest as i64,
            first_ms: first as i64,
            lost_before_ms: lost_before as i64,
            root: Handle(root_entries as u32),
            entries: (root_entries >> 32) as u32,
            spans: spans_values as u32,
            values: (spans_values >> 32) as u32,
            room: small as u16,
            chunks: (small >> 16) as u16,
            head_row: (small >> 32) as u8,
            entity: (small >> 40) as u8,
        }
    }
}

const _: () = assert!(size_of::<Slot>() == 64);
