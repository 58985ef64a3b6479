//! Rows of words by number, all of one width, in pages that a snapshot copies.
//!
//! waiting -> **rows** -> capture
//!
//! Holds: which number a row gets depends on the rows added and removed before it and on nothing else, and so does every word of the pages.

use crate::window::capture::{FRAME_WORDS, Frame, FramePool};
use crate::window::pages::{Pages, Words};

/// Frames of a page: 16 KiB, so that the 64 shards of a small state are small.
const FRAMES: usize = 4;

/// Words of [`Rows::begin_capture`].
pub(super) const ROWS_HEAD_WORDS: usize = 2;
/// In a row's first word: it is taken. In the list of free rows: none follows.
const TAKEN: u64 = u64::MAX;
const NONE: u64 = u64::MAX - 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Rows {
    pages: Pages<RowPage>,
    /// Words of a row; the first says whether it is taken.
    width: usize,
    used: usize,
    free: u64,
    taken: usize,
}

#[derive(Debug)]
struct RowPage(Box<[u64; FRAMES * FRAME_WORDS]>);

impl Words for RowPage {
    fn read(&self, start: usize, to: &mut [u64]) {
        to.copy_from_slice(&self.0[start..][..to.len()]);
    }
}

impl RowPage {
    /// Of words, or zeros behind them.
    fn of(words: &[u64]) -> Self {
        let mut page = Box::new([0; FRAMES * FRAME_WORDS]);
        page[..words.len()].copy_from_slice(words);
        Self(page)
    }
}

impl Rows {
    /// No rows, of so many words, at most a frame's.
    pub(super) fn new(words: usize) -> Self {
        assert!(words < FRAME_WORDS, "a row lies in one frame");
        Self { pages: Pages::new(FRAMES * FRAME_WORDS), width: words + 1, used: 0, free: NONE, taken: 0 }
    }

    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    pub(super) fn get(&self, row: u32) -> &[u64] {
        let (page, start) = self.place(row);
        &self.pages[page].0[start + 1..start + self.width]
    }

    pub(super) fn get_mut(&mut self, row: u32) -> &mut [u64] {
        &mut self.whole_mut(row)[1..]
    }

    /// A row of zeros.
    pub(super) fn add(&mut self) -> u32 {
        self.taken += 1;
        let row = match u32::try_from(self.free) {
            Ok(row) => {
                let (page, start) = self.place(row);
                self.free = self.pages[page].0[start];
                row
            }
            Err(_) => {
                if self.used == self.pages.len() * FRAMES * self.per_frame() {
                    self.pages.push(RowPage::of(&[]));
                }
                self.used += 1;
                (self.used - 1) as u32
            }
        };
        self.whole_mut(row)[0] = TAKEN;
        row
    }

    pub(super) fn remove(&mut self, row: u32) {
        let next = self.free;
        let words = self.whole_mut(row);
        words.fill(0);
        words[0] = next;
        self.free = row.into();
        self.taken -= 1;
    }

    /// The numbers of the rows that are taken.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        (0..self.used as u32).filter(|&row| {
            let (page, start) = self.place(row);
            self.pages[page].0[start] == TAKEN
        })
    }

    fn per_frame(&self) -> usize {
        FRAME_WORDS / self.width
    }

    /// Page, first word in it.
    fn place(&self, row: u32) -> (usize, usize) {
        let (frame, at) = (row as usize / self.per_frame(), row as usize % self.per_frame());
        (frame / FRAMES, frame % FRAMES * FRAME_WORDS + at * self.width)
    }

    fn whole_mut(&mut self, row: u32) -> &mut [u64] {
        let (page, start) = self.place(row);
        let words = start..start + self.width;
        &mut self.pages.write(page, words.clone()).0[words]
    }

    /// Frames that a snapshot copies.
    pub(super) fn frames(&self) -> usize {
        self.pages.frames()
    }

    /// The cut; returns what is not in pages, as of now.
    pub(super) fn begin_capture(&mut self, pool: &FramePool) -> [u64; ROWS_HEAD_WORDS] {
        self.pages.begin_capture(pool);
        [self.used as u64, self.free]
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

    /// The rows as they were: what [`Rows::begin_capture`] returned, and the frames of all pages, one after the other. None where they do
    /// not fit each other.
    pub(super) fn restore(words: usize, head: [u64; ROWS_HEAD_WORDS], frames: &[u64]) -> Option<Self> {
        let mut rows = Self { used: head[0] as usize, free: head[1], ..Self::new(words) };
        for words in frames.chunks(FRAMES * FRAME_WORDS) {
            rows.pages.push(RowPage::of(words));
        }
        let room = rows.pages.len() * FRAMES * rows.per_frame();
        if !frames.len().is_multiple_of(FRAMES * FRAME_WORDS) || rows.used > room {
            return None;
        }
        rows.taken = rows.numbers().count();
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_removed_is_the_next_that_is_given_out() {
        let mut rows = Rows::new(200);
        let all: Vec<u32> = (0..20).map(|_| rows.add()).collect();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        rows.get_mut(7)[0] = 5;
        rows.remove(7);
        rows.remove(3);
        assert_eq!((rows.len(), rows.add(), rows.add(), rows.add()), (18, 3, 7, 20));
        assert_eq!(rows.get(7), [0; 200]);
    }

    #[test]
    fn rows_come_back_as_they_were_at_the_cut() {
        let (mut rows, pool) = (Rows::new(60), FramePool::default());
        for row in 0..100 {
            let row = (rows.add(), row);
            rows.get_mut(row.0)[59] = row.1;
        }
        rows.remove(98);
        let head = rows.begin_capture(&pool);
        rows.get_mut(1)[59] = 777;
        rows.remove(2);
        rows.add();
        rows.add();
        while rows.capture_some(1) > 0 {}
        let frames: Vec<u64> = rows.end_capture().iter().flat_map(|frame| frame.iter().copied()).collect();
        let mut back = Rows::restore(60, head, &frames).expect("they fit");
        let held: Vec<u64> = back.numbers().map(|row| back.get(row)[59]).collect();
        assert_eq!(held, (0..100).filter(|&row| row != 98).collect::<Vec<_>>());
        assert_eq!((back.len(), back.add(), back.add()), (99, 98, 100));
        assert!(Rows::restore(60, [1_000, NONE], &frames).is_none());
    }
}
