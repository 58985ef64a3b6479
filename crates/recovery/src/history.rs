//! A pipeline's history, from where it stands: batches are bound, or done again.
//!
//! engine -> **history** -> order log, `snapshots`

use crate::kill_point;
use crate::retell::hash_of;
use crate::snapshots::Snapshots;
use crate::versions::{self, Models, Versions};
use cartguard_engine::batch::{Engine, Outputs, Scorer};
use cartguard_engine::record::Records;
use cartguard_history::{Bound, Change, Manifest, Partitions, Place, Run, Tip};
use cartguard_io::{Advice, Delivered, Left, Lock, Segments, Trouble};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where a history stands between two batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) tip: Tip,
    pub(crate) partitions: Partitions,
    /// Bytes of decisions, alerts and rejects in all batches so far.
    pub(crate) output_bytes: [u64; 3],
    pub(crate) versions: Versions,
}

/// Where a history stands, and its newest snapshot.
#[derive(Clone, Debug)]
pub struct Look {
    pub epoch: u64,
    /// The next batch, and the sequence number of its first record.
    pub batch: u64,
    pub sequence: u64,
    pub partitions: Partitions,
    /// The first batch that is not delivered.
    pub delivered: u64,
    pub snapshot: SnapshotLook,
}

/// The newest snapshot that is stored, and what is made of the next one.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotLook {
    pub batch: u64,
    pub sequence: u64,
    /// When this process stored it; none: one before it did.
    pub stored: Option<Instant>,
    /// "none", "preparing", "copying" or "storing".
    pub taking: &'static str,
}

/// See the module.
pub struct History {
    pub(crate) epoch: u64,
    pub(crate) standing: Standing,
    pub(crate) segments: Box<dyn Segments>,
    pub(crate) snapshots: Snapshots,
    /// What decides the next batch.
    pub(crate) versions: Versions,
    pub(crate) models: Arc<dyn Models>,
    /// The model that decides the next batch.
    pub(crate) scorer: Option<Arc<Scorer>>,
    pub(crate) delivered: Delivered,
    /// The storage was a history's before.
    pub(crate) was_begun: bool,
    /// Batches that are in the order log and not in the snapshot, to be done again; oldest first.
    pub(crate) tail: Vec<Bound>,
    /// A record on its way to the order log.
    pub(crate) record: Vec<u8>,
    pub(crate) no_room_pause: Duration,
    /// Set while a batch waits for room.
    pub(crate) no_room: Arc<AtomicBool>,
    pub(crate) tell: fn(&str),
    /// Held until the end.
    pub(crate) _lock: Option<Lock>,
}

impl History {
    /// What a sink that wrote before has to know.
    pub fn left(&self) -> Left {
        let known = self.tail.last().map_or(0, |bound| bound.delivered);
        let Standing { tip, output_bytes, .. } = &self.standing;
        let next = self.tail.last().map_or(tip.batch, |bound| bound.batch + 1);
        Left { batch: tip.batch, bytes: *output_bytes, delivered: known.max(tip.batch), next }
    }

    /// Whether a process before this one had begun it.
    pub fn goes_on(&self) -> bool {
        self.was_begun
    }

    /// Set while the order log finds no room, and so nothing is released.
    pub fn no_room(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.no_room)
    }

    /// Where it stands, for people.
    pub(crate) fn look(&self) -> Look {
        let Standing { tip, partitions, .. } = &self.standing;
        Look {
            epoch: self.epoch,
            batch: tip.batch,
            sequence: tip.next_sequence,
            partitions: partitions.clone(),
            delivered: self.delivered.get(),
            snapshot: self.snapshots.look(),
        }
    }

    /// Where deliveries are told of; `from` is the first batch that the sink wants again.
    pub(crate) fn deliveries(&mut self, delivered: Delivered, from: u64) {
        delivered.advance(from);
        self.snapshots.watch(&delivered);
        self.delivered = delivered;
    }

    /// How far partitions were taken, in the snapshot.
    pub fn partitions(&self) -> &Partitions {
        &self.standing.partitions
    }

    /// Number of the next batch.
    pub fn next_batch(&self) -> u64 {
        self.standing.tip.batch
    }

    /// The batches to be done again, taken by asking.
    pub(crate) fn take_tail(&mut self) -> Vec<Bound> {
        std::mem::take(&mut self.tail)
    }

    /// Another version of a thing decides from the next batch on.
    pub(crate) fn set_version(&mut self, name: &str, is: &str) {
        versions::set(&mut self.versions, name, is);
    }

    /// A batch was done again and came to what was bound.
    pub(crate) fn repeat(
        &mut self,
        bound: &Bound,
        outputs: &Outputs,
        engine: &mut Engine,
    ) -> Result<(), Trouble> {
        kill_point::pass("repeated");
        // The tip moves on as it did when the record was written.
        self.record.clear();
        self.standing.tip.append(bound, &mut self.record);
        self.standing.follow(bound, outputs)?;
        self.tick(engine).map(|_| ())
    }

    /// Binds a batch: when this returns, its outputs may leave. Waits for room on a full disk until all is to end.
    pub(crate) fn bind(
        &mut self,
        mut changes: Vec<Change>,
        records: &Records,
        outputs: &Outputs,
        engine: &mut Engine,
        stop: &AtomicBool,
    ) -> Result<(), Trouble> {
        changes.splice(..0, versions::changes(&self.standing.versions, &self.versions));
        let bound = Bound {
            epoch: self.epoch,
            batch: self.standing.tip.batch,
            first_sequence: self.standing.tip.next_sequence,
            changes,
            runs: runs_of(records),
            outputs: hash_of(outputs),
            delivered: self.delivered.get(),
        };
        kill_point::pass("processed");
        let has_end = bound.changes.iter().any(|change| matches!(change, Change::Finish { .. }));
        if has_end {
            kill_point::pass("end_read");
        }
        self.record.clear();
        self.standing.tip.append(&bound, &mut self.record);
        let mut told = false;
        while let Err(trouble) = self.segments.append(bound.batch, &self.record) {
            if trouble.advice() != Advice::Retry || stop.load(Ordering::Relaxed) {
                return Err(trouble);
            }
            if !told {
                told = true;
                self.no_room.store(true, Ordering::Relaxed);
                (self.tell)(&format!("{trouble}; nothing is released until there is room"));
            }
            thread::sleep(self.no_room_pause);
        }
        if told {
            self.no_room.store(false, Ordering::Relaxed);
        }
        if has_end {
            kill_point::pass("end_bound");
        }
        kill_point::pass("bound");
        self.standing.follow(&bound, outputs)?;
        self.tick(engine).map(|_| ())
    }

    /// Between batches, and while there are none: what has to be done some time. Whether there is more to do at once.
    pub(crate) fn tick(&mut self, engine: &mut Engine) -> Result<bool, Trouble> {
        self.snapshots.tick(engine, &self.standing)?;
        Ok(self.snapshots.is_copying())
    }

    /// A last snapshot, so that the next start has nothing to do again. Everything must be delivered.
    pub(crate) fn finish(mut self, engine: &mut Engine) -> Result<(), Trouble> {
        self.snapshots.finish(engine, &self.standing)
    }
}

impl Standing {
    /// Where a snapshot stands.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            tip: manifest.tip,
            partitions: manifest.partitions.clone(),
            output_bytes: manifest.output_bytes,
            versions: manifest.versions.clone(),
        }
    }

    /// Moves on behind a batch whose record moved the tip.
    fn follow(&mut self, bound: &Bound, outputs: &Outputs) -> Result<(), Trouble> {
        for change in &bound.changes {
            self.partitions.apply(change).map_err(at_odds)?;
            if let Change::Version { name, is } = change {
                versions::set(&mut self.versions, name, is);
            }
        }
        for run in &bound.runs {
            self.partitions.advance(run).map_err(at_odds)?;
        }
        let bytes = [
            outputs.decisions().map(<[u8]>::len).sum::<usize>(),
            outputs.alerts().map(<[u8]>::len).sum(),
            outputs.rejects().map(<[u8]>::len).sum(),
        ];
        for (sum, bytes) in self.output_bytes.iter_mut().zip(bytes) {
            *sum += bytes as u64;
        }
        Ok(())
    }
}

/// A source that goes back, or takes of a partition that has ended: a fault of ours or of the upstream's, and no guess helps.
fn at_odds(fault: cartguard_history::Fault) -> Trouble {
    Trouble::stop("the source and its history are at odds").because(fault)
}

/// The runs of a batch, in order.
fn runs_of(records: &Records) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for chunk in records.list.chunk_by(|one, next| one.partition == next.partition) {
        let before: u32 = runs.iter().map(|run| run.records).sum();
        let last = before as usize + chunk.len() - 1;
        runs.push(Run {
            partition: chunk[0].partition,
            records: chunk.len() as u32,
            end: Place::from(records.place_of(last)),
        });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use cartguard_engine::record::Location;

    #[test]
    fn a_run_is_the_records_of_one_partition_up_to_the_last() {
        let mut records = Records::default();
        for (partition, line) in [(0, 7), (0, 9), (1, 1), (0, 10)] {
            records.push_json(b"{}");
            let meta = records.list.last_mut().expect("just pushed");
            (meta.partition, meta.place) = (partition, Location::Row { line, offset: 0 });
        }
        let runs = runs_of(&records);
        let found: Vec<_> =
            runs.iter().map(|run| (run.partition, run.records, run.end.to_string())).collect();
        assert_eq!(found, [(0, 2, "9:0".into()), (1, 1, "1:0".into()), (0, 1, "10:0".into())]);
    }
}
