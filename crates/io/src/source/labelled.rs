//! Events and the labels of events as one source: labels are records too, of partitions of their own.
//!
//! labels, events -> **labelled** -> records
//!
//! Holds: the partitions of labels come first and are told of before any of the events', so that their numbers never change; what is there
//! of labels is taken before events are. A label that comes early waits in the engine until it is known, so that a history, with all of
//! its labels in front, gives what a stream gave whose labels came in between. It ends when there are no more events.
//!
//! Not here: what a label says, when it begins to count (the engine).

use super::{Position, Read, Replayable, Source};
use crate::{Trouble, WatchPartitions};
use cartguard_engine::record::{Form, Records};
use cartguard_history::{Change, Opened, Partitions, Run};

/// See the module.
pub struct Labelled<L, E> {
    labels: L,
    events: E,
    /// Partitions of labels.
    count: u32,
    /// All partitions.
    names: Vec<String>,
    /// Partitions of labels that were told of or come back from a log.
    opened: u32,
    changes: Vec<Change>,
    labels_ended: bool,
    events_ended: bool,
    /// Labels are what is read now.
    at_labels: bool,
}

impl<L: Source, E: Source> Labelled<L, E> {
    /// Before anything of either is read.
    pub fn new(labels: L, events: E) -> Self {
        let count = labels.partitions().len() as u32;
        let names = [labels.partitions(), events.partitions()].concat();
        Self {
            labels,
            events,
            count,
            names,
            opened: 0,
            changes: Vec::new(),
            labels_ended: false,
            events_ended: false,
            at_labels: true,
        }
    }

    /// The source of events.
    pub fn events(&self) -> &E {
        &self.events
    }

    /// Takes note of partitions that appeared.
    fn name(&mut self) {
        let known = self.names.len() - self.count as usize;
        self.names.extend_from_slice(self.events.partitions().get(known..).unwrap_or_default());
    }

    /// The changes of both since they were last asked, numbered as the partitions are here.
    fn gather_changes(&mut self) {
        let labels = self.labels.changes();
        self.opened += labels.iter().filter(|change| matches!(change, Change::Open(_))).count() as u32;
        self.changes.extend(labels);
        let events = self.events.changes();
        self.changes.extend(events.into_iter().map(|change| moved(change, self.count)));
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
                return Ok(read);
            }
            // Numbers are given in the order in which partitions are told of.
            if self.opened < self.count && read == Read::Idle {
                return Ok(read);
            }
        }
        self.at_labels = false;
        let read = self.events.read(into, max_bytes, max_records)?;
        self.events_ended = read == Read::End;
        into.list.iter_mut().for_each(|meta| meta.partition += self.count);
        self.name();
        self.gather_changes();
        Ok(read)
    }

    fn position(&self) -> Position {
        if self.at_labels {
            return self.labels.position();
        }
        let at = self.events.position();
        Position { partition: at.partition + self.count, ..at }
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn watch(&self) -> Option<WatchPartitions> {
        self.events.watch()
    }
}

impl<L: Replayable, E: Replayable> Replayable for Labelled<L, E> {
    fn identity(&self) -> String {
        self.events.identity()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        let labels = &self.names[..self.count as usize];
        let before = taken.list().iter().map(|state| &state.opened.name);
        if let Some((now, before)) = labels.iter().zip(before).find(|(now, before)| now != before) {
            return Err(Trouble::refuse(format!(
                "labels.input: {now} stands where {before} was read before; the files of labels of a history stay the same, in the same order"
            )));
        }
        let [labels, events] = split(taken, self.count as usize);
        self.opened = labels.list().len() as u32;
        self.labels.resume(&labels)?;
        self.events.resume(&events)?;
        self.name();
        Ok(())
    }

    fn take(&mut self, run: &Run, into: &mut Records, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        let Some(partition) = run.partition.checked_sub(self.count) else {
            self.labels.take(run, into, is_over)?;
            label(into);
            return Ok(());
        };
        self.events.take(&Run { partition, ..run.clone() }, into, is_over)?;
        into.list.iter_mut().for_each(|meta| meta.partition += self.count);
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        let is_of_labels = match change {
            Change::Open(_) => self.opened < self.count,
            Change::Finish { partition }
            | Change::Gap { partition, .. }
            | Change::Quiet { partition, .. } => *partition < self.count,
            Change::Version { .. } => return Ok(()),
        };
        if is_of_labels {
            self.opened += u32::from(matches!(change, Change::Open(_)));
            return self.labels.apply(change);
        }
        self.events.apply(&moved_back(change, self.count))?;
        self.name();
        Ok(())
    }

    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        self.labels.go_on(is_over)?;
        self.events.go_on(is_over)
    }
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

/// The states of the partitions of labels, and those of events by numbers of their own.
fn split(taken: &Partitions, count: usize) -> [Partitions; 2] {
    let (labels, events) = taken.list().split_at(count.min(taken.list().len()));
    let events = events.iter().map(|state| {
        let parents = state.opened.parents.iter().map(|parent| parent - count as u32).collect();
        let opened = Opened { parents, ..state.opened.clone() };
        cartguard_history::PartitionState { opened, ..state.clone() }
    });
    [labels.iter().cloned().collect(), events.collect()]
}

/// A change of events' partitions by the numbers that they have here.
fn moved(change: Change, by: u32) -> Change {
    match change {
        Change::Open(opened) => {
            let parents = opened.parents.iter().map(|parent| parent + by).collect();
            Change::Open(Opened { parents, ..opened })
        }
        Change::Finish { partition } => Change::Finish { partition: partition + by },
        Change::Gap { partition, after, before } => Change::Gap { partition: partition + by, after, before },
        Change::Quiet { partition, until_ms } => Change::Quiet { partition: partition + by, until_ms },
        change @ Change::Version { .. } => change,
    }
}

/// The same by the numbers that they have there.
fn moved_back(change: &Change, by: u32) -> Change {
    match change.clone() {
        Change::Open(opened) => {
            let parents = opened.parents.iter().map(|parent| parent - by).collect();
            Change::Open(Opened { parents, ..opened })
        }
        Change::Finish { partition } => Change::Finish { partition: partition - by },
        Change::Gap { partition, after, before } => Change::Gap { partition: partition - by, after, before },
        Change::Quiet { partition, until_ms } => Change::Quiet { partition: partition - by, until_ms },
        change @ Change::Version { .. } => change,
    }
}
