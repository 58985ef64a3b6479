//! The slots of a shard by number, in pages.
//!
//! shard -> **slots** -> slot
//!
//! Holds: which number a new key gets depends on the updates before it and on nothing else.

use crate::window::capture::{Capture, Copies, FRAME_WORDS, FramePool};
use crate::window::reserve::{Reserve, SlotPage};
use crate::window::slot::{SLOT_WORDS, SLOTS_PER_PAGE, Slot};

/// Slots of a frame of a snapshot, and frames of a page.
const SLOTS_PER_FRAME: usize = FRAME_WORDS / SLOT_WORDS;
const FRAMES: usize = SLOTS_PER_PAGE / SLOTS_PER_FRAME;

/// Words of [`Slots::begin_capture`].
pub(super) const SLOTS_HEAD_WORDS: usize = 2;
/// In that head: no slot is free.
const NONE_FREE: u64 = u64::MAX;

/// See the module.
#[derive(Default)]
pub(super) struct Slots {
    pages: Vec<SlotPage>,
    used: usize,
    free: Option<u32>,
    /// While a snapshot is taken.
    capture: Option<Capture>,
}

impl Slots {
    #[inline]
    pub(super) fn get(&self, slot: u32) -> &Slot {
        &self.pages[slot as usize / SLOTS_PER_PAGE][slot as usize % SLOTS_PER_PAGE]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Slot {
        let (page, index) = (slot as usize / SLOTS_PER_PAGE, slot as usize % SLOTS_PER_PAGE);
        if let Some(capture) = &mut self.capture {
            let frame = index / SLOTS_PER_FRAME;
            if capture.wants(page, frame, frame) {
                capture.save(page, frame, frame, |frame, to| copy_frame(&self.pages[page], frame, to));
            }
        }
        &mut self.pages[page][index]
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
        self.pages.len() * FRAMES
    }

    /// From here on everything is copied before it is written to; returns what is not in pages, as of now.
    pub(super) fn begin_capture(&mut self, pool: &FramePool) -> [u64; SLOTS_HEAD_WORDS] {
        self.capture = Some(Capture::begin(self.pages.len(), FRAMES, pool));
        [self.used as u64, self.free.map_or(NONE_FREE, u64::from)]
    }

    /// Copies at least `frames` more frames, or all that are left; returns how many.
    pub(super) fn capture_some(&mut self, frames: usize) -> usize {
        let pages = &self.pages;
        let copy = |page: usize, frame, to: &mut _| copy_frame(&pages[page], frame, to);
        self.capture.as_mut().map_or(0, |capture| capture.save_some(frames, copy))
    }

    /// Copies no more.
    pub(super) fn abandon_capture(&mut self) {
        self.capture = None;
    }

    /// All copies, once there is nothing left to copy.
    pub(super) fn end_capture(&mut self) -> Copies {
        self.capture.take().map_or_else(Copies::new, Capture::finish)
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

/// Copies a frame of a page.
fn copy_frame(page: &SlotPage, frame: usize, to: &mut [u64; FRAME_WORDS]) {
    let slots = &page[frame * SLOTS_PER_FRAME..][..SLOTS_PER_FRAME];
    for (words, slot) in to.as_chunks_mut::<SLOT_WORDS>().0.iter_mut().zip(slots) {
        *words = slot.to_words();
    }
}
