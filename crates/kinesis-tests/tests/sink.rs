//! The sink through the real SDK, against a local Kinesis behind the fault proxy: rows K1 to K5 of docs/failures.md.

use aws_sdk_kinesis::Client;
use cartguard_io::{Output, Sink, contract};
use cartguard_kinesis::sink::{Metrics, Surroundings, Watch};
use cartguard_kinesis::{KinesisSink, SinkSettings};
use cartguard_kinesis_tests::local::{self, Local};
use cartguard_kinesis_tests::proxy::{Fault, Plan, Proxy, Service, When};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

const STREAMS: [&str; 3] = ["decisions", "alerts", "rejects"];

/// A local Kinesis with its proxy, on a runtime of its own: the sink is for threads without one.
struct Rig {
    runtime: Runtime,
    /// Past the proxy.
    client: Client,
    proxy: Proxy,
    told: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    _local: Local,
}

impl Rig {
    fn new(shards: i32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (local, proxy) = runtime.block_on(async {
            let local = Local::start(local::options());
            let proxy = Proxy::start(local.address(), Service::default()).await;
            (local, proxy)
        });
        let client = local::client(&local.url());
        runtime.block_on(async {
            for stream in STREAMS {
                local::create_stream(&client, stream, shards).await;
            }
        });
        Self { runtime, client, proxy, told: Arc::default(), stop: Arc::default(), _local: local }
    }

    fn plan(&self) -> &Plan {
        self.proxy.plan()
    }

    fn sink(&self, settings: &SinkSettings) -> KinesisSink {
        self.sink_with(settings, None)
    }

    fn sink_with(&self, settings: &SinkSettings, rejects: Option<Box<dyn Sink>>) -> KinesisSink {
        let told = Arc::clone(&self.told);
        let around = Surroundings {
            stop: Arc::clone(&self.stop),
            tell: Arc::new(move |text| told.lock().expect("no panic").push(text.to_owned())),
            rejects,
        };
        let client = local::client(&self.proxy.url());
        KinesisSink::with_client(settings, &client, around).unwrap_or_else(|e| panic!("{e}: {e:?}"))
    }

    /// Data of every record of a stream, shard by shard in order.
    fn read(&self, stream: &str) -> Vec<String> {
        let records = self.runtime.block_on(local::read_all(&self.client, stream));
        records.into_iter().map(|r| String::from_utf8(r.data.into_inner()).expect("text")).collect()
    }
}

fn settings() -> SinkSettings {
    let name = |at: usize| Some(STREAMS[at].to_owned());
    SinkSettings { decisions: name(0), alerts: name(1), rejects: name(2), ..SinkSettings::default() }
}

/// A line for an event of a card.
fn line(number: usize, card: usize) -> String {
    format!("{{\"event_id\":\"e{number}\",\"sequence\":{number},\"event\":{{\"card\":\"c{card}\"}}}}\n")
}

fn write(
    sink: &mut KinesisSink,
    batch: u64,
    decisions: &[String],
    alerts: &[String],
) -> Result<(), cartguard_io::Trouble> {
    let bytes = |lines: &[String]| lines.concat().into_bytes();
    let (decisions, alerts) = (bytes(decisions), bytes(alerts));
    // In two pieces, as the engine cuts them: at the end of a line.
    sink.write(&Output { batch, decisions: &[&decisions, b""], alerts: &[&alerts], rejects: &[] })
}

fn sent(lines: &[String]) -> BTreeSet<String> {
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn of(watch: &Watch, kind: &str) -> Metrics {
    watch.look().into_iter().find(|(name, _)| *name == kind).expect("a stream").1
}

/// Waits until something is so; a test that hangs here has failed.
fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn the_contract_of_a_sink() {
    let rig = Rig::new(1);
    // One call at a time: the contract compares the streams as files.
    let settings = SinkSettings { ordered: false, calls: 1, key: "none".into(), ..settings() };
    let mut sink = rig.sink(&settings);
    contract::check_sink(&mut sink, || {
        STREAMS.map(|stream| {
            let lines = rig.read(stream);
            Some(lines.into_iter().map(|line| line + "\n").collect::<String>().into_bytes())
        })
    });
}

/// K1
#[test]
fn of_a_call_that_failed_in_part_only_what_failed_is_sent_again() {
    let rig = Rig::new(2);
    let throttled = "ProvisionedThroughputExceededException";
    rig.plan().add(
        "PutRecords",
        When::First(30),
        Fault::FailEntries { per_mille: 400, seed: 7, code: throttled },
    );
    let mut sink = rig.sink(&SinkSettings { call_records: 50, ..settings() });
    let watch = sink.watch();
    let delivered = sink.delivered().expect("a frontier");
    let mut all = Vec::new();
    for batch in 0..40 {
        let lines: Vec<_> = (0..30).map(|at| line(batch * 30 + at, at)).collect();
        write(&mut sink, batch as u64, &lines, &[]).expect("room");
        all.extend(lines);
    }
    sink.finish().expect("everything is acknowledged");
    let read = rig.read("decisions");
    assert_eq!(read.len(), all.len(), "what was written is not written again");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), sent(&all));
    assert_eq!(delivered.get(), 40);
    let metrics = of(&watch, "decision");
    assert_eq!(metrics.records, 1_200);
    assert!(metrics.throttles > 0 && metrics.retries == metrics.throttles, "{metrics:?}");
    assert_eq!((metrics.waiting_records, metrics.waiting_bytes), (0, 0));
}

/// K1, K16
#[test]
fn what_failed_is_not_acknowledged() {
    let rig = Rig::new(1);
    let code = "InternalFailure";
    let rule =
        rig.plan().add("PutRecords", When::Always, Fault::FailEntries { per_mille: 500, seed: 3, code });
    let mut sink = rig.sink(&settings());
    let delivered = sink.delivered().expect("a frontier");
    let watch = sink.watch();
    let lines: Vec<_> = (0..20).map(|number| line(number, number)).collect();
    write(&mut sink, 0, &lines, &[]).expect("room");
    until(|| of(&watch, "decision").records > 0);
    assert!(of(&watch, "decision").records == 20 || delivered.get() == 0, "acknowledged in part");
    rig.plan().remove(rule);
    sink.finish().expect("everything is acknowledged");
    assert_eq!(delivered.get(), 1);
    assert_eq!(rig.read("decisions").len(), 20);
}

/// K2
#[test]
fn a_key_keeps_its_order_through_failures() {
    let rig = Rig::new(3);
    let code = "ProvisionedThroughputExceededException";
    rig.plan().add("PutRecords", When::First(60), Fault::FailEntries { per_mille: 300, seed: 11, code });
    rig.plan().add("PutRecords", When::PerMille(100, 5), Fault::LoseAnswer);
    rig.plan().add("PutRecords", When::PerMille(100, 9), Fault::throttle());
    let mut sink = rig.sink(&SinkSettings { key: "event.card".into(), call_records: 7, ..settings() });
    let all: Vec<_> = (0..300).map(|number| line(number, number % 6 * (number % 5))).collect();
    for (batch, lines) in all.chunks(11).enumerate() {
        write(&mut sink, batch as u64, lines, &[]).expect("room");
    }
    sink.finish().expect("everything is acknowledged");
    let read = rig.read("decisions");
    assert_eq!(read.iter().cloned().collect::<BTreeSet<_>>(), sent(&all));
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for text in read {
        let (head, card) = text.split_once(",\"event\":").expect("a line");
        let sequence: u64 = head.rsplit(':').next().expect("a number").parse().expect("a number");
        let before = last.insert(card.to_owned(), sequence);
        // The same again is what a reader drops.
        assert!(before.is_none_or(|before| before <= sequence), "{sequence} after {before:?} of {card}");
    }
}

/// K3
#[test]
fn a_lost_answer_sends_the_same_bytes_again() {
    let rig = Rig::new(1);
    rig.plan().add_on("decisions", "PutRecords", When::Nth(0), Fault::LoseAnswer);
    let mut sink = rig.sink(&settings());
    let lines = [line(1, 1)];
    write(&mut sink, 0, &lines, &[]).expect("room");
    sink.finish().expect("everything is acknowledged");
    let read = rig.read("decisions");
    assert_eq!(read, [lines[0].trim_end(), lines[0].trim_end()]);
}

/// K4
#[test]
fn a_stream_that_is_down_holds_back_the_writer_and_no_alert() {
    let rig = Rig::new(1);
    rig.plan().add_on("decisions", "PutRecords", When::Always, Fault::Hang);
    let buffer = 20_000;
    let settings = SinkSettings { buffer, timeout: Duration::from_millis(200), ..settings() };
    let mut sink = rig.sink(&settings);
    let watch = sink.watch();
    let batches = 100_usize;
    let begun = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for batch in 0..batches {
                begun.store(batch + 1, Ordering::SeqCst);
                let lines: Vec<_> = (0..5).map(|at| line(batch * 5 + at, at)).collect();
                write(&mut sink, batch as u64, &lines, &lines[..1]).expect("it waits");
            }
            sink.finish().expect("everything is acknowledged");
        });
        // Full: what failed is tried again, and the writer stands.
        until(|| of(&watch, "decision").failed_calls >= 3);
        // The alerts of every batch that was begun are there, while no decision is.
        until(|| of(&watch, "alert").records == begun.load(Ordering::SeqCst) as u64);
        let (decisions, alerts) = (of(&watch, "decision"), of(&watch, "alert"));
        assert_eq!(decisions.records, 0);
        assert!(alerts.records > 10 && alerts.records < batches as u64, "{alerts:?}");
        assert!(decisions.waiting_bytes <= buffer as u64, "{decisions:?}");
        assert!(!writer.is_finished());
        rig.plan().clear();
        writer.join().expect("the writer");
    });
    assert_eq!(rig.read("decisions").into_iter().collect::<BTreeSet<_>>().len(), batches * 5);
    assert_eq!(rig.read("alerts").into_iter().collect::<BTreeSet<_>>().len(), batches);
    let told = rig.told.lock().expect("no panic").clone();
    assert!(told[0].contains("stream decisions: no answer within 200 ms"), "{told:?}");
    assert!(told.last().expect("told").ends_with("takes records again"), "{told:?}");
}

#[test]
fn what_is_not_delivered_before_the_end_is_told() {
    let rig = Rig::new(1);
    rig.plan().add_on("decisions", "PutRecords", When::Always, Fault::refuse("KMSDisabledException"));
    let mut sink = rig.sink(&SinkSettings { drain: Duration::ZERO, ..settings() });
    let lines = [line(1, 1), line(2, 2)];
    write(&mut sink, 0, &lines, &lines).expect("room");
    rig.stop.store(true, Ordering::SeqCst);
    let why = sink.finish().expect_err("a stream takes nothing").to_string();
    assert!(why.starts_with("not acknowledged before the end: stream decisions: 2 records"), "{why}");
    assert_eq!(sink.delivered().expect("a frontier").get(), 0);
}

/// K5
#[test]
fn a_record_over_the_limit_is_a_reject() {
    let rig = Rig::new(1);
    let mut sink = rig.sink(&SinkSettings { record_bytes: Some(1_000), ..settings() });
    let watch = sink.watch();
    let long =
        format!("{{\"event_id\":\"long\\\"\",\"sequence\":7,\"note\":\"SECRET{}\"}}\n", "x".repeat(1_000));
    let lines = [line(1, 1), long.clone(), line(2, 2)];
    write(&mut sink, 0, &lines, &[]).expect("room");
    sink.finish().expect("everything is acknowledged");
    assert_eq!(rig.read("decisions"), [lines[0].trim_end(), lines[2].trim_end()]);
    let bytes = long.trim_end().len() + "long\"".len();
    let reject = format!(
        "{{\"event_id\":\"long\\\"\",\"sequence\":7,\"reason\":\"output_too_large\",\"output\":\"decision\",\
         \"bytes\":{bytes},\"bytes_max\":1000}}"
    );
    assert_eq!(rig.read("rejects"), [reject]);
    assert_eq!(of(&watch, "decision").too_large, 1);
    assert_eq!(sink.delivered().expect("a frontier").get(), 1);
}

/// K5: one record that the service calls invalid, in the midst of others, is a reject, and is delivered when that is.
#[test]
fn a_record_that_is_refused_alone_is_a_reject() {
    let rig = Rig::new(1);
    let bad = line(17, 3);
    rig.plan().add_on(
        "decisions",
        "PutRecords",
        When::Always,
        Fault::RefuseKey { key: "e17", code: "ValidationException" },
    );
    let held = rig.plan().add_on("rejects", "PutRecords", When::Always, Fault::throttle());
    let mut sink = rig.sink(&settings());
    let (watch, delivered) = (sink.watch(), sink.delivered().expect("a frontier"));
    let all: Vec<_> = (0..40).map(|number| line(number, number % 7)).collect();
    for (batch, lines) in all.chunks(10).enumerate() {
        write(&mut sink, batch as u64, lines, &[]).expect("room");
    }
    // The frontier waits for its reject.
    until(|| of(&watch, "decision").refused == 1 && of(&watch, "reject").failed_calls > 1);
    assert_eq!(delivered.get(), 1);
    rig.plan().remove(held);
    sink.finish().expect("everything is acknowledged");
    assert_eq!(delivered.get(), 4);
    let read = rig.read("decisions");
    assert_eq!(read.len(), 39);
    let lacking: Vec<_> = sent(&all).difference(&read.into_iter().collect()).cloned().collect();
    assert_eq!(lacking, [bad.trim_end()]);
    let bytes = bad.trim_end().len() + "e17".len();
    let reject = format!(
        "{{\"event_id\":\"e17\",\"sequence\":17,\"reason\":\"output_refused\",\"output\":\"decision\",\"bytes\":{bytes},\
         \"code\":\"ValidationException\"}}"
    );
    assert_eq!(rig.read("rejects"), [reject]);
    let metrics = of(&watch, "decision");
    assert_eq!((metrics.records, metrics.refused, metrics.waiting_records), (39, 1, 0));
    let told = rig.told.lock().expect("no panic").clone();
    assert!(told.iter().any(|text| text.contains("becomes a reject")), "{told:?}");
}

/// Fails once, then keeps what it gets.
struct Rejects(Arc<Mutex<Vec<u8>>>, bool);

impl Sink for Rejects {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), cartguard_io::Trouble> {
        if !batch.rejects.is_empty() && !std::mem::replace(&mut self.1, true) {
            return Err(cartguard_io::Trouble::stop("no room".to_owned()));
        }
        self.0.lock().expect("no panic").extend(batch.rejects.concat());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), cartguard_io::Trouble> {
        Ok(())
    }
}

#[test]
fn a_reject_of_a_refused_record_goes_to_the_file_or_its_record_is_tried_again() {
    let rig = Rig::new(1);
    rig.plan().add_on(
        "decisions",
        "PutRecords",
        When::Always,
        Fault::RefuseKey { key: "e3", code: "InvalidArgumentException" },
    );
    let kept = Arc::new(Mutex::new(Vec::new()));
    let settings = SinkSettings { rejects: None, ..settings() };
    let mut sink = rig.sink_with(&settings, Some(Box::new(Rejects(Arc::clone(&kept), false))));
    let watch = sink.watch();
    let lines: Vec<_> = (0..9).map(|number| line(number, number)).collect();
    write(&mut sink, 0, &lines, &lines[..1]).expect("room");
    sink.finish().expect("everything is acknowledged");
    assert_eq!(sink.delivered().expect("a frontier").get(), 1);
    assert_eq!(rig.read("decisions").len(), 8);
    let text = String::from_utf8(kept.lock().expect("no panic").clone()).expect("text");
    assert!(text.starts_with("{\"event_id\":\"e3\"") && text.ends_with("}\n"), "{text}");
    assert_eq!((text.lines().count(), of(&watch, "decision").refused), (1, 1));
    let told = rig.told.lock().expect("no panic").clone();
    assert!(told.iter().any(|text| text.contains("cannot be written: no room")), "{told:?}");
}

/// Where nothing is taken nothing becomes a reject.
#[test]
fn a_stream_that_refuses_everything_loses_nothing() {
    let rig = Rig::new(1);
    rig.plan().add_on("decisions", "PutRecords", When::First(8), Fault::refuse("InvalidArgumentException"));
    let mut sink = rig.sink(&settings());
    let watch = sink.watch();
    let lines: Vec<_> = (0..20).map(|number| line(number, number)).collect();
    write(&mut sink, 0, &lines, &[]).expect("room");
    sink.finish().expect("everything is acknowledged");
    assert_eq!((rig.read("decisions").len(), of(&watch, "decision").refused), (20, 0));
    assert!(rig.read("rejects").is_empty());
}

/// K5: the last record of a source that ends is refused, and nothing comes that could show that others are taken.
#[test]
fn a_last_record_that_is_refused_ends_as_a_reject() {
    let rig = Rig::new(1);
    let refused = Fault::RefuseKey { key: "e9", code: "ValidationException" };
    rig.plan().add_on("decisions", "PutRecords", When::Always, refused);
    let mut sink = rig.sink(&settings());
    let (watch, delivered) = (sink.watch(), sink.delivered().expect("a frontier"));
    let lines: Vec<_> = (0..9).map(|number| line(number, number)).collect();
    write(&mut sink, 0, &lines, &[]).expect("room");
    until(|| delivered.get() == 1);
    write(&mut sink, 1, &[line(9, 9)], &[]).expect("room");
    sink.finish().expect("a reject stands for it");
    assert_eq!((rig.read("decisions").len(), of(&watch, "decision").refused, delivered.get()), (9, 1, 2));
    let rejects = rig.read("rejects");
    assert!(rejects.len() == 1 && rejects[0].contains("output_refused"), "{rejects:?}");
}

/// Of a stream that never took anything nobody can say whose fault it is: the end of the source is told as what it is.
#[test]
fn a_source_that_ends_does_not_wait_for_ever_for_a_stream_that_calls_everything_invalid() {
    let rig = Rig::new(1);
    let invalid = Fault::refuse("InvalidArgumentException");
    rig.plan().add_on("decisions", "PutRecords", When::Always, invalid);
    let mut sink = rig.sink(&SinkSettings { drain: Duration::ZERO, ..settings() });
    write(&mut sink, 0, &[line(1, 1), line(2, 2)], &[line(1, 1)]).expect("room");
    let why = sink.finish().expect_err("a stream takes nothing").to_string();
    assert!(why.starts_with("not acknowledged before the end: stream decisions: 2 records"), "{why}");
    assert_eq!(rig.read("alerts").len(), 1);
    assert!(rig.read("rejects").is_empty());
}

#[test]
fn a_stream_that_is_not_there_is_refused() {
    let rig = Rig::new(1);
    let around = Surroundings { stop: Arc::default(), tell: Arc::new(|_| {}), rejects: None };
    let settings = SinkSettings { alerts: Some("absent".into()), ..settings() };
    let opened = KinesisSink::with_client(&settings, &rig.client, around);
    let why = opened.err().expect("no such stream");
    assert_eq!(why.advice(), cartguard_io::Advice::Refuse);
    assert!(why.to_string().contains("absent"), "{why}");
}
