//! The source: shards in, records out, in the order that each shard has.
//!
//! service -> queues -> **source** -> engine
//!
//! Holds: what `cartguard_io::Source` and `Replayable` promise; a shard's `Finish` is told after its last record was taken, and its
//! children open then, so that one manifest has both or neither (S5). Which shard opens is decided by `cartguard_history::lineage`,
//! how a shard is read by the service; here the two are joined, on the caller's thread.

use crate::limits::IDLE_WAIT;
use crate::metrics::{Metrics, ShardStatus};
use crate::queue::{Last, Queue, Took};
use crate::service::Service;
use cartguard_engine::record::Records;
use cartguard_history::lineage::{Lineage, Shard};
use cartguard_history::{Change, Partitions, Run, Start};
use cartguard_io::{Advice, Position, Read, Replayable, Source, Trouble, WatchPartitions};
use std::sync::Arc;

mod resume;
mod shards;

/// What a deployment chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where a stream that was never read begins.
    pub start: Start,
    /// Whether to go on without records that retention took.
    pub accept_gap: bool,
}

/// What the next listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// The first since a shard ended.
    First,
    /// One more: the last was short.
    Again,
    UnderWay,
}

/// All shards of a stream.
pub struct ShardSource<S: Service> {
    service: S,
    settings: Settings,
    metrics: Metrics,
    lineage: Lineage,
    partitions: Partitions,
    names: Vec<String>,
    /// What is being read, in the order opened.
    shards: Vec<Queue>,
    next_reading: u64,
    /// The shard whose turn it is.
    turn: usize,
    /// Changes that were applied and not told.
    untold: Vec<Change>,
    is_resumed: bool,
    /// It was looked whether what comes behind the places is still there.
    is_looked: bool,
    /// A shard ended or a listing came: who opens now?
    is_unsettled: bool,
    listing: Listing,
    /// Listings that were heard.
    listings: u64,
    /// Shards that something was lost of by a listing: its number.
    suspected: Vec<(String, u64)>,
    last: Position,
}

impl<S: Service> ShardSource<S> {
    /// Of a stream whose shards were listed; nothing is read yet.
    pub fn new(service: S, settings: Settings, shards: Vec<Shard>) -> Self {
        let mut lineage = Lineage::new(settings.start);
        // The first is never older.
        let _ = lineage.list(shards);
        Self {
            service,
            settings,
            metrics: Metrics::default(),
            lineage,
            partitions: Partitions::default(),
            names: Vec::new(),
            shards: Vec::new(),
            next_reading: 0,
            turn: 0,
            untold: Vec::new(),
            is_resumed: false,
            is_looked: false,
            is_unsettled: true,
            listing: Listing::First,
            listings: 0,
            suspected: Vec::new(),
            last: Position::default(),
        }
    }

    /// Figures of its shards, for any thread.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// How far each partition was taken.
    pub fn taken(&self) -> &Partitions {
        &self.partitions
    }

    /// Applies a change of our own, to be told by the next `changes`.
    fn decide(&mut self, change: Change) -> Result<(), Trouble> {
        self.follow(&change)?;
        self.untold.push(change);
        Ok(())
    }

    fn follow(&mut self, change: &Change) -> Result<(), Trouble> {
        self.partitions.apply(change).map_err(at_odds)?;
        match change {
            Change::Open(opened) => self.names.push(opened.name.clone()),
            Change::Finish { partition } => {
                self.close(*partition);
                // Also where the history says so, and no reader came to the end.
                self.metrics.of(&self.names[*partition as usize]).ended();
            }
            Change::Version { .. } | Change::Quiet { .. } => return Ok(()),
            // Read on from where the gap ends.
            Change::Gap { partition, .. } => self.close(*partition),
        }
        self.is_unsettled = true;
        Ok(())
    }

    /// Fills a batch from the shards in turn.
    fn fill(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<(), Trouble> {
        let shards = self.shards.len();
        for _ in 0..shards {
            self.turn = (self.turn + 1) % shards;
            let queue = &mut self.shards[self.turn];
            let before = into.len();
            let mut took = Took::One;
            while took == Took::One && into.len() < max_records {
                took = queue.take_one(into, max_bytes)?;
            }
            let records = (into.len() - before) as u32;
            if records > 0
                && let Some(end) = Queue::last_place(into)
            {
                let partition = queue.partition;
                self.advance(&Run { partition, records, end })?;
            }
            if took != Took::Nothing {
                break;
            }
        }
        Ok(())
    }

    fn advance(&mut self, run: &Run) -> Result<(), Trouble> {
        self.partitions.advance(run).map_err(at_odds)?;
        self.last.partition = run.partition;
        self.last.line += u64::from(run.records);
        Ok(())
    }
}

impl<S: Service> Source for ShardSource<S> {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        into.clear();
        if !self.is_resumed {
            self.resume(&Partitions::default())?;
        }
        if !self.is_looked {
            self.go_on(&|| false)?;
        }
        self.hear_all()?;
        self.finish()?;
        self.tell_quiet()?;
        self.pass_lost()?;
        self.settle()?;
        self.fill(into, max_bytes, max_records)?;
        if into.is_empty() && self.untold.is_empty() && self.hear_within(IDLE_WAIT)? {
            self.fill(into, max_bytes, max_records)?;
        }
        Ok(if into.is_empty() { Read::Idle } else { Read::More })
    }

    fn position(&self) -> Position {
        self.last
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.untold)
    }

    fn watch(&self) -> Option<WatchPartitions> {
        let metrics = self.metrics();
        Some(Arc::new(move || metrics.shards().into_iter().map(ShardStatus::into_figures).collect()))
    }
}

impl<S: Service> Replayable for ShardSource<S> {
    fn identity(&self) -> String {
        self.service.identity()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        self.is_resumed = true;
        self.partitions = taken.clone();
        self.names = taken.list().iter().map(|partition| partition.opened.name.clone()).collect();
        Ok(())
    }

    fn take(&mut self, run: &Run, into: &mut Records, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        into.clear();
        self.start_readers();
        let name = self.names.get(run.partition as usize).cloned().unwrap_or_default();
        let other = |have: &str| {
            let what = format!(
                "{name}: {} records up to {} were taken before, and now {have}",
                run.records, run.end
            );
            Trouble::refuse(what)
        };
        loop {
            if is_over() {
                return Err(Trouble::over(format!("{name}: a batch is taken again")));
            }
            let Some(queue) = self.queue(run.partition) else { return Err(other("it is finished")) };
            while into.len() < run.records as usize && queue.take_one(into, usize::MAX)? == Took::One {}
            if into.len() == run.records as usize {
                let place = Queue::last_place(into);
                if place.as_ref() != Some(&run.end) {
                    let place = place.map_or_else(String::new, |place| place.to_string());
                    return Err(other(&format!("they end at {place}")));
                }
                return self.advance(run);
            }
            match &queue.last {
                Some(Last::End) if queue.is_empty() => return Err(other("the shard has ended")),
                Some(Last::Gone) if queue.is_empty() => return Err(other("the shard is past its retention")),
                Some(Last::Lost(_)) if queue.is_empty() => {
                    return Err(other("they are past their retention"));
                }
                _ => {}
            }
            self.hear_within(IDLE_WAIT)?;
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        self.follow(change)
    }

    fn go_on(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), Trouble> {
        self.is_looked = true;
        self.look(is_over)
    }
}

fn lost_records(what: &str) -> Trouble {
    let advice = "restore an older copy, or set source.accept_gap = true to go on without them";
    Trouble::stop(format!("records are lost: {what}; {advice}")).with_advice(Advice::Refuse)
}

/// The order log, or the service, says what cannot follow.
fn at_odds(fault: cartguard_history::Fault) -> Trouble {
    Trouble::stop("what was taken of the stream does not go on so").because(fault)
}
