//! The independent judge: simd-json judges the record, its structural positions lead through it.
//!
//! scan has accepted a record -> **tape** -> the guess may learn it
//!
//! simd-json's tape has numbers as values, not as text, and does not say where anything stood. Its first stage does: it
//! leaves the position of every bracket, colon, comma, and start of a string or scalar. Once the tape is built the
//! record is known to be valid JSON of allowed depth, and one walk over these positions in the original bytes finds
//! what is mapped without looking at any byte twice. Holds: the record is copied before (simd-json writes into it);
//! nothing is allocated once the buffers have grown. simd-json refuses some of JSON too (an integer past 64 bits,
//! 1e400): such records are not learned.

use super::found::{Found, Kind, Leaf};
use super::paths::{Paths, Place, Target, Walk};
use super::scan::Scratch;
use super::text;
use crate::limits::JSON_DEPTH_MAX;
use simd_json::{Buffers, INPUT_PADDING, Tape};

/// Records longer than this give their buffers back, bytes. Arbitrary; checkouts have 500.
const KEPT_BYTES: usize = 1024 * 1024;

/// simd-json's buffers.
pub(super) struct Reader {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Option<Tape<'static>>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            copy: Vec::new(),
            buffers: Buffers::with_max_depth(512, JSON_DEPTH_MAX),
            tape: Some(Tape::null()),
        }
    }

    /// Fills `found` and returns true where the record is an object that simd-json accepts; else `found` is unspecified.
    pub(super) fn read(
        &mut self,
        record: &[u8],
        paths: &Paths,
        found: &mut Found,
        scratch: &mut Scratch,
    ) -> bool {
        if self.copy.capacity() > KEPT_BYTES {
            *self = Self::new();
        }
        self.copy.clear();
        self.copy.extend_from_slice(record);
        self.copy.resize(record.len() + INPUT_PADDING, b' ');
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let accepted =
            simd_json::fill_tape_padded(&mut self.copy, record.len(), &mut self.buffers, &mut tape);
        let accepted = accepted.is_ok();
        self.tape = Some(tape.reset());
        accepted && {
            let has_escapes = record.contains(&b'\\');
            let positions = Positions { record, has_escapes, list: self.buffers.structural_indexes() };
            positions.walk(Walk::new(paths, found, &mut scratch.seen), &mut scratch.name)
        }
    }
}

/// A valid record and the positions of its structure.
struct Positions<'a> {
    record: &'a [u8],
    /// Whether there is any backslash.
    has_escapes: bool,
    list: &'a [u32],
}

impl Positions<'_> {
    fn walk(&self, mut walk: Walk<'_>, name: &mut Vec<u8>) -> bool {
        if self.byte(0) != b'{' {
            return false;
        }
        let mut stack = [(Place::Unmapped, false); JSON_DEPTH_MAX];
        let mut depth = 1;
        stack[0] = (walk.object(walk.root()), true);
        let mut at = 1;
        while depth > 0 {
            let (place, is_object) = stack[depth - 1];
            // Here stands a comma, a closing bracket, or, behind the opening one, the first member or element.
            match self.byte(at) {
                b'}' | b']' => {
                    depth -= 1;
                    at += 1;
                    continue;
                }
                b',' => at += 1,
                _ => {}
            }
            let target = if is_object {
                let target = self.member(at, place, &mut walk, name);
                at += 2;
                target
            } else {
                Walk::element(place)
            };
            let first = self.byte(at);
            if first != b'{' && first != b'[' {
                if target != Target::Nothing {
                    walk.scalar(target, self.leaf(at, first));
                }
                at += 1;
                continue;
            }
            let inner = if first == b'{' { walk.object(target) } else { walk.array(target) };
            if inner == Place::Unmapped {
                at = self.behind(at);
            } else {
                stack[depth] = (inner, first == b'{');
                depth += 1;
                at += 1;
            }
        }
        true
    }

    /// What the member whose name is at `at` is to the schema.
    fn member(&self, at: usize, place: Place, walk: &mut Walk<'_>, name: &mut Vec<u8>) -> Target {
        let inside = self.string(at);
        if self.is_escaped(inside) {
            name.clear();
            text::unescape(inside, name);
            return walk.member(place, name);
        }
        walk.member(place, inside)
    }

    /// The scalar at `at`, which is not the last position.
    fn leaf(&self, at: usize, first: u8) -> Leaf {
        let start = self.list[at] as usize;
        match first {
            b'"' => {
                let inside = self.string(at);
                let kind = if self.is_escaped(inside) { Kind::Escaped } else { Kind::Text };
                Leaf::range(kind, start + 1, start + 1 + inside.len())
            }
            b't' => Leaf::of(Kind::True),
            b'f' => Leaf::of(Kind::False),
            b'n' => Leaf::of(Kind::Null),
            _ => Leaf::range(Kind::Number, start, self.end(at)),
        }
    }

    fn is_escaped(&self, inside: &[u8]) -> bool {
        self.has_escapes && inside.contains(&b'\\')
    }

    /// The inside of the string at `at`.
    #[inline]
    fn string(&self, at: usize) -> &[u8] {
        &self.record[self.list[at] as usize + 1..self.end(at) - 1]
    }

    /// Where the scalar at `at` ends: before the next position, white space apart.
    fn end(&self, at: usize) -> usize {
        let mut end = self.list[at + 1] as usize;
        while matches!(self.record[end - 1], b' ' | b'\t' | b'\n' | b'\r') {
            end -= 1;
        }
        end
    }

    /// The position behind the container that opens at `at`.
    fn behind(&self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        loop {
            match self.byte(at) {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                return at;
            }
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.record[self.list[at] as usize]
    }
}
