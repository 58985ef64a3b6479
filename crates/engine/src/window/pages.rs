//! Words in pages of one size, of which a snapshot can be taken while they are written to.
//!
//! arena, slots, rows -> **pages** -> capture
//!
//! Holds: there is no way to a page's words to write that passes by the capture.
//! Not here: what the words mean.

use crate::window::capture::{Capture, FRAME_WORDS, Frame, FramePool};
use std::ops::{Index, Range};

/// A page, seen as words.
pub(crate) trait Words {
    /// Copies the words from `start` on; start and length are multiples of a piece of a frame.
    fn read(&self, start: usize, to: &mut [u64]);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pages<P> {
    list: Vec<P>,
    capture: Capture,
}

impl<P: Words> Pages<P> {
    /// No pages, of so many words.
    pub(crate) fn new(page_words: usize) -> Self {
        Self { list: Vec::new(), capture: Capture::new(page_words / FRAME_WORDS) }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn push(&mut self, page: P) {
        self.list.push(page);
        self.capture.grow();
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, P> {
        self.list.iter()
    }

    /// A page of which some words are about to be written to, and no others.
    #[inline]
    pub(crate) fn write(&mut self, page: usize, words: Range<usize>) -> &mut P {
        if self.capture.is_on() {
            self.save(page, words);
        }
        &mut self.list[page]
    }

    /// The same of two different pages, the first of which is read only. None where they are one.
    pub(crate) fn read_and_write(
        &mut self,
        from: usize,
        to: usize,
        words: Range<usize>,
    ) -> Option<(&P, &mut P)> {
        if self.capture.is_on() {
            self.save(to, words);
        }
        let [from, to] = self.list.get_disjoint_mut([from, to]).ok()?;
        Some((from, to))
    }

    #[cold]
    fn save(&mut self, page: usize, words: Range<usize>) {
        let held = &self.list[page];
        self.capture.before_write(page, words, |start, to| held.read(start, to));
    }

    /// Frames that a snapshot copies.
    pub(crate) fn frames(&self) -> usize {
        self.capture.frames_of_all()
    }

    /// The cut: from here on everything is saved before it is written to.
    pub(crate) fn begin_capture(&mut self, pool: &FramePool) {
        self.capture.begin(pool);
    }

    /// Copies `frames` more frames, or all that are left; returns how many.
    pub(crate) fn capture_some(&mut self, frames: usize) -> usize {
        let list = &self.list;
        let read = |page: usize, start, to: &mut [u64]| list[page].read(start, to);
        self.capture.copy_some(frames, read)
    }

    /// Copies no more.
    pub(crate) fn abandon_capture(&mut self) {
        self.capture.end();
    }

    /// All frames as they were at the cut, once there is nothing left to copy.
    pub(crate) fn end_capture(&mut self) -> Vec<Frame> {
        self.capture.finish()
    }
}

impl<P> Index<usize> for Pages<P> {
    type Output = P;

    #[inline]
    fn index(&self, page: usize) -> &P {
        &self.list[page]
    }
}
