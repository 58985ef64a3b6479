//! The layout of records: what is learned from some for the guess.
//!
//! a parser has accepted a record -> **layout** -> guess
//!
//! A layout is a tree of members in the order in which they come, each of which a record may have or not, and of the
//! elements of arrays. The tree grows by every record that it is taught and that keeps the order.
//!
//! Holds: a name stands once in its object, so that a record that goes through the tree forwards has no duplicates; it
//! is taught only records that a parser accepted, so no path through it is deeper than a record may be. A record that
//! is too long or too odd to be worth it is not learned, or only up to where it became odd: what was learned of it
//! stays right. Not here: comparing (`guess`), the bytes between values (`edge`).

use super::edge::{Edge, Slot};
use super::found::Found;
use super::paths::{Paths, Place, Target, Walk};
use super::text;

/// Most members of a layout, all objects together. Arbitrary; checkouts have 40. One takes 200 bytes.
const MEMBERS_MAX: usize = 512;

/// Index of a member, an object, an array or a spot.
pub(super) type Id = u16;
/// Behind the last member.
pub(super) const NONE: Id = Id::MAX;
/// The object that is the record.
const ROOT: Id = 0;
/// The spot before the record.
pub(super) const START: Id = 0;

/// What records look like.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) members: Vec<Member>,
    pub(super) objects: Vec<Object>,
    pub(super) arrays: Vec<Array>,
    /// By spot, a place between two values: what it is, and the ways that were met from it, the first and the latest.
    pub(super) stands: Vec<Stand>,
    pub(super) edges: Vec<[Edge; 2]>,
    /// Whether a line end was met on any way.
    pub(super) has_line_ends: bool,
    names: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Member {
    /// In [`Layout::names`].
    pub(super) name: (u32, u32),
    /// The member behind it.
    pub(super) next: Id,
    pub(super) parent: Id,
    pub(super) slot: Slot,
    pub(super) inner: Inner,
    /// The spot behind its value.
    pub(super) behind: Id,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) owner: Owner,
    pub(super) first: Id,
    /// The spot behind its opening brace.
    pub(super) inside: Id,
}

#[derive(Debug)]
pub(super) struct Array {
    pub(super) owner: Owner,
    /// The array of the basket: its elements are objects, each a line.
    pub(super) is_basket: bool,
    /// What elements are, where they are no scalars.
    pub(super) element: Inner,
    /// The spots behind its opening bracket and behind an element.
    pub(super) inside: Id,
    pub(super) behind_element: Id,
}

/// The container that was met at a place, besides scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    None,
    Object(Id),
    Array(Id),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Record,
    Member(Id),
    Element(Id),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stand {
    Start,
    /// Behind the brace that opens an object, the bracket that opens an array.
    InObject(Id),
    InArray(Id),
    BehindMember(Id),
    BehindElement(Id),
}

impl Default for Layout {
    fn default() -> Self {
        let mut layout = Self {
            members: vec![],
            objects: vec![],
            arrays: vec![],
            stands: vec![],
            edges: vec![],
            has_line_ends: false,
            names: vec![],
        };
        layout.clear();
        layout
    }
}

impl Layout {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.members.clear();
        self.objects.clear();
        self.arrays.clear();
        self.stands.clear();
        self.edges.clear();
        self.has_line_ends = false;
        self.names.clear();
        self.spot(Stand::Start);
        self.new_object(Owner::Record);
    }

    /// Takes in what is new in a record that begins with its brace; `None` where it is not worth it, or does not keep the order. Overwrites `found`.
    pub(super) fn learn(
        &mut self,
        record: &[u8],
        paths: &Paths,
        found: &mut Found,
        seen: &mut Vec<bool>,
    ) -> Option<()> {
        let mut walk = Walk::new(paths, found, seen);
        let root = walk.root();
        let place = walk.object(root);
        Learner { record, at: 0, layout: self, walk }.members(ROOT, place)
    }

    /// The member of this name that comes first from `from` on.
    pub(super) fn from(&self, from: Id, is_it: impl Fn(&[u8]) -> bool) -> Option<Id> {
        let mut id = from;
        while let Some(member) = self.members.get(usize::from(id)) {
            if is_it(&self.names[member.name.0 as usize..member.name.1 as usize]) {
                return Some(id);
            }
            id = member.next;
        }
        None
    }

    /// The member of this name behind `last` (`NONE`: from the first on), new where it is new.
    fn member(&mut self, object: Id, last: Id, name: &[u8], slot: Slot) -> Option<Id> {
        let first = self.objects[usize::from(object)].first;
        let next = if last == NONE { first } else { self.members[usize::from(last)].next };
        if let Some(id) = self.from(next, |known| known == name) {
            return Some(id);
        }
        let is_earlier = self.from(first, |known| known == name).is_some();
        if is_earlier || self.members.len() == MEMBERS_MAX {
            return None;
        }
        let id = self.members.len() as Id;
        let start = self.names.len() as u32;
        self.names.extend_from_slice(name);
        let name = (start, self.names.len() as u32);
        let behind = self.spot(Stand::BehindMember(id));
        self.members.push(Member { name, next, parent: object, slot, inner: Inner::None, behind });
        if last == NONE {
            self.objects[usize::from(object)].first = id;
        } else {
            self.members[usize::from(last)].next = id;
        }
        Some(id)
    }

    /// The object at a place; `None` where an array is known there.
    fn object(&mut self, owner: Owner) -> Option<Id> {
        match self.inner(owner)? {
            Inner::Object(id) => Some(*id),
            Inner::Array(_) => None,
            Inner::None => {
                let id = self.new_object(owner);
                self.set_inner(owner, Inner::Object(id));
                Some(id)
            }
        }
    }

    /// The array at a place; `None` where an object is known there.
    fn array(&mut self, owner: Owner, is_basket: bool) -> Option<Id> {
        match self.inner(owner)? {
            Inner::Array(id) => Some(*id),
            Inner::Object(_) => None,
            Inner::None => {
                let id = self.arrays.len() as Id;
                let inside = self.spot(Stand::InArray(id));
                let behind_element = self.spot(Stand::BehindElement(id));
                self.arrays.push(Array { owner, is_basket, element: Inner::None, inside, behind_element });
                self.set_inner(owner, Inner::Array(id));
                Some(id)
            }
        }
    }

    /// Ways to a scalar at the place led by bytes that tell nothing any more.
    fn set_inner(&mut self, owner: Owner, inner: Inner) {
        if let Some(place) = self.inner(owner) {
            *place = inner;
        }
        self.edges.fill([Edge::NONE; 2]);
    }

    fn inner(&mut self, owner: Owner) -> Option<&mut Inner> {
        match owner {
            Owner::Record => None,
            Owner::Member(id) => Some(&mut self.members[usize::from(id)].inner),
            Owner::Element(id) => Some(&mut self.arrays[usize::from(id)].element),
        }
    }

    /// Every object but the record, and every array, is a member's or an array's one: there are few by `JSON_DEPTH_MAX`.
    fn new_object(&mut self, owner: Owner) -> Id {
        let id = self.objects.len() as Id;
        let inside = self.spot(Stand::InObject(id));
        self.objects.push(Object { owner, first: NONE, inside });
        id
    }

    fn spot(&mut self, stand: Stand) -> Id {
        self.stands.push(stand);
        self.edges.push([Edge::NONE; 2]);
        (self.stands.len() - 1) as Id
    }
}

struct Learner<'a> {
    record: &'a [u8],
    at: usize,
    layout: &'a mut Layout,
    walk: Walk<'a>,
}

impl Learner<'_> {
    fn members(&mut self, object: Id, place: Place) -> Option<()> {
        self.at += 1;
        let mut last = NONE;
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b'"' => {
                    let (end, escaped) = text::string_end(self.record, self.at + 1)?;
                    if escaped {
                        return None;
                    }
                    let name = &self.record[self.at + 1..end];
                    let target = self.walk.member(place, name);
                    last = self.layout.member(object, last, name, self.slot(target))?;
                    self.at = end + 1;
                    self.peek()?;
                    self.at += 1;
                    self.value(Owner::Member(last), target)?;
                }
                _ => self.at += 1,
            }
        }
    }

    fn value(&mut self, owner: Owner, target: Target) -> Option<()> {
        let first = self.peek()?;
        match first {
            b'{' => {
                let place = self.walk.object(target);
                let object = self.layout.object(owner)?;
                self.members(object, place)?;
            }
            // An odd line.
            _ if target == Target::Element => return None,
            b'[' => {
                let place = self.walk.array(target);
                let array = self.layout.array(owner, place == Place::Basket)?;
                self.at += 1;
                loop {
                    match self.peek()? {
                        b']' => break,
                        b',' => self.at += 1,
                        _ => self.value(Owner::Element(array), Walk::element(place))?,
                    }
                }
                self.at += 1;
            }
            b'"' => self.at = text::string_end(self.record, self.at + 1)?.0 + 1,
            _ => {
                let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
                self.at += self.record[self.at..].iter().position(is_end)?;
            }
        }
        Some(())
    }

    fn slot(&self, target: Target) -> Slot {
        match target {
            Target::Nothing | Target::Element => Slot::Nothing,
            Target::Node(_) => self.walk.leaf_of(target).map_or(Slot::Nothing, Slot::Leaf),
            Target::Parts(parts) => Slot::Parts(parts),
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.at = text::spaces(self.record, self.at);
        self.record.get(self.at).copied()
    }
}
