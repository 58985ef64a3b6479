//! Decisions, alerts and rejects, each to a stream of its own.
//!
//! engine -> **sink** (`write`) -> `lane`, one a stream -> `put` -> streams
//!
//! `write` hands the lines of a batch to the lanes and returns; a thread of the sink's own, with one runtime, makes the calls.
//! `delivered` tells how far all streams have acknowledged.
//!
//! Holds: nothing is dropped, whatever a stream does and for however long: a lane that is full holds `write` back, until the
//! process is told to stop and `drain` has passed; alerts are in their lane before a batch's decisions, and no lane waits for
//! another's calls; a line over the record limit, or that its stream refuses while it takes others, becomes a reject, counted, and
//! is delivered when that is; a line is sent without its line end, one a record,
//! and as the same bytes at every attempt.
//!
//! Not here: when a batch may be released (the service), what a line says (engine).

mod meter;
mod partition;
mod put;
mod refuse;
mod reject;

pub use meter::Metrics;

use crate::client::{ClientSettings, connect};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::StalledStreamProtectionConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};
use cartguard_io::{Advice, Delivered, Output, Sink, Trouble, WatchStreams};
use cartguard_shards::lane::{Lane, Limits, Record};
use meter::Meter;
use put::{Frontiers, Stream};
use refuse::{Refusals, Rejects, RejectsFile};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The service's limit of a record where a stream says nothing else.
const RECORD_BYTES: usize = 1024 * 1024;
/// How often a thread that waits for room looks whether all is to end. Arbitrary: at once, for a person.
const NOTICE: Duration = Duration::from_millis(50);

/// Hears of trouble that lasts, at most every 10 s a stream, and of its end.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Which streams, and what is kept to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// Names of streams; a list without one is not delivered.
    pub decisions: Option<String>,
    pub alerts: Option<String>,
    pub rejects: Option<String>,
    /// Path of the member whose value is the partition key; where a line has none, its sequence is.
    pub key: String,
    /// Whether the records of a key arrive in their order.
    pub ordered: bool,
    /// The longest that a record waits for others to share its call.
    pub linger: Duration,
    /// Records and bytes in a call.
    pub call_records: usize,
    pub call_bytes: usize,
    /// Calls under way at once, a stream.
    pub calls: usize,
    /// Bytes of a record with its key; a stream's own limit holds where it is lower, and where this is none.
    pub record_bytes: Option<usize>,
    /// Bytes that may wait, a stream.
    pub buffer: usize,
    /// After how long a call counts as failed.
    pub timeout: Duration,
    /// How long what was taken may still be sent once all is to end.
    pub drain: Duration,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            decisions: None,
            alerts: None,
            rejects: None,
            key: "event_id".to_owned(),
            ordered: true,
            linger: Duration::from_millis(5),
            call_records: 500,
            call_bytes: 5 * 1024 * 1024,
            calls: 8,
            record_bytes: None,
            buffer: 64 * 1024 * 1024,
            timeout: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

/// What the service lends the sink.
pub struct Surroundings {
    /// Set once all is to end.
    pub stop: Arc<AtomicBool>,
    pub tell: Tell,
    /// Takes the rejects where no stream does.
    pub rejects: Option<Box<dyn Sink>>,
}

/// See the module.
pub struct KinesisSink {
    key: String,
    drain: Duration,
    /// Decisions, alerts, rejects.
    lanes: [Option<Way>; 3],
    rejects: Option<RejectsFile>,
    too_large: Arc<Meter>,
    began: Instant,
    stop: Arc<AtomicBool>,
    /// Until when `write` and `finish` go on after `stop`.
    deadline: Option<Instant>,
    delivered: Delivered,
    thread: Option<JoinHandle<()>>,
}

/// To one stream.
struct Way {
    stream: Arc<Stream>,
    record_bytes: usize,
}

/// Reads the counts of a sink while another thread writes.
#[derive(Clone)]
pub struct Watch {
    streams: Vec<(&'static str, Arc<Stream>)>,
    sink: Arc<Meter>,
    began: Instant,
}

impl Watch {
    /// Of each stream, by what it carries; `sink` has the records that are too large for theirs.
    pub fn look(&self) -> Vec<(&'static str, Metrics)> {
        let streams = self.streams.iter().map(|(kind, stream)| (*kind, stream.meter.look(self.began)));
        streams.chain([("sink", self.sink.look(self.began))]).collect()
    }
}

/// The lists of a batch, and in which order they are handed over: nobody waits for a line that is less urgent.
const KINDS: [&str; 3] = ["decision", "alert", "reject"];
const REJECTS: usize = 2;
const URGENCY: [usize; 3] = [1, REJECTS, 0];

impl KinesisSink {
    /// Asks for each stream whether it is there and how long its records may be, and starts the thread.
    pub fn open(
        settings: &SinkSettings,
        client: &ClientSettings,
        around: Surroundings,
    ) -> Result<Self, Trouble> {
        let runtime = runtime()?;
        let client = runtime.block_on(unless_over(&around.stop, connect(client)))?;
        Self::start(settings, &client, runtime, around)
    }

    /// The same with a client that is there.
    pub fn with_client(
        settings: &SinkSettings,
        client: &Client,
        around: Surroundings,
    ) -> Result<Self, Trouble> {
        Self::start(settings, client, runtime()?, around)
    }

    fn start(
        settings: &SinkSettings,
        client: &Client,
        runtime: Runtime,
        around: Surroundings,
    ) -> Result<Self, Trouble> {
        let own = client.config().to_builder().retry_config(RetryConfig::disabled());
        // A call's time limit is ours, and no shorter one of the SDK's.
        let own = own.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(settings.timeout)
            .operation_attempt_timeout(settings.timeout * 2)
            .build();
        let own = own.timeout_config(timeouts);
        let client = Client::from_conf(own.build());
        let began = Instant::now();
        let names = [&settings.decisions, &settings.alerts, &settings.rejects];
        let count = names.iter().filter(|name| name.is_some()).count();
        let all = Frontiers {
            streams: (0..count).map(|_| Delivered::default()).collect(),
            sink: Delivered::default(),
        };
        let limits = Limits {
            call_records: settings.call_records,
            call_bytes: settings.call_bytes,
            calls: settings.calls,
            buffer: settings.buffer,
            linger_us: settings.linger.as_micros() as u64,
            ordered: settings.ordered,
        };
        let rejects = around.rejects.map(|file| Arc::new(Mutex::new(file)));
        let mut to = rejects.clone().map_or(Rejects::Nowhere, Rejects::File);
        let mut frontiers = all.streams.iter();
        let mut lanes = [None, None, None];
        // Rejects first: the others' may go there.
        for at in [REJECTS, 0, 1] {
            let Some(name) = names[at] else { continue };
            let asked = record_bytes(&client, name, &around.tell);
            let asked = runtime.block_on(unless_over(&around.stop, asked))??;
            let frontier = frontiers.next().expect("one a stream").clone();
            let refusals = Refusals { kind: KINDS[at], key: settings.key.clone(), to: to.clone() };
            let refusals = (at != REJECTS).then_some(refusals);
            let (lane, all) = (Lane::new(limits), all.clone());
            let stream = Arc::new(Stream::new(name, lane, began, frontier, all, settings.timeout, refusals));
            if at == REJECTS {
                to = Rejects::Stream(Arc::clone(&stream));
            }
            lanes[at] = Some(Way {
                stream,
                record_bytes: settings.record_bytes.map_or(asked, |given| given.min(asked)),
            });
        }
        let streams: Vec<_> = lanes.iter().flatten().map(|way| Arc::clone(&way.stream)).collect();
        let tell = around.tell;
        let thread = thread::Builder::new().name("kinesis sink".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut lives = tokio::task::JoinSet::new();
                for stream in streams {
                    lives.spawn(put::drive(stream, client.clone(), Arc::clone(&tell)));
                }
                lives.join_all().await;
            });
            // A name that nobody resolves holds no end up.
            runtime.shutdown_timeout(NOTICE);
        });
        let thread = thread.map_err(|e| Trouble::stop("the thread of the Kinesis sink").because(e))?;
        Ok(Self {
            key: settings.key.clone(),
            drain: settings.drain,
            lanes,
            rejects,
            too_large: Arc::new(Meter::new()),
            began,
            stop: around.stop,
            deadline: None,
            delivered: all.sink,
            thread: Some(thread),
        })
    }

    /// Reads its counts from another thread.
    pub fn watch(&self) -> Watch {
        let streams = KINDS.iter().zip(&self.lanes);
        let streams = streams.filter_map(|(kind, way)| Some((*kind, Arc::clone(&way.as_ref()?.stream))));
        Watch { streams: streams.collect(), sink: Arc::clone(&self.too_large), began: self.began }
    }

    /// The rejects of a batch, with one for each line that its stream does not take.
    fn rejects(&self, batch: &Output<'_>) -> Vec<Vec<u8>> {
        let mut more = Vec::new();
        for (at, pieces) in [(0, batch.decisions), (1, batch.alerts)] {
            let Some(way) = &self.lanes[at] else { continue };
            for line in lines(pieces) {
                let bytes = line.len() + self.key_of(line).len();
                if bytes > way.record_bytes {
                    Meter::add(&way.stream.meter.too_large, 1);
                    Meter::add(&self.too_large.too_large, 1);
                    more.push(reject::too_large(line, KINDS[at], bytes, way.record_bytes));
                }
            }
        }
        more
    }

    fn key_of(&self, line: &[u8]) -> Box<str> {
        partition::key(line, &self.key)
    }

    /// Hands a list of lines to its lane; waits while that is full.
    fn push(&mut self, at: usize, batch: u64, pieces: &[&[u8]]) -> Result<(), Trouble> {
        let Some(way) = &self.lanes[at] else { return Ok(()) };
        let (stream, record_bytes) = (Arc::clone(&way.stream), way.record_bytes);
        let mut lane = stream.lock();
        for line in lines(pieces) {
            let record = Record { key: self.key_of(line), data: line.into() };
            if record.bytes() > record_bytes {
                continue;
            }
            while !lane.has_room(record.bytes()) {
                stream.work.notify_one();
                lane = stream.room.wait_timeout(lane, NOTICE).expect("no thread panics with it").0;
                if self.is_past_deadline() {
                    let (records, bytes) = lane.waiting();
                    return Err(Trouble::stop(format!(
                        "stream {}: takes nothing; {records} records ({bytes} bytes) and what came later were not delivered",
                        stream.name
                    )));
                }
            }
            lane.push(batch, record, stream.now_us());
        }
        lane.seal(batch);
        stream.publish(&lane);
        drop(lane);
        stream.work.notify_one();
        Ok(())
    }

    /// Whether all is to end, and has had its time; or nobody is left who would make calls.
    fn is_past_deadline(&mut self) -> bool {
        if self.deadline.is_none() && self.stop.load(Ordering::Relaxed) {
            self.deadline = Some(Instant::now() + self.drain);
        }
        let is_dead = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        is_dead || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn end_thread(&mut self) {
        for way in self.lanes.iter().flatten() {
            way.stream.is_over.store(true, Ordering::Release);
            way.stream.work.notify_one();
        }
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            // A bug of ours ends the process wherever it happened, but never while another one does.
            if !thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Sink for KinesisSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        let more = self.rejects(batch);
        let rejects: Vec<&[u8]> =
            batch.rejects.iter().copied().chain(more.iter().map(Vec::as_slice)).collect();
        // First what may ask to be tried again: nothing of the batch is in a lane by then.
        if let Some(file) = &self.rejects {
            let mut file = file.lock().expect("no thread panics with it");
            file.write(&Output { batch: batch.batch, decisions: &[], alerts: &[], rejects: &rejects })?;
        }
        let lists = [batch.decisions, batch.alerts, &rejects];
        for at in URGENCY {
            self.push(at, batch.batch, lists[at])?;
        }
        if self.lanes.iter().all(Option::is_none) {
            self.delivered.advance(batch.batch + 1);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        let mut left = Vec::new();
        let streams: Vec<_> = self.lanes.iter().flatten().map(|way| Arc::clone(&way.stream)).collect();
        for stream in &streams {
            stream.lock().close();
            stream.work.notify_one();
        }
        for stream in &streams {
            let mut lane = stream.lock();
            while !lane.is_empty() {
                drop(lane);
                let is_stuck = streams.iter().any(|stream| stream.lock().is_stuck());
                lane = stream.lock();
                if is_stuck && self.deadline.is_none() {
                    // The others have as long as after a signal.
                    self.deadline = Some(Instant::now() + self.drain);
                }
                if self.is_past_deadline() {
                    break;
                }
                lane = stream.room.wait_timeout(lane, NOTICE).expect("no thread panics with it").0;
            }
            if !lane.is_empty() {
                let (records, bytes) = lane.waiting();
                left.push(format!("stream {}: {records} records ({bytes} bytes)", stream.name));
            }
        }
        self.end_thread();
        if let Some(file) = &self.rejects {
            file.lock().expect("no thread panics with it").finish()?;
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(Trouble::stop(format!("not acknowledged before the end: {}", left.join(", "))))
    }

    fn delivered(&self) -> Option<Delivered> {
        Some(self.delivered.clone())
    }

    fn figures(&self) -> Option<WatchStreams> {
        let watch = self.watch();
        Some(Arc::new(move || {
            // Without the sum over all of them.
            let streams = watch.look().into_iter().filter(|(output, _)| KINDS.contains(output));
            streams.map(|(output, seen)| seen.figures(output)).collect()
        }))
    }
}

impl Drop for KinesisSink {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// For one thread.
fn runtime() -> Result<Runtime, Trouble> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Trouble::stop("the runtime of the AWS SDK").because(e))
}

/// What comes of work, unless all is to end before; that is trouble with that advice.
async fn unless_over<T>(stop: &AtomicBool, work: impl Future<Output = T>) -> Result<T, Trouble> {
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(NOTICE, &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) if stop.load(Ordering::Relaxed) => {
                return Err(Trouble::over("the streams of the sink were asked for"));
            }
            Err(_) => {}
        }
    }
}

/// The lines of pieces, each without its end.
fn lines<'a>(pieces: &'a [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    pieces.iter().flat_map(|piece| piece.split(|&byte| byte == b'\n')).filter(|line| !line.is_empty())
}

/// How long a record of a stream may be. A stream that is not there is refused; one that cannot be asked is taken as it comes.
async fn record_bytes(client: &Client, name: &str, tell: &Tell) -> Result<usize, Trouble> {
    match client.describe_stream_summary().stream_name(name).send().await {
        Ok(answer) => {
            let summary = answer.stream_description_summary();
            let kib = summary.and_then(|summary| summary.max_record_size_in_kib());
            Ok(kib.and_then(|kib| usize::try_from(kib).ok()).map_or(RECORD_BYTES, |kib| kib * 1024))
        }
        Err(error) if error.code() == Some("ResourceNotFoundException") => {
            let what = format!("stream {name}: {}", error.message().unwrap_or("there is no such stream"));
            Err(Trouble::stop(what).with_advice(Advice::Refuse))
        }
        Err(error) => {
            let why = error.message().map_or_else(|| DisplayErrorContext(&error).to_string(), str::to_owned);
            tell(&format!(
                "DescribeStreamSummary of stream {name}: {why}; its records are taken to be at most 1 MiB"
            ));
            Ok(RECORD_BYTES)
        }
    }
}
