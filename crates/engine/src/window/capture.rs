//! Copy-on-write: what pages held when a snapshot was cut.
//!
//! arena, slots -> **capture** -> snapshot
//!
//! At the cut every frame of every page is noted as unsaved, a bit each. From then on whoever writes to an unsaved frame copies it first,
//! and between batches the engine copies some more, until none is left. So the cut costs microseconds whatever the state holds, and
//! the copies together are the state as of the cut.
//!
//! Holds: a frame is copied once, as it was at the cut; pages added later are no part of it. Copies lie in memory that somebody else
//! touched before ([`FramePool::prepare`]): an event must not wait for the system to find some.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Words of a frame: 4 KiB. Smaller ones cost more to note than to copy, larger ones copy more than what is written.
pub(crate) const FRAME_WORDS: usize = 512;

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

/// Copies of frames, by number: page × frames of a page + frame.
pub(crate) type Copies = Vec<(u32, Frame)>;

/// The copies of one list of pages, while they are made.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Of each page that was there at the cut, a bit for each frame that is not copied yet.
    unsaved: Vec<u64>,
    frames_per_page: usize,
    /// Pages before it are done.
    next: usize,
    copies: Copies,
    pool: FramePool,
}

impl Capture {
    /// Everything in so many pages is to be copied; a page has at most 64 frames.
    pub(crate) fn begin(pages: usize, frames_per_page: usize, pool: &FramePool) -> Self {
        assert!((1..=64).contains(&frames_per_page), "a word has a bit for each frame of a page");
        let all = u64::MAX >> (64 - frames_per_page);
        Self {
            unsaved: vec![all; pages],
            frames_per_page,
            next: 0,
            copies: Vec::with_capacity(pages * frames_per_page),
            pool: pool.clone(),
        }
    }

    /// Whether a write to frames `first..=last` of a page needs [`Capture::save`] before it.
    #[inline]
    pub(crate) fn wants(&self, page: usize, first: usize, last: usize) -> bool {
        self.unsaved.get(page).is_some_and(|unsaved| unsaved & mask(first, last) != 0)
    }

    /// Copies what is unsaved of frames `first..=last` of a page; `copy` fills a frame of that page.
    #[cold]
    pub(crate) fn save(
        &mut self,
        page: usize,
        first: usize,
        last: usize,
        mut copy: impl FnMut(usize, &mut [u64; FRAME_WORDS]),
    ) {
        let mut due = self.unsaved[page] & mask(first, last);
        self.unsaved[page] ^= due;
        while due != 0 {
            let frame = due.trailing_zeros() as usize;
            due &= due - 1;
            let mut to = self.pool.take();
            copy(frame, &mut to);
            self.copies.push(((page * self.frames_per_page + frame) as u32, to));
        }
    }

    /// Copies at least `frames` more frames, or all that are left, and returns how many; `copy` fills a frame of a page.
    pub(crate) fn save_some(
        &mut self,
        frames: usize,
        mut copy: impl FnMut(usize, usize, &mut [u64; FRAME_WORDS]),
    ) -> usize {
        let before = self.copies.len();
        while self.copies.len() - before < frames
            && let Some(page) = self.next_page()
        {
            self.save(page, 0, self.frames_per_page - 1, |frame, to| copy(page, frame, to));
        }
        self.copies.len() - before
    }

    /// The next page that has unsaved frames.
    fn next_page(&mut self) -> Option<usize> {
        while self.next < self.unsaved.len() && self.unsaved[self.next] == 0 {
            self.next += 1;
        }
        (self.next < self.unsaved.len()).then_some(self.next)
    }

    /// All copies, in the order of their numbers, once there is no next page.
    pub(crate) fn finish(mut self) -> Copies {
        debug_assert!(self.unsaved.iter().all(|&unsaved| unsaved == 0), "a frame was not copied");
        self.copies.sort_unstable_by_key(|&(number, _)| number);
        self.copies
    }
}

/// Bits `first..=last`.
#[inline]
fn mask(first: usize, last: usize) -> u64 {
    (u64::MAX >> (63 - last)) & (u64::MAX << first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_copied_once_as_it_was_at_the_cut() {
        let pool = FramePool::default();
        pool.prepare(3);
        let mut pages = vec![vec![1; 2 * FRAME_WORDS], vec![2; 2 * FRAME_WORDS]];
        let mut capture = Capture::begin(pages.len(), 2, &pool);
        pages.push(vec![3; 2 * FRAME_WORDS]);
        let mut write = |capture: &mut Capture, page: usize, frame: usize, value: u64| {
            if capture.wants(page, frame, frame) {
                capture.save(page, frame, frame, |frame, to| {
                    to.copy_from_slice(&pages[page][frame * FRAME_WORDS..][..FRAME_WORDS]);
                });
            }
            pages[page][frame * FRAME_WORDS] = value;
        };
        write(&mut capture, 1, 1, 9);
        write(&mut capture, 1, 1, 10);
        write(&mut capture, 2, 0, 11);
        let copied = capture.save_some(1, |page, frame, to| {
            to.copy_from_slice(&pages[page][frame * FRAME_WORDS..][..FRAME_WORDS]);
        });
        assert_eq!(copied, 2, "a page at a time");
        assert!(capture.next_page().is_some_and(|page| page == 1));
        capture.save_some(usize::MAX, |page, frame, to| {
            to.copy_from_slice(&pages[page][frame * FRAME_WORDS..][..FRAME_WORDS]);
        });
        let copies = capture.finish();
        let found: Vec<_> = copies.iter().map(|(number, frame)| (*number, frame[0])).collect();
        assert_eq!(found, [(0, 1), (1, 1), (2, 2), (3, 2)]);
    }
}
