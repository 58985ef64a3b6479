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
use crate::gate::Gate;
use crate::kept::{self, Kept};
use crate::limits::{IDLE_WAIT, OPEN_PATIENCE};
use crate::metrics::Metrics;
use crate::queue::{Last, Queue, Took};
use crate::reader::{Event, From, Reader, Teller};
use crate::runtime::Runtime;
use crate::settings::{Begin, Mode, Settings, Voice};
use crate::stream::{Changed, Stream, Target};
use aws_sdk_kinesis::Client;
use cartguard_engine::record::Records;
use cartguard_history::lineage::{Claim, Lineage, Lost};
use cartguard_history::{Change, Partitions, Place, Run, Start};
use cartguard_io::{Advice, Position, Read, Replayable, Source, Trouble};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;

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

    /// Opens what may open, and begins to read it.
    fn settle(&mut self) -> Result<(), Trouble> {
        while self.is_unsettled {
            self.is_unsettled = false;
            let orders = self.lineage.orders(&self.partitions, |_| Claim::Mine);
            for change in orders.changes {
                self.tell(&change);
                self.decide(change)?;
            }
            if let Some(lost) = orders.lost.first() {
                self.accept(lost)?;
            }
            if orders.is_listing_short {
                self.list();
            }
        }
        self.start_readers();
        Ok(())
    }

    fn accept(&mut self, lost: &Lost) -> Result<(), Trouble> {
        if !self.settings.accept_gap {
            return Err(lost_records(&lost.to_string()));
        }
        (self.voice)(&format!("gap accepted: {lost}"));
        for change in Lineage::accept(lost, &self.partitions) {
            self.decide(change)?;
        }
        Ok(())
    }

    fn tell(&self, change: &Change) {
        if let Change::Open(opened) = change {
            let start = match opened.start {
                Start::Oldest => "its oldest record".to_owned(),
                Start::At(ms) => format!("what arrived from {ms} ms on"),
            };
            (self.voice)(&format!("{}: opened at {start}", opened.name));
        }
    }

    /// Readers for everything that is not finished.
    fn start_readers(&mut self) {
        for partition in 0..self.partitions.list().len() as u32 {
            let is_read = self.shards.iter().any(|(queue, _)| queue.partition == partition);
            if !is_read && !self.partitions.list()[partition as usize].is_finished {
                self.start_reader(partition);
            }
        }
    }

    fn start_reader(&mut self, partition: u32) {
        let state = &self.partitions.list()[partition as usize];
        let shard = state.opened.name.clone();
        let moved = self.moved.iter().find(|(moved, _)| *moved == partition).map(|(_, from)| from.clone());
        let (from, behind) = match (moved, &state.place) {
            (Some(from), _) => (from, None),
            (None, Some(Place::Sequence { number, .. })) => (From::At(number.clone()), state.place.clone()),
            (None, Some(Place::Row { .. }) | None) => (from_start(state.opened.start), None),
        };
        let limits = self.settings.limits;
        let gate = Arc::new(Gate::new(limits.buffer_bytes, limits.buffer_records));
        let metrics = self.metrics.of(&shard);
        let range = self.lineage.shard(&shard).map(|shard| shard.range);
        let reader = Reader::new(
            self.stream.clone(),
            shard.clone(),
            partition,
            from,
            gate.clone(),
            self.to_events.clone(),
            metrics.clone(),
            limits,
            self.voice.clone(),
        );
        let consumer = match self.settings.mode {
            Mode::FanOut => Some(self.settings.consumer.clone()),
            Mode::Polling => None,
        };
        let task = self.runtime.spawn(reader.run(consumer)).abort_handle();
        self.shards.push((Queue::new(partition, shard, range, behind, gate, metrics), task));
    }

    /// Ends the reader of a partition and forgets what it received.
    fn close(&mut self, partition: u32) {
        self.shards.retain(|(queue, task)| {
            let is_it = queue.partition == partition;
            if is_it {
                task.abort();
            }
            !is_it
        });
    }

    /// Lists the shards again, after a while.
    fn list(&mut self) {
        if self.is_listing {
            return;
        }
        self.is_listing = true;
        let (stream, events) = (self.stream.clone(), self.to_events.clone());
        let mut teller = Teller::new(self.voice.clone());
        let mut backoff = self.backoff.clone();
        let first = self.backoff.pause();
        self.runtime.spawn(async move {
            tokio::time::sleep(first).await;
            let event = loop {
                let fault = match stream.check().await {
                    Ok(()) => match stream.shards().await {
                        Ok(shards) => break Event::Listed(shards),
                        Err(fault) => fault,
                    },
                    Err(Changed::Unknown(fault)) => fault,
                    Err(changed) => break Event::Fatal(Trouble::stop(changed.to_string())),
                };
                teller.lasting(&fault);
                tokio::time::sleep(backoff.pause()).await;
            };
            let _ = events.send(event);
        });
    }

    fn hear(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Records { partition, records, bytes } => {
                // A reader that was closed may have sent before.
                if let Some(queue) = self.queue(partition) {
                    queue.push(records, bytes);
                }
            }
            Event::End { partition } => {
                if let Some(queue) = self.queue(partition) {
                    queue.last = Some(Last::End);
                }
            }
            Event::Gone { partition } => {
                if let Some(queue) = self.queue(partition) {
                    queue.last = Some(Last::Gone);
                }
                self.list();
            }
            Event::Listed(shards) => {
                self.is_listing = false;
                self.lineage.list(shards);
                self.is_unsettled = true;
                self.read_again();
            }
            Event::Fatal(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// A shard that the service did not know and lists all the same is read on.
    fn read_again(&mut self) {
        let lineage = &self.lineage;
        let is_again = |queue: &Queue| {
            queue.last == Some(Last::Gone) && queue.is_empty() && lineage.shard(&queue.shard).is_some()
        };
        let again: Vec<u32> = self
            .shards
            .iter()
            .filter(|(queue, _)| is_again(queue))
            .map(|(queue, _)| queue.partition)
            .collect();
        for partition in again {
            self.close(partition);
        }
    }

    fn queue(&mut self, partition: u32) -> Option<&mut Queue> {
        self.shards.iter_mut().map(|(queue, _)| queue).find(|queue| queue.partition == partition)
    }

    /// Takes in what the readers sent, without waiting.
    fn hear_all(&mut self) -> Result<(), Trouble> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event)?;
        }
        Ok(())
    }

    /// Waits for what the readers send; whether something came.
    fn hear_within(&mut self, patience: Duration) -> Result<bool, Trouble> {
        match self.events.recv_timeout(patience) {
            Ok(event) => {
                self.hear(event)?;
                self.hear_all()?;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the source itself holds a sender"),
        }
    }

    /// Finishes shards whose last record was taken.
    fn finish(&mut self) -> Result<(), Trouble> {
        let ended: Vec<u32> = self
            .shards
            .iter()
            .filter(|(queue, _)| queue.last == Some(Last::End) && queue.is_empty())
            .map(|(queue, _)| queue.partition)
            .collect();
        for partition in ended {
            (self.voice)(&format!("{}: finished", self.names[partition as usize]));
            self.decide(Change::Finish { partition })?;
            self.backoff.reset();
        }
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
            if let (Some(end), true) = (queue.place.clone(), records > 0) {
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

    /// Looks whether the shards that were begun still have the record they were taken up to.
    fn look(&mut self) -> Result<(), Trouble> {
        let oldest_ms = now_ms() - self.stream.retention.as_millis() as i64;
        let (mut asked, mut gaps) = (Vec::new(), Vec::new());
        for (number, state) in self.partitions.list().iter().enumerate() {
            let name = &state.opened.name;
            if state.is_finished || self.lineage.shard(name).is_none() {
                // What is not listed any more the lineage names.
                continue;
            }
            match (&state.place, state.opened.start) {
                (Some(Place::Sequence { number: at, .. }), _) => {
                    asked.push((number as u32, name.clone(), state.place.clone(), at.clone()));
                }
                (Some(place @ Place::Row { .. }), _) => {
                    return Err(Trouble::stop(format!("{name}: {place} is no place in a shard")));
                }
                (None, Start::At(ms)) if ms < oldest_ms => {
                    let what =
                        format!("shard {name}: what arrived from {ms} ms on is past its retention in part");
                    gaps.push((what, Change::Gap { partition: number as u32, after: None, before: None }));
                }
                (None, Start::At(_) | Start::Oldest) => {}
            }
        }
        let longest = self.settings.limits.backoff_max;
        let (stream, voice) = (self.stream.clone(), self.voice.clone());
        let looks = self.runtime.wait(async move {
            let mut tasks = Vec::new();
            for (partition, name, place, at) in asked {
                let (stream, teller) = (stream.clone(), Teller::new(voice.clone()));
                tasks.push(tokio::spawn(async move {
                    let kept = kept::look(&stream, &name, &at, longest, teller).await;
                    (partition, name, place, kept)
                }));
            }
            let mut looks = Vec::new();
            for task in tasks {
                looks.push(task.await);
            }
            looks
        })?;
        for look in looks {
            let look = look.map_err(|why| Trouble::stop("a look at a shard was ended").because(why))?;
            let (partition, name, after, kept) = look;
            let before = match kept? {
                Kept::It => continue,
                Kept::Next(next) => Some(next),
                Kept::Nothing => None,
            };
            let goes_on = match &before {
                Some(next) => format!("goes on at {}", next.as_str()),
                None => "has nothing behind it".to_owned(),
            };
            let range =
                self.lineage.shard(&name).map_or_else(String::new, |shard| format!(" ({})", shard.range));
            let up_to = after.as_ref().map_or_else(String::new, ToString::to_string);
            let what = format!(
                "shard {name}{range}: was taken up to {up_to}, which is past its retention, and {goes_on}; what lay \
                 between is lost"
            );
            let before = before.map(|number| Place::Sequence { number, sub: 0 });
            gaps.push((what, Change::Gap { partition, after, before }));
        }
        for (what, gap) in gaps {
            self.gap(&what, gap)?;
        }
        Ok(())
    }

    fn gap(&mut self, what: &str, gap: Change) -> Result<(), Trouble> {
        if !self.settings.accept_gap {
            return Err(lost_records(what));
        }
        (self.voice)(&format!("gap accepted: {what}"));
        self.gaps.push(gap);
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
                let place = queue.place.clone();
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
