//! The general parser: what a record is, by definition.
//!
//! guess, when the layout differs -> **scan** -> found
//!
//! RFC 8259 to the letter, and no more. Holds: one pass, no recursion, nothing allocated; the
//! first fault in the order of the bytes is the reason, and bytes that are no UTF-8 come before all others. Not here: what values mean.

use super::found::{Found, Kind, Leaf};
use super::paths::{Paths, Place, Target, Walk};
use super::text;
use crate::limits::JSON_DEPTH_MAX;
use crate::reject::{Reason, Reject, Subject};

/// U+FEFF in UTF-8, which some tools write in front of a text. It is no white space of JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Buffers that parsing needs, kept between records.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) seen: Vec<bool>,
    pub(super) name: Vec<u8>,
}

/// Parses a record. A duplicate is noted in `found`, not returned: other faults come before it.
pub(super) fn scan(
    record: &[u8],
    paths: &Paths,
    found: &mut Found,
    scratch: &mut Scratch,
) -> Result<(), Reject> {
    if std::str::from_utf8(record).is_err() {
        return Err(Reject::record(Reason::InvalidUtf8));
    }
    let mut scan = Scan {
        record,
        at: 0,
        depth: 0,
        stack: [(Place::Unmapped, false); JSON_DEPTH_MAX],
        walk: Walk::new(paths, found, &mut scratch.seen),
        name: &mut scratch.name,
    };
    let is_object = scan.peek() == Some(b'{');
    scan.text().map_err(|reason| {
        let is_marked = reason == Reason::InvalidJson && record.starts_with(BYTE_ORDER_MARK);
        Reject { reason, subject: if is_marked { Subject::Marked } else { Subject::Record } }
    })?;
    if is_object { Ok(()) } else { Err(Reject::record(Reason::NotAnObject)) }
}

struct Scan<'a> {
    record: &'a [u8],
    at: usize,
    depth: usize,
    /// The open containers: what is inside, and whether it is an object.
    stack: [(Place, bool); JSON_DEPTH_MAX],
    walk: Walk<'a>,
    name: &'a mut Vec<u8>,
}

impl Scan<'_> {
    /// The whole record: one value, and white space.
    fn text(&mut self) -> Result<(), Reason> {
        let mut target = self.walk.root();
        loop {
            let opened = self.value(target)?;
            if opened && !self.closes() {
                target = self.inside()?;
                continue;
            }
            // A value is done, and with it perhaps the containers around it.
            loop {
                if self.depth == 0 {
                    return if self.peek().is_none() { Ok(()) } else { Err(Reason::InvalidJson) };
                }
                if self.take(b',') {
                    target = self.inside()?;
                    break;
                }
                if !self.closes() {
                    return Err(Reason::InvalidJson);
                }
            }
        }
    }

    /// A scalar, or the opening of a container (true).
    fn value(&mut self, target: Target) -> Result<bool, Reason> {
        let first = self.peek().ok_or(Reason::InvalidJson)?;
        let start = self.at;
        let (leaf, end) = match first {
            b'{' | b'[' => {
                if self.depth == JSON_DEPTH_MAX {
                    return Err(Reason::TooDeep);
                }
                let is_object = first == b'{';
                let place = if is_object { self.walk.object(target) } else { self.walk.array(target) };
                self.stack[self.depth] = (place, is_object);
                self.depth += 1;
                self.at += 1;
                return Ok(true);
            }
            b'"' => {
                let (end, escaped) = text::string_end(self.record, start + 1).ok_or(Reason::InvalidJson)?;
                let kind = if escaped { Kind::Escaped } else { Kind::Text };
                (Leaf::range(kind, start + 1, end), end + 1)
            }
            b't' => (Leaf::of(Kind::True), self.literal(b"true")?),
            b'f' => (Leaf::of(Kind::False), self.literal(b"false")?),
            b'n' => (Leaf::of(Kind::Null), self.literal(b"null")?),
            _ => {
                let end = text::number_end(self.record, start).ok_or(Reason::InvalidJson)?;
                (Leaf::range(Kind::Number, start, end), end)
            }
        };
        self.at = end;
        self.walk.scalar(target, leaf);
        Ok(false)
    }

    /// The next member up to its value, or the next element: what the value is.
    fn inside(&mut self) -> Result<Target, Reason> {
        let (place, is_object) = self.stack[self.depth - 1];
        if !is_object {
            return Ok(Walk::element(place));
        }
        if !self.take(b'"') {
            return Err(Reason::InvalidJson);
        }
        let (end, escaped) = text::string_end(self.record, self.at).ok_or(Reason::InvalidJson)?;
        let inside = &self.record[self.at..end];
        self.at = end + 1;
        if !self.take(b':') {
            return Err(Reason::InvalidJson);
        }
        if escaped {
            self.name.clear();
            text::unescape(inside, self.name);
            return Ok(self.walk.member(place, self.name));
        }
        Ok(self.walk.member(place, inside))
    }

    /// Takes the bracket that closes the innermost container, where it is next.
    fn closes(&mut self) -> bool {
        let (_, is_object) = self.stack[self.depth - 1];
        let closes = self.take(if is_object { b'}' } else { b']' });
        self.depth -= usize::from(closes);
        closes
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn literal(&self, word: &[u8]) -> Result<usize, Reason> {
        let end = self.at + word.len();
        if self.record.get(self.at..end) == Some(word) { Ok(end) } else { Err(Reason::InvalidJson) }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.at = text::spaces(self.record, self.at);
        self.record.get(self.at).copied()
    }
}
