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

use std::mem::MaybeUninit;
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

/// Memory for copies, shared by the shards that copy and the thread that writes the copies out. It stays from one snapshot to the next: what the
/// engine's thread would free, or find anew, an event would wait for.
#[derive(Clone, Debug, Default)]
pub struct FramePool {
    held: Arc<Mutex<Held>>,
}

/// Locked for a few moves of pointers at a time: neither thread waits for what the other does with frames.
#[derive(Debug, Default)]
struct Held {
    /// Frames, in the lists that they came in.
    full: Vec<Vec<Frame>>,
    /// Lists without frames, whose memory is there.
    empty: Vec<Vec<Frame>>,
    /// Frames that were taken and not given back, and the most that there were since the pool was prepared.
    out: usize,
    most_out: usize,
}

/// What a snapshot takes of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    pub frames: usize,
    /// Lists of copies that are filled or written out at a time.
    pub lists: usize,
    /// Frames of the longest of them.
    pub list_frames: usize,
}

impl FramePool {
    /// Makes what is missing, touches it, and frees what neither this snapshot nor the one before it needs. For any thread but the engine's,
    /// while no snapshot is being taken.
    pub fn prepare(&self, needed: Needed) {
        let (full, spare, wanted) = {
            let mut held = self.held();
            let wanted = needed.frames.max(held.most_out);
            held.most_out = held.out;
            (std::mem::take(&mut held.full), std::mem::take(&mut held.empty), wanted)
        };
        let mut frames = Vec::with_capacity(wanted);
        // Room for the lists of frames that are given back: one more for each.
        let mut empty = Vec::with_capacity(2 * needed.lists + full.len());
        for mut list in full.into_iter().chain(spare) {
            frames.extend(list.drain(..list.len().min(wanted - frames.len())));
            list.clear();
            if list.capacity() >= needed.list_frames && empty.len() < needed.lists {
                empty.push(list);
            }
        }
        frames.resize_with(wanted, touched);
        empty.resize_with(needed.lists, || touched_list(needed.list_frames));
        let mut full = Vec::with_capacity(2 * needed.lists + 1);
        full.push(frames);
        let mut held = self.held();
        // What came back meanwhile, of one that was given up.
        full.append(&mut held.full);
        empty.append(&mut held.empty);
        (held.full, held.empty) = (full, empty);
    }

    /// Makes as many ready, where fewer are: for the time in which a snapshot is taken. For any thread but the engine's.
    pub fn refill(&self, frames: usize) {
        let missing = frames.saturating_sub(self.frames());
        if missing > 0 {
            let mut made = Vec::with_capacity(missing);
            made.resize_with(missing, touched);
            self.held().full.push(made);
        }
    }

    /// Frames that are ready.
    pub fn frames(&self) -> usize {
        self.held().full.iter().map(Vec::len).sum()
    }

    pub(crate) fn take(&self) -> Frame {
        let taken = self.held().take();
        taken.unwrap_or_else(zeros)
    }

    /// A list without frames and with room for so many.
    pub(crate) fn list(&self, frames: usize) -> Vec<Frame> {
        let mut list = self.held().empty.pop().unwrap_or_default();
        list.reserve_exact(frames);
        list
    }

    pub(crate) fn give_back(&self, frames: Vec<Frame>) {
        let mut held = self.held();
        held.out = held.out.saturating_sub(frames.len());
        if !frames.is_empty() {
            held.full.push(frames);
        } else if frames.capacity() > 0 {
            held.empty.push(frames);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// A frame, if one is ready.
    fn take(&mut self) -> Option<Frame> {
        self.out += 1;
        self.most_out = self.most_out.max(self.out);
        loop {
            if let Some(frame) = self.full.last_mut()?.pop() {
                return Some(frame);
            }
            self.empty.extend(self.full.pop());
        }
    }
}

/// A frame of zeros; never on the stack.
fn zeros() -> Frame {
    vec![0; FRAME_WORDS].into_boxed_slice().try_into().expect("it has the length of a frame")
}

/// A frame that was written to.
fn touched() -> Frame {
    let mut frame = zeros();
    frame[0] = std::hint::black_box(0);
    frame
}

/// A list without frames, with room for so many that was written to.
fn touched_list(frames: usize) -> Vec<Frame> {
    let mut list = Vec::with_capacity(frames);
    list.spare_capacity_mut().fill_with(MaybeUninit::zeroed);
    std::hint::black_box(&mut list);
    list
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
    /// Pieces that are saved, what they held, [`PIECES`] to a frame of the pool, and a note of each, [`FRAME_WORDS`] to one.
    saved: usize,
    stash: Vec<Frame>,
    notes: Vec<Frame>,
    copies: Vec<Frame>,
}

/// A note of a piece that was saved: which of its frame, and the one of the same frame that was saved before, as in `last_saved`.
fn note(piece: usize, before: u32) -> u64 {
    (piece as u64) << u32::BITS | u64::from(before)
}

/// A note again.
fn noted(note: u64) -> (usize, u32) {
    ((note >> u32::BITS) as usize, note as u32)
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
            saved: 0,
            stash: Vec::new(),
            notes: Vec::new(),
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
    }

    /// Nothing is copied any more.
    pub(crate) fn end(&mut self) {
        if let Some(pool) = self.pool.take() {
            let mut frames = pool.list(self.stash.len() + self.notes.len());
            frames.append(&mut self.stash);
            frames.append(&mut self.notes);
            pool.give_back(frames);
            pool.give_back(std::mem::take(&mut self.copies));
        }
        (self.frames, self.saved) = (0, 0);
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
            let (at, note_at) = (self.saved % PIECES, self.saved % FRAME_WORDS);
            if at == 0 {
                self.stash.push(take(self.pool.as_ref()));
            }
            if note_at == 0 {
                self.notes.push(take(self.pool.as_ref()));
            }
            let start = frame % self.frames_per_page * FRAME_WORDS + piece * PIECE_WORDS;
            if let (Some(stash), Some(notes)) = (self.stash.last_mut(), self.notes.last_mut()) {
                read(start, &mut stash[at * PIECE_WORDS..][..PIECE_WORDS]);
                notes[note_at] = note(piece, self.last_saved[frame]);
            }
            self.saved += 1;
            self.last_saved[frame] = self.saved as u32;
        }
    }

    /// Copies `frames` more frames, or all that are left, and returns how many; `read` reads from a page.
    pub(crate) fn copy_some(&mut self, frames: usize, read: impl Fn(usize, usize, &mut [u64])) -> usize {
        let first = self.copies.len();
        let end = self.frames.min(first.saturating_add(frames));
        if self.copies.capacity() == 0
            && end > first
            && let Some(pool) = &self.pool
        {
            self.copies = pool.list(self.frames);
        }
        for frame in first..end {
            let mut copy = take(self.pool.as_ref());
            if self.kept[frame] != ALL {
                let (page, start) =
                    (frame / self.frames_per_page, frame % self.frames_per_page * FRAME_WORDS);
                read(page, start, &mut copy[..]);
            }
            let mut next = if self.kept[frame] == 0 { 0 } else { self.last_saved[frame] as usize };
            while let Some(at) = next.checked_sub(1) {
                let (piece, before) = noted(self.notes[at / FRAME_WORDS][at % FRAME_WORDS]);
                let held = &self.stash[at / PIECES][at % PIECES * PIECE_WORDS..][..PIECE_WORDS];
                copy[piece * PIECE_WORDS..][..PIECE_WORDS].copy_from_slice(held);
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
    pool.map_or_else(zeros, FramePool::take)
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
        pool.prepare(Needed { frames: 3, lists: 1, list_frames: 6 });
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
        assert_eq!(pages.capture.saved, 2);
        pages.capture.end();
        pages.write(0, 0..FRAME_WORDS, 3);
        assert!(pages.capture.saved == 0 && !pages.capture.is_on());
    }
}
