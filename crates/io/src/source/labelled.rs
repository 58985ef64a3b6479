//! Events and the labels of events as one source: labels are records too, of partitions of their own.
//!
//! labels, events -> **labelled** -> records
//!
//! Holds: partitions have the numbers of the order in which they were told of, which for a history is that of its order log; all files of
//! labels are told of before the first of the events is, and one that is added later when the next process begins; what is there of labels is
//! taken before events are. A label that comes early waits in the engine until it is known, so that a history, with all of its labels in
//! front, gives what a stream gave whose labels came in between. It ends when there are no more events.
//!
//! Not here: what a label says, when it begins to count (the engine).

use super::{Position, Read, Replayable, Source};
use crate::{Trouble, WatchPartitions};
use cartguard_engine::record::{Form, Records};
use cartguard_history::{Change, Opened, PartitionState, Partitions, Run};

/// See the module.
pub struct Labelled<L, E> {
    labels: L,
    events: E,
    /// The partitions that were told of, by number.
    told: Vec<Own>,
    /// Names of all partitions: those that were told of, then those that will be.
    names: Vec<String>,
    changes: Vec<Change>,
    labels_ended: bool,
    events_ended: bool,
    /// Labels are what is read now.
    at_labels: bool,
}

/// A partition by the number that its own source gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Labels(u32),
    Events(u32),
}

impl<L: Source, E: Source> Labelled<L, E> {
    /// Before anything of either is read.
    pub fn new(labels: L, events: E) -> Self {
        let mut new = Self {
            labels,
            events,
            told: Vec::new(),
            names: Vec::new(),
            changes: Vec::new(),
            labels_ended: false,
            events_ended: false,
            at_labels: true,
        };
        new.name();
        new
    }

    /// The source of events.
    pub fn events(&self) -> &E {
        &self.events
    }

    /// How many partitions of labels were told of, and how many of events.
    fn opened(&self) -> (usize, usize) {
        let labels = self.told.iter().filter(|own| matches!(own, Own::Labels(_))).count();
        (labels, self.told.len() - labels)
    }

    /// The number here of a partition. Those that were not told of come behind the others, labels first; a source that tells of none has its
    /// numbers so.
    fn number(&self, own: Own) -> u32 {
        if let Some(number) = self.told.iter().position(|told| *told == own) {
            return number as u32;
        }
        let (labels, events) = self.opened();
        let left = self.labels.partitions().len() - labels;
        let behind = match own {
            Own::Labels(own) => own as usize - labels,
            Own::Events(own) => left + own as usize - events,
        };
        (self.told.len() + behind) as u32
    }

    /// A partition of ours by its number.
    fn own(&self, number: u32) -> Result<Own, Trouble> {
        let own = self.told.get(number as usize).copied();
        own.ok_or_else(|| Trouble::refuse(format!("partition number {number} was never opened")))
    }

    /// A further partition is told of.
    fn open(&mut self, is_labels: bool) {
        let (labels, events) = self.opened();
        self.told.push(if is_labels { Own::Labels(labels as u32) } else { Own::Events(events as u32) });
    }

    /// Takes note of the names of all partitions as they are now.
    fn name(&mut self) {
        let (labels, events) = self.opened();
        let [of_labels, of_events] = [self.labels.partitions(), self.events.partitions()];
        let told = self.told.iter().map(|own| match own {
            Own::Labels(own) => of_labels[*own as usize].clone(),
            Own::Events(own) => of_events.get(*own as usize).cloned().unwrap_or_default(),
        });
        let left = of_labels[labels..].iter().chain(of_events.get(events..).unwrap_or_default()).cloned();
        self.names = told.chain(left).collect();
    }

    /// The changes of both since they were last asked, numbered as the partitions are here.
    fn gather_changes(&mut self) {
        let labels = self.labels.changes().into_iter().map(|change| (change, true));
        let events = self.events.changes().into_iter().map(|change| (change, false));
        let all: Vec<(Change, bool)> = labels.chain(events).collect();
        if all.is_empty() {
            return;
        }
        for (change, is_labels) in all {
            let number = |own: u32| self.number(if is_labels { Own::Labels(own) } else { Own::Events(own) });
            let change = match change {
                Change::Open(opened) => {
                    let parents = opened.parents.iter().map(|parent| number(*parent)).collect();
                    self.open(is_labels);
                    Change::Open(Opened { parents, is_labels, ..opened })
                }
                other => renumbered(other, number),
            };
            self.changes.push(change);
        }
        self.name();
    }
}

impl<L: Source, E: Source> Source for Labelled<L, E> {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        into.clear();
        if self.events_ended {
            return Ok(Read::End);
        }
        if !self.labels_ended {
            self.at_labels = true;
            let read = self.labels.read(into, max_bytes, max_records)?;
            self.labels_ended = read == Read::End;
            self.gather_changes();
            if read == Read::More {
                label(into);
                number_all(into, |own| self.number(Own::Labels(own)));
                return Ok(read);
            }
            // Numbers are given in the order in which partitions are told of.
            if read == Read::Idle && self.opened().0 < self.labels.partitions().len() {
                return Ok(read);
            }
        }
        self.at_labels = false;
        let read = self.events.read(into, max_bytes, max_records)?;
        self.events_ended = read == Read::End;
        self.gather_changes();
        number_all(into, |own| self.number(Own::Events(own)));
        Ok(read)
    }

    fn position(&self) -> Position {
        let (at, own) = if self.at_labels {
            let at = self.labels.position();
            (at, Own::Labels(at.partition))
        } else {
            let at = self.events.position();
            (at, Own::Events(at.partition))
        };
        Position { partition: self.number(own), ..at }
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn watch(&self) -> Option<WatchPartitions> {
        self.events.watch()
    }
}

impl<L: Replayable, E: Replayable> Labelled<L, E> {
    /// A partition that was told of before: files of labels keep their place and their order, and new ones come behind them.
    fn open_again(&mut self, opened: &Opened) -> Result<bool, Trouble> {
        let (labels, events) = self.opened();
        let files = self.labels.partitions();
        let name = &opened.name;
        // Until it was said of partitions what they are, labels stood in front.
        let is_labels = opened.is_labels || (events == 0 && files.get(labels) == Some(name));
        let refused = |what: String| Err(Trouble::refuse(format!("labels.input: {what}")));
        let rule = "the files that a history has read stay in the list, in their order, and new ones come behind them";
        if is_labels && files.get(labels) != Some(name) {
            let is_now = match files.iter().position(|file| file == name) {
                Some(at) => format!("is file {} now", at + 1),
                None => "is not among them now".to_owned(),
            };
            return refused(format!("{name} was file {} before, and {is_now}; {rule}", labels + 1));
        }
        if !is_labels && labels == 0 {
            let first = files.first().map_or("no file", String::as_str);
            return refused(format!("{first} stands where {name} was read before; {rule}"));
        }
        if !is_labels && files.contains(name) {
            return refused(format!(
                "{name} was read as a file of events before, and cannot be one of labels"
            ));
        }
        self.open(is_labels);
        Ok(is_labels)
    }
}

impl<L: Replayable, E: Replayable> Replayable for Labelled<L, E> {
    fn identity(&self) -> String {
        self.events.identity()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        let (mut labels, mut events): (Vec<PartitionState>, Vec<PartitionState>) = (Vec::new(), Vec::new());
        for state in taken.list() {
            let parents = state.opened.parents.iter().map(|parent| Ok(local(self.own(*parent)?)));
            let parents: Vec<u32> = parents.collect::<Result<_, Trouble>>()?;
            let own = if self.open_again(&state.opened)? { &mut labels } else { &mut events };
            let opened = Opened { parents, ..state.opened.clone() };
            own.push(PartitionState { opened, ..state.clone() });
        }
        self.labels.resume(&labels.into_iter().collect())?;
        self.events.resume(&events.into_iter().collect())?;
        self.name();
        Ok(())
    }

    fn take(&mut self, run: &Run, into: &mut Records, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        let own = self.own(run.partition)?;
        let run = Run { partition: local(own), ..run.clone() };
        match own {
            Own::Labels(_) => {
                self.labels.take(&run, into, is_over)?;
                label(into);
                number_all(into, |own| self.number(Own::Labels(own)));
            }
            Own::Events(_) => {
                self.events.take(&run, into, is_over)?;
                number_all(into, |own| self.number(Own::Events(own)));
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        let is_labels = match change {
            Change::Open(opened) => self.open_again(opened)?,
            Change::Finish { partition }
            | Change::Gap { partition, .. }
            | Change::Quiet { partition, .. } => matches!(self.own(*partition)?, Own::Labels(_)),
            Change::Version { .. } => return Ok(()),
        };
        let told = &self.told;
        // What is named was told of: of the others that was looked at just now, and parents come before their children.
        let number = |number: u32| told.get(number as usize).map_or(number, |own| local(*own));
        let own = match change.clone() {
            Change::Open(opened) => {
                let parents = opened.parents.iter().map(|parent| number(*parent)).collect();
                Change::Open(Opened { parents, ..opened })
            }
            other => renumbered(other, number),
        };
        if is_labels {
            self.labels.apply(&own)?;
        } else {
            self.events.apply(&own)?;
        }
        self.name();
        Ok(())
    }

    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        self.labels.go_on(is_over)?;
        self.events.go_on(is_over)
    }
}

fn local(own: Own) -> u32 {
    let (Own::Labels(own) | Own::Events(own)) = own;
    own
}

/// Says of records that they are labels.
fn label(records: &mut Records) {
    for meta in &mut records.list {
        meta.form = match meta.form {
            Form::Json => Form::Label { is_row: false },
            Form::Row => Form::Label { is_row: true },
            form @ (Form::Label { .. } | Form::Refused(_)) => form,
        };
    }
}

/// Gives records the numbers that their partitions have here.
fn number_all(records: &mut Records, number: impl Fn(u32) -> u32) {
    let mut last: Option<(u32, u32)> = None;
    for meta in &mut records.list {
        // Most often they are of the partition of the one before.
        let known = last.filter(|(own, _)| *own == meta.partition);
        let (_, here) = *last.insert(known.unwrap_or_else(|| (meta.partition, number(meta.partition))));
        meta.partition = here;
    }
}

/// A change of a partition that was opened, by its number elsewhere.
fn renumbered(change: Change, number: impl Fn(u32) -> u32) -> Change {
    match change {
        Change::Finish { partition } => Change::Finish { partition: number(partition) },
        Change::Gap { partition, after, before } => {
            Change::Gap { partition: number(partition), after, before }
        }
        Change::Quiet { partition, until_ms } => Change::Quiet { partition: number(partition), until_ms },
        change @ (Change::Open(_) | Change::Version { .. }) => change,
    }
}
