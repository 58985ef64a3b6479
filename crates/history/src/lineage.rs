//! Which shards to open now: reshards, and what retention took, as a pure decision over listings.
//!
//! listing, partitions -> **lineage** -> changes -> source
//!
//! Holds: a shard opens once, and only when every shard that had its keys before it is finished, so that a key's records stay in
//! order; a child of a reshard begins with its oldest record, whatever is configured; a shard that nobody can read any more is passed
//! by only where nothing of it can be missed, and is a [`Lost`] that names it otherwise. Everything is decided from the newest listing
//! and from [`Partitions`], so a restart decides the same.
//! Not here: how a listing is got, who reads a shard. [`Claim`] is where leases come in: who else works on the stream.

use crate::partitions::{Change, Opened, Partitions, Start};
use crate::place::{Place, SequenceNumber};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// The hash keys of a shard, both ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRange {
    pub first: u128,
    pub last: u128,
}

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub name: String,
    pub parent: Option<String>,
    /// The second parent of a merge.
    pub adjacent_parent: Option<String>,
    pub range: HashRange,
    /// Its first sequence number; grows from a parent to its child.
    pub from: SequenceNumber,
    /// Its last sequence number, once it is closed.
    pub until: Option<SequenceNumber>,
}

/// Whose a shard is. Without leases all are [`Claim::Mine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Mine,
    /// Somebody else reads it, and is not through.
    Elsewhere,
    /// Somebody else has finished it.
    Finished,
}

/// Records that may have been there and that no read can give any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The shard that is gone.
    pub shard: String,
    /// Its hash keys, as far as they are known: those of the shards that came of it.
    pub range: Option<HashRange>,
    /// Its number, where it was opened.
    pub partition: Option<u32>,
    /// The last place taken of it.
    pub after: Option<Place>,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// In this order. None of them waits for another, or for what is lost.
    pub changes: Vec<Change>,
    /// Nothing that descends from these opens before somebody accepts them.
    pub lost: Vec<Lost>,
    /// A shard is finished and its children are not listed yet, or it is listed as open still: list again.
    pub is_listing_short: bool,
}

/// The newest listing of a stream's shards, and how a stream that was never read begins.
#[derive(Clone, Debug)]
pub struct Lineage {
    start: Start,
    shards: BTreeMap<String, Shard>,
}

impl HashRange {
    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn with(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// Whether a hash key lies within.
    pub fn contains(self, key: u128) -> bool {
        (self.first..=self.last).contains(&key)
    }
}

impl Display for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hash keys {} to {}", self.first, self.last)
    }
}

impl Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.shard)?;
        if let Some(range) = self.range {
            write!(f, " ({range})")?;
        }
        match &self.after {
            Some(after) => write!(f, ": what it held behind {after} is past its retention"),
            None => f.write_str(": all that it held is past its retention"),
        }
    }
}

impl Shard {
    fn parents(&self) -> impl Iterator<Item = &str> {
        [&self.parent, &self.adjacent_parent].into_iter().flatten().map(String::as_str)
    }
}

impl Lineage {
    /// `start` is for a stream that was never read: `LATEST` is a time by now.
    pub fn new(start: Start) -> Self {
        Self { start, shards: BTreeMap::new() }
    }

    /// How a stream that was never read begins.
    pub fn start(&self) -> Start {
        self.start
    }

    /// A whole new listing. False, and nothing changes, where it is older than the last one, as a service may answer: a stream's newest
    /// shard leaves no listing before there is a newer one.
    #[must_use]
    pub fn list(&mut self, shards: Vec<Shard>) -> bool {
        let newest = shards.iter().map(|shard| &shard.from).max();
        let is_older = newest < self.shards.values().map(|shard| &shard.from).max();
        if !is_older {
            self.shards = shards.into_iter().map(|shard| (shard.name.clone(), shard)).collect();
        }
        !is_older
    }

    /// A shard of the newest listing.
    pub fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.get(name)
    }

    /// What to do now. With all changes applied and the same listing there is nothing more to do.
    pub fn orders(&self, taken: &Partitions, claim: impl Fn(&Shard) -> Claim) -> Orders {
        let mut orders = Orders::default();
        if self.is_older_than(taken) {
            return Orders { is_listing_short: true, ..orders };
        }
        let is_fresh = taken.list().is_empty();
        let standing = |name: &str| self.standing(name, taken, &claim);
        for (number, partition) in taken.list().iter().enumerate() {
            let name = &partition.opened.name;
            if !partition.is_finished && !self.shards.contains_key(name) {
                orders.lost.push(Lost {
                    shard: name.clone(),
                    range: self.range_of_children(name),
                    partition: Some(number as u32),
                    after: partition.place.clone(),
                });
            }
        }
        // What a fresh start cannot know, written down: it was gone before anything was read.
        let mut buried: Vec<String> = Vec::new();
        for shard in self.in_order() {
            if taken.number_of(&shard.name).is_some() || claim(shard) != Claim::Mine {
                continue;
            }
            let gone = shard.parents().filter(|parent| standing(parent) == Standing::Gone);
            let is_ready = self.blockers(shard, &standing).next().is_none();
            if is_fresh {
                if is_ready {
                    let opened = Opened::new(shard.name.as_str(), self.start);
                    orders.changes.push(Change::Open(opened));
                } else {
                    buried.extend(gone.map(str::to_owned));
                }
                continue;
            }
            for parent in gone {
                if !orders.lost.iter().any(|lost| lost.shard == parent) {
                    let range = self.range_of_children(parent);
                    orders.lost.push(Lost { shard: parent.to_owned(), range, partition: None, after: None });
                }
            }
            if is_ready && !shard.parents().any(|parent| standing(parent) == Standing::Gone) {
                orders.changes.push(Change::Open(self.open(shard, taken)));
            }
        }
        buried.sort();
        buried.dedup();
        for (partition, name) in (orders.changes.len() as u32..).zip(buried) {
            let opened = Opened::new(name, self.start);
            orders.changes.extend([Change::Open(opened), Change::Finish { partition }]);
        }
        orders.is_listing_short = self.is_short(taken);
        orders
    }

    /// The changes that go on without what is lost.
    pub fn accept(lost: &Lost, taken: &Partitions) -> Vec<Change> {
        let mut changes = Vec::new();
        let partition = lost.partition.unwrap_or_else(|| {
            let opened = Opened::new(lost.shard.as_str(), Start::Oldest);
            changes.push(Change::Open(opened));
            taken.list().len() as u32
        });
        changes.push(Change::Gap { partition, after: lost.after.clone(), before: None });
        changes.push(Change::Finish { partition });
        changes
    }

    /// Oldest first: a parent before its children.
    fn in_order(&self) -> Vec<&Shard> {
        let mut shards: Vec<_> = self.shards.values().collect();
        shards.sort_by(|one, other| (&one.from, &one.name).cmp(&(&other.from, &other.name)));
        shards
    }

    fn standing(&self, name: &str, taken: &Partitions, claim: &impl Fn(&Shard) -> Claim) -> Standing {
        if let Some(number) = taken.number_of(name) {
            let is_finished = taken.list()[number as usize].is_finished;
            return if is_finished { Standing::Finished } else { Standing::Unfinished };
        }
        match self.shards.get(name).map(claim) {
            Some(Claim::Mine | Claim::Elsewhere) => Standing::Unfinished,
            Some(Claim::Finished) => Standing::Finished,
            None => Standing::Gone,
        }
    }

    /// What has to be finished before a shard opens: its parents, and whatever else had its hash keys before it. The second finds
    /// an ancestor where the generation between is gone.
    fn blockers<'a>(
        &'a self,
        shard: &'a Shard,
        standing: &'a impl Fn(&str) -> Standing,
    ) -> impl Iterator<Item = &'a str> {
        let parents = shard.parents();
        let older = self
            .shards
            .values()
            .filter(|other| other.range.overlaps(shard.range) && other.from < shard.from)
            .map(|other| other.name.as_str());
        parents.chain(older).filter(|name| standing(name) == Standing::Unfinished)
    }

    fn open(&self, shard: &Shard, taken: &Partitions) -> Opened {
        let parents: Vec<u32> = shard.parents().filter_map(|parent| taken.number_of(parent)).collect();
        let start = self.start_of(&parents, taken);
        Opened { parents, ..Opened::new(shard.name.as_str(), start) }
    }

    /// A child begins with its oldest record. Where a stream begins at a time, a parent that gave nothing may have been closed
    /// before it: its child begins at the same time, or what came before that would be read.
    fn start_of(&self, parents: &[u32], taken: &Partitions) -> Start {
        let mut parents = parents.iter().map(|&parent| &taken.list()[parent as usize]);
        let Some(first) = parents.next() else {
            // No child: one that the first listing had, and that a crash kept from being opened.
            return taken.list().first().map_or(self.start, |partition| partition.opened.start);
        };
        let is_untouched = |parent: &crate::PartitionState| {
            parent.place.is_none() && parent.opened.start == first.opened.start
        };
        if is_untouched(first) && parents.all(is_untouched) { first.opened.start } else { Start::Oldest }
    }

    fn range_of_children(&self, name: &str) -> Option<HashRange> {
        let children = self.shards.values().filter(|shard| shard.parents().any(|parent| parent == name));
        children.map(|shard| shard.range).reduce(HashRange::with)
    }

    /// A shard that was read to its end is still open in the listing: nothing that it lacks is lost.
    fn is_older_than(&self, taken: &Partitions) -> bool {
        let finished = taken.list().iter().filter(|partition| partition.is_finished);
        finished
            .filter_map(|partition| self.shards.get(&partition.opened.name))
            .any(|shard| shard.until.is_none() && self.range_of_children(&shard.name).is_none())
    }

    /// Every shard that ends has children; the listing may be older than they are.
    fn is_short(&self, taken: &Partitions) -> bool {
        let finished = taken.list().iter().filter(|partition| partition.is_finished);
        finished
            .filter(|partition| self.shards.contains_key(&partition.opened.name))
            .any(|partition| self.range_of_children(&partition.opened.name).is_none())
    }
}

/// How far a shard is, for those that wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Finished,
    Unfinished,
    /// Neither listed nor ever opened.
    Gone,
}

#[cfg(test)]
mod tests;
