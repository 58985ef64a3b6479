//! Events into a stream, at their intended times.
//!
//! generator, schedule -> **put** (`pack`: events into records) -> stream; a line for each event that was taken beside
//!
//! Holds: an event's intended time is the schedule's, whatever the stream does: a stream that takes no more makes later events
//! late, never fewer; of a call that failed in part only what failed is sent again; calls under way are halved where the stream
//! throttles and grow by one a round where it does not.
//! Not here: what is sent.

use super::pack::{Packed, Packer};
use super::{Place, client, id, member, now_us};
use crate::args::Job;
use crate::label_file::LabelFile;
use crate::send::{Ended, Sent};
use anyhow::{Context, bail};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};
use loadgen::{Generator, Latency};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Of a call. The service takes 500 records and 10 MiB, local servers 5.
const CALL_RECORDS: usize = 500;
const CALL_BYTES: usize = 4 * 1024 * 1024;
/// Calls under way: at first, and at most. The most is arbitrary: some MB that wait.
const CALLS_FIRST: f64 = 4.0;
const CALLS_MAX: f64 = 64.0;
/// Pauses before what failed is sent again, doubling.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Longest sleep, so that an interrupt is seen soon.
const NAP: Duration = Duration::from_millis(50);
/// What does not get better by itself.
const FINAL: [&str; 6] = [
    "ResourceNotFoundException",
    "AccessDeniedException",
    "InvalidArgumentException",
    "ValidationException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
];

/// Flags of `--to kinesis`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct KinesisArgs {
    /// Stream to put into (with --to kinesis).
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Member whose value is the partition key [default: the event's id].
    #[arg(long, value_name = "MEMBER")]
    key: Option<String>,
    /// Put so many events into a record at most, as Kinesis's producer library does; each waits up to 100 ms for others.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    aggregate: Option<u32>,
    /// File of what was sent and when it was due, for `loadgen measure`; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) sends: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// A line of `--sends`: times are microseconds since 1970 by the sender's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Send<'a> {
    pub(crate) event_id: &'a str,
    /// By the schedule; without one, when it was made.
    pub(crate) due_us: u64,
    /// When the stream had it.
    pub(crate) acked_us: u64,
}

/// What calls met.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Puts {
    pub(crate) calls: u64,
    /// Records sent again.
    pub(crate) retries: u64,
    /// Entries and calls that the stream was too busy for.
    pub(crate) throttles: u64,
    pub(crate) failed_calls: u64,
    /// Events that an interrupt kept back.
    pub(crate) unsent: u64,
}

/// A call and all that came of it.
struct Done {
    records: Vec<Packed>,
    /// One a record, ns since the beginning; none: not sent.
    acked_ns: Vec<Option<u64>>,
    puts: Puts,
    error: Option<anyhow::Error>,
}

/// Sends everything.
pub(crate) fn run(
    args: &KinesisArgs,
    job: &Job,
    labels: Option<&mut LabelFile>,
    sends: Option<Box<dyn Write>>,
    stop: &Arc<AtomicBool>,
    progress: bool,
) -> anyhow::Result<Sent> {
    let stream = args.stream.clone().context("--to kinesis needs --stream")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = client(&args.place).await;
        let generator = Generator::new(&job.settings)?;
        let packer = match args.aggregate {
            None => Packer::new(1, Vec::new()),
            Some(events_max) => Packer::new(events_max as usize, open_shards(&client, &stream).await?),
        };
        let sender = Sender {
            job,
            generator,
            packer,
            labels,
            key: args.key.clone(),
            sends,
            // Together: the schedule's clock and the one that others read.
            began: Instant::now(),
            began_us: now_us(),
            sent: Sent { latency: job.schedule.is_some().then(Latency::new), ..Sent::default() },
            puts: Puts::default(),
            window: CALLS_FIRST,
        };
        sender.run(&client, &stream, stop, progress).await
    })
}

struct Sender<'a> {
    job: &'a Job,
    generator: Generator,
    packer: Packer,
    labels: Option<&'a mut LabelFile>,
    key: Option<String>,
    sends: Option<Box<dyn Write>>,
    began: Instant,
    began_us: u64,
    sent: Sent,
    puts: Puts,
    /// Calls that may be under way.
    window: f64,
}

impl Sender<'_> {
    async fn run(
        mut self,
        client: &Client,
        stream: &str,
        stop: &Arc<AtomicBool>,
        progress: bool,
    ) -> anyhow::Result<Sent> {
        let mut calls: JoinSet<Done> = JoinSet::new();
        let mut told = self.began;
        let mut more = true;
        while more || !calls.is_empty() {
            while let Some(done) = calls.try_join_next() {
                self.settle(done?)?;
            }
            if more && stop.load(Ordering::Relaxed) {
                self.sent.ended = Ended::Interrupted;
                more = false;
            }
            if progress && told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                let rate = self.sent.events as f64 / self.began.elapsed().as_secs_f64();
                eprintln!(
                    "loadgen: {} events, {rate:.0} events/s, {} calls under way",
                    self.sent.events,
                    calls.len()
                );
            }
            if !more || calls.len() as f64 >= self.window {
                if let Some(done) = calls.join_next().await {
                    self.settle(done?)?;
                }
                continue;
            }
            let (batch, next) = self.due(self.began.elapsed().as_nanos() as u64)?;
            if !batch.records.is_empty() {
                let records = batch.records;
                calls.spawn(put(client.clone(), stream.to_owned(), records, self.began, Arc::clone(stop)));
            }
            match next {
                Next::Now => {}
                Next::At(due_ns) => {
                    let wait = Duration::from_nanos(due_ns).saturating_sub(self.began.elapsed()).min(NAP);
                    tokio::select! {
                        Some(done) = calls.join_next() => self.settle(done?)?,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Next::End => more = false,
            }
        }
        self.puts.unsent += self.packer.waiting() as u64;
        if let Some(mut sends) = self.sends {
            sends.flush().context("--sends")?;
        }
        self.sent.seconds = self.began.elapsed().as_secs_f64();
        self.sent.puts = Some(self.puts);
        Ok(self.sent)
    }

    /// What is due by now, at most a call; when there is more.
    fn due(&mut self, now_ns: u64) -> anyhow::Result<(Batch, Next)> {
        let end_ns = self.job.seconds.map_or(u64::MAX, |seconds| (seconds * 1e9) as u64);
        let (mut batch, mut line) = (Batch::default(), Vec::new());
        // First: where more is always due nothing would come behind it.
        while batch.has_room()
            && let Some(packed) = self.packer.take(now_ns)?
        {
            batch.push(packed);
        }
        while batch.has_room() {
            let schedule = self.job.schedule.as_ref();
            let due_ns = schedule.map_or(now_ns, |schedule| schedule.offset_ns(self.sent.events));
            if due_ns >= end_ns {
                return self.rest(batch, u64::MAX, Next::End);
            }
            if due_ns > now_ns {
                return self.rest(batch, now_ns, Next::At(due_ns));
            }
            line.clear();
            let Some(info) = self.generator.next_event(&mut line) else {
                return self.rest(batch, u64::MAX, Next::End);
            };
            self.sent.events += 1;
            self.sent.repeats += u64::from(info.repeat);
            if let Some(label) = &info.label {
                self.sent.fraud += u64::from(label.fraud);
                if let Some(labels) = self.labels.as_deref_mut() {
                    labels.write(label)?;
                }
            }
            let key =
                self.key.as_deref().and_then(|key| member(&line, key)).or_else(|| id(&line)).unwrap_or("-");
            if let Some(packed) = self.packer.push(key, &line, due_ns)? {
                batch.push(packed);
            }
        }
        Ok((batch, Next::Now))
    }

    /// With what has waited for others for long enough, as far as a call has room; then there is `next`, if not more of these.
    fn rest(&mut self, mut batch: Batch, now_ns: u64, next: Next) -> anyhow::Result<(Batch, Next)> {
        while batch.has_room() {
            let Some(packed) = self.packer.take(now_ns)? else {
                let waits_ns = self.packer.next_ns().unwrap_or(u64::MAX);
                return Ok((batch, if let Next::At(ns) = next { Next::At(ns.min(waits_ns)) } else { next }));
            };
            batch.push(packed);
        }
        Ok((batch, Next::Now))
    }

    /// What came of a call.
    fn settle(&mut self, done: Done) -> anyhow::Result<()> {
        let acked = done.records.iter().zip(&done.acked_ns).filter_map(|(record, ns)| Some((record, (*ns)?)));
        for (event, acked_ns) in
            acked.flat_map(|(record, ns)| record.events.iter().map(move |event| (event, ns)))
        {
            self.sent.bytes += event.bytes as u64;
            if let Some(latency) = &mut self.sent.latency {
                latency.record(event.due_ns, acked_ns);
            }
            if let Some(sends) = &mut self.sends {
                let send = Send {
                    event_id: &event.id,
                    due_us: self.began_us + event.due_ns / 1_000,
                    acked_us: self.began_us + acked_ns / 1_000,
                };
                serde_json::to_writer(&mut *sends, &send).context("--sends")?;
                sends.write_all(b"\n").context("--sends")?;
            }
        }
        let puts = &mut self.puts;
        puts.calls += done.puts.calls;
        puts.retries += done.puts.retries;
        puts.throttles += done.puts.throttles;
        puts.failed_calls += done.puts.failed_calls;
        puts.unsent += done.puts.unsent;
        self.window = if done.puts.throttles > 0 || done.puts.failed_calls > 0 {
            (self.window / 2.0).max(1.0)
        } else {
            (self.window + 1.0 / self.window).min(CALLS_MAX)
        };
        done.error.map_or(Ok(()), Err)
    }
}

/// Records of one call.
#[derive(Default)]
struct Batch {
    records: Vec<Packed>,
    bytes: usize,
}

impl Batch {
    fn has_room(&self) -> bool {
        self.records.len() < CALL_RECORDS && self.bytes < CALL_BYTES
    }

    fn push(&mut self, packed: Packed) {
        self.bytes += packed.bytes();
        self.records.push(packed);
    }
}

enum Next {
    Now,
    At(u64),
    End,
}

/// The last hash key of every shard that takes records.
async fn open_shards(client: &Client, stream: &str) -> anyhow::Result<Vec<u128>> {
    let (mut last, mut token) = (Vec::new(), None);
    loop {
        let asked = client.list_shards();
        let asked = match token.take() {
            Some(token) => asked.next_token(token),
            None => asked.stream_name(stream),
        };
        let answer = asked.send().await;
        let answer =
            answer.map_err(|why| anyhow::anyhow!("stream {stream}: {}", DisplayErrorContext(&why)))?;
        for shard in answer.shards() {
            let ends = shard.sequence_number_range().and_then(|range| range.ending_sequence_number());
            if let (None, Some(range)) = (ends, shard.hash_key_range()) {
                let what = || format!("stream {stream}: {}: hash keys", shard.shard_id());
                last.push(range.ending_hash_key().parse().with_context(what)?);
            }
        }
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(last);
        }
    }
}

/// One call, again with what failed of it until all is taken.
async fn put(
    client: Client,
    stream: String,
    records: Vec<Packed>,
    began: Instant,
    stop: Arc<AtomicBool>,
) -> Done {
    let mut acked_ns = vec![None; records.len()];
    let mut open: Vec<usize> = (0..records.len()).collect();
    let (mut puts, mut pause, mut error) = (Puts::default(), PAUSE_FIRST, None);
    loop {
        let entries = open.iter().map(|&at| records[at].record.clone()).collect();
        let answer = client.put_records().stream_name(&stream).set_records(Some(entries)).send().await;
        let now_ns = began.elapsed().as_nanos() as u64;
        puts.calls += 1;
        match answer {
            Ok(answer) if answer.records().len() == open.len() => {
                let mut left = Vec::new();
                for (&at, entry) in open.iter().zip(answer.records()) {
                    match entry.error_code() {
                        None => acked_ns[at] = Some(now_ns),
                        Some(_) => left.push(at),
                    }
                }
                puts.throttles += left.len() as u64;
                open = left;
            }
            Ok(_) => puts.failed_calls += 1,
            Err(refused) => {
                puts.failed_calls += 1;
                let code = refused.code().unwrap_or_default();
                puts.throttles += if code.contains("ThroughputExceeded") { open.len() as u64 } else { 0 };
                if FINAL.contains(&code)
                    || refused.as_service_error().is_none()
                        && refused.raw_response().is_none()
                        && !is_transport(&refused)
                {
                    error = Some(anyhow::anyhow!("stream {stream}: {}", DisplayErrorContext(&refused)));
                }
            }
        }
        if open.is_empty() {
            break;
        }
        if error.is_some() || stop.load(Ordering::Relaxed) {
            puts.unsent += open.iter().map(|&at| records[at].events.len() as u64).sum::<u64>();
            break;
        }
        puts.retries += open.len() as u64;
        // Not all at once: the time of day is chance enough here.
        let part = u64::from(now_ns as u32 % 1_000);
        tokio::time::sleep(pause / 2 + pause * part as u32 / 2_000).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Done { records, acked_ns, puts, error }
}

/// Whether the network is at fault, which may pass, and not what was asked for, such as absent credentials.
fn is_transport<E, R>(error: &aws_sdk_kinesis::error::SdkError<E, R>) -> bool {
    use aws_sdk_kinesis::error::SdkError;
    matches!(error, SdkError::TimeoutError(_) | SdkError::ResponseError(_))
        || matches!(error, SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout())
}

/// Refuses what cannot be sent, before anything is.
pub(crate) fn check(args: &KinesisArgs, to: &str) -> anyhow::Result<()> {
    if to == "kinesis" && args.stream.is_none() {
        bail!("--to kinesis needs --stream NAME");
    }
    if to != "kinesis" && (args.stream.is_some() || args.sends.is_some()) {
        bail!("--stream and --sends need --to kinesis");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadgen::kpl::hash_key;
    use loadgen::{Settings, World};

    #[test]
    fn an_event_that_waited_long_enough_goes_before_what_is_due() {
        let settings = Settings::new(World::Workload);
        let generator = Generator::new(&settings).expect("settings of its own");
        // As fast as it can: more is always due.
        let job = Job { settings, schedule: None, seconds: None };
        // A shard that no other key comes to.
        let alone = hash_key("alone");
        let mut packer = Packer::new(10, vec![alone - 1, alone, u128::MAX]);
        assert!(packer.push("alone", b"{\"event_id\":\"waits\"}", 0).expect("a record").is_none());
        let mut sender = Sender {
            job: &job,
            generator,
            packer,
            labels: None,
            key: None,
            sends: None,
            began: Instant::now(),
            began_us: 0,
            sent: Sent::default(),
            puts: Puts::default(),
            window: CALLS_FIRST,
        };
        let mut went = |now_ns| {
            let (batch, next) = sender.due(now_ns).expect("a call");
            assert!(matches!(next, Next::Now), "more is due");
            batch.records.iter().flat_map(|record| &record.events).any(|event| event.id == "waits")
        };
        assert!(!went(99_999_999));
        assert!(went(100_000_000));
    }
}
