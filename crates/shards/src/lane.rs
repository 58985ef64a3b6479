//! What one stream is to get, and which call may be made next.
//!
//! write -> **lane** <-> `put` (which performs the calls and decides nothing)
//!
//! A state machine: it is told of records, answers and the time, and returns orders.
//!
//! Holds: a call keeps the limits of the service; a record leaves the lane only when its own entry was acknowledged, and is sent
//! again as the same bytes until then; where order is kept, at most one record of a key is under way, and a record that failed
//! holds back the later ones of its key; the frontier is the longest prefix of batches whose every record was acknowledged,
//! whatever came back first. What waits is bounded by `buffer` (`has_room` is asked before a push).
//!
//! A call that is refused for what it is is halved until one record is left. That record is handed out to be replaced only where
//! the stream has taken another one in a call that was made since: a stream that takes nothing is not a record's fault. Once nothing more
//! comes that could show it, a record that is refused again and again has to do, of a stream that took others before.
//!
//! One record a key and not one call: a call is answered entry by entry, so that of two records of a key in one call the first
//! may fail and the second not.
//!
//! Not here: the SDK, clocks, threads, what a record says.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Bytes that a record costs beside its own, also while it only waits for the ones before it.
const OVERHEAD: usize = 128;
/// Pauses before what failed is sent again: the first, the longest of one entry, the longest of a stream. The first is the usual
/// answer time of the service; the others are arbitrary: soon after an hour's outage, and far from a flood.
const PAUSE_FIRST_US: u64 = 25_000;
const PAUSE_ENTRY_US: u64 = 1_000_000;
const PAUSE_STREAM_US: u64 = 5_000_000;
/// How often a record is refused alone before it is given up, once nothing more comes. Arbitrary: some seconds.
const ALONE_MAX: u32 = 6;
/// In how many good calls the bytes of a call grow to their limit again. Arbitrary: one refused call in some dozens.
const GROWTH: usize = 64;

/// What a lane keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records and bytes (of data and keys) in a call.
    pub call_records: usize,
    pub call_bytes: usize,
    /// Calls under way at once.
    pub calls: usize,
    /// Bytes that may wait or be under way.
    pub buffer: usize,
    /// The longest that a record waits for others to share its call, where it may wait at all: while nothing is under way it does
    /// not.
    pub linger_us: u64,
    /// Whether the records of a key arrive in their order.
    pub ordered: bool,
}

/// A record as the stream gets it, the same at every attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Partition key.
    pub key: Box<str>,
    pub data: Box<[u8]>,
}

impl Record {
    /// As the service counts them.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.data.len()
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: u64,
    /// In order.
    pub records: Vec<Arc<Record>>,
    /// How many of them were sent before.
    pub again: usize,
}

/// What is to be done.
#[derive(Debug)]
pub enum Next {
    /// Make this call and tell how it went.
    Call(Call),
    /// Ask again at this time, or when something was pushed or answered.
    At(u64),
    /// Ask again when something was pushed or answered.
    Idle,
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// Entry by entry: whether it was acknowledged.
    Entries(&'a [bool]),
    /// It was refused for what it is, such as its size, and nothing of it was done.
    Invalid,
    /// It was refused as a whole, or nothing came back and it may have been done.
    Failed,
}

/// See the module. Times are microseconds since some beginning.
#[derive(Debug)]
pub struct Lane {
    limits: Limits,
    /// Everything from the first record that is not acknowledged.
    slots: VecDeque<Slot>,
    /// Index of the first of them; indices never repeat.
    first: u64,
    /// Every record of the batches before it was pushed.
    sealed: u64,
    /// Records and bytes that are not acknowledged.
    open: usize,
    bytes: usize,
    /// What may be sent, in order, and since when something may.
    ready: BTreeSet<u64>,
    ready_bytes: usize,
    ready_since: u64,
    /// What failed, by when it may be sent again.
    later: BTreeSet<(u64, u64)>,
    /// By hash of a key: the records behind the one that is ready or under way. Keys whose hashes are equal share a place.
    behind: HashMap<u64, VecDeque<u64>>,
    hasher: RandomState,
    /// Calls under way.
    flying: HashMap<u64, Vec<u64>>,
    next_call: u64,
    /// Bytes in a call for now: half of a call that was refused for what it is, and growing again.
    call_bytes: usize,
    /// The latest call of which something was acknowledged, and one; 0: none was.
    good_calls: u64,
    /// Calls that failed as a whole since one did not; until when none is made.
    failures: u32,
    paused_until: u64,
    /// Nothing more comes: nothing waits for company.
    is_closing: bool,
}

#[derive(Debug)]
struct Slot {
    batch: u64,
    hash: u64,
    since: u64,
    attempts: u32,
    /// The first call that was made after one with this record was refused for what it is.
    suspect_since: Option<u64>,
    /// How often it was refused for what it is, alone.
    alone: u32,
    /// None once acknowledged.
    record: Option<Arc<Record>>,
}

impl Lane {
    /// An empty lane.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: VecDeque::new(),
            first: 0,
            sealed: 0,
            open: 0,
            bytes: 0,
            ready: BTreeSet::new(),
            ready_bytes: 0,
            ready_since: 0,
            later: BTreeSet::new(),
            behind: HashMap::new(),
            hasher: RandomState::new(),
            flying: HashMap::new(),
            next_call: 0,
            call_bytes: limits.call_bytes,
            good_calls: 0,
            failures: 0,
            paused_until: 0,
            is_closing: false,
        }
    }

    /// Whether one more record may come. One that is larger than the buffer may come alone.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.slots.is_empty() || self.used() + bytes + OVERHEAD <= self.limits.buffer
    }

    fn used(&self) -> usize {
        self.bytes + self.slots.len() * OVERHEAD
    }

    /// A record of a batch; batches come in order.
    pub fn push(&mut self, batch: u64, record: Record, now: u64) {
        debug_assert!(batch + 1 >= self.sealed, "batches come in order");
        let index = self.first + self.slots.len() as u64;
        let hash = if self.limits.ordered { self.hasher.hash_one(&*record.key) } else { 0 };
        self.open += 1;
        self.bytes += record.bytes();
        let slot = Slot {
            batch,
            hash,
            since: now,
            attempts: 0,
            suspect_since: None,
            alone: 0,
            record: Some(Arc::new(record)),
        };
        self.slots.push_back(slot);
        if self.limits.ordered {
            if let Some(waiting) = self.behind.get_mut(&hash) {
                waiting.push_back(index);
                return;
            }
            self.behind.insert(hash, VecDeque::new());
        }
        self.make_ready(index, now);
    }

    /// A record that comes of what happened to another one, behind all that was pushed; returned as it will be in its call. It
    /// comes also where there is no room: whoever pushes it holds its room elsewhere.
    pub fn push_aside(&mut self, record: Record, now: u64) -> Arc<Record> {
        self.push(self.sealed, record, now);
        let slot = self.slots.back().and_then(|slot| slot.record.as_ref());
        Arc::clone(slot.expect("it was pushed just now"))
    }

    /// Every record of the batch was pushed; a lane hears of every batch, also of one without records for it.
    pub fn seal(&mut self, batch: u64) {
        self.sealed = self.sealed.max(batch + 1);
    }

    /// Nothing more will be pushed.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    /// The first batch of which something is not acknowledged.
    pub fn frontier(&self) -> u64 {
        self.slots.front().map_or(self.sealed, |slot| slot.batch)
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Records and bytes that are not acknowledged.
    pub fn waiting(&self) -> (usize, usize) {
        (self.open, self.bytes)
    }

    /// Whether nothing more comes, and what waits was refused for what it is so often that it will not be taken.
    pub fn is_stuck(&self) -> bool {
        let is_given_up = |&(_, index): &(u64, u64)| self.at(index).alone >= ALONE_MAX;
        !self.later.is_empty() && self.has_only_suspects() && self.later.iter().all(is_given_up)
    }

    /// Nothing more comes, and nothing waits that could show whether the stream takes anything.
    fn has_only_suspects(&self) -> bool {
        let is_suspect = |&(_, index): &(u64, u64)| self.at(index).suspect_since.is_some();
        self.is_closing
            && self.ready.is_empty()
            && self.flying.is_empty()
            && self.later.iter().all(is_suspect)
    }

    /// When the oldest record that is not acknowledged was pushed.
    pub fn oldest(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.since)
    }

    /// What to do now.
    pub fn next(&mut self, now: u64) -> Next {
        while let Some(&(at, index)) = self.later.first()
            && at <= now
        {
            self.later.pop_first();
            self.make_ready(index, now);
        }
        if self.ready.is_empty() {
            return self.later.first().map_or(Next::Idle, |&(at, _)| Next::At(at));
        }
        // While a stream fails, one call at a time asks whether it still does.
        let calls = if self.failures > 0 { 1 } else { self.limits.calls };
        if self.flying.len() >= calls {
            return Next::Idle;
        }
        if now < self.paused_until {
            return Next::At(self.paused_until);
        }
        let due = self.ready_since + self.limits.linger_us;
        if now < due && !self.is_full() && !self.flying.is_empty() {
            return Next::At(self.later.first().map_or(due, |&(at, _)| due.min(at)));
        }
        Next::Call(self.take_call())
    }

    /// Whether waiting would bring nothing, or hold back whoever pushes.
    fn is_full(&self) -> bool {
        self.is_closing
            || self.ready.len() >= self.limits.call_records
            || self.ready_bytes >= self.call_bytes
            || self.used() * 2 >= self.limits.buffer
    }

    fn take_call(&mut self) -> Call {
        let (mut indices, mut records, mut bytes, mut again) = (Vec::new(), Vec::new(), 0, 0);
        while records.len() < self.limits.call_records
            && let Some(&index) = self.ready.first()
        {
            let slot = &self.slots[(index - self.first) as usize];
            let record = slot.record.as_ref().expect("what is ready is not acknowledged");
            // A record that is larger than a call goes alone: whether it is too large is the service's word.
            if !records.is_empty() && bytes + record.bytes() > self.call_bytes {
                break;
            }
            bytes += record.bytes();
            again += usize::from(slot.attempts > 0);
            records.push(Arc::clone(record));
            indices.push(index);
            self.ready.pop_first();
        }
        self.ready_bytes -= bytes;
        let id = self.next_call;
        self.next_call += 1;
        self.flying.insert(id, indices);
        Call { id, records, again }
    }

    /// How a call went. `chance` is a random number: what failed together is not sent again together.
    ///
    /// Returns a record that the stream does not take while it takes others, by its place. It stays, and so do those behind it,
    /// until it is `replace`d or `put_off`.
    #[must_use]
    pub fn answered(&mut self, call: u64, answer: Answer<'_>, now: u64, chance: u64) -> Option<u64> {
        let indices = self.flying.remove(&call).expect("an answer belongs to a call");
        let mut refused = None;
        match answer {
            Answer::Entries(entries) if entries.len() == indices.len() => {
                self.failures = 0;
                self.paused_until = 0;
                let grown = self.call_bytes + self.limits.call_bytes.div_ceil(GROWTH);
                self.call_bytes = grown.min(self.limits.call_bytes);
                if entries.contains(&true) {
                    self.good_calls = self.good_calls.max(call + 1);
                }
                for (&index, &is_done) in indices.iter().zip(entries) {
                    if is_done { self.acknowledge(index, now) } else { self.put_off(index, now, chance) }
                }
            }
            // A place that takes less than the service: half of it is tried at once.
            Answer::Invalid if indices.len() > 1 => {
                let bytes: usize = indices.iter().map(|&index| self.bytes_of(index)).sum();
                self.call_bytes = self.call_bytes.min(bytes / 2);
                for index in indices {
                    self.suspect(index);
                    self.make_ready(index, now);
                }
            }
            Answer::Invalid => {
                let index = indices[0];
                let since = self.suspect(index);
                let slot = self.slot(index);
                slot.alone = slot.alone.saturating_add(1);
                let is_last = slot.alone >= ALONE_MAX && self.good_calls > 0 && self.has_only_suspects();
                if since < self.good_calls || is_last {
                    refused = Some(index);
                } else {
                    // Perhaps nothing is taken. What else there is goes first, which will show it.
                    self.fail(now, chance);
                    self.put_off(index, self.paused_until, chance);
                }
            }
            // An answer that fits no question says nothing about what was done.
            Answer::Entries(_) | Answer::Failed => {
                self.fail(now, chance);
                for index in indices {
                    self.slot(index).attempts += 1;
                    self.make_ready(index, now);
                }
            }
        }
        self.forget_acknowledged();
        refused
    }

    /// Something else was acknowledged in the place of a record that the stream does not take.
    pub fn replace(&mut self, index: u64, now: u64) {
        self.acknowledge(index, now);
        self.forget_acknowledged();
    }

    /// The first call after a record was refused for what it is, with others or alone.
    fn suspect(&mut self, index: u64) -> u64 {
        let next_call = self.next_call;
        let slot = self.slot(index);
        slot.attempts = slot.attempts.saturating_add(1);
        *slot.suspect_since.get_or_insert(next_call)
    }

    fn fail(&mut self, now: u64, chance: u64) {
        self.paused_until = now + pause(self.failures, PAUSE_STREAM_US, chance);
        self.failures = self.failures.saturating_add(1);
    }

    fn forget_acknowledged(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.record.is_none()) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn acknowledge(&mut self, index: u64, now: u64) {
        let slot = self.slot(index);
        let record = slot.record.take().expect("a record is acknowledged once");
        let hash = slot.hash;
        self.open -= 1;
        self.bytes -= record.bytes();
        if self.limits.ordered {
            let waiting = self.behind.get_mut(&hash).expect("a key under way has its place");
            match waiting.pop_front() {
                Some(next) => self.make_ready(next, now),
                None => drop(self.behind.remove(&hash)),
            }
        }
    }

    /// A record that failed: others go on meanwhile, unless they are behind it.
    pub fn put_off(&mut self, index: u64, now: u64, chance: u64) {
        let slot = self.slot(index);
        let attempts = slot.attempts;
        slot.attempts = attempts.saturating_add(1);
        let at = now + pause(attempts, PAUSE_ENTRY_US, chance.rotate_left((index % 64) as u32));
        self.later.insert((at, index));
    }

    fn make_ready(&mut self, index: u64, now: u64) {
        if self.ready.is_empty() {
            self.ready_since = now;
        }
        self.ready_bytes += self.bytes_of(index);
        self.ready.insert(index);
    }

    fn bytes_of(&self, index: u64) -> usize {
        self.at(index).record.as_ref().expect("what is acknowledged is never sent again").bytes()
    }

    fn at(&self, index: u64) -> &Slot {
        &self.slots[(index - self.first) as usize]
    }

    fn slot(&mut self, index: u64) -> &mut Slot {
        &mut self.slots[(index - self.first) as usize]
    }
}

/// Twice as long with every attempt; from half of that to all of it, by chance.
fn pause(attempts: u32, longest_us: u64, chance: u64) -> u64 {
    let whole = (PAUSE_FIRST_US << attempts.min(20)).min(longest_us);
    whole / 2 + chance % (whole / 2 + 1)
}

#[cfg(test)]
#[path = "lane/tests.rs"]
mod tests;
