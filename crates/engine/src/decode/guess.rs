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
        if !is_plain(record) {
            return false;
        }
        for index in 0..self.layouts.len() {
            found.reset(paths.leaves);
            if self.layouts[index].matches(record, found).is_some() {
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

/// UTF-8 without a backslash or a control character.
fn is_plain(record: &[u8]) -> bool {
    let (mut odd, mut high) = (false, 0);
    for &byte in record {
        odd |= byte < 0x20 || byte == b'\\';
        high |= byte;
    }
    !odd && (high < 0x80 || std::str::from_utf8(record).is_ok())
}

impl Layout {
    /// Finds the values of a plain record of this layout.
    fn matches(&self, record: &[u8], found: &mut Found) -> Option<()> {
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
                    let (leaf, end) = scalar(record, at)?;
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
        let bytes = match record.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            Some(bytes) => u128::from_le_bytes(*bytes),
            None => last(record.get(at..)?),
        };
        if (bytes ^ step.head) & step.mask != 0 {
            return None;
        }
        if len > 16 {
            let tail = &self.tails[step.tail.0 as usize..step.tail.1 as usize];
            if record.get(at + 16..at + len) != Some(tail) {
                return None;
            }
        }
        // Where the record ends early, the zeros behind it differ from every literal: none has a control character.
        Some(at + len)
    }
}

/// Fewer than 16 bytes at the end of a record, zeros behind them.
#[cold]
fn last(rest: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// The scalar at `at` of a plain record, and the place behind it.
#[inline]
fn scalar(record: &[u8], at: usize) -> Option<(Leaf, usize)> {
    let first = *record.get(at)?;
    if first == b'"' {
        let end = quote(record, at + 1)?;
        return Some((Leaf::range(Kind::Text, at + 1, end), end + 1));
    }
    match first {
        b't' => literal(record, at, b"true", Kind::True),
        b'f' => literal(record, at, b"false", Kind::False),
        b'n' => literal(record, at, b"null", Kind::Null),
        _ => {
            let end = text::number_end(record, at)?;
            Some((Leaf::range(Kind::Number, at, end), end))
        }
    }
}

fn literal(record: &[u8], at: usize, word: &[u8], kind: Kind) -> Option<(Leaf, usize)> {
    let end = at + word.len();
    (record.get(at..end) == Some(word)).then_some((Leaf::of(kind), end))
}

/// The next quote from `at` on, eight bytes at a time. (A bitmap of all quotes made beforehand was tried: with SSE2 as
/// fast as this, 190 ns a record of 500 bytes, in words of 64 bits slower, 310.)
#[inline]
fn quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let differs = u64::from_le_bytes(*chunk) ^ QUOTES;
        // The lowest mark is at the first zero byte of `differs`; marks above it may be false.
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| byte == b'"').map(|offset| at + offset)
}

#[inline]
fn spaces(record: &[u8], mut at: usize) -> usize {
    while record.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}
