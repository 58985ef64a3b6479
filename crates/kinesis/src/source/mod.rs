//! The source: shards in, records out, in the order that each shard has.
//!
//! readers -> queues -> **source** -> engine
//!
//! Holds: what `cartguard_io::Source` and `Replayable` promise; a shard's `Finish` is told after its last record was taken, and its
//! children open then, so that one manifest has both or neither (S5). Which shard opens is decided by `cartguard_history::lineage`,
//! how a shard is read by `reader`; here the two are joined, on the caller's thread.

use crate::backoff::Backoff;
use crate::client;
use crate::fault::Kind;
use crate::limits::{IDLE_WAIT, OPEN_PATIENCE};
use crate::metrics::Metrics;
use crate::queue::{Last, Queue, Took};
use crate::reader::{Event, From, Teller};
use crate::runtime::Runtime;
use crate::settings::{Begin, Settings, Voice};
use crate::stream::{Stream, Target};
use aws_sdk_kinesis::Client;
use cartguard_engine::record::Records;
use cartguard_history::lineage::Lineage;
use cartguard_history::{Change, Partitions, Place, Run, Start};
use cartguard_io::{Advice, Position, Read, Replayable, Source, Trouble};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;

mod resume;
mod shards;

/// All shards of a stream.
pub struct KinesisSource {
    settings: Settings,
    voice: Voice,
    stream: Arc<Stream>,
    metrics: Metrics,
    lineage: Lineage,
    partitions: Partitions,
    names: Vec<String>,
    /// What is being read, in the order opened.
    shards: Vec<(Queue, AbortHandle)>,
    /// The shard whose turn it is.
    turn: usize,
    /// Changes that were applied and not told.
    untold: Vec<Change>,
    /// Where partitions are read from that have lost records, by number.
    moved: Vec<(u32, From)>,
    /// Gaps found when resuming, told with the first read.
    gaps: Vec<Change>,
    is_resumed: bool,
    /// A shard ended or a listing came: who opens now?
    is_unsettled: bool,
    is_listing: bool,
    backoff: Backoff,
    last: Position,
    events: Receiver<Event>,
    to_events: Sender<Event>,
    // Last: it ends the readers, which send to the above.
    runtime: Runtime,
}

impl KinesisSource {
    /// Finds the stream and lists its shards; nothing is read yet.
    pub fn open(settings: Settings, voice: Voice) -> Result<Self, Trouble> {
        let runtime = Runtime::start("kinesis-source")?;
        let access = settings.access.clone();
        let client = runtime.wait(async move { client::connect(&access).await })?;
        Self::of(runtime, client, settings, voice)
    }

    /// The same with a client that has its credentials; `settings.access` is not looked at.
    pub fn open_with(client: &Client, settings: Settings, voice: Voice) -> Result<Self, Trouble> {
        Self::of(Runtime::start("kinesis-source")?, client.clone(), settings, voice)
    }

    fn of(runtime: Runtime, client: Client, settings: Settings, voice: Voice) -> Result<Self, Trouble> {
        // Before the listing: what is put from here on is within the start, whichever shard it goes to.
        let start = match settings.begin {
            Begin::Oldest => Start::Oldest,
            Begin::At(ms) => Start::At(ms),
            Begin::Latest => Start::At(latest(now_ms())),
        };
        let mut lineage = Lineage::new(start);
        let client = client::once(&client, settings.limits.call_timeout);
        let (target, longest) = (Target::new(&settings.stream), settings.limits.backoff_max);
        let mut teller = Teller::new(voice.clone());
        let found = runtime.wait(async move {
            let mut backoff = Backoff::new(longest);
            let begun = Instant::now();
            loop {
                let found = match Stream::find(client.clone(), target.clone()).await {
                    Ok(stream) => stream.shards().await.map(|shards| (stream, shards)),
                    Err(fault) => Err(fault),
                };
                let fault = match found {
                    Ok(found) => return Ok(found),
                    Err(fault) => fault,
                };
                let what = format!("stream {target}: cannot be opened");
                match fault.kind {
                    Kind::Missing | Kind::Invalid | Kind::Denied => {
                        return Err(Trouble::stop(what).because(fault).with_advice(Advice::Refuse));
                    }
                    _ if begun.elapsed() > OPEN_PATIENCE => return Err(Trouble::stop(what).because(fault)),
                    _ => {}
                }
                teller.lasting(&fault);
                tokio::time::sleep(backoff.pause()).await;
            }
        })?;
        let (stream, shards) = found?;
        voice(&format!("stream {}: {} shards listed", stream.identity.arn, shards.len()));
        lineage.list(shards);
        let (to_events, events) = unbounded();
        let backoff = Backoff::new(settings.limits.backoff_max);
        Ok(Self {
            settings,
            voice,
            stream: Arc::new(stream),
            metrics: Metrics::default(),
            lineage,
            partitions: Partitions::default(),
            names: Vec::new(),
            shards: Vec::new(),
            turn: 0,
            untold: Vec::new(),
            moved: Vec::new(),
            gaps: Vec::new(),
            is_resumed: false,
            is_unsettled: true,
            is_listing: false,
            backoff,
            last: Position::default(),
            events,
            to_events,
            runtime,
        })
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
            Change::Finish { partition } => self.close(*partition),
            Change::Gap { partition, before, .. } => {
                self.close(*partition);
                self.gaps.retain(|gap| !is_of(gap, *partition));
                let place = &self.partitions.list()[*partition as usize].place;
                let from = match (before, place) {
                    (Some(Place::Sequence { number, .. }), _) => Some(From::At(number.clone())),
                    (None, Some(Place::Sequence { number, .. })) => Some(From::After(number.clone())),
                    _ => None,
                };
                self.moved.extend(from.map(|from| (*partition, from)));
            }
        }
        self.is_unsettled = true;
        Ok(())
    }

    /// Fills a batch from the shards in turn.
    fn fill(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<(), Trouble> {
        let shards = self.shards.len();
        for _ in 0..shards {
            self.turn = (self.turn + 1) % shards;
            let queue = &mut self.shards[self.turn].0;
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
        self.moved.retain(|(moved, _)| *moved != run.partition);
        self.last.partition = run.partition;
        self.last.line += u64::from(run.records);
        Ok(())
    }
}

impl Source for KinesisSource {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        into.clear();
        if !self.is_resumed {
            self.resume(&Partitions::default())?;
        }
        for gap in std::mem::take(&mut self.gaps) {
            self.decide(gap)?;
        }
        self.hear_all()?;
        self.finish()?;
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
}

impl Replayable for KinesisSource {
    fn identity(&self) -> String {
        self.stream.identity.to_string()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        self.is_resumed = true;
        self.partitions = taken.clone();
        self.names = taken.list().iter().map(|partition| partition.opened.name.clone()).collect();
        self.look()
    }

    fn take(&mut self, run: &Run, into: &mut Records) -> Result<(), Trouble> {
        into.clear();
        self.start_readers();
        let name = self.names.get(run.partition as usize).cloned().unwrap_or_default();
        let other = |have: &str| {
            let what = format!(
                "{name}: {} records up to {} were taken before, and now {have}",
                run.records, run.end
            );
            Trouble::stop(what)
        };
        loop {
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
            match queue.last {
                Some(Last::End) if queue.is_empty() => return Err(other("the shard has ended")),
                Some(Last::Gone) if queue.is_empty() => return Err(other("the shard is past its retention")),
                _ => {}
            }
            self.hear_within(IDLE_WAIT)?;
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        self.follow(change)
    }
}

/// The second of a time: a server may keep arrivals in whole seconds, and `AT_TIMESTAMP` would then miss what arrives in this one.
fn latest(now_ms: i64) -> i64 {
    now_ms - now_ms.rem_euclid(1_000)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_start(start: Start) -> From {
    match start {
        Start::Oldest => From::Oldest,
        Start::At(ms) => From::Time(ms),
    }
}

fn is_of(gap: &Change, of: u32) -> bool {
    matches!(gap, Change::Gap { partition, .. } if *partition == of)
}

fn lost_records(what: &str) -> Trouble {
    let advice = "restore an older copy, or set source.accept_gap = true to go on without them";
    Trouble::stop(format!("records are lost: {what}; {advice}")).with_advice(Advice::Refuse)
}

/// The order log, or the service, says what cannot follow.
fn at_odds(fault: cartguard_history::Fault) -> Trouble {
    Trouble::stop("what was taken of the stream does not go on so").because(fault)
}
