//! The slots of a shard by number, in pages.
//!
//! shard -> **slots** -> slot
//!
//! Holds: which number a new key gets depends on the updates before it and on nothing else.

use crate::window::capture::{Frame, FramePool};
use crate::window::pages::{Pages, Words};
use crate::window::reserve::{Reserve, SlotPage};
use crate::window::slot::{SLOT_WORDS, SLOTS_PER_PAGE, Slot};

/// Words of [`Slots::begin_capture`].
pub(super) const SLOTS_HEAD_WORDS: usize = 2;
/// In that head: no slot is free.
const NONE_FREE: u64 = u64::MAX;

/// See the module.
pub(super) struct Slots {
    pages: Pages<SlotPage>,
    used: usize,
    free: Option<u32>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { pages: Pages::new(SLOTS_PER_PAGE * SLOT_WORDS), used: 0, free: None }
    }
}

impl Words for SlotPage {
    fn read(&self, start: usize, to: &mut [u64]) {
        for (words, slot) in to.as_chunks_mut::<SLOT_WORDS>().0.iter_mut().zip(&self[start / SLOT_WORDS..]) {
            *words = slot.to_words();
        }
    }
}

impl Slots {
    #[inline]
    pub(super) fn get(&self, slot: u32) -> &Slot {
        &self.pages[slot as usize / SLOTS_PER_PAGE][slot as usize % SLOTS_PER_PAGE]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Slot {
        let (page, index) = (slot as usize / SLOTS_PER_PAGE, slot as usize % SLOTS_PER_PAGE);
        let words = index * SLOT_WORDS..(index + 1) * SLOT_WORDS;
        &mut self.pages.write(page, words)[index]
    }

    /// A slot for a new key.
    pub(super) fn take(&mut self, reserve: &Reserve) -> u32 {
        if let Some(slot) = self.free {
            self.free = u32::try_from(self.get(slot).first_ms).ok();
            return slot;
        }
        if self.used == self.pages.len() * SLOTS_PER_PAGE {
            self.pages.push(reserve.slot_page());
        }
        self.used += 1;
        (self.used - 1) as u32
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        let next = self.free.map_or(-1, i64::from);
        *self.get_mut(slot) = Slot { first_ms: next, ..Slot::FREE };
        self.free = Some(slot);
    }

    /// Every slot that has a key.
    pub(super) fn taken(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let all = self.pages.iter().flat_map(|page| page.iter()).take(self.used);
        (0..).zip(all).filter(|(_, slot)| slot.hash != 0)
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        (self.pages.len() * SLOTS_PER_PAGE * size_of::<Slot>()) as u64
    }

    /// Frames that a snapshot copies.
    pub(super) fn frames(&self) -> usize {
        self.pages.frames()
    }

    /// The cut; returns what is not in pages, as of now.
    pub(super) fn begin_capture(&mut self, pool: &FramePool) -> [u64; SLOTS_HEAD_WORDS] {
        self.pages.begin_capture(pool);
        [self.used as u64, self.free.map_or(NONE_FREE, u64::from)]
    }

    /// As [`Pages::capture_some`].
    pub(super) fn capture_some(&mut self, frames: usize) -> usize {
        self.pages.capture_some(frames)
    }

    /// As [`Pages::abandon_capture`].
    pub(super) fn abandon_capture(&mut self) {
        self.pages.abandon_capture();
    }

    /// As [`Pages::end_capture`].
    pub(super) fn end_capture(&mut self) -> Vec<Frame> {
        self.pages.end_capture()
    }

    /// The slots as they were: what [`Slots::begin_capture`] returned, and the frames of all pages, one after the other.
    pub(super) fn restore(reserve: &Reserve, head: &[u64; SLOTS_HEAD_WORDS], frames: &[u64]) -> Self {
        let mut slots = Self { used: head[0] as usize, free: u32::try_from(head[1]).ok(), ..Self::default() };
        for words in frames.chunks(SLOTS_PER_PAGE * SLOT_WORDS) {
            let mut page = reserve.slot_page();
            for (slot, words) in page.iter_mut().zip(words.as_chunks::<SLOT_WORDS>().0) {
                *slot = Slot::of_words(words);
            }
            slots.pages.push(page);
        }
        slots
    }
}
