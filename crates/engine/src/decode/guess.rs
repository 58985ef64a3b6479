//! A short cut in front of the parsers: records that look like one before.
//!
//! record -> **guess** -> found, or gives way to tape
//!
//! A layout is a record without its values: the bytes between them, one after the other, and which of the values is
//! mapped. A record that has the same bytes between complete values has the same members in the same order, so the same
//! paths, the same depth and no duplicates; nothing else about it needs parsing. Arrays are taken to hold elements of
//! the first one's shape, any number of them.
//!
//! Holds: an accepted record gets exactly what the general parser would find, for: the layout came from a record that it
//! accepted; the record is UTF-8; it has neither a backslash nor a control character, so that a string ends at the
//! next quote and every byte in it is allowed; numbers are checked against the whole grammar, literals in full. In every
//! doubt it gives way. What was learned, and when, changes the speed only.
//! Not here: learning a layout (`layout`).

use super::found::{Found, Kind, Leaf};
use super::layout::{Action, Layout, Slot, Step};
use super::paths::Paths;
use super::survey::Survey;
use super::text;

/// Layouts kept, the one that matched last first. More cost a record that matches none too much.
const LAYOUTS_MAX: usize = 4;

/// Misses in a row after which guessing pauses, first for as many records, then twice as many each time ...
const MISSES_MAX: u32 = 8;
/// ... up to this many. All three arbitrary: a stream without a layout loses a few per cent.
const PAUSE_MAX: u32 = 1_024;

/// Misses up to which each is learned from; after that one in [`LEARN_EVERY`] is.
const LEARN_FIRST: u32 = 16;
const LEARN_EVERY: u32 = 64;

/// Arrays within arrays.
const ARRAYS_MAX: usize = 4;

/// The layouts met.
#[derive(Debug, Default)]
pub(super) struct Guess {
    layouts: Vec<Layout>,
    survey: Survey,
    misses: u32,
    misses_in_a_row: u32,
    pause: u32,
    next_pause: u32,
    learn: bool,
    /// Whether the last record matched, for tests.
    pub(super) matched: bool,
}

impl Guess {
    /// Fills `found` and returns true where the record has a known layout; else `found` is unspecified.
    pub(super) fn read(&mut self, record: &[u8], paths: &Paths, found: &mut Found) -> bool {
        (self.learn, self.matched) = (false, false);
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        if !self.survey.is_plain(record) {
            return false;
        }
        for index in 0..self.layouts.len() {
            found.reset(paths.leaves);
            if self.layouts[index].matches(record, &self.survey, found).is_some() {
                self.layouts.swap(0, index);
                self.matched = true;
                self.misses_in_a_row = 0;
                self.next_pause = MISSES_MAX;
                return true;
            }
        }
        self.miss();
        false
    }

    /// Whether the record that `read` just gave way for is worth learning from.
    pub(super) fn wants(&self) -> bool {
        self.learn
    }

    /// Learns from a record that the general parser accepted. Overwrites `found`.
    pub(super) fn learn(&mut self, record: &[u8], paths: &Paths, found: &mut Found, seen: &mut Vec<bool>) {
        self.learn = false;
        let mut layout = if self.layouts.len() < LAYOUTS_MAX {
            Layout::default()
        } else {
            self.layouts.pop().unwrap_or_default()
        };
        if layout.learn(record, paths, found, seen).is_some() {
            self.layouts.push(layout);
            let last = self.layouts.len() - 1;
            self.layouts.swap(0, last);
        }
    }

    fn miss(&mut self) {
        self.misses = self.misses.wrapping_add(1);
        self.misses_in_a_row += 1;
        self.learn = self.misses <= LEARN_FIRST || self.misses.is_multiple_of(LEARN_EVERY);
        if self.misses_in_a_row >= MISSES_MAX {
            self.misses_in_a_row = 0;
            self.pause = self.next_pause.max(MISSES_MAX);
            self.next_pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Layout {
    /// Finds the values of a plain record of this layout.
    fn matches(&self, record: &[u8], survey: &Survey, found: &mut Found) -> Option<()> {
        for &(leaf, kind) in &self.containers {
            found.leaves[usize::from(leaf)] = Leaf::of(kind);
        }
        let mut arrays = [0_usize; ARRAYS_MAX];
        let mut depth = 0;
        let mut at = 0;
        let mut index = 0;
        loop {
            let step = &self.steps[index];
            at = self.literal(step, record, at)?;
            match step.action {
                Action::Scalar(slot) => {
                    let (leaf, end) = scalar(record, survey, at)?;
                    match slot {
                        Slot::Nothing => {}
                        Slot::Leaf(id) => found.leaves[usize::from(id)] = leaf,
                        Slot::Parts(parts) => {
                            let line = found.lines.last_mut()?;
                            for (part, place) in line.iter_mut().enumerate() {
                                if parts & 1 << part != 0 {
                                    *place = leaf;
                                }
                            }
                        }
                    }
                    at = end;
                    index += 1;
                }
                Action::Array { behind, is_basket } => {
                    at = spaces(record, at);
                    if record.get(at) == Some(&b']') {
                        at += 1;
                        index = behind;
                        continue;
                    }
                    *arrays.get_mut(depth)? = index;
                    depth += 1;
                    index += 1;
                    if is_basket {
                        found.lines.push(Default::default());
                    }
                }
                Action::ElementEnd => {
                    let array = arrays[depth - 1];
                    let Action::Array { behind, is_basket } = self.steps[array].action else { return None };
                    at = spaces(record, at);
                    match record.get(at)? {
                        b',' => {
                            at = spaces(record, at + 1);
                            index = array + 1;
                            if is_basket {
                                found.lines.push(Default::default());
                            }
                        }
                        b']' => {
                            at += 1;
                            depth -= 1;
                            index = behind;
                        }
                        _ => return None,
                    }
                }
                Action::End => return (at == record.len()).then_some(()),
            }
        }
    }

    /// The place behind the bytes that must stand before the step's value.
    #[inline]
    fn literal(&self, step: &Step, record: &[u8], at: usize) -> Option<usize> {
        let len = usize::from(step.len);
        let words = &self.words[usize::from(step.word)..usize::from(step.word_end)];
        let Some(window) = record.get(at..at + words.len() * 8) else {
            let bytes = record.get(at..at + len)?;
            let same = words.iter().zip(bytes.chunks(8)).all(|(&known, bytes)| known == word(bytes));
            return same.then_some(at + len);
        };
        let (chunks, _) = window.as_chunks::<8>();
        let Some(((last, chunks), (known_last, known))) = chunks.split_last().zip(words.split_last()) else {
            return Some(at);
        };
        for (&known, chunk) in known.iter().zip(chunks) {
            if known != u64::from_le_bytes(*chunk) {
                return None;
            }
        }
        let differs = known_last ^ u64::from_le_bytes(*last);
        (differs & step.mask == 0).then_some(at + len)
    }
}

/// Up to eight bytes, the first in the lowest place.
pub(super) fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The scalar at `at` of a plain record, and the place behind it.
#[inline]
fn scalar(record: &[u8], survey: &Survey, at: usize) -> Option<(Leaf, usize)> {
    match *record.get(at)? {
        b'"' => {
            let end = survey.quote(at + 1)?;
            Some((Leaf::range(Kind::Text, at + 1, end), end + 1))
        }
        b'0'..=b'9' | b'-' => {
            let end = text::number_end(record, at)?;
            Some((Leaf::range(Kind::Number, at, end), end))
        }
        b't' => literal(record, at, b"true", Kind::True),
        b'f' => literal(record, at, b"false", Kind::False),
        b'n' => literal(record, at, b"null", Kind::Null),
        _ => None,
    }
}

fn literal(record: &[u8], at: usize, word: &[u8], kind: Kind) -> Option<(Leaf, usize)> {
    let end = at + word.len();
    (record.get(at..end) == Some(word)).then_some((Leaf::of(kind), end))
}

#[inline]
fn spaces(record: &[u8], mut at: usize) -> usize {
    while record.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}
