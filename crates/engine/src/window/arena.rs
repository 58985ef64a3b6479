//! Blocks of words in pages: where the histories of one shard lie.
//!
//! state -> window -> **arena**
//!
//! Holds: everything a shard knows about its keys' histories is in pages of at most 256 KiB and is addressed by
//! handles, never by pointers; a snapshot may copy a page as it stands. A freed block is given out again to the
//! next request of its size class, so a steady state allocates nothing.
//! Not here: what the words mean (`layout`).

use crate::window::capture::{Frame, FramePool};
use crate::window::pages::{Pages, Words};
use crate::window::reserve::{Page, Reserve};

/// Words in a page: 256 KiB.
pub(crate) const PAGE_WORDS: usize = 32_768;

/// Largest block, words: a whole page.
pub(crate) const BLOCK_WORDS_MAX: usize = PAGE_WORDS;

/// Handles count in units of two words.
const UNIT_WORDS: usize = 2;
const UNITS_PER_PAGE: usize = PAGE_WORDS / UNIT_WORDS;

/// Size classes: 2, 4 … 16 words, then four a doubling up to a page.
const CLASSES: usize = 8 + 4 * 11;

/// A block's address, or [`Handle::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(pub(crate) u32);

impl Handle {
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline]
    fn split(self) -> (usize, usize) {
        let units = self.0 as usize;
        (units / UNITS_PER_PAGE, units % UNITS_PER_PAGE * UNIT_WORDS)
    }
}

/// The pages of one shard.
#[derive(Debug)]
pub(crate) struct Arena {
    pages: Pages<Page>,
    reserve: Reserve,
    /// First word of the last page that was never given out.
    next: usize,
    /// First free block of each class; a free block's first word is the handle of the next.
    free: [Handle; CLASSES],
}

/// Words of [`Arena::head`].
pub(crate) const ARENA_HEAD_WORDS: usize = 1 + CLASSES;

impl Words for Page {
    fn read(&self, start: usize, to: &mut [u64]) {
        to.copy_from_slice(&self[start..][..to.len()]);
    }
}

impl Arena {
    pub(crate) fn new(reserve: Reserve) -> Self {
        Self { pages: Pages::new(PAGE_WORDS), reserve, next: PAGE_WORDS, free: [Handle::NONE; CLASSES] }
    }

    /// A block of at least `words` words; its contents are whatever they were.
    pub(crate) fn allocate(&mut self, words: usize) -> Handle {
        let class = class_of(words);
        let head = self.free[class];
        if head != Handle::NONE {
            let next = self.words(head, 1)[0];
            self.free[class] = Handle(next as u32);
            return head;
        }
        let size = class_words(class);
        if self.next + size > PAGE_WORDS {
            self.give_out_rest();
            self.pages.push(self.reserve.page());
            self.next = 0;
        }
        let handle = Handle((((self.pages.len() - 1) * UNITS_PER_PAGE) + self.next / UNIT_WORDS) as u32);
        self.next += size;
        handle
    }

    /// Gives back a block that was allocated with the same number of words.
    pub(crate) fn release(&mut self, handle: Handle, words: usize) {
        let class = class_of(words);
        let next = self.free[class];
        self.words_mut(handle, 1)[0] = u64::from(next.0);
        self.free[class] = handle;
    }

    /// The first `words` words of a block.
    #[inline]
    pub(crate) fn words(&self, handle: Handle, words: usize) -> &[u64] {
        let (page, start) = handle.split();
        &self.pages[page][start..start + words]
    }

    /// The first `words` words of a block, to write.
    #[inline]
    pub(crate) fn words_mut(&mut self, handle: Handle, words: usize) -> &mut [u64] {
        let (page, start) = handle.split();
        &mut self.pages.write(page, start..start + words)[start..start + words]
    }

    /// Copies the first `words` words of one block to another.
    pub(crate) fn copy(&mut self, from: Handle, to: Handle, words: usize) {
        let (from_page, from_start) = from.split();
        let (to_page, to_start) = to.split();
        let (source, target) = (from_start..from_start + words, to_start..to_start + words);
        match self.pages.read_and_write(from_page, to_page, target.clone()) {
            Some((from, to)) => to[target].copy_from_slice(&from[source]),
            None => self.pages.write(to_page, target).copy_within(source, to_start),
        }
    }

    /// Bytes of all pages.
    pub(crate) fn resident_bytes(&self) -> u64 {
        (self.pages.len() * PAGE_WORDS * 8) as u64
    }

    /// Frames that a snapshot copies.
    pub(crate) fn frames(&self) -> usize {
        self.pages.frames()
    }

    /// The cut; returns what is not in pages, as of now.
    pub(crate) fn begin_capture(&mut self, pool: &FramePool) -> [u64; ARENA_HEAD_WORDS] {
        self.pages.begin_capture(pool);
        let mut head = [self.next as u64; ARENA_HEAD_WORDS];
        for (word, free) in head[1..].iter_mut().zip(self.free) {
            *word = free.0.into();
        }
        head
    }

    /// As [`Pages::capture_some`].
    pub(crate) fn capture_some(&mut self, frames: usize) -> usize {
        self.pages.capture_some(frames)
    }

    /// As [`Pages::abandon_capture`].
    pub(crate) fn abandon_capture(&mut self) {
        self.pages.abandon_capture();
    }

    /// As [`Pages::end_capture`].
    pub(crate) fn end_capture(&mut self) -> Vec<Frame> {
        self.pages.end_capture()
    }

    /// An arena as it was: what [`Arena::begin_capture`] returned, and the frames of all pages, one after the other.
    pub(crate) fn restore(reserve: Reserve, head: &[u64; ARENA_HEAD_WORDS], frames: &[u64]) -> Self {
        let mut arena = Self::new(reserve);
        arena.next = head[0] as usize;
        for (free, &word) in arena.free.iter_mut().zip(&head[1..]) {
            *free = Handle(word as u32);
        }
        for words in frames.chunks(PAGE_WORDS) {
            let mut page = arena.reserve.page();
            page[..words.len()].copy_from_slice(words);
            arena.pages.push(page);
        }
        arena
    }

    /// Cuts what is left of the last page into free blocks, largest class first.
    fn give_out_rest(&mut self) {
        while self.next + UNIT_WORDS <= PAGE_WORDS && self.pages.len() > 0 {
            let left = PAGE_WORDS - self.next;
            let mut class = class_of(left);
            if class_words(class) > left {
                class -= 1;
            }
            let handle = Handle((((self.pages.len() - 1) * UNITS_PER_PAGE) + self.next / UNIT_WORDS) as u32);
            self.next += class_words(class);
            self.release(handle, class_words(class));
        }
    }
}

/// The smallest class that holds `words` words.
fn class_of(words: usize) -> usize {
    debug_assert!(words > 0 && words <= BLOCK_WORDS_MAX, "a block has 1 to {BLOCK_WORDS_MAX} words: {words}");
    if words <= 16 {
        return words.div_ceil(2) - 1;
    }
    // Within the doubling (2^k, 2^(k+1)], k >= 4: four steps of 2^(k-2).
    let k = (usize::BITS - 1 - (words - 1).leading_zeros()) as usize;
    let step = 1 << (k - 2);
    8 + (k - 4) * 4 + (words - (1 << k)).div_ceil(step) - 1
}

/// Words of a block of a class.
fn class_words(class: usize) -> usize {
    if class < 8 {
        return (class + 1) * 2;
    }
    let (k, step) = ((class - 8) / 4 + 4, (class - 8) % 4 + 1);
    (1 << k) + step * (1 << (k - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_its_class_and_not_the_one_below() {
        for words in 1..=BLOCK_WORDS_MAX {
            let class = class_of(words);
            assert!(class < CLASSES && class_words(class) >= words, "{words}");
            assert!(class == 0 || class_words(class - 1) < words, "{words}");
        }
        assert_eq!(class_words(CLASSES - 1), BLOCK_WORDS_MAX);
    }

    #[test]
    fn blocks_do_not_overlap_and_freed_ones_come_back() {
        let mut arena = Arena::new(Reserve::none());
        let sizes = [1, 3, 17, 100, 5_000, 32_768, 30_000, 2, 40];
        let blocks: Vec<_> = sizes.iter().map(|&words| (arena.allocate(words), words)).collect();
        for (n, &(handle, words)) in blocks.iter().enumerate() {
            arena.words_mut(handle, words).fill(n as u64);
        }
        for (n, &(handle, words)) in blocks.iter().enumerate() {
            assert!(arena.words(handle, words).iter().all(|&word| word == n as u64));
        }
        let before = arena.resident_bytes();
        for &(handle, words) in &blocks {
            arena.release(handle, words);
        }
        for &words in &sizes {
            arena.allocate(words);
        }
        assert_eq!(arena.resident_bytes(), before);
    }
}
