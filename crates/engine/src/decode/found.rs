//! What a parser found of a record: for every mapped path the place and the kind of its value.
//!
//! guess, scan, tape -> **found** -> read
//!
//! All parsers fill this, and only [`read`](super::read) looks into the bytes: so that they agree, it is enough that
//! they fill it alike. Holds: ranges lie in the record; nothing is copied out of it.
//! Not here: which paths are mapped (`paths`), what a value means (`read`).

use crate::reject::Subject;

/// What stands at a mapped path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Absent,
    Null,
    True,
    False,
    /// A number of JSON's grammar; the range is its text.
    Number,
    /// A string without escapes; the range is inside the quotes.
    Text,
    /// A string with escapes, all valid; the range is inside the quotes.
    Escaped,
    Object,
    Array,
}

/// The value at a mapped path. Only numbers and strings have a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) kind: Kind,
}

impl Leaf {
    pub(super) fn of(kind: Kind) -> Self {
        Self { start: 0, len: 0, kind }
    }

    pub(super) fn range(kind: Kind, start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32, kind }
    }

    /// The bytes as written.
    #[inline]
    pub(super) fn bytes(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..(self.start + self.len) as usize]
    }
}

/// A line of the basket: [`SKU`], [`QUANTITY`], [`PRICE`].
pub(super) type Line = [Leaf; 3];
pub(super) const SKU: usize = 0;
pub(super) const QUANTITY: usize = 1;
pub(super) const PRICE: usize = 2;

/// Lines past which the buffer of a big record is given back.
const LINES_KEPT: usize = 4_096;

/// Everything found of a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// By index of the mapped path.
    pub(super) leaves: Vec<Leaf>,
    /// The lines of the basket, where its path holds an array.
    pub(super) lines: Vec<Line>,
    /// Whether an element of the basket is not an object.
    pub(super) odd_line: bool,
    /// The first mapped path that occurred again.
    pub(super) duplicate: Option<Subject>,
}

impl Found {
    /// Nothing found yet of `leaves` mapped paths.
    #[inline]
    pub(super) fn reset(&mut self, leaves: usize) {
        if self.lines.capacity() > LINES_KEPT {
            self.lines = Vec::new();
        }
        self.lines.clear();
        self.leaves.clear();
        self.leaves.resize(leaves, Leaf::default());
        self.odd_line = false;
        self.duplicate = None;
    }
}

/// Puts a value into parts of the present line, by their bits.
#[inline]
pub(super) fn put_parts(lines: &mut [Line], parts: u8, leaf: Leaf) {
    if let Some(line) = lines.last_mut() {
        for (part, slot) in line.iter_mut().enumerate() {
            if parts & 1 << part != 0 {
                *slot = leaf;
            }
        }
    }
}
