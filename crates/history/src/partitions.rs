//! The partitions of a source and how far each was taken: a fold over changes and runs.
//!
//! source -> **partitions** -> order log, manifest
//!
//! Holds: a partition's number is given once and never again; its place only moves on; nothing is taken of one that is finished, and
//! a child opens only when all its parents are finished. A fold over the same changes and runs gives the same state, so that the order
//! log and a manifest name one truth.

use crate::place::Place;
use serde::{Deserialize, Serialize};

/// Records of one partition, taken one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the partition.
    pub partition: u32,
    /// How many, at least 1.
    pub records: u32,
    /// The place of the last of them.
    pub end: Place,
}

/// Where a partition that was never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest record there is. Every child of a reshard begins so, whatever is configured.
    Oldest,
    /// With the first record that arrived at this time or later, ms UTC. `LATEST` is resolved to this once, before the first read.
    At(i64),
}

/// What happened between two records: to the partitions themselves, or to what decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A partition appears, and gets the next number.
    Open(Opened),
    /// All of it was taken and nothing will come.
    Finish { partition: u32 },
    /// Records were lost to the upstream's retention, and somebody chose to go on without them.
    Gap {
        partition: u32,
        /// The last place taken; none: nothing was.
        after: Option<Place>,
        /// The first place that is still there; none where nothing is left.
        before: Option<Place>,
    },
    /// Everything of a partition was taken that arrived before this time, ms UTC, or it begins with what there is then: behind its place nothing
    /// of before is owed. So what retention takes while a partition is quiet is no loss.
    Quiet { partition: u32, until_ms: i64 },
    /// What decides from here on: the name of a thing (`model`) and what it is now.
    Version { name: String, is: String },
}

/// A partition that appears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its name, unique in the source: a path, a shard id.
    pub name: String,
    pub start: Start,
    /// Numbers of those that must be finished before it opens. A parent that is older than anything ever read is not named.
    pub parents: Vec<u32>,
    /// Its records are labels of events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_labels: bool,
}

impl Opened {
    /// A partition of events that came of no others.
    pub fn new(name: impl Into<String>, start: Start) -> Self {
        Self { name: name.into(), start, parents: Vec::new(), is_labels: false }
    }
}

/// How far a partition was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    #[serde(flatten)]
    pub opened: Opened,
    /// The last record taken.
    pub place: Option<Place>,
    pub is_finished: bool,
    /// What is known of what lies behind the place, until the next record is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Beyond>,
}

/// What lies behind a partition's place, where that is not simply the next record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// A gap was accepted, and this is the first place behind it.
    GoesOnAt(Place),
    /// Nothing that arrived before this time, ms UTC.
    NothingBefore(i64),
}

/// All partitions, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partitions {
    list: Vec<PartitionState>,
}

/// A change or run that cannot follow what was before: the order log and the source disagree, or one of them is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("partition number {0} was never opened")]
    Unknown(u32),
    #[error("{0} is finished, and nothing more can come of it")]
    Finished(String),
    #[error("{0} was opened before")]
    OpenedTwice(String),
    #[error("{child} was opened before its parent {parent} was finished")]
    ParentUnfinished { child: String, parent: String },
    #[error("{partition} was taken up to {from} and cannot go back to {to}")]
    Backwards { partition: String, from: Place, to: Place },
    #[error("{partition} is at {from}, which cannot be compared with {to}")]
    OtherKind { partition: String, from: Place, to: Place },
}

impl FromIterator<PartitionState> for Partitions {
    /// With the numbers of their order.
    fn from_iter<I: IntoIterator<Item = PartitionState>>(states: I) -> Self {
        Self { list: states.into_iter().collect() }
    }
}

impl Partitions {
    /// By number.
    pub fn list(&self) -> &[PartitionState] {
        &self.list
    }

    /// The number of a partition.
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.list.iter().position(|partition| partition.opened.name == name).map(|number| number as u32)
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::Open(opened) => self.open(opened),
            Change::Finish { partition } => {
                self.living(*partition)?.is_finished = true;
                Ok(())
            }
            // No partition's.
            Change::Version { .. } => Ok(()),
            // The place moves on with the next run; until then the gap is not asked for again.
            Change::Gap { partition, before, .. } => {
                let nothing = Beyond::NothingBefore(i64::MIN);
                self.living(*partition)?.beyond = Some(before.clone().map_or(nothing, Beyond::GoesOnAt));
                Ok(())
            }
            Change::Quiet { partition, until_ms } => {
                self.living(*partition)?.beyond = Some(Beyond::NothingBefore(*until_ms));
                Ok(())
            }
        }
    }

    /// Moves a partition on.
    pub fn advance(&mut self, run: &Run) -> Result<(), Fault> {
        let partition = self.living(run.partition)?;
        if let Some(from) = &partition.place {
            let name = || partition.opened.name.clone();
            match run.end.is_after(from) {
                Some(true) => {}
                Some(false) => {
                    return Err(Fault::Backwards {
                        partition: name(),
                        from: from.clone(),
                        to: run.end.clone(),
                    });
                }
                None => {
                    return Err(Fault::OtherKind {
                        partition: name(),
                        from: from.clone(),
                        to: run.end.clone(),
                    });
                }
            }
        }
        partition.place = Some(run.end.clone());
        partition.beyond = None;
        Ok(())
    }

    fn open(&mut self, opened: &Opened) -> Result<(), Fault> {
        if self.number_of(&opened.name).is_some() {
            return Err(Fault::OpenedTwice(opened.name.clone()));
        }
        for &parent in &opened.parents {
            let parent = self.list.get(parent as usize).ok_or(Fault::Unknown(parent))?;
            if !parent.is_finished {
                let parent = parent.opened.name.clone();
                return Err(Fault::ParentUnfinished { child: opened.name.clone(), parent });
            }
        }
        self.list.push(PartitionState {
            opened: opened.clone(),
            place: None,
            is_finished: false,
            beyond: None,
        });
        Ok(())
    }

    fn living(&mut self, number: u32) -> Result<&mut PartitionState, Fault> {
        let partition = self.list.get_mut(number as usize).ok_or(Fault::Unknown(number))?;
        if partition.is_finished {
            return Err(Fault::Finished(partition.opened.name.clone()));
        }
        Ok(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::SequenceNumber;

    fn shard(name: &str, parents: &[u32]) -> Change {
        Change::Open(Opened { parents: parents.to_vec(), ..Opened::new(name, Start::Oldest) })
    }

    fn run(partition: u32, number: &str) -> Run {
        let number = SequenceNumber::new(number).expect("a number");
        Run { partition, records: 1, end: Place::Sequence { number, sub: 0 } }
    }

    #[test]
    fn a_merged_shard_waits_for_both_parents() {
        let mut partitions = Partitions::default();
        for change in [shard("a", &[]), shard("b", &[]), Change::Finish { partition: 0 }] {
            partitions.apply(&change).expect("in order");
        }
        let fault = partitions.apply(&shard("c", &[0, 1]));
        assert_eq!(fault, Err(Fault::ParentUnfinished { child: "c".into(), parent: "b".into() }));
        partitions.apply(&Change::Finish { partition: 1 }).expect("in order");
        partitions.apply(&shard("c", &[0, 1])).expect("both are finished");
        assert_eq!(partitions.number_of("c"), Some(2));
    }

    #[test]
    fn what_lies_behind_a_place_is_known_until_the_next_record() {
        let mut partitions = Partitions::default();
        partitions.apply(&shard("a", &[])).expect("the first");
        partitions.advance(&run(0, "99")).expect("the first record");
        let next = run(0, "120").end;
        let gap = Change::Gap { partition: 0, after: Some(run(0, "99").end), before: Some(next.clone()) };
        partitions.apply(&gap).expect("accepted");
        assert_eq!(partitions.list()[0].beyond, Some(Beyond::GoesOnAt(next)));
        let text = serde_json::to_string(&partitions).expect("plain data");
        assert_eq!(serde_json::from_str::<Partitions>(&text).expect("the same"), partitions);
        partitions.advance(&run(0, "120")).expect("the record behind the gap");
        assert_eq!(partitions.list()[0].beyond, None);
        partitions.apply(&Change::Quiet { partition: 0, until_ms: 7 }).expect("all was taken");
        assert_eq!(partitions.list()[0].beyond, Some(Beyond::NothingBefore(7)));
    }

    #[test]
    fn a_place_only_moves_on_and_nothing_follows_an_end() {
        let mut partitions = Partitions::default();
        partitions.apply(&shard("a", &[])).expect("the first");
        partitions.advance(&run(0, "99")).expect("the first record");
        partitions.advance(&run(0, "100")).expect("more digits are more");
        assert!(matches!(partitions.advance(&run(0, "100")), Err(Fault::Backwards { .. })));
        let row = Run { partition: 0, records: 1, end: Place::Row { line: 1, offset: 0 } };
        assert!(matches!(partitions.advance(&row), Err(Fault::OtherKind { .. })));
        assert_eq!(partitions.advance(&run(1, "1")), Err(Fault::Unknown(1)));
        partitions.apply(&Change::Finish { partition: 0 }).expect("its end");
        assert_eq!(partitions.advance(&run(0, "101")), Err(Fault::Finished("a".into())));
        assert_eq!(partitions.apply(&shard("a", &[])), Err(Fault::OpenedTwice("a".into())));
    }
}
