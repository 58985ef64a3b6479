//! The mapped paths of a schema, compiled: a trie of member names, and a walk through it.
//!
//! schema -> **paths** -> guess, tape, scan
//!
//! A parser tells the [`Walk`] what it meets, in the order of the record (a member's name, a scalar, an object or an
//! array that opens); the walk notes what is mapped. Holds: a mapped path, or an object on the way to one, that occurs
//! again is noted as a duplicate, and its first occurrence counts; what is not mapped costs nothing and may repeat.
//! Not here: any syntax.

use super::found::{Found, Kind, Leaf, PRICE, QUANTITY, SKU, put_parts};
use crate::reject::Subject;
use crate::schema::{CurrencySource, Path, Schema};

/// The index of a mapped path's leaf in [`Found`].
pub(super) type LeafId = u16;

const NONE: u16 = u16::MAX;
const ROOT: u16 = 0;

/// The compiled paths, and which leaf each part of the schema reads.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    /// Member names of the basket's lines.
    line_names: Vec<LineName>,
    /// Number of leaves.
    pub(super) leaves: usize,
    pub(super) id: LeafId,
    pub(super) time: LeafId,
    pub(super) amount: LeafId,
    pub(super) currency: Option<LeafId>,
    pub(super) arrival: Option<LeafId>,
    pub(super) items: Option<LeafId>,
    pub(super) label: Option<LeafId>,
    /// By field.
    pub(super) fields: Vec<LeafId>,
    /// By entity, by part.
    pub(super) keys: Vec<Vec<LeafId>>,
}

/// A member on a mapped path.
#[derive(Debug)]
struct Node {
    name: Box<[u8]>,
    /// What a duplicate of it is about: the first thing mapped at it or below it.
    subject: Subject,
    leaf: u16,
    items: bool,
    children: Children,
}

/// A member of the basket's lines, and the bits of the parts that it fills.
#[derive(Debug)]
struct LineName {
    print: Print,
    name: Box<[u8]>,
    parts: u8,
}

/// The members below a node: open addressing on a print of the name, at most half full.
#[derive(Debug, Default)]
struct Children {
    slots: Vec<Slot>,
    ids: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    print: Print,
    child: u16,
}

/// Length, head and tail of a name: all of it up to 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Print {
    head: u64,
    tail: u64,
    len: usize,
}

impl Paths {
    /// Compiles the paths of a schema.
    pub(super) fn new(schema: &Schema) -> Self {
        let mut builder = Builder { nodes: vec![Node::new(b"", Subject::Record)], leaves: 0 };
        let id = builder.leaf(&schema.id, Subject::Id);
        let time = builder.leaf(&schema.time.path, Subject::Time);
        let amount = builder.leaf(&schema.amount, Subject::Amount);
        let currency = match &schema.currency {
            CurrencySource::Path { path, .. } => Some(builder.leaf(path, Subject::Currency)),
            CurrencySource::Constant(_) => None,
        };
        let arrival = schema.arrival.as_ref().map(|field| builder.leaf(&field.path, Subject::Arrival));
        let items = schema.items.as_ref().map(|items| {
            let node = builder.node(&items.path, Subject::Items);
            builder.nodes[usize::from(node)].items = true;
            builder.leaf_of(node)
        });
        let mut line_names: Vec<LineName> = Vec::new();
        if let Some(items) = &schema.items {
            for (part, name) in [(SKU, &items.sku), (QUANTITY, &items.quantity), (PRICE, &items.price)] {
                match line_names.iter_mut().find(|known| *known.name == *name.as_bytes()) {
                    Some(known) => known.parts |= 1 << part,
                    None => line_names.push(LineName {
                        print: Print::of(name.as_bytes()),
                        name: name.as_bytes().into(),
                        parts: 1 << part,
                    }),
                }
            }
        }
        let keys = (0_u16..)
            .zip(&schema.entities)
            .map(|(index, entity)| {
                entity.key.iter().map(|path| builder.leaf(path, Subject::Entity(index))).collect()
            })
            .collect();
        let fields = (0_u16..)
            .zip(&schema.fields)
            .map(|(index, field)| builder.leaf(&field.path, Subject::Field(index)))
            .collect();
        let label = schema.label_column().map(|path| builder.leaf(path, Subject::Label));
        let mut nodes = builder.nodes;
        for index in 0..nodes.len() {
            let ids = std::mem::take(&mut nodes[index].children.ids);
            nodes[index].children = Children::new(ids, &nodes);
        }
        Self {
            nodes,
            line_names,
            leaves: builder.leaves,
            id,
            time,
            amount,
            currency,
            arrival,
            items,
            label,
            fields,
            keys,
        }
    }

    fn node(&self, index: u16) -> &Node {
        &self.nodes[usize::from(index)]
    }

    #[inline]
    fn child(&self, node: u16, name: &[u8]) -> Option<u16> {
        let slots = &self.node(node).children.slots;
        let print = Print::of(name);
        let mut at = print.place(slots.len());
        loop {
            let slot = slots.get(at)?;
            if slot.child == NONE {
                return None;
            }
            if slot.print == print && print.is_of(name, &self.node(slot.child).name) {
                return Some(slot.child);
            }
            at = (at + 1) & (slots.len() - 1);
        }
    }
}

struct Builder {
    nodes: Vec<Node>,
    leaves: usize,
}

impl Builder {
    fn node(&mut self, path: &Path, subject: Subject) -> u16 {
        let mut at = ROOT;
        for name in &path.0 {
            let ids = &self.nodes[usize::from(at)].children.ids;
            let known = ids.iter().copied().find(|&id| *self.nodes[usize::from(id)].name == *name.as_bytes());
            at = known.unwrap_or_else(|| {
                let new = self.nodes.len() as u16;
                self.nodes.push(Node::new(name.as_bytes(), subject));
                self.nodes[usize::from(at)].children.ids.push(new);
                new
            });
        }
        at
    }

    fn leaf_of(&mut self, node: u16) -> LeafId {
        let node = &mut self.nodes[usize::from(node)];
        if node.leaf == NONE {
            node.leaf = self.leaves as u16;
            self.leaves += 1;
        }
        node.leaf
    }

    fn leaf(&mut self, path: &Path, subject: Subject) -> LeafId {
        let node = self.node(path, subject);
        self.leaf_of(node)
    }
}

impl Node {
    fn new(name: &[u8], subject: Subject) -> Self {
        Self { name: name.into(), subject, leaf: NONE, items: false, children: Children::default() }
    }
}

impl Children {
    fn new(ids: Vec<u16>, nodes: &[Node]) -> Self {
        if ids.is_empty() {
            return Self::default();
        }
        let len = (ids.len() * 2).next_power_of_two();
        let mut slots = vec![Slot { print: Print::default(), child: NONE }; len];
        for &child in &ids {
            let print = Print::of(&nodes[usize::from(child)].name);
            let mut at = print.place(len);
            while slots[at].child != NONE {
                at = (at + 1) & (len - 1);
            }
            slots[at] = Slot { print, child };
        }
        Self { slots, ids }
    }
}

impl Print {
    #[inline]
    fn of(name: &[u8]) -> Self {
        let len = name.len();
        let byte = |at: usize| u64::from(name[at]);
        let (head, tail) = match len {
            8.. => (word(name), word(&name[len - 8..])),
            4.. => (half(name), half(&name[len - 4..])),
            1.. => (byte(0) | byte(len / 2) << 8 | byte(len - 1) << 16, 0),
            0 => (0, 0),
        };
        Self { head, tail, len }
    }

    /// Whether names of this same print are equal.
    #[inline]
    fn is_of(self, name: &[u8], known: &[u8]) -> bool {
        self.len <= 16 || name == known
    }

    /// Where to look first. Not keyed: the names in the table are the configuration's, and a stranger's name costs at
    /// most a walk over them.
    #[inline]
    fn place(&self, slots: usize) -> usize {
        let mixed =
            (self.head ^ self.tail.rotate_left(29) ^ self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize & slots.wrapping_sub(1)
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn half(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// The inside of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing in it is mapped.
    Unmapped,
    /// An object with mapped members, by node.
    Members(u16),
    /// The array of the basket.
    Basket,
    /// A line of the basket.
    Line,
}

/// What the next value is to the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    /// The value of a mapped member, by node.
    Node(u16),
    /// An element of the basket.
    Element,
    /// A member of the present line: the bits of its parts.
    Parts(u8),
}

/// A walk over one record.
pub(super) struct Walk<'a> {
    paths: &'a Paths,
    found: &'a mut Found,
    seen: &'a mut Vec<bool>,
    line_seen: u8,
}

impl<'a> Walk<'a> {
    pub(super) fn new(paths: &'a Paths, found: &'a mut Found, seen: &'a mut Vec<bool>) -> Self {
        found.reset(paths.leaves);
        seen.clear();
        seen.resize(paths.nodes.len(), false);
        Self { paths, found, seen, line_seen: 0 }
    }

    /// What the record itself is.
    #[expect(clippy::unused_self, reason = "a walk begins here")]
    pub(super) fn root(&self) -> Target {
        Target::Node(ROOT)
    }

    /// A member of this decoded name.
    #[inline]
    pub(super) fn member(&mut self, place: Place, name: &[u8]) -> Target {
        match place {
            Place::Unmapped | Place::Basket => Target::Nothing,
            Place::Members(node) => {
                let Some(child) = self.paths.child(node, name) else { return Target::Nothing };
                if std::mem::replace(&mut self.seen[usize::from(child)], true) {
                    let subject = self.paths.node(child).subject;
                    self.found.duplicate.get_or_insert(subject);
                    return Target::Nothing;
                }
                Target::Node(child)
            }
            Place::Line => {
                let print = Print::of(name);
                let is_same = |known: &&LineName| known.print == print && print.is_of(name, &known.name);
                let Some(known) = self.paths.line_names.iter().find(is_same) else {
                    return Target::Nothing;
                };
                let parts = known.parts;
                if self.line_seen & parts != 0 {
                    self.found.duplicate.get_or_insert(Subject::Items);
                    return Target::Nothing;
                }
                self.line_seen |= parts;
                Target::Parts(parts)
            }
        }
    }

    /// The next element of an array.
    #[inline]
    pub(super) fn element(place: Place) -> Target {
        match place {
            Place::Basket => Target::Element,
            Place::Unmapped | Place::Members(_) | Place::Line => Target::Nothing,
        }
    }

    /// A value that is no container.
    #[inline]
    pub(super) fn scalar(&mut self, target: Target, leaf: Leaf) {
        match target {
            Target::Nothing => {}
            Target::Node(node) => self.put(node, leaf),
            Target::Element => self.found.odd_line = true,
            Target::Parts(parts) => put_parts(&mut self.found.lines, parts, leaf),
        }
    }

    /// An object opens; the inside is returned.
    pub(super) fn object(&mut self, target: Target) -> Place {
        let leaf = Leaf::of(Kind::Object);
        match target {
            Target::Nothing => Place::Unmapped,
            Target::Node(node) => {
                self.put(node, leaf);
                let inner = !self.paths.node(node).children.ids.is_empty();
                if inner { Place::Members(node) } else { Place::Unmapped }
            }
            Target::Element => {
                self.found.lines.push([Leaf::default(); 3]);
                self.line_seen = 0;
                Place::Line
            }
            Target::Parts(parts) => {
                put_parts(&mut self.found.lines, parts, leaf);
                Place::Unmapped
            }
        }
    }

    /// An array opens; the inside is returned.
    pub(super) fn array(&mut self, target: Target) -> Place {
        self.scalar(target, Leaf::of(Kind::Array));
        match target {
            Target::Node(node) if self.paths.node(node).items => Place::Basket,
            Target::Nothing | Target::Node(_) | Target::Element | Target::Parts(_) => Place::Unmapped,
        }
    }

    /// The leaf that a target's value goes to.
    pub(super) fn leaf_of(&self, target: Target) -> Option<LeafId> {
        match target {
            Target::Node(node) => Some(self.paths.node(node).leaf).filter(|&leaf| leaf != NONE),
            Target::Nothing | Target::Element | Target::Parts(_) => None,
        }
    }

    fn put(&mut self, node: u16, leaf: Leaf) {
        let index = self.paths.node(node).leaf;
        if let Some(slot) = self.found.leaves.get_mut(usize::from(index)) {
            *slot = leaf;
        }
    }
}
