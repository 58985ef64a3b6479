//! A short cut in front of the parsers: records that look like one before.
//!
//! record -> **guess** -> found, or gives way to scan
//!
//! A layout knows the members of records in their order, each of which may be missing, and what elements of arrays look
//! like. From value to value a record goes forwards through it, mostly along bytes that were met there before (`edge`);
//! where others stand, the way is found in the tree.
//!
//! Holds: an accepted record gets exactly what the general parser would find. Its members are known ones in the order of
//! the tree, so nothing is a duplicate or too deep; names and what is between values are compared in full; a string is
//! searched for everything that is not plain ASCII, and where there is any, read by the rules of `scan`; numbers are
//! checked against the whole grammar, literals in full. In every doubt it gives way. What was learned, and when,
//! changes the speed only.
//! Not here: learning a layout (`layout`).

use super::edge::{Edge, NO_LEAF, Next, Slot, Step};
use super::found::{Found, Kind, Leaf, Line, put_parts};
use super::layout::{Id, Inner, Layout, Member, NONE, Owner, START, Stand};
use super::paths::Paths;
use super::text;

/// Layouts kept, the one that matched last first. More cost a record that matches none too much.
const LAYOUTS_MAX: usize = 4;

/// Misses in a row after which guessing pauses, first for as many records, then twice as many each time ...
const MISSES_MAX: u32 = 8;
/// ... up to this many. All three arbitrary: a stream without a layout loses a few per cent.
const PAUSE_MAX: u32 = 1_024;

/// Longest record that is learned, bytes. Arbitrary; checkouts have 500.
const LEARNED_BYTES_MAX: usize = 16 * 1024;

/// Misses up to which each is learned from; after that one in [`LEARN_EVERY`] is.
const LEARN_FIRST: u32 = 16;
const LEARN_EVERY: u32 = 64;

/// The layouts met.
#[derive(Debug, Default)]
pub(super) struct Guess {
    layouts: Vec<Layout>,
    misses: u32,
    misses_in_a_row: u32,
    pause: u32,
    next_pause: u32,
    learn: bool,
    /// Whether the last record matched.
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
        for index in 0..self.layouts.len() {
            found.reset(paths.leaves);
            if self.layouts[index].matches(record, found).is_some() {
                if index > 0 {
                    self.layouts.swap(0, index);
                }
                self.matched = true;
                self.misses_in_a_row = 0;
                self.next_pause = MISSES_MAX;
                return true;
            }
        }
        self.miss();
        false
    }

    /// Whether the record that was read last is known to have no line end: all of it matched, texts and numbers have none, and what
    /// is between them has been without one so far.
    pub(super) fn is_one_line(&self) -> bool {
        self.matched && self.layouts.first().is_some_and(|layout| !layout.has_line_ends)
    }

    /// Whether the record that `read` just gave way for is worth learning from.
    pub(super) fn wants(&self, record: &[u8]) -> bool {
        self.learn && record.len() <= LEARNED_BYTES_MAX && record.first() == Some(&b'{')
    }

    /// Learns from a record that the general parser accepted. Overwrites `found`.
    pub(super) fn learn(&mut self, record: &[u8], paths: &Paths, found: &mut Found, seen: &mut Vec<bool>) {
        self.learn = false;
        if self.layouts.iter_mut().any(|layout| layout.learn(record, paths, found, seen).is_some()) {
            return;
        }
        let mut layout = if self.layouts.len() < LAYOUTS_MAX {
            Layout::default()
        } else {
            self.layouts.pop().unwrap_or_default()
        };
        layout.clear();
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
    /// Finds the values of a record of this layout.
    #[inline(never)]
    fn matches(&mut self, record: &[u8], found: &mut Found) -> Option<()> {
        let (mut spot, mut rest) = (START, record);
        loop {
            let [first, second] = self.edges.get(usize::from(spot))?;
            let is_first = first.fits(rest);
            let step = if is_first { &first.step } else { &second.step };
            if (is_first || second.fits(rest))
                && let Some(value) = rest.get(usize::from(step.len)..)
            {
                if let Some((leaf, behind)) = usual_value(step.next, value, record.len() - value.len()) {
                    put(step, found, leaf);
                    (spot, rest) = (step.spot, behind);
                    continue;
                }
                if step.next == Next::End {
                    return value.is_empty().then_some(());
                }
            }
            (spot, rest) = self.any_value(spot, record, rest, found)?;
            if spot == NONE {
                return rest.is_empty().then_some(());
            }
        }
    }

    /// Takes the next value, whatever it is and however it is reached.
    #[inline(never)]
    fn any_value<'a>(
        &mut self,
        spot: Id,
        record: &[u8],
        rest: &'a [u8],
        found: &mut Found,
    ) -> Option<(Id, &'a [u8])> {
        let [first, second] = &self.edges[usize::from(spot)];
        let step = if first.fits(rest) {
            first.step
        } else if second.fits(rest) {
            second.step
        } else {
            self.find(spot, rest)?
        };
        let value = rest.get(usize::from(step.len)..)?;
        let start = record.len() - value.len();
        let (leaf, len) = match step.next {
            Next::Text => {
                let (kind, len) = string(value)?;
                (Leaf::range(kind, start, start + len), len + 1)
            }
            Next::Scalar | Next::OddScalar => scalar(value, start)?,
            Next::Object => (Leaf::of(Kind::Object), 0),
            Next::Array => (Leaf::of(Kind::Array), 0),
            Next::End => (Leaf::default(), 0),
            Next::Nothing => return None,
        };
        put(&step, found, leaf);
        Some((step.spot, value.get(len..)?))
    }

    /// Finds the way from a spot by the tree, and keeps it.
    #[cold]
    #[inline(never)]
    fn find(&mut self, spot: Id, rest: &[u8]) -> Option<Step> {
        let step = self.way(self.stands[usize::from(spot)], rest)?;
        self.has_line_ends |= memchr::memchr2(b'\n', b'\r', &rest[..usize::from(step.len)]).is_some();
        if let Some(edge) = Edge::new(&rest[..usize::from(step.len)], step) {
            let [first, second] = &mut self.edges[usize::from(spot)];
            *(if first.is_none() { first } else { second }) = edge;
        }
        Some(step)
    }

    /// The way to the next value, by the tree.
    fn way(&self, from: Stand, rest: &[u8]) -> Option<Step> {
        let (mut stand, mut at, mut lines) = (from, 0, 0_u8);
        loop {
            // A record that begins with white space is not worth it.
            if !matches!(stand, Stand::Start) {
                at = text::spaces(rest, at);
            }
            let first = *rest.get(at)?;
            // What the value that stands next may be, the spot behind it, and where it goes.
            let (inner, behind, slot) = match (stand, first) {
                (Stand::Start, b'{') => {
                    (stand, at) = (Stand::InObject(0), at + 1);
                    continue;
                }
                (Stand::InObject(object), b'}') => {
                    at += 1;
                    match self.behind_object(object) {
                        Some(behind) => stand = behind,
                        None => return step(at, Next::End, Slot::Nothing, NONE, lines),
                    }
                    continue;
                }
                (Stand::BehindMember(member), b'}') => {
                    stand = Stand::InObject(self.members[usize::from(member)].parent);
                    continue;
                }
                (Stand::InArray(array) | Stand::BehindElement(array), b']') => {
                    (stand, at) = (self.behind_array(array)?, at + 1);
                    continue;
                }
                (Stand::InObject(object), b'"') => {
                    let member = self.named(self.objects[usize::from(object)].first, rest, &mut at)?;
                    (member.inner, member.behind, member.slot)
                }
                (Stand::BehindMember(member), b',') => {
                    at = text::spaces(rest, at + 1);
                    let member = self.named(self.members[usize::from(member)].next, rest, &mut at)?;
                    (member.inner, member.behind, member.slot)
                }
                (Stand::InArray(array), _) | (Stand::BehindElement(array), b',') => {
                    if matches!(stand, Stand::BehindElement(_)) {
                        at = text::spaces(rest, at + 1);
                    }
                    let array = &self.arrays[usize::from(array)];
                    if array.is_basket {
                        if rest.get(at) != Some(&b'{') {
                            return None;
                        }
                        lines = lines.checked_add(1)?;
                    }
                    (array.element, array.behind_element, Slot::Nothing)
                }
                (Stand::Start | Stand::InObject(_) | Stand::BehindMember(_) | Stand::BehindElement(_), _) => {
                    return None;
                }
            };
            let is_mapped = slot != Slot::Nothing;
            match (*rest.get(at)?, inner) {
                (b'{', Inner::Object(object)) => {
                    (stand, at) = (Stand::InObject(object), at + 1);
                    let inside = self.objects[usize::from(object)].inside;
                    if is_mapped {
                        return step(at, Next::Object, slot, inside, lines);
                    }
                }
                (b'[', Inner::Array(array)) => {
                    (stand, at) = (Stand::InArray(array), at + 1);
                    let inside = self.arrays[usize::from(array)].inside;
                    if is_mapped {
                        return step(at, Next::Array, slot, inside, lines);
                    }
                }
                (b'{' | b'[', _) => return None,
                (b'"', _) => return step(at + 1, Next::Text, slot, behind, lines),
                (_, Inner::None) => return step(at, Next::Scalar, slot, behind, lines),
                _ => return step(at, Next::OddScalar, slot, behind, lines),
            }
        }
    }

    /// The member whose name opens at `at`, from `from` on; `at` is then at its value.
    fn named(&self, from: Id, rest: &[u8], at: &mut usize) -> Option<&Member> {
        let text = rest.get(*at..)?.strip_prefix(b"\"")?;
        let id = self.from(from, |name| text.get(name.len()) == Some(&b'"') && text.starts_with(name))?;
        let member = &self.members[usize::from(id)];
        *at = text::spaces(rest, *at + (member.name.1 - member.name.0) as usize + 2);
        if rest.get(*at) != Some(&b':') {
            return None;
        }
        *at = text::spaces(rest, *at + 1);
        Some(member)
    }

    /// Where one stands behind an object; `None` behind the record.
    fn behind_object(&self, object: Id) -> Option<Stand> {
        match self.objects[usize::from(object)].owner {
            Owner::Record => None,
            Owner::Member(member) => Some(Stand::BehindMember(member)),
            Owner::Element(array) => Some(Stand::BehindElement(array)),
        }
    }

    fn behind_array(&self, array: Id) -> Option<Stand> {
        match self.arrays[usize::from(array)].owner {
            Owner::Record => None,
            Owner::Member(member) => Some(Stand::BehindMember(member)),
            Owner::Element(array) => Some(Stand::BehindElement(array)),
        }
    }
}

fn step(len: usize, next: Next, slot: Slot, spot: Id, lines: u8) -> Option<Step> {
    let (leaf, parts) = match slot {
        Slot::Nothing => (NO_LEAF, 0),
        Slot::Leaf(id) => (id, 0),
        Slot::Parts(parts) => (NO_LEAF, parts),
    };
    let is_of_basket = lines > 0 || parts > 0;
    Some(Step { len: u16::try_from(len).ok()?, next, leaf, is_of_basket, parts, lines, spot })
}

/// Puts a value where it goes.
#[inline(always)]
fn put(step: &Step, found: &mut Found, leaf: Leaf) {
    if let Some(place) = found.leaves.get_mut(usize::from(step.leaf)) {
        *place = leaf;
    } else if step.is_of_basket {
        for _ in 0..step.lines {
            found.lines.push(Line::default());
        }
        put_parts(&mut found.lines, step.parts, leaf);
    }
}

/// A plain text, a usual number or an array that opens, and what is behind it; `value` stands at `start` in the record.
#[inline(always)]
fn usual_value(next: Next, value: &[u8], start: usize) -> Option<(Leaf, &[u8])> {
    if next == Next::Text {
        let len = text::stop::<true>(value)?;
        let (&stop, behind) = value.get(len..)?.split_first()?;
        (stop == b'"').then_some((Leaf::range(Kind::Text, start, start + len), behind))
    } else if next == Next::Scalar {
        let len = text::usual_number_end(value)?;
        Some((Leaf::range(Kind::Number, start, start + len), value.get(len..)?))
    } else if next == Next::Array {
        Some((Leaf::of(Kind::Array), value))
    } else {
        None
    }
}

/// Kind and length of the string whose inside `rest` begins with.
#[inline]
fn string(rest: &[u8]) -> Option<(Kind, usize)> {
    let len = text::stop::<true>(rest)?;
    if rest[len] == b'"' { Some((Kind::Text, len)) } else { odd_string(rest) }
}

/// A string that is not all ASCII or has escapes.
#[cold]
#[inline(never)]
fn odd_string(rest: &[u8]) -> Option<(Kind, usize)> {
    let (len, escaped) = text::string_end(rest, 0)?;
    std::str::from_utf8(&rest[..len]).ok()?;
    Some((if escaped { Kind::Escaped } else { Kind::Text }, len))
}

/// The scalar that `rest` begins with, which stands at `start` in the record, and its length.
#[inline]
fn scalar(rest: &[u8], start: usize) -> Option<(Leaf, usize)> {
    match *rest.first()? {
        b'"' => {
            let (kind, len) = string(&rest[1..])?;
            Some((Leaf::range(kind, start + 1, start + 1 + len), len + 2))
        }
        b't' => rest.starts_with(b"true").then_some((Leaf::of(Kind::True), 4)),
        b'f' => rest.starts_with(b"false").then_some((Leaf::of(Kind::False), 5)),
        b'n' => rest.starts_with(b"null").then_some((Leaf::of(Kind::Null), 4)),
        _ => {
            let len = text::number_end(rest, 0)?;
            Some((Leaf::range(Kind::Number, start, start + len), len))
        }
    }
}
