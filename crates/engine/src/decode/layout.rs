//! The layout of a record: what is learned from one for the guess.
//!
//! tape has accepted a record -> **layout** -> guess
//!
//! Holds: learned only from plain records (no backslash, no control character) that the general parser accepted, so
//! nothing here checks syntax; a record that is too long or too odd to be worth it is not learned.

use super::found::{Found, Kind};
use super::paths::{LeafId, Paths, Place, Target, Walk};

/// Longest record that is learned, bytes, and most values. Arbitrary; checkouts have 500 and 30.
const BYTES_MAX: usize = 16 * 1024;
const STEPS_MAX: usize = 1_024;

/// Bytes between values that are compared at most as one step. Longer ones (members without a value) are not learned.
const LITERAL_MAX: usize = 1_024;

/// What a record has to look like.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) steps: Vec<Step>,
    /// The bytes of literals behind their first 16.
    pub(super) tails: Vec<u8>,
    /// Mapped members whose value is an object or an array.
    pub(super) containers: Vec<(LeafId, Kind)>,
}

/// Bytes that have to be there, and what follows them.
#[derive(Debug)]
pub(super) struct Step {
    /// The first 16 bytes, and which of their bits count.
    pub(super) head: u128,
    pub(super) mask: u128,
    /// Length of all of them.
    pub(super) len: u16,
    /// The bytes behind the first 16, in [`Layout::tails`].
    pub(super) tail: (u32, u32),
    pub(super) action: Action,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// A string, a number, true, false or null.
    Scalar(Slot),
    /// Behind the opening bracket of an array: the steps of an element follow, `behind` is the step after the array.
    Array { behind: usize, is_basket: bool },
    /// Behind an element.
    ElementEnd,
    /// The record ends.
    End,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Nothing,
    Leaf(LeafId),
    /// Parts of the present line of the basket.
    Parts(u8),
}

impl Layout {
    /// Takes the layout of a record; `None`, and this layout is unspecified, where it is not worth it. Overwrites `found`.
    pub(super) fn learn(
        &mut self,
        record: &[u8],
        paths: &Paths,
        found: &mut Found,
        seen: &mut Vec<bool>,
    ) -> Option<()> {
        self.steps.clear();
        self.tails.clear();
        self.containers.clear();
        if record.len() > BYTES_MAX {
            return None;
        }
        let walk = Walk::new(paths, found, seen);
        let root = walk.root();
        let mut learner = Learner { record, at: 0, from: 0, layout: self, walk };
        learner.value(root)?;
        learner.at = record.len();
        learner.step(Action::End)
    }
}

struct Learner<'a> {
    record: &'a [u8],
    at: usize,
    /// Where the present literal begins.
    from: usize,
    layout: &'a mut Layout,
    walk: Walk<'a>,
}

impl Learner<'_> {
    fn value(&mut self, target: Target) -> Option<()> {
        match self.peek()? {
            b'{' => {
                self.container(target, Kind::Object)?;
                let place = self.walk.object(target);
                self.at += 1;
                self.members(place)
            }
            b'[' => {
                self.container(target, Kind::Array)?;
                let place = self.walk.array(target);
                self.at += 1;
                self.elements(place)
            }
            _ => {
                let slot = self.slot(target)?;
                self.step(Action::Scalar(slot))?;
                self.skip()?;
                self.from = self.at;
                Some(())
            }
        }
    }

    fn members(&mut self, place: Place) -> Option<()> {
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b'"' => {
                    let end = self.quote()?;
                    let target = self.walk.member(place, &self.record[self.at + 1..end]);
                    self.at = end + 1;
                    if self.peek()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    self.value(target)?;
                }
                _ => self.at += 1,
            }
        }
    }

    /// The first element is the shape of all.
    fn elements(&mut self, place: Place) -> Option<()> {
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        // White space behind the bracket may differ.
        let first = self.at;
        self.at = self.record[..first].iter().rposition(|&byte| byte == b'[')? + 1;
        let array = self.layout.steps.len();
        let is_basket = place == Place::Basket;
        self.step(Action::Array { behind: 0, is_basket })?;
        (self.from, self.at) = (first, first);
        self.value(Walk::element(place))?;
        self.step(Action::ElementEnd)?;
        let next = self.layout.steps.len();
        self.layout.steps[array].action = Action::Array { behind: next, is_basket };
        while self.peek()? != b']' {
            self.at += 1;
            self.skip()?;
        }
        self.at += 1;
        self.from = self.at;
        Some(())
    }

    /// Notes a mapped member that is a container; an element or a line's part is not worth it, but for an element's object.
    fn container(&mut self, target: Target, kind: Kind) -> Option<()> {
        match (target, self.slot(target)) {
            (Target::Element, _) if kind == Kind::Object => Some(()),
            (Target::Node(_) | Target::Nothing, Some(Slot::Leaf(leaf))) => {
                self.layout.containers.push((leaf, kind));
                Some(())
            }
            (Target::Node(_) | Target::Nothing, _) => Some(()),
            (Target::Element | Target::Parts(_), _) => None,
        }
    }

    fn slot(&self, target: Target) -> Option<Slot> {
        match target {
            Target::Nothing => Some(Slot::Nothing),
            Target::Node(_) => Some(self.walk.leaf_of(target).map_or(Slot::Nothing, Slot::Leaf)),
            Target::Parts(parts) => Some(Slot::Parts(parts)),
            Target::Element => None,
        }
    }

    /// The literal up to here, and what follows it.
    fn step(&mut self, action: Action) -> Option<()> {
        let literal = &self.record[self.from..self.at];
        if literal.len() > LITERAL_MAX || self.layout.steps.len() == STEPS_MAX {
            return None;
        }
        let (head, tail) = literal.split_at(literal.len().min(16));
        let first = self.layout.tails.len() as u32;
        self.layout.tails.extend_from_slice(tail);
        let mut bytes = [0; 16];
        bytes[..head.len()].copy_from_slice(head);
        let mut mask = [0; 16];
        mask[..head.len()].fill(0xff);
        self.layout.steps.push(Step {
            head: u128::from_le_bytes(bytes),
            mask: u128::from_le_bytes(mask),
            len: literal.len() as u16,
            tail: (first, self.layout.tails.len() as u32),
            action,
        });
        self.from = self.at;
        Some(())
    }

    /// Passes one value by.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b'"' => self.at = self.quote()? + 1,
                b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let is_end = |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ');
                    self.at += self.record[self.at..].iter().position(is_end)?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The quote that closes the string that opens here.
    fn quote(&self) -> Option<usize> {
        let first = self.at + 1;
        self.record[first..].iter().position(|&byte| byte == b'"').map(|offset| first + offset)
    }

    fn peek(&mut self) -> Option<u8> {
        while self.record.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.record.get(self.at).copied()
    }
}
