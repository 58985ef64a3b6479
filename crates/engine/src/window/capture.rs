//! Copy-on-write: what pages held when a snapshot was cut.
//!
//! pages -> **capture** -> snapshot
//!
//! A page is frames of 4 KiB, and a frame is pieces of 256 bytes. At the cut nothing is noted and nothing copied. From then on whoever writes
//! to a piece saves it first, and between batches the engine copies frame after frame, with what was saved put over it, until none is
//! left. So the cut costs microseconds whatever the state holds, a write costs a piece, and the copies together are the state as of the cut.
//!
//! Holds: a piece is saved once, as it was at the cut; pages added later are no part of it. Copies lie in memory that somebody else
//! touched before ([`FramePool::prepare`]): an event must not wait for the system to find some.
//!
//! Why two sizes: an event writes to some ten places all over the state, so right behind a cut nearly every write saves. With frames alone that
//! was some ten times 4 KiB an event: at 80,000 events/s a stall of 200 ms, and as much memory again as the state has.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Words of a frame: 4 KiB, what is copied at a time.
pub(crate) const FRAME_WORDS: usize = 512;
/// Words of a piece: 256 bytes, what is saved before a write.
pub(crate) const PIECE_WORDS: usize = 32;
/// Pieces of a frame: a bit each in a `u16`.
const PIECES: usize = FRAME_WORDS / PIECE_WORDS;
const ALL: u16 = u16::MAX;
const _: () = assert!(PIECES == 16);

/// A copied frame.
pub(crate) type Frame = Box<[u64; FRAME_WORDS]>;

/// Memory for copies, shared by the shards that copy and the thread that writes the copies out.
#[derive(Clone, Debug, Default)]
pub struct FramePool {
    ready: Arc<Mutex<Vec<Frame>>>,
}

impl FramePool {
    /// Makes sure that so many frames are ready, and touches them. For any thread but the engine's.
    pub fn prepare(&self, frames: usize) {
        let missing = frames.saturating_sub(self.lock().len());
        for _ in 0..missing {
            let mut frame = empty();
            frame[0] = std::hint::black_box(0);
            self.lock().push(frame);
        }
    }

    /// Frees the memory.
    pub fn clear(&self) {
        *self.lock() = Vec::new();
    }

    pub(crate) fn take(&self) -> Frame {
        let ready = self.lock().pop();
        ready.unwrap_or_else(empty)
    }

    pub(crate) fn give_back(&self, frames: impl IntoIterator<Item = Frame>) {
        self.lock().extend(frames);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame of zeros; never on the stack.
fn empty() -> Frame {
    vec![0; FRAME_WORDS].into_boxed_slice().try_into().expect("it has the length of a frame")
}

/// The copies of one list of pages, while they are made. What it notes of each frame it keeps between two snapshots, and has it grow with the
/// pages: to find that memory at the cut would cost an event milliseconds.
#[derive(Debug)]
pub(crate) struct Capture {
    frames_per_page: usize,
    /// None: nothing is to be copied.
    pool: Option<FramePool>,
    /// Frames that were there at the cut.
    frames: usize,
    /// Of each frame, a bit for each piece that is saved or copied.
    kept: Vec<u16>,
    /// Of each frame of which a piece is kept, the one that was saved last, counted from 1; 0: none.
    last_saved: Vec<u32>,
    saved: Vec<Saved>,
    /// What they held, [`PIECES`] to a frame of the pool.
    stash: Vec<Frame>,
    copies: Vec<Frame>,
}

/// A piece that was saved.
#[derive(Clone, Copy, Debug)]
struct Saved {
    /// Which of its frame.
    piece: u32,
    /// The one of the same frame that was saved before, as in `last_saved`.
    before: u32,
}

impl Capture {
    /// Of pages of so many frames; there are none yet.
    pub(crate) fn new(frames_per_page: usize) -> Self {
        Self {
            frames_per_page,
            pool: None,
            frames: 0,
            kept: Vec::new(),
            last_saved: Vec::new(),
            saved: Vec::new(),
            stash: Vec::new(),
            copies: Vec::new(),
        }
    }

    /// Another page.
    pub(crate) fn grow(&mut self) {
        let frames = self.kept.len() + self.frames_per_page;
        self.kept.resize(frames, 0);
        self.last_saved.resize(frames, 0);
    }

    /// Frames of all pages.
    pub(crate) fn frames_of_all(&self) -> usize {
        self.kept.len()
    }

    /// Everything in the pages that there are is to be copied.
    pub(crate) fn begin(&mut self, pool: &FramePool) {
        self.end();
        self.pool = Some(pool.clone());
        self.frames = self.kept.len();
        self.kept.fill(0);
        self.copies.reserve_exact(self.frames);
    }

    /// Nothing is copied any more.
    pub(crate) fn end(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(self.stash.drain(..).chain(self.copies.drain(..)));
        }
        self.frames = 0;
        self.saved.clear();
    }

    /// Whether there is anything to save before a write.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.pool.is_some()
    }

    /// Saves what is still needed of some words of a page that are about to be written to; `read` reads from that page.
    #[inline]
    pub(crate) fn before_write(
        &mut self,
        page: usize,
        words: Range<usize>,
        read: impl Fn(usize, &mut [u64]),
    ) {
        let frame_of = |word: usize| page * self.frames_per_page + word / FRAME_WORDS;
        let (first, last) = (frame_of(words.start), frame_of(words.end.max(words.start + 1) - 1));
        for frame in first..=last {
            if frame >= self.frames {
                return;
            }
            let from = if frame == first { words.start % FRAME_WORDS } else { 0 };
            let to = if frame == last {
                (words.end.max(words.start + 1) - 1) % FRAME_WORDS
            } else {
                FRAME_WORDS - 1
            };
            let due = mask(from / PIECE_WORDS, to / PIECE_WORDS) & !self.kept[frame];
            if due != 0 {
                self.save(frame, due, &read);
            }
        }
    }

    #[cold]
    fn save(&mut self, frame: usize, mut due: u16, read: &impl Fn(usize, &mut [u64])) {
        if self.kept[frame] == 0 {
            self.last_saved[frame] = 0;
        }
        self.kept[frame] |= due;
        while due != 0 {
            let piece = due.trailing_zeros() as usize;
            due &= due - 1;
            let at = self.saved.len() % PIECES;
            if at == 0 {
                self.stash.push(take(self.pool.as_ref()));
            }
            let start = frame % self.frames_per_page * FRAME_WORDS + piece * PIECE_WORDS;
            if let Some(stash) = self.stash.last_mut() {
                read(start, &mut stash[at * PIECE_WORDS..][..PIECE_WORDS]);
            }
            self.saved.push(Saved { piece: piece as u32, before: self.last_saved[frame] });
            self.last_saved[frame] = self.saved.len() as u32;
        }
    }

    /// Copies `frames` more frames, or all that are left, and returns how many; `read` reads from a page.
    pub(crate) fn copy_some(&mut self, frames: usize, read: impl Fn(usize, usize, &mut [u64])) -> usize {
        let first = self.copies.len();
        let end = self.frames.min(first.saturating_add(frames));
        for frame in first..end {
            let mut copy = take(self.pool.as_ref());
            if self.kept[frame] != ALL {
                let (page, start) =
                    (frame / self.frames_per_page, frame % self.frames_per_page * FRAME_WORDS);
                read(page, start, &mut copy[..]);
            }
            let mut next = if self.kept[frame] == 0 { 0 } else { self.last_saved[frame] as usize };
            while let Some(at) = next.checked_sub(1) {
                let Saved { piece, before } = self.saved[at];
                let held = &self.stash[at / PIECES][at % PIECES * PIECE_WORDS..][..PIECE_WORDS];
                copy[piece as usize * PIECE_WORDS..][..PIECE_WORDS].copy_from_slice(held);
                next = before as usize;
            }
            self.kept[frame] = ALL;
            self.copies.push(copy);
        }
        end - first
    }

    /// All frames, in order, once none is left.
    pub(crate) fn finish(&mut self) -> Vec<Frame> {
        debug_assert!(self.copies.len() == self.frames, "a frame was not copied");
        let copies = std::mem::take(&mut self.copies);
        self.end();
        copies
    }
}

fn take(pool: Option<&FramePool>) -> Frame {
    pool.map_or_else(empty, FramePool::take)
}

/// Bits `first..=last`.
#[inline]
fn mask(first: usize, last: usize) -> u16 {
    (ALL >> (PIECES - 1 - last)) & (ALL << first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of two frames, each with its capture.
    struct Pages {
        pages: Vec<Vec<u64>>,
        capture: Capture,
    }

    impl Pages {
        fn of(held: &[Vec<u64>]) -> Self {
            let mut pages = Self { pages: Vec::new(), capture: Capture::new(2) };
            for page in held {
                pages.push(page.clone());
            }
            pages
        }

        fn push(&mut self, page: Vec<u64>) {
            self.pages.push(page);
            self.capture.grow();
        }

        fn write(&mut self, page: usize, words: Range<usize>, value: u64) {
            let held = &self.pages[page];
            self.capture
                .before_write(page, words.clone(), |at, to| to.copy_from_slice(&held[at..][..to.len()]));
            self.pages[page][words].fill(value);
        }

        fn copy_some(&mut self, frames: usize) -> usize {
            let pages = &self.pages;
            self.capture.copy_some(frames, |page, at, to| to.copy_from_slice(&pages[page][at..][..to.len()]))
        }
    }

    #[test]
    fn the_copies_are_what_was_there_at_the_cut_whatever_was_written() {
        let pool = FramePool::default();
        pool.prepare(3);
        let at_the_cut: Vec<Vec<u64>> = (0..3)
            .map(|page| (0..2 * FRAME_WORDS as u64).map(|word| page * 10_000 + word).collect())
            .collect();
        let mut pages = Pages::of(&at_the_cut);
        // One that was given up leaves nothing behind.
        pages.capture.begin(&pool);
        pages.write(0, 7..8, 0);
        pages.write(0, 7..8, at_the_cut[0][7]);
        pages.capture.begin(&pool);
        pages.push(vec![7; 2 * FRAME_WORDS]);
        // A word, again, over the edge of two frames, a whole page, a page that came later.
        pages.write(0, 5..6, 1);
        pages.write(0, 5..40, 2);
        pages.write(0, FRAME_WORDS - 1..FRAME_WORDS + 33, 3);
        pages.write(2, 0..2 * FRAME_WORDS, 4);
        pages.write(3, 0..9, 5);
        assert_eq!(pages.copy_some(3), 3);
        // Behind what was copied, and before it.
        pages.write(0, 0..2 * FRAME_WORDS, 6);
        pages.write(1, FRAME_WORDS..FRAME_WORDS + 1, 6);
        assert_eq!((pages.copy_some(usize::MAX), pages.copy_some(1)), (3, 0));
        let copies: Vec<u64> =
            pages.capture.finish().iter().flat_map(|frame| frame.iter().copied()).collect();
        assert_eq!(copies, at_the_cut.concat());
    }

    #[test]
    fn a_write_saves_what_it_touches_once_and_no_more() {
        let pool = FramePool::default();
        let mut pages = Pages::of(&[vec![1; 2 * FRAME_WORDS]]);
        pages.capture.begin(&pool);
        for _ in 0..2 {
            pages.write(0, PIECE_WORDS - 1..PIECE_WORDS + 1, 2);
        }
        assert_eq!(pages.capture.saved.len(), 2);
        pages.capture.end();
        pages.write(0, 0..FRAME_WORDS, 3);
        assert!(pages.capture.saved.is_empty() && !pages.capture.is_on());
    }
}
