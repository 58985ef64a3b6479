//! A sharded stream: what is put stays, shards are split and merged, listings are old; and a service that reads it.
//!
//! shop -> **stream** -> `cartguard_shards::ShardSource`
//!
//! Holds: what a service promises (`cartguard_shards::Service`): the records of a shard once and in order, an end only at its end.

mod retention;

use crate::lie::Lie;
use crate::world::{Chance, Shared};
use cartguard_history::lineage::{HashRange, Shard};
use cartguard_history::{Partitions, SequenceNumber};
use cartguard_io::Trouble;
use cartguard_shards::{Event, From, Kept, Order, Raw, Room, Service};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a record is kept at least. Shorter than events may be late, so that what is left fits to what comes.
pub(crate) const RETENTION_MS: i64 = 600_000;
/// How often a reader says that it has nothing more.
const QUIET_EVERY_MS: i64 = 10_000;
/// The first sequence number: the next ones have more digits.
const FIRST_NUMBER: u64 = 92;
/// Looks in a row that find nothing, before whoever looks waits for what will never come.
const PATIENCE: u32 = 20_000;
/// Records of one shard that wait for the engine at most.
const ROOM: usize = 40;

struct Kin {
    shard: Shard,
    /// Which reshard made it; none did: 0.
    generation: u64,
    records: Vec<Raw>,
    /// What an engine makes of each.
    parts: Vec<u64>,
    /// How many of them, the oldest, are past their retention.
    trimmed: usize,
    /// Which of those were not taken, and from which part on.
    lost: BTreeMap<SequenceNumber, u64>,
    /// When it was closed.
    closed_ms: Option<i64>,
    /// Past its retention: no listing has it.
    is_gone: bool,
}

impl Kin {
    /// Whether this is one of the shards that it came of.
    fn is_of(&self, parent: Option<&String>) -> bool {
        self.shard.parent.as_ref() == parent || self.shard.adjacent_parent.as_ref() == parent
    }

    fn parents(&self) -> impl Iterator<Item = &String> {
        [&self.shard.parent, &self.shard.adjacent_parent].into_iter().flatten()
    }

    /// Index of the first record of a place.
    fn first_from(&self, from: &From) -> usize {
        let first = match from {
            From::Oldest => 0,
            From::Time(ms) => self.records.partition_point(|record| record.arrival_ms < *ms),
            From::At(number) => self.records.partition_point(|record| record.number < *number),
            From::After(number) => self.records.partition_point(|record| record.number <= *number),
        };
        first.max(self.trimmed)
    }
}

#[derive(Default)]
struct Contents {
    shards: Vec<Kin>,
    next_number: u64,
    generation: u64,
    /// When shards were last split or merged.
    resharded_ms: i64,
    /// How many records an engine makes of all that was put, and how many of them are lost.
    parts: u64,
    lost_parts: u64,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Stream {
    world: Shared,
    contents: Arc<Mutex<Contents>>,
}

impl Stream {
    pub(crate) fn new(world: &Shared) -> Self {
        let shards = 1 + world.lock().chance.below(3);
        Self::of(world, shards)
    }

    /// Of so many shards.
    pub(crate) fn of(world: &Shared, shards: u64) -> Self {
        let mut contents = Contents { next_number: FIRST_NUMBER, ..Contents::default() };
        let shards = u128::from(shards);
        let width = u128::MAX / shards;
        for at in 0..shards {
            let last = if at + 1 == shards { u128::MAX } else { (at + 1) * width - 1 };
            contents.open(HashRange { first: at * width, last }, [None, None]);
        }
        Self { world: world.clone(), contents: Arc::new(Mutex::new(contents)) }
    }

    /// A record that an engine makes `parts` of; `hash_key` chooses the shard. Where it lies.
    pub(crate) fn put(&self, hash_key: u128, data: Vec<u8>, parts: u64) -> (String, SequenceNumber) {
        let arrival_ms = self.world.lock().now_us as i64 / 1_000;
        let mut contents = self.lock();
        contents.parts += parts;
        let number = contents.number();
        let kin = contents.shards.iter_mut().filter(|kin| kin.shard.until.is_none());
        let kin = kin.filter(|kin| kin.shard.range.contains(hash_key)).last();
        let kin = kin.expect("the open shards have all hash keys");
        kin.records.push(Raw { number: number.clone(), arrival_ms, data: data.into() });
        kin.parts.push(parts);
        (kin.shard.name.clone(), number)
    }

    /// Splits or merges.
    pub(crate) fn reshard(&self, chance: &mut Chance, now_ms: i64) {
        let mut contents = self.lock();
        contents.generation += 1;
        contents.resharded_ms = now_ms;
        let open: Vec<usize> =
            (0..contents.shards.len()).filter(|&at| contents.shards[at].shard.until.is_none()).collect();
        let one = open[chance.index(open.len())];
        let range = contents.shards[one].shard.range;
        let neighbour = open.iter().copied().find(|&other| {
            range.last.checked_add(1).is_some_and(|next| contents.shards[other].shard.range.first == next)
        });
        match neighbour {
            Some(other) if chance.percent(50) => {
                let last = contents.shards[other].shard.range.last;
                let parents = [contents.close(one, now_ms), contents.close(other, now_ms)];
                contents.open(HashRange { first: range.first, last }, parents.map(Some));
            }
            _ if range.last - range.first > 1_000 => {
                let middle = range.first + (range.last - range.first) / 2;
                let parent = contents.close(one, now_ms);
                contents.open(HashRange { first: range.first, last: middle }, [Some(parent.clone()), None]);
                contents.open(HashRange { first: middle + 1, last: range.last }, [Some(parent), None]);
            }
            _ => {}
        }
    }

    /// Shards that the oldest snapshot has finished may leave the listing.
    pub(crate) fn forget(&self, finished: &Partitions, chance: &mut Chance) -> u64 {
        let (mut contents, mut forgotten) = (self.lock(), 0);
        let is_begun = |name: &str| {
            let state = finished.number_of(name).map(|number| &finished.list()[number as usize]);
            state.is_some_and(|state| state.is_finished || state.place.is_some())
        };
        for partition in finished.list().iter().filter(|partition| partition.is_finished) {
            // So late that what came of it is being read.
            let name = Some(&partition.opened.name);
            let mut children = contents.shards.iter().filter(|kin| kin.is_of(name));
            if !children.all(|child| is_begun(&child.shard.name)) {
                continue;
            }
            let mut kin = contents.shards.iter_mut();
            let kin = kin.find(|kin| kin.shard.name == partition.opened.name && !kin.is_gone);
            if chance.percent(30)
                && let Some(kin) = kin
            {
                kin.is_gone = true;
                forgotten += 1;
            }
        }
        forgotten
    }

    /// How many records an engine can make of what was put.
    pub(crate) fn parts(&self) -> u64 {
        let contents = self.lock();
        contents.parts - contents.lost_parts
    }

    /// For one process; a patient one meets no trouble.
    pub(crate) fn service(&self, is_patient: bool) -> SimService {
        SimService {
            stream: self.clone(),
            is_patient,
            readers: Vec::new(),
            channel: VecDeque::new(),
            listing: None,
            idle: 0,
        }
    }

    /// As the service lists it; an old listing lacks what the last reshard made.
    pub(crate) fn listing(&self, is_old: bool) -> Vec<Shard> {
        let (is_lie, now_ms) = {
            let world = self.world.lock();
            (world.is_lie(Lie::ImpatientChildren), world.now_us as i64 / 1_000)
        };
        let contents = self.lock();
        // Seconds old, never as old as records become.
        let is_old = is_old && now_ms < contents.resharded_ms + RETENTION_MS / 2;
        let listed = contents.shards.iter().filter(|kin| !kin.is_gone);
        let listed =
            listed.filter(|kin| !is_old || kin.generation == 0 || kin.generation < contents.generation);
        let listed = listed.map(|kin| kin.shard.clone());
        // What the missing ones came of is still open.
        let reopened = |mut shard: Shard| {
            let newest = contents
                .shards
                .iter()
                .filter(|kin| is_old && kin.generation == contents.generation && kin.generation > 0);
            if newest
                .flat_map(|kin| [&kin.shard.parent, &kin.shard.adjacent_parent])
                .flatten()
                .any(|parent| *parent == shard.name)
            {
                shard.until = None;
            }
            shard
        };
        let orphaned = |mut shard: Shard| {
            if is_lie {
                (shard.parent, shard.adjacent_parent) = (None, None);
                shard.from = number(0);
            }
            shard
        };
        listed.map(reopened).map(orphaned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn number(&mut self) -> SequenceNumber {
        self.next_number += 1;
        number(self.next_number)
    }

    fn open(&mut self, range: HashRange, [parent, adjacent_parent]: [Option<String>; 2]) {
        let name = format!("shardId-{:012}", self.shards.len());
        let from = self.number();
        let shard = Shard { name, parent, adjacent_parent, range, from, until: None };
        let generation = self.generation;
        self.shards.push(Kin {
            shard,
            generation,
            records: Vec::new(),
            parts: Vec::new(),
            trimmed: 0,
            lost: BTreeMap::new(),
            closed_ms: None,
            is_gone: false,
        });
    }

    fn close(&mut self, at: usize, now_ms: i64) -> String {
        self.shards[at].closed_ms = Some(now_ms);
        self.shards[at].shard.until = Some(self.number());
        self.shards[at].shard.name.clone()
    }

    fn kin(&self, name: &str) -> Option<&Kin> {
        self.shards.iter().find(|kin| kin.shard.name == name && !kin.is_gone)
    }
}

fn number(number: u64) -> SequenceNumber {
    SequenceNumber::new(&number.to_string()).expect("digits")
}

/// What was received of a shard and not taken.
#[derive(Default)]
struct SimRoom(AtomicUsize);

impl Room for SimRoom {
    fn leave(&self, _bytes: u64, records: usize) {
        self.0.fetch_sub(records, Ordering::Relaxed);
    }
}

struct Reader {
    order: Order,
    /// Index of the next record; none until the first look.
    next: Option<usize>,
    room: Arc<SimRoom>,
    /// When it was last told that it has nothing more.
    quiet_ms: i64,
}

impl Reader {
    /// Not at every look.
    fn is_quiet_due(&mut self, now_ms: i64) -> bool {
        let is_due = now_ms >= self.quiet_ms.saturating_add(QUIET_EVERY_MS);
        if is_due {
            self.quiet_ms = now_ms;
        }
        is_due
    }
}

/// Reads the stream for one process.
pub(crate) struct SimService {
    stream: Stream,
    is_patient: bool,
    readers: Vec<Reader>,
    /// What is on its way.
    channel: VecDeque<Event>,
    /// A listing that was asked for, as it will come: it may be older than it is late.
    listing: Option<Vec<Shard>>,
    /// Looks in a row that found nothing.
    idle: u32,
}

impl SimService {
    /// A reader looks what is there.
    fn look(&mut self) {
        let Self { stream, is_patient, readers, channel, .. } = self;
        if readers.is_empty() {
            return;
        }
        let mut world = stream.world.lock();
        let idle = if *is_patient { 0 } else { world.mood.idle };
        let at = world.chance.index(readers.len());
        if world.chance.percent(idle) {
            return;
        }
        let is_lie = world.is_lie(Lie::LatestChildren) && !*is_patient;
        let most = 1 + world.chance.index(if *is_patient { 200 } else { 20 });
        let contents = stream.lock();
        let reader = &mut readers[at];
        let reading = reader.order.reading;
        let Some(kin) = contents.kin(&reader.order.shard) else {
            channel.push_back(Event::Gone { reading });
            readers.remove(at);
            return;
        };
        let next = *reader.next.get_or_insert_with(|| match &reader.order.from {
            From::Oldest if is_lie && kin.shard.parent.is_some() => kin.records.len(),
            from => kin.first_from(from),
        });
        let room = ROOM.saturating_sub(reader.room.0.load(Ordering::Relaxed));
        let end = kin.records.len().min(next + most.min(room));
        if next == kin.records.len() && kin.shard.until.is_some() {
            world.note(format_args!("{} ends", kin.shard.name));
            channel.push_back(Event::End { reading });
            readers.remove(at);
        } else if next < end {
            world.note(format_args!("{}: {next} to {end}", kin.shard.name));
            reader.next = Some(end);
            let mut records = kin.records[next..end].to_vec();
            // Whoever reads all of it again finds what is left of it.
            records.retain(|record| !*is_patient || kin.lost.get(&record.number) != Some(&0));
            reader.room.0.fetch_add(records.len(), Ordering::Relaxed);
            channel.push_back(Event::Records { reading, records, bytes: 0 });
        } else if next == kin.records.len() && reader.is_quiet_due(world.now_us as i64 / 1_000) {
            let at_ms = world.now_us as i64 / 1_000;
            channel.push_back(Event::Quiet { reading, at_ms });
        }
    }
}

impl Service for SimService {
    fn identity(&self) -> String {
        "a simulated stream".to_owned()
    }

    fn kept_since_ms(&self) -> i64 {
        self.now_ms() - RETENTION_MS
    }

    fn now_ms(&self) -> i64 {
        self.stream.world.lock().now_us as i64 / 1_000
    }

    fn read(&mut self, order: Order) -> Arc<dyn Room> {
        let room = Arc::<SimRoom>::default();
        self.readers.push(Reader { order, next: None, room: Arc::clone(&room), quiet_ms: i64::MIN });
        room
    }

    fn close(&mut self, reading: u64) {
        // What it has sent is on its way.
        self.readers.retain(|reader| reader.order.reading != reading);
    }

    fn list(&mut self, _is_first: bool) {
        let is_old = !self.is_patient && self.stream.world.lock().chance.percent(30);
        if is_old {
            self.stream.world.lock().saw("old listings");
        }
        self.listing = Some(self.stream.listing(is_old));
    }

    fn kept(&mut self, places: Vec<(String, From)>, _: &dyn Fn() -> bool) -> Result<Vec<Kept>, Trouble> {
        let contents = self.stream.lock();
        let kept = |(shard, from): (String, From)| {
            let Some(kin) = contents.kin(&shard) else { return Kept::Nothing };
            match kin.records.get(kin.first_from(&from)) {
                Some(record) if from == From::At(record.number.clone()) => Kept::It,
                Some(record) => Kept::Next(record.number.clone()),
                None => Kept::Nothing,
            }
        };
        Ok(places.into_iter().map(kept).collect())
    }

    fn next(&mut self, patience: Duration) -> Option<Event> {
        if !patience.is_zero() {
            self.stream.world.lock().pass(patience.as_micros() as u64);
        }
        self.look();
        let is_due = self.is_patient || self.stream.world.lock().chance.percent(30);
        if is_due && let Some(shards) = self.listing.take() {
            self.channel.push_back(Event::Listed(shards));
        }
        let event = self.channel.pop_front();
        self.idle = if event.is_some() { 0 } else { self.idle + 1 };
        if self.idle > PATIENCE {
            return Some(Event::Fatal(Trouble::stop("what is waited for never comes")));
        }
        event
    }

    fn say(&self, what: &str) {
        self.stream.world.lock().note(format_args!("source: {what}"));
    }
}
