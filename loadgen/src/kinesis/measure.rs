//! What came of the events that were sent, read from the streams as any consumer would.
//!
//! streams (events, decisions, alerts) and `--sends` -> **measure** -> latency, what is lacking, what came twice
//!
//! Start it before the sender: it tails the streams, and its own clock says when a consumer could first have had a record. The end
//! to end time is from an event's intended time to then. Its parts, where both are known:
//!
//! - in: intended time to arrival of the event in its stream: sender and service in front of us;
//! - ours: arrival of the event to arrival of its decision: reading, deciding, putting;
//! - out: arrival of the decision to when this consumer had it.
//!
//! Arrival is the service's own stamp, in ms. What it cannot say is when whoever decides had the event in its hands: *ours* has the way from the
//! stream to it. Where something stands before the streams and stamps what comes past (`local-kinesis --stamps`), `--stamps` reads that,
//! and the parts are, in µs: in (intended time to the event's put), read (to when it was given to whoever decides), ours (to its decision's put,
//! and to its alert's) and out.
//!
//! Local servers stamp whole seconds; without `--stamps` the times at which this consumer had the event and the decision stand for them, both of
//! which carry its polling interval, and the report says so.
//!
//! Holds: sender, streams and this process share a clock; where they do not, parts that would be negative count as 0.
//! Not here: what a decision means, but that it is approve or not.

use super::put::Send;
use super::stamps::{Stamps, Streams};
use super::tail::{Kind, Seen, Tail};
use super::{Place, client, now_us};
use crate::{files, outputs};
use anyhow::Context;
use loadgen::{Latency, LatencySummary};
use serde::Serialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Ids that a report names at most.
const NAMED: usize = 5;
/// Flags of `measure`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MeasureArgs {
    /// File that `loadgen --to kinesis --sends` writes; read at the end.
    #[arg(long, value_name = "FILE")]
    sends: PathBuf,
    /// Stream of all decisions.
    #[arg(long, value_name = "NAME")]
    decisions: String,
    /// Stream of alerts.
    #[arg(long, value_name = "NAME")]
    alerts: Option<String>,
    /// Stream of the events themselves, to tell the transport's share.
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// When records came past, as `local-kinesis --stamps` writes it; read at the end. The stream of --input is read by whoever decides alone then.
    #[arg(long, value_name = "FILE", requires = "input")]
    stamps: Option<PathBuf>,
    /// End after so many seconds without a record.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    idle: f64,
    /// Pause between reads of a shard; the service allows 5 reads a second a shard to all its readers.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    poll_ms: u64,
    /// Report as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace a report that exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

impl MeasureArgs {
    /// Names of the streams.
    fn streams(&self) -> Streams<'_> {
        let (input, alerts) = (self.input.as_deref(), self.alerts.as_deref());
        Streams { input, decisions: &self.decisions, alerts }
    }
}

/// The first record of an id in a stream.
#[derive(Debug, Clone, Copy)]
struct First {
    hash: u64,
    is_alert: bool,
    arrived_us: u64,
    at_us: u64,
}

/// What a stream held.
#[derive(Debug, Default, Serialize)]
struct Stream {
    records: u64,
    ids: u64,
    /// Records whose id was there before, with the same bytes.
    repeated: u64,
    /// The same with other bytes.
    conflicting: u64,
    conflicting_ids: Vec<String>,
    #[serde(skip)]
    first: HashMap<String, First>,
}

/// Everything that is told.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Ids that the sender's stream took.
    sent: u64,
    /// Of them, those without a decision.
    lost: u64,
    lost_ids: Vec<String>,
    /// Decisions that are not approve and have no alert; only with --alerts.
    alerts_lost: Option<u64>,
    decisions: Stream,
    alerts: Option<Stream>,
    /// Intended time to when a consumer had the decision, µs.
    end_to_end_us: Option<LatencySummary>,
    in_us: Option<LatencySummary>,
    /// From an event's put to when it was given; only with --stamps, as `ours_alerts_us`.
    read_us: Option<LatencySummary>,
    ours_us: Option<LatencySummary>,
    ours_alerts_us: Option<LatencySummary>,
    out_us: Option<LatencySummary>,
    /// "service": stamps of the streams; "stamps": those of --stamps; "consumer": the service's are whole seconds, so what this process saw stands
    /// for them.
    arrival: &'static str,
}

/// Reads until nothing comes any more, and tells.
pub(crate) fn run(args: &MeasureArgs, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let read_and_written = [
        ("--sends", Some(&args.sends)),
        ("--stamps", args.stamps.as_ref()),
        ("--report", args.report.as_ref()),
    ];
    let named = read_and_written.into_iter().filter_map(|(flag, path)| Some((flag, path?.as_path())));
    outputs::apart(&named.collect::<Vec<_>>())?;
    let report_file = args.report.as_deref().map(|path| files::text(path, args.force)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = runtime.block_on(read(args, stop))?;
    let sends = read_sends(&args.sends)?;
    let stamps = args.stamps.as_deref().map(|path| Stamps::read(path, &args.streams())).transpose()?;
    let report = report(&sends, seen, args.alerts.is_some(), stamps.as_ref());
    tell(&report, &mut std::io::stderr())?;
    if let (Some(mut to), Some(path)) = (report_file, &args.report) {
        serde_json::to_writer_pretty(&mut to, &report).with_context(|| files::name(path))?;
        writeln!(to).and_then(|()| to.flush()).with_context(|| files::name(path))?;
    }
    Ok(())
}

/// Every record of the streams, until they have been idle.
async fn read(args: &MeasureArgs, stop: &Arc<AtomicBool>) -> anyhow::Result<Vec<Seen>> {
    let client = client(&args.place).await;
    let (to, mut from) = mpsc::unbounded_channel();
    let mut shards = tokio::task::JoinSet::new();
    let last_us = Arc::new(AtomicU64::new(now_us()));
    let streams = [
        // Who else reads it would look like whoever decides.
        (Kind::Input, args.input.as_ref().filter(|_| args.stamps.is_none())),
        (Kind::Decision, Some(&args.decisions)),
        (Kind::Alert, args.alerts.as_ref()),
    ];
    for (kind, stream) in streams {
        let Some(stream) = stream else { continue };
        let tail = Tail {
            client: client.clone(),
            stream: stream.clone(),
            kind,
            poll: Duration::from_millis(args.poll_ms),
        };
        shards.spawn(tail.all(to.clone(), Arc::clone(&last_us)));
    }
    drop(to);
    let mut seen = Vec::new();
    loop {
        tokio::select! {
            some = from.recv() => match some {
                Some(record) => seen.push(record),
                None => break,
            },
            Some(ended) = shards.join_next() => ended??,
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                let idle_s = now_us().saturating_sub(last_us.load(Ordering::Relaxed)) as f64 / 1e6;
                if stop.load(Ordering::Relaxed) || idle_s >= args.idle {
                    break;
                }
            }
        }
    }
    Ok(seen)
}

/// The earliest intended time of each id that was sent.
fn read_sends(path: &Path) -> anyhow::Result<HashMap<String, u64>> {
    let file = File::open(path).with_context(|| files::name(path))?;
    let mut sends = HashMap::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| files::name(path))?;
        let send: Send<'_> =
            serde_json::from_str(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        let due_us = sends.entry(send.event_id.to_owned()).or_insert(send.due_us);
        *due_us = send.due_us.min(*due_us);
    }
    Ok(sends)
}

/// Delays by part.
struct Parts {
    whole: Latency,
    before: Latency,
    read: Latency,
    ours: Latency,
    ours_alerts: Latency,
    after: Latency,
}

impl Parts {
    fn new() -> Self {
        let [whole, before, read, ours, ours_alerts, after] = [(); 6].map(|()| Latency::new());
        Self { whole, before, read, ours, ours_alerts, after }
    }

    /// A decided event by what came past; what is lacking has no part.
    fn stamped(&mut self, id: &str, due_us: u64, decided_us: u64, stamps: &Stamps) {
        let [put, given, decision, alert] =
            [&stamps.event_put, &stamps.event_given, &stamps.decision_put, &stamps.alert_put]
                .map(|list| list.get(id).copied());
        let part = |latency: &mut Latency, from: Option<u64>, to: Option<u64>| {
            if let (Some(from), Some(to)) = (from, to) {
                latency.record(from * 1_000, to * 1_000);
            }
        };
        part(&mut self.before, Some(due_us), put);
        part(&mut self.read, put, given);
        part(&mut self.ours, given, decision);
        part(&mut self.ours_alerts, given, alert);
        part(&mut self.after, decision, Some(decided_us));
    }
}

fn report(
    sends: &HashMap<String, u64>,
    seen: Vec<Seen>,
    has_alerts: bool,
    stamps: Option<&Stamps>,
) -> Report {
    let (mut input, mut decisions, mut alerts) = (Stream::default(), Stream::default(), Stream::default());
    let is_coarse = seen.iter().all(|record| record.arrived_us % 1_000_000 == 0);
    for record in seen {
        let stream = match record.kind {
            Kind::Input => &mut input,
            Kind::Decision => &mut decisions,
            Kind::Alert => &mut alerts,
        };
        stream.take(record);
    }
    let arrival = |first: &First| if is_coarse { first.at_us } else { first.arrived_us };
    let mut parts = Parts::new();
    let mut report = Report {
        sent: sends.len() as u64,
        arrival: match (stamps, is_coarse) {
            (Some(_), _) => "stamps",
            (None, true) => "consumer",
            (None, false) => "service",
        },
        ..Report::default()
    };
    for (id, &due_us) in sends {
        let Some(decided) = decisions.first.get(id) else {
            report.lost += 1;
            if report.lost_ids.len() < NAMED {
                report.lost_ids.push(id.clone());
            }
            continue;
        };
        parts.whole.record(due_us * 1_000, decided.at_us * 1_000);
        if let Some(stamps) = stamps {
            parts.stamped(id, due_us, decided.at_us, stamps);
            continue;
        }
        parts.after.record(arrival(decided) * 1_000, decided.at_us * 1_000);
        if let Some(event) = input.first.get(id) {
            parts.before.record(due_us * 1_000, arrival(event) * 1_000);
            parts.ours.record(arrival(event) * 1_000, arrival(decided) * 1_000);
        }
    }
    if has_alerts {
        let lacking =
            decisions.first.iter().filter(|(id, first)| first.is_alert && !alerts.first.contains_key(*id));
        report.alerts_lost = Some(lacking.count() as u64);
        report.alerts = Some(alerts);
    }
    report.decisions = decisions;
    let summary = |latency: &Latency| (latency.count() > 0).then(|| latency.summary());
    report.end_to_end_us = summary(&parts.whole);
    report.in_us = summary(&parts.before);
    report.read_us = summary(&parts.read);
    report.ours_us = summary(&parts.ours);
    report.ours_alerts_us = summary(&parts.ours_alerts);
    report.out_us = summary(&parts.after);
    report
}

impl Stream {
    fn take(&mut self, seen: Seen) {
        self.records += 1;
        let first = First {
            hash: seen.hash,
            is_alert: seen.is_alert,
            arrived_us: seen.arrived_us,
            at_us: seen.at_us,
        };
        match self.first.get_mut(&seen.id) {
            None => {
                self.ids += 1;
                self.first.insert(seen.id, first);
            }
            Some(before) if before.hash == seen.hash => {
                self.repeated += 1;
                if seen.at_us < before.at_us {
                    *before = first;
                }
            }
            Some(_) => {
                self.conflicting += 1;
                if self.conflicting_ids.len() < NAMED {
                    self.conflicting_ids.push(seen.id);
                }
            }
        }
    }
}

fn tell(report: &Report, to: &mut impl Write) -> std::io::Result<()> {
    writeln!(to, "loadgen: {} ids sent, {} lost {:?}", report.sent, report.lost, report.lost_ids)?;
    let streams = [("decisions", Some(&report.decisions)), ("alerts", report.alerts.as_ref())];
    for (name, stream) in streams {
        let Some(stream) = stream else { continue };
        writeln!(
            to,
            "{name}: {} records of {} ids, {} repeated, {} with other bytes {:?}",
            stream.records, stream.ids, stream.repeated, stream.conflicting, stream.conflicting_ids
        )?;
    }
    if let Some(lost) = report.alerts_lost {
        writeln!(to, "alerts lost: {lost}")?;
    }
    writeln!(
        to,
        "{:<13}{:>8}{:>10}{:>10}{:>10}{:>10}  ms, arrival by the {}",
        "", "count", "p50", "p99", "p99.9", "max", report.arrival
    )?;
    let parts = [
        ("end to end", report.end_to_end_us),
        ("in", report.in_us),
        ("read", report.read_us),
        ("ours", report.ours_us),
        ("ours, alerts", report.ours_alerts_us),
        ("out", report.out_us),
    ];
    for (name, part) in parts {
        let Some(part) = part else { continue };
        let [p50, p99, p99_9, max] = [part.p50, part.p99, part.p99_9, part.max].map(|us| us / 1_000.0);
        let count = part.count;
        writeln!(to, "{name:<13}{count:>8}{p50:>10.3}{p99:>10.3}{p99_9:>10.3}{max:>10.3}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: Kind, id: &str, hash: u64, arrived_us: u64, at_us: u64) -> Seen {
        Seen { kind, id: id.to_owned(), hash, is_alert: id == "alert", arrived_us, at_us }
    }

    #[test]
    fn what_is_lost_twice_or_late_is_told() {
        let sends = [("a", 1_000), ("alert", 2_000), ("gone", 3_000)];
        let sends = sends.into_iter().map(|(id, due)| (id.to_owned(), due)).collect();
        let records = vec![
            seen(Kind::Input, "a", 1, 3_000, 4_000),
            seen(Kind::Decision, "a", 2, 8_000, 9_000),
            seen(Kind::Decision, "a", 2, 8_500, 9_500),
            seen(Kind::Decision, "alert", 3, 8_000, 9_000),
            seen(Kind::Decision, "alert", 4, 8_000, 9_000),
        ];
        let report = report(&sends, records, true, None);
        assert_eq!((report.sent, report.lost, report.lost_ids), (3, 1, vec!["gone".to_owned()]));
        assert_eq!((report.decisions.records, report.decisions.ids), (4, 2));
        assert_eq!((report.decisions.repeated, report.decisions.conflicting), (1, 1));
        assert_eq!(report.decisions.conflicting_ids, ["alert"]);
        assert_eq!((report.alerts_lost, report.arrival), (Some(1), "service"));
        let whole = report.end_to_end_us.expect("measured");
        // A histogram keeps three digits.
        let max_ms = |part: LatencySummary| (part.max / 1_000.0).round();
        assert_eq!((whole.count, max_ms(whole)), (2, 8.0));
        let parts = [report.in_us, report.ours_us, report.out_us];
        assert_eq!(parts.map(|part| max_ms(part.expect("measured"))), [2.0, 5.0, 1.0]);
    }

    /// What a server stamps in whole seconds whoever stands before it stamps in µs; the first time counts, whoever sends again.
    #[test]
    fn stamps_tell_the_way_to_us_from_our_own_share() {
        let sends =
            [("a", 1_000), ("alert", 2_000)].into_iter().map(|(id, due)| (id.to_owned(), due)).collect();
        let records = vec![
            seen(Kind::Decision, "a", 2, 0, 90_000),
            seen(Kind::Decision, "alert", 3, 0, 95_000),
            seen(Kind::Alert, "alert", 4, 0, 96_000),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stamps.jsonl");
        let mut text = String::new();
        for (stream, way, id, at_us) in [
            ("events", "put", "a", 4_000),
            ("events", "put", "alert", 5_000),
            ("events", "given", "a", 34_000),
            // A reader that was killed has it again.
            ("events", "given", "a", 60_000),
            ("events", "given", "alert", 36_000),
            ("decisions", "put", "a", 41_000),
            ("decisions", "put", "alert", 48_000),
            ("alerts", "put", "alert", 45_000),
            ("alerts", "put", "alert", 70_000),
            ("decisions", "given", "a", 90_000),
            ("rejects", "put", "a", 1),
        ] {
            text += &format!(
                "{{\"stream\":\"{stream}\",\"way\":\"{way}\",\"event_id\":\"{id}\",\"at_us\":{at_us}}}\n"
            );
        }
        std::fs::write(&path, text).expect("written");
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            args: MeasureArgs,
        }
        let flags = [
            "measure",
            "--sends",
            "s",
            "--decisions",
            "decisions",
            "--alerts",
            "alerts",
            "--input",
            "events",
        ];
        let args = <Command as clap::Parser>::try_parse_from(flags).expect("flags").args;
        let stamps = Stamps::read(&path, &args.streams()).expect("lines");
        let report = report(&sends, records, true, Some(&stamps));
        assert_eq!((report.lost, report.alerts_lost, report.arrival), (0, Some(0), "stamps"));
        let told = |part: Option<LatencySummary>| {
            let part = part.expect("measured");
            (part.count, (part.max / 1_000.0).round())
        };
        assert_eq!(told(report.end_to_end_us), (2, 93.0));
        assert_eq!(told(report.in_us), (2, 3.0));
        assert_eq!(told(report.read_us), (2, 31.0));
        assert_eq!(told(report.ours_us), (2, 12.0));
        assert_eq!(told(report.ours_alerts_us), (1, 9.0));
        assert_eq!(told(report.out_us), (2, 49.0));
    }
}
