//! A stream with its producer, and what a source gave of it, as a log that can be taken again.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use cartguard_engine::record::{Form, PlaceRef, Records};
use cartguard_history::{Change, Partitions, Place, Run, SequenceNumber};
use cartguard_io::{Read, Replayable, Source};
use cartguard_kinesis::{Begin, ClientSettings, KinesisSource, Limits, Mode, Settings, Voice};
use cartguard_kinesis_tests::local;
use cartguard_kinesis_tests::proxy::{Plan, Proxy, Service};
use ferrokinesis::store::{Store, StoreOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const STREAM: &str = "events";
/// Reads without a record before a test says that none comes: a minute.
const IDLE_READS_MAX: usize = 1_200;

/// A record as a source gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumed {
    pub(crate) partition: u32,
    pub(crate) number: String,
    pub(crate) sub: u64,
    pub(crate) form: Form,
    pub(crate) arrival_ms: i64,
    pub(crate) bytes: Vec<u8>,
}

/// One step of a log.
#[derive(Clone, Debug)]
enum Step {
    Changes(Vec<Change>),
    Run(Run),
}

/// Everything a source gave, in order, folded as a history would.
#[derive(Debug, Default)]
pub(crate) struct Log {
    steps: Vec<Step>,
    pub(crate) consumed: Vec<Consumed>,
    pub(crate) partitions: Partitions,
}

impl Log {
    pub(crate) fn resumed(partitions: Partitions) -> Self {
        Self { partitions, ..Self::default() }
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.steps.iter().flat_map(|step| match step {
            Step::Changes(changes) => &changes[..],
            Step::Run(_) => &[],
        })
    }

    pub(crate) fn change(&mut self, changes: Vec<Change>) {
        for change in &changes {
            self.partitions.apply(change).expect("changes in order");
        }
        self.steps.push(Step::Changes(changes));
    }

    /// A run over consumed records of one partition.
    pub(crate) fn run_of(&self, range: Range<usize>) -> Run {
        let last = &self.consumed[range.end - 1];
        let number = SequenceNumber::new(&last.number).expect("a number");
        let end = Place::Sequence { number, sub: last.sub };
        Run { partition: last.partition, records: range.len() as u32, end }
    }

    fn batch(&mut self, records: &Records) {
        let from = self.consumed.len();
        self.consumed.extend(consumed(records));
        let mut start = from;
        for at in from + 1..=self.consumed.len() {
            let is_end =
                self.consumed.get(at).is_none_or(|next| next.partition != self.consumed[start].partition);
            if is_end {
                let run = self.run_of(start..at);
                self.partitions.advance(&run).expect("places move on");
                self.steps.push(Step::Run(run));
                start = at;
            }
        }
    }

    /// The same log, taken again of another source.
    pub(crate) fn repeat(&self, source: &mut KinesisSource) -> Self {
        let mut log = Self::default();
        let mut records = Records::default();
        for step in &self.steps {
            match step {
                Step::Changes(changes) => {
                    for change in changes {
                        source.apply(change).expect("as logged");
                    }
                    log.change(changes.clone());
                }
                Step::Run(run) => {
                    source.take(run, &mut records, &|| false).expect("as logged");
                    log.batch(&records);
                }
            }
        }
        assert_eq!(source.changes(), [], "what was logged is not told again");
        log
    }
}

fn consumed(records: &Records) -> Vec<Consumed> {
    let one = |index: usize| {
        let meta = records.list[index];
        let PlaceRef::Sequence { number, sub } = records.place_of(index) else {
            panic!("a place in a shard")
        };
        Consumed {
            partition: meta.partition,
            number: String::from_utf8(number.to_vec()).expect("digits"),
            sub,
            form: meta.form,
            arrival_ms: meta.arrival_ms,
            bytes: records.bytes_of(index).to_vec(),
        }
    };
    (0..records.len()).map(one).collect()
}

/// Reads until the log has so many records, under limits that change from read to read.
#[track_caller]
pub(crate) fn read(source: &mut KinesisSource, log: &mut Log, records: usize) {
    let mut batch = Records::default();
    let mut idle = 0;
    for limits in [(1 << 19, 4096), (300, 7), (1, 1), (1 << 16, 3)].iter().cycle() {
        if log.consumed.len() >= records {
            break;
        }
        let (max_bytes, max_records) = *limits;
        let max_records = max_records.min(records - log.consumed.len());
        let read =
            source.read(&mut batch, max_bytes, max_records).unwrap_or_else(|why| panic!("{why}: {why:?}"));
        let changes = source.changes();
        if !changes.is_empty() {
            log.change(changes);
        }
        assert_eq!(read == Read::More, !batch.is_empty());
        assert!(batch.len() <= max_records && (batch.bytes.len() <= max_bytes || batch.len() == 1));
        idle = if read == Read::Idle { idle + 1 } else { 0 };
        assert!(idle < IDLE_READS_MAX, "{} of {records} records came", log.consumed.len());
        log.batch(&batch);
    }
}

/// A local Kinesis with one stream, and its producer.
pub(crate) struct Rig {
    runtime: Runtime,
    client: Client,
    /// Of the local server, where this is one.
    store: Option<Store>,
    /// Where sources ask: the proxy, where there is one.
    url: String,
    proxy: Option<Proxy>,
    told: Arc<Mutex<Vec<String>>>,
    _end: Option<oneshot::Sender<()>>,
}

fn runtime() -> Runtime {
    let builder = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    builder.expect("a runtime")
}

/// What was put, in order: key and payload.
pub(crate) type Put = Vec<(String, Vec<u8>)>;

impl Rig {
    pub(crate) fn new(options: StoreOptions, shards: i32) -> Self {
        let runtime = runtime();
        let (app, store) = ferrokinesis::create_app(options);
        let (end, ended) = oneshot::channel();
        let url = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            tokio::spawn(ferrokinesis::serve_plain_http(listener, app, async {
                let _ = ended.await;
            }));
            url
        });
        let rig = Self::at(runtime, url, shards);
        Self { store: Some(store), _end: Some(end), ..rig }
    }

    /// The same on another server that is running there: nobody can reach into it.
    pub(crate) fn elsewhere(url: String, shards: i32) -> Self {
        Self::at(runtime(), url, shards)
    }

    fn at(runtime: Runtime, url: String, shards: i32) -> Self {
        let client = local::client(&url);
        runtime.block_on(local::create_stream(&client, STREAM, shards));
        Self { runtime, client, store: None, url, proxy: None, told: Arc::default(), _end: None }
    }

    /// The same where sources meet faults on their way; producers do not.
    pub(crate) fn behind(options: StoreOptions, shards: i32, service: Service) -> Self {
        let mut rig = Self::new(options, shards);
        let upstream = rig.url["http://".len()..].parse().expect("an address");
        let proxy = rig.runtime.block_on(Proxy::start(upstream, service));
        rig.url = proxy.url();
        rig.proxy = Some(proxy);
        rig
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.proxy.as_ref().expect("a proxy").plan()
    }

    /// What sources said so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().expect("no panic").clone()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn voice(&self) -> Voice {
        let told = self.told.clone();
        Arc::new(move |text: &str| {
            println!("{text}");
            told.lock().expect("no panic").push(text.to_owned());
        })
    }

    /// As fast as the local server is.
    pub(crate) fn settings(mode: Mode, begin: Begin) -> Settings {
        Settings {
            access: ClientSettings::default(),
            stream: STREAM.into(),
            mode,
            consumer: "cartguard".into(),
            begin,
            accept_gap: false,
            limits: Limits {
                calls_per_second: 200.0,
                bytes_per_second: 1 << 30,
                backoff_max: Duration::from_millis(50),
                ..Limits::default()
            },
        }
    }

    pub(crate) fn open(&self, mode: Mode, begin: Begin) -> KinesisSource {
        self.open_as(Self::settings(mode, begin))
    }

    pub(crate) fn open_as(&self, settings: Settings) -> KinesisSource {
        let opened =
            cartguard_kinesis::open_with(&local::client(&self.url), settings, self.voice(), &|| false);
        opened.unwrap_or_else(|why| panic!("{why}: {why:?}"))
    }

    /// Puts events of 16 keys in order; what was put, by key.
    pub(crate) fn put_many(&self, range: Range<u32>) -> Put {
        let mut put = Put::new();
        let entries = range.map(|n| {
            let key = format!("key-{}", n % 16);
            let data = format!("{{\"event_id\":{n}}}").into_bytes();
            put.push((key.clone(), data.clone()));
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
            entry.build().expect("an entry")
        });
        let call = self.client.put_records().stream_name(STREAM).set_records(Some(entries.collect()));
        let output = self.runtime.block_on(call.send()).expect("a put");
        assert_eq!(output.failed_record_count, Some(0));
        put
    }

    /// Puts a record to the shard of a hash key.
    pub(crate) fn put_to(&self, hash_key: u128, data: &[u8]) {
        let call = self.client.put_record().stream_name(STREAM).partition_key("k");
        let call = call.explicit_hash_key(hash_key.to_string()).data(Blob::new(data));
        self.runtime.block_on(call.send()).expect("a put");
    }

    pub(crate) fn put_blobs(&self, hash_key: u128, count: usize, data: &Blob) {
        let entry =
            PutRecordsRequestEntry::builder().partition_key("k").explicit_hash_key(hash_key.to_string());
        let entry = entry.data(data.clone()).build().expect("an entry");
        for start in (0..count).step_by(500) {
            let entries = vec![entry.clone(); 500.min(count - start)];
            let call = self.client.put_records().stream_name(STREAM).set_records(Some(entries));
            self.runtime.block_on(call.send()).expect("a put");
        }
    }

    /// Puts a record and says when the server thinks it came, ms.
    pub(crate) fn arrival_of_a_put(&self) -> i64 {
        self.put_to(0, b"{\"mark\":1}");
        let records = self.runtime.block_on(local::read_all(&self.client, STREAM));
        let arrival = |record: &aws_sdk_kinesis::types::Record| {
            record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok())
        };
        records.iter().filter_map(arrival).max().expect("a record")
    }

    fn shards(&self) -> Vec<aws_sdk_kinesis::types::Shard> {
        let listed = self.runtime.block_on(self.client.list_shards().stream_name(STREAM).send());
        listed.expect("shards").shards.unwrap_or_default()
    }

    fn open_shards(&self) -> Vec<(u128, u128, String)> {
        let shards = self.shards().into_iter().filter(|shard| {
            shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_none())
        });
        let mut open: Vec<_> = shards
            .map(|shard| {
                let range = shard.hash_key_range.expect("a range");
                let key = |text: String| text.parse().expect("a hash key");
                (key(range.starting_hash_key), key(range.ending_hash_key), shard.shard_id)
            })
            .collect();
        open.sort();
        open
    }

    fn settled(&self) {
        self.runtime.block_on(async {
            loop {
                let summary = self.client.describe_stream_summary().stream_name(STREAM).send().await;
                let summary = summary.expect("a summary").stream_description_summary.expect("a summary");
                if summary.stream_status.as_str() == "ACTIVE" {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// Splits an open shard, by its place among them, in halves.
    pub(crate) fn split(&self, at: usize) {
        let (first, last, shard) = self.open_shards().swap_remove(at);
        let call = self.client.split_shard().stream_name(STREAM).shard_to_split(shard);
        let middle = first + (last - first) / 2 + 1;
        self.runtime.block_on(call.new_starting_hash_key(middle.to_string()).send()).expect("a split");
        self.settled();
    }

    /// Merges the first two open shards.
    pub(crate) fn merge(&self) {
        let open = self.open_shards();
        let call = self.client.merge_shards().stream_name(STREAM);
        let call = call.shard_to_merge(&open[0].2).adjacent_shard_to_merge(&open[1].2);
        self.runtime.block_on(call.send()).expect("a merge");
        self.settled();
    }

    /// Deletes the stream and makes it again, in another second.
    pub(crate) fn recreate(&self) {
        let created = || {
            let call = self.client.describe_stream_summary().stream_name(STREAM).send();
            let summary = self.runtime.block_on(call).ok()?.stream_description_summary?;
            summary.stream_creation_timestamp.to_millis().ok()
        };
        let before = created();
        loop {
            let call = self.client.delete_stream().stream_name(STREAM).enforce_consumer_deletion(true);
            self.runtime.block_on(call.send()).expect("a deletion");
            while created().is_some() {}
            self.runtime.block_on(local::create_stream(&self.client, STREAM, 1));
            // The local server keeps times in whole seconds.
            if created().map(|ms| ms / 1_000) != before.map(|ms| ms / 1_000) {
                return;
            }
        }
    }

    /// Deletes the oldest records, as retention does.
    pub(crate) fn expire(&self, records: usize) {
        self.runtime.block_on(async {
            let store = self.store.as_ref().expect("a server of ours");
            let all = store.get_record_store(STREAM).await;
            let keys: Vec<String> = all.keys().take(records).cloned().collect();
            store.delete_record_keys(STREAM, &keys).await;
        });
    }

    pub(crate) fn consumers(&self) -> Vec<String> {
        let arn = self.runtime.block_on(self.client.describe_stream_summary().stream_name(STREAM).send());
        let arn = arn.expect("a summary").stream_description_summary.expect("a summary").stream_arn;
        let listed = self.runtime.block_on(self.client.list_stream_consumers().stream_arn(arn).send());
        let consumers = listed.expect("consumers").consumers.unwrap_or_default();
        consumers.into_iter().map(|consumer| consumer.consumer_name).collect()
    }

    /// Every event put was consumed once, and those of a key in their order.
    #[track_caller]
    pub(crate) fn check(log: &Log, put: &Put) {
        let mut have = BTreeSet::new();
        for record in &log.consumed {
            assert!(have.insert(&record.bytes), "twice: {}", String::from_utf8_lossy(&record.bytes));
        }
        assert_eq!(have.len(), put.len());
        let mut keys: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (key, event) in put {
            keys.entry(key).or_default().insert(event);
        }
        for (key, events) in keys {
            let of_key: Vec<_> =
                log.consumed.iter().filter(|record| events.contains(&record.bytes)).collect();
            assert_eq!(of_key.len(), events.len(), "{key}");
            let ids: Vec<u32> = of_key
                .iter()
                .map(|record| {
                    let text = String::from_utf8_lossy(&record.bytes);
                    text["{\"event_id\":".len()..text.len() - 1].parse().expect("an id")
                })
                .collect();
            assert!(ids.is_sorted(), "{key} out of order: {ids:?}");
        }
    }
}
