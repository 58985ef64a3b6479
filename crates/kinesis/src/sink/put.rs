//! Make the calls that a lane orders, and tell it how they went.
//!
//! `lane` <-> **put** <-> the SDK
//!
//! Holds: decides nothing; a call that is not answered in time counts as failed, and as perhaps done. The SDK's own retries are
//! off: it would send a whole call again, and nobody would count it.
//! Not here: which records are sent when (`lane`).

use super::Tell;
use super::meter::Meter;
use super::refuse::{self, Refusals, Standing};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use cartguard_io::Delivered;
use cartguard_shards::lane::{self, Answer, Call, Lane, Next};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How often trouble that lasts is told. Arbitrary: seen by whoever looks, and no flood.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What the service answers where a shard takes no more at once.
const THROTTLED: &str = "ProvisionedThroughputExceededException";
/// What it answers to a call that is too large, or otherwise not as it wants it.
const INVALID: [&str; 3] = ["InvalidArgumentException", "ValidationException", "SerializationException"];

/// One stream: what the writing thread and the runtime's thread share.
pub(super) struct Stream {
    pub(super) name: String,
    /// Guards what waits and what is under way; held for moments, never during a call.
    lane: Mutex<Lane>,
    /// There is something new to do.
    pub(super) work: Notify,
    /// Something was acknowledged.
    pub(super) room: Condvar,
    pub(super) meter: Meter,
    pub(super) began: Instant,
    pub(super) is_over: AtomicBool,
    /// None: what is refused is tried until it is taken.
    pub(super) refusals: Option<Refusals>,
    /// Guards what stands here for records of other streams; held for moments.
    pub(super) standing: Mutex<Vec<Standing>>,
    frontier: Delivered,
    /// Of all streams of the sink, and what comes of them.
    all: Frontiers,
    timeout: Duration,
    chance: AtomicU64,
    hasher: RandomState,
}

/// The frontiers of every stream, and of the sink.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontiers {
    pub(super) streams: Arc<[Delivered]>,
    pub(super) sink: Delivered,
}

impl Frontiers {
    /// The sink is as far as its slowest stream.
    fn advance(&self) {
        if let Some(slowest) = self.streams.iter().map(Delivered::get).min() {
            self.sink.advance(slowest);
        }
    }
}

/// What came of a call.
struct Answered {
    call: Call,
    /// Entry by entry, or why it failed as a whole.
    entries: Result<Vec<bool>, String>,
    throttled: usize,
    /// It was refused for what it is, with this code.
    invalid: Option<String>,
    /// Of an entry that failed.
    why: Option<String>,
}

impl Stream {
    pub(super) fn new(
        name: &str,
        lane: Lane,
        began: Instant,
        frontier: Delivered,
        all: Frontiers,
        timeout: Duration,
        refusals: Option<Refusals>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            lane: Mutex::new(lane),
            work: Notify::new(),
            room: Condvar::new(),
            meter: Meter::new(),
            began,
            is_over: AtomicBool::new(false),
            refusals,
            standing: Mutex::default(),
            frontier,
            all,
            timeout,
            chance: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().expect("no thread panics with it")
    }

    pub(super) fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// After a change of the lane: what is to be seen of it from outside.
    pub(super) fn publish(&self, lane: &Lane) {
        self.meter.set_waiting(lane.waiting(), lane.oldest());
        self.frontier.advance(lane.frontier());
        self.all.advance();
    }

    /// A number that nothing follows from.
    pub(super) fn chance(&self) -> u64 {
        self.hasher.hash_one(self.chance.fetch_add(1, Ordering::Relaxed))
    }
}

/// The life of a stream, until it is told that it is over.
pub(super) async fn drive(stream: Arc<Stream>, client: Client, tell: Tell) {
    let mut calls: JoinSet<Answered> = JoinSet::new();
    let mut trouble = Troubles::default();
    while !stream.is_over.load(Ordering::Acquire) {
        let at = start_calls(&stream, &client, &mut calls);
        let sleep = async {
            match at {
                Some(at) => tokio::time::sleep_until((stream.began + Duration::from_micros(at)).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stream.work.notified() => {}
            Some(answered) = calls.join_next() => {
                take(&stream, answered.expect("a call does not panic"), &mut trouble, &tell);
            }
            () = sleep => {}
        }
    }
}

/// Makes the calls that are due; when to ask again.
fn start_calls(stream: &Arc<Stream>, client: &Client, calls: &mut JoinSet<Answered>) -> Option<u64> {
    loop {
        let next = stream.lock().next(stream.now_us());
        match next {
            Next::Call(call) => {
                Meter::add(&stream.meter.calls, 1);
                Meter::add(&stream.meter.retries, call.again);
                calls.spawn(put(Arc::clone(stream), client.clone(), call));
            }
            Next::At(at) => return Some(at),
            Next::Idle => return None,
        }
    }
}

async fn put(stream: Arc<Stream>, client: Client, call: Call) -> Answered {
    let entry = |record: &Arc<lane::Record>| {
        let entry = PutRecordsRequestEntry::builder()
            .partition_key(&*record.key)
            .data(Blob::new(record.data.to_vec()))
            .build();
        entry.expect("key and data are there")
    };
    let entries = call.records.iter().map(entry).collect();
    let request = client.put_records().stream_name(&stream.name).set_records(Some(entries)).send();
    let failed =
        |call, why, throttled, invalid| Answered { call, entries: Err(why), throttled, invalid, why: None };
    let output = match tokio::time::timeout(stream.timeout, request).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let is_throttled = error.code() == Some(THROTTLED);
            let why = match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, _) => DisplayErrorContext(&error).to_string(),
            };
            let throttled = if is_throttled { call.records.len() } else { 0 };
            let status = error.raw_response().map(|response| response.status().as_u16());
            let invalid = match error.code() {
                Some(code) if status == Some(413) || INVALID.contains(&code) => Some(code.to_owned()),
                None if status == Some(413) => Some("413".to_owned()),
                _ => None,
            };
            return failed(call, why, throttled, invalid);
        }
        Err(_) => {
            let why = format!("no answer within {} ms", stream.timeout.as_millis());
            return failed(call, why, 0, None);
        }
    };
    let results = output.records();
    if results.len() != call.records.len() {
        let why = format!("{} results for {} records", results.len(), call.records.len());
        return failed(call, why, 0, None);
    }
    // Whether an entry was taken is told by its place in the stream, never by the absence of an error alone.
    let done = results.iter().map(|entry| entry.error_code().is_none() && entry.sequence_number().is_some());
    let entries = done.collect();
    let throttled = results.iter().filter(|entry| entry.error_code() == Some(THROTTLED)).count();
    let why = results.iter().find_map(|entry| {
        let code = entry.error_code()?;
        Some(format!("{code}: {}", entry.error_message().unwrap_or_default()))
    });
    Answered { call, entries: Ok(entries), throttled, invalid: None, why }
}

/// Tells the lane, and whoever watches it.
fn take(stream: &Arc<Stream>, answered: Answered, trouble: &mut Troubles, tell: &Tell) {
    Meter::add(&stream.meter.throttles, answered.throttled);
    let now = stream.now_us();
    let mut lane = stream.lock();
    let is_good = answered.entries.is_ok();
    let mut done = Vec::new();
    let (refused, why) = match answered.entries {
        Ok(entries) => {
            let all = answered.call.records.iter().zip(&entries);
            done.extend(all.filter(|(_, is_done)| **is_done).map(|(record, _)| record));
            let (records, bytes) = (done.len(), done.iter().map(|record| record.bytes()).sum());
            Meter::add(&stream.meter.records, records);
            Meter::add(&stream.meter.bytes, bytes);
            let refused = lane.answered(answered.call.id, Answer::Entries(&entries), now, stream.chance());
            // Entries that fail now and then are usual; one that fails for long is trouble.
            let is_old = lane.oldest().is_some_and(|since| since + TOLD_EVERY.as_micros() as u64 <= now);
            (refused, answered.why.filter(|_| is_old))
        }
        Err(why) => {
            Meter::add(&stream.meter.failed_calls, 1);
            let answer = if answered.invalid.is_some() { Answer::Invalid } else { Answer::Failed };
            let refused = lane.answered(answered.call.id, answer, now, stream.chance());
            // A call that is halved is no trouble yet.
            let is_halved = answered.invalid.is_some() && answered.call.records.len() > 1;
            (refused, (!is_halved).then_some(why))
        }
    };
    stream.publish(&lane);
    let (records, bytes) = lane.waiting();
    let oldest_s = lane.oldest().map_or(0, |since| now.saturating_sub(since) / 1_000_000);
    drop(lane);
    stream.room.notify_all();
    refuse::acknowledged(stream, done.into_iter());
    if let (Some(index), Some(code), Some(why)) = (refused, &answered.invalid, &why) {
        let what = match refuse::replace(stream, index, &answered.call.records[0], code) {
            Ok(true) => Some("a record is refused while others are taken; it becomes a reject".to_owned()),
            Ok(false) => None,
            Err(cause) => Some(format!("a record is refused, and its reject cannot be written: {cause}")),
        };
        if let Some(what) = what {
            if trouble.refused.is_to_be_told() {
                tell(&format!("PutRecords to stream {}: {why}; {what}", stream.name));
            }
            return;
        }
    }
    let trouble = &mut trouble.stream;
    match why {
        Some(why) if trouble.is_to_be_told() => tell(&format!(
            "PutRecords to stream {}: {why}; {records} records ({bytes} bytes) wait, the oldest for {oldest_s} s; they are sent \
             until they are taken",
            stream.name
        )),
        None if is_good && trouble.is_over() => tell(&format!("stream {} takes records again", stream.name)),
        Some(_) | None => {}
    }
}

/// What was told of a stream, and of records that it refuses.
#[derive(Default)]
struct Troubles {
    stream: Trouble,
    refused: Trouble,
}

/// What was told of something that fails.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
    is_on: bool,
}

impl Trouble {
    fn is_to_be_told(&mut self) -> bool {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if is_due {
            self.told = Some(Instant::now());
            self.is_on = true;
        }
        is_due
    }

    /// Whether what was told is no longer so.
    fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.is_on)
    }
}
