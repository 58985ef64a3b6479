//! The fault proxy does what it says, seen through the SDK: a test that relies on a fault that never comes proves nothing.

mod process;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    ShardFilter, ShardFilterType, ShardIteratorType, StartingPosition, SubscribeToShardEventStream,
};
use cartguard_kinesis_tests::local::{self, Local};
use cartguard_kinesis_tests::proxy::{Fault, Plan, Proxy, Service, Tap, When};
use process::{Killed, cartguard, config, lines, program};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

struct Rig {
    client: Client,
    proxy: Proxy,
    _local: Local,
}

impl Rig {
    async fn new(service: Service, shards: i32) -> Self {
        let local = Local::start(local::options());
        let proxy = Proxy::start(local.address(), service).await;
        let client = local::client(&proxy.url());
        local::create_stream(&client, "s", shards).await;
        Self { client, proxy, _local: local }
    }

    fn plan(&self) -> &Plan {
        self.proxy.plan()
    }

    async fn put(&self, count: usize, bytes: usize) {
        for _ in 0..count {
            let put = self.client.put_record().stream_name("s").partition_key("k");
            put.data(Blob::new(vec![b'x'; bytes])).send().await.expect("it is put");
        }
    }

    async fn iterator(&self, shard: &str) -> String {
        let asked = self.client.get_shard_iterator().stream_name("s").shard_id(shard);
        let answer = asked.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        answer.expect("an iterator").shard_iterator().expect("an iterator").to_owned()
    }

    /// A consumer's ARN, once it is active.
    async fn consumer(&self) -> String {
        let summary = self.client.describe_stream_summary().stream_name("s").send().await.expect("a summary");
        let arn = summary.stream_description_summary().expect("one").stream_arn().to_owned();
        let made = self.client.register_stream_consumer().stream_arn(arn).consumer_name("c").send().await;
        let consumer = made.expect("a consumer").consumer().expect("one").consumer_arn().to_owned();
        loop {
            let seen = self.client.describe_stream_consumer().consumer_arn(&consumer).send().await;
            let status =
                seen.expect("a consumer").consumer_description().expect("one").consumer_status().clone();
            if status.as_str() == "ACTIVE" {
                return consumer;
            }
            tokio::task::yield_now().await;
        }
    }
}

const SHARD: &str = "shardId-000000000000";

/// Events of a subscription until it ends: how many, and the error's code where it ends in one.
async fn listen(rig: &Rig, consumer: &str) -> Result<(usize, Option<String>), String> {
    let from =
        StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a position");
    let asked =
        rig.client.subscribe_to_shard().consumer_arn(consumer).shard_id(SHARD).starting_position(from);
    let mut answer = asked.send().await.map_err(|e| e.code().unwrap_or("broken").to_owned())?;
    let mut events = 0;
    loop {
        match answer.event_stream.recv().await {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(_))) => events += 1,
            Ok(Some(_)) => {}
            Ok(None) => return Ok((events, None)),
            Err(error) => {
                let is_told =
                    error.as_service_error().is_some_and(|error| error.is_internal_failure_exception());
                let code = if is_told { "InternalFailureException" } else { "broken" };
                return Ok((events, Some(code.to_owned())));
            }
        }
    }
}

#[tokio::test]
async fn errors_of_the_service_have_their_codes() {
    let rig = Rig::new(Service::default(), 1).await;
    let iterator = rig.iterator(SHARD).await;
    for code in [
        "ProvisionedThroughputExceededException",
        "ExpiredIteratorException",
        "KMSThrottlingException",
        "KMSDisabledException",
        "InternalFailure",
        "AccessDeniedException",
    ] {
        let rule = rig.plan().add_on("s", "GetRecords", When::First(1), Fault::refuse(code));
        let refused = rig.client.get_records().shard_iterator(&iterator).send().await.expect_err("refused");
        assert_eq!(refused.code(), Some(code));
        rig.client.get_records().shard_iterator(&iterator).send().await.expect("the next is not");
        rig.plan().remove(rule);
    }
}

#[tokio::test]
async fn connections_break_before_after_and_within() {
    let rig = Rig::new(Service::default(), 1).await;
    let put = || async {
        let put = rig.client.put_record().stream_name("s").partition_key("k");
        put.data(Blob::new(b"x".to_vec())).send().await.is_ok()
    };
    for (fault, is_done) in [(Fault::Reset, 0), (Fault::LoseAnswer, 1), (Fault::Cut { bytes: 20 }, 1)] {
        let before = local::read_all(&rig.client, "s").await.len();
        let rule = rig.plan().add("PutRecord", When::Always, fault.clone());
        assert!(!put().await, "{fault:?}");
        rig.plan().remove(rule);
        assert_eq!(local::read_all(&rig.client, "s").await.len() - before, is_done, "{fault:?}");
    }
    let rule = rig.plan().add("PutRecord", When::Always, Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(30), put()).await.is_err(), "a half-open socket");
    rig.plan().remove(rule);
    assert!(put().await);
    assert_eq!(rig.plan().calls("PutRecord"), 5);
}

#[tokio::test]
async fn lag_is_told() {
    let rig = Rig::new(Service::default(), 1).await;
    let iterator = rig.iterator(SHARD).await;
    rig.plan().add("GetRecords", When::Always, Fault::Lag { ms: 77_000 });
    let answer = rig.client.get_records().shard_iterator(iterator).send().await.expect("records");
    assert_eq!(answer.millis_behind_latest(), Some(77_000));
}

#[tokio::test]
async fn an_answer_is_bounded_and_loses_nothing() {
    let rig = Rig::new(Service { answer_bytes: 2_500, ..Service::default() }, 1).await;
    rig.put(5, 1_000).await;
    let mut counts = Vec::new();
    let mut next = Some(rig.iterator(SHARD).await);
    while counts.iter().sum::<usize>() < 5 {
        let answer =
            rig.client.get_records().shard_iterator(next.expect("open")).send().await.expect("records");
        counts.push(answer.records().len());
        next = answer.next_shard_iterator().map(str::to_owned);
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn shards_come_in_pages_and_by_filter() {
    let rig = Rig::new(Service { shards_page: 2, ..Service::default() }, 5).await;
    let mut answer = rig.client.list_shards().stream_name("s").send().await.expect("shards");
    let mut pages = vec![answer.shards().len()];
    while let Some(token) = answer.next_token() {
        answer = rig.client.list_shards().next_token(token).send().await.expect("by its token alone");
        pages.push(answer.shards().len());
    }
    assert_eq!(pages, [2, 2, 1]);
    let filter = ShardFilter::builder()
        .r#type(ShardFilterType::AfterShardId)
        .shard_id("shardId-000000000003")
        .build()
        .expect("a filter");
    let summary = rig.client.describe_stream_summary().stream_name("s").send().await.expect("a summary");
    let arn = summary.stream_description_summary().expect("one").stream_arn();
    let after = rig.client.list_shards().stream_arn(arn).shard_filter(filter).send().await.expect("shards");
    assert_eq!(after.shards().iter().map(|s| s.shard_id()).collect::<Vec<_>>(), ["shardId-000000000004"]);
}

#[tokio::test]
async fn children_are_named_at_the_end_of_a_shard() {
    let rig = Rig::new(Service::default(), 1).await;
    let half = (u128::MAX / 2).to_string();
    let split = rig.client.split_shard().stream_name("s").shard_to_split(SHARD).new_starting_hash_key(half);
    split.send().await.expect("a split");
    let mut next = Some(rig.iterator(SHARD).await);
    let mut children = Vec::new();
    while let Some(iterator) = next {
        let answer = rig.client.get_records().shard_iterator(iterator).send().await.expect("records");
        children = answer.child_shards().to_vec();
        next = answer.next_shard_iterator().map(str::to_owned);
    }
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|child| child.parent_shards() == [SHARD]), "{children:?}");
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().expect("a filter");
    let open = rig.client.list_shards().stream_name("s").shard_filter(filter).send().await.expect("shards");
    assert_eq!(open.shards().len(), 2);
}

#[tokio::test]
async fn a_subscription_ends_as_the_plan_says() {
    let rig = Rig::new(Service { one_subscriber: None, ..Service::default() }, 1).await;
    rig.put(1, 10).await;
    let consumer = rig.consumer().await;
    let rule = rig.plan().add("SubscribeToShard", When::Always, Fault::refuse("ResourceInUseException"));
    assert_eq!(listen(&rig, &consumer).await, Err("ResourceInUseException".to_owned()));
    rig.plan().remove(rule);
    let error = Fault::ErrorEvent { events: 2, code: "InternalFailureException" };
    let rule = rig.plan().add("SubscribeToShard", When::Always, error);
    assert_eq!(listen(&rig, &consumer).await, Ok((2, Some("InternalFailureException".to_owned()))));
    rig.plan().remove(rule);
    rig.plan().add("SubscribeToShard", When::Always, Fault::Cut { bytes: 1_000 });
    let (_, error) = listen(&rig, &consumer).await.expect("it begins");
    assert_eq!(error.as_deref(), Some("broken"));
}

#[tokio::test]
async fn a_shard_has_one_subscriber_of_a_consumer() {
    let service = Service { one_subscriber: Some(Duration::from_hours(1)), ..Service::default() };
    let rig = Rig::new(service, 1).await;
    let consumer = rig.consumer().await;
    let from =
        || StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a position");
    let ask =
        || rig.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(SHARD).starting_position(from());
    let mut first = ask().send().await.expect("the first");
    assert_eq!(ask().send().await.expect_err("the second").code(), Some("ResourceInUseException"));
    assert!(first.event_stream.recv().await.is_ok(), "the first goes on");

    // Later than that a second one takes over.
    let rig = Rig::new(Service { one_subscriber: Some(Duration::ZERO), ..Service::default() }, 1).await;
    let consumer = rig.consumer().await;
    let ask =
        || rig.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(SHARD).starting_position(from());
    let mut first = ask().send().await.expect("the first");
    let mut second = ask().send().await.expect("the second");
    while let Ok(Some(_)) = first.event_stream.recv().await {}
    assert!(matches!(second.event_stream.recv().await, Ok(Some(_))), "the second goes on");
}

fn of_file(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// What comes past is stamped on both ways: a put by itself and in a call of several, an answer, an event of a subscription.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_past_is_stamped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stamps.jsonl");
    let local = Local::start(local::options());
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let service = Service { one_subscriber: None, ..Service::default() };
    let tap = Tap::create(&path).expect("a file");
    let proxy = Proxy::start_at(free, local.address(), service, Some(tap.clone())).await.expect("a port");
    let client = local::client(&proxy.url());
    local::create_stream(&client, "s", 1).await;
    let rig = Rig { client, proxy, _local: local };
    let put = rig.client.put_record().stream_name("s").partition_key("k");
    put.data(Blob::new("{\"event_id\":\"one\"}")).send().await.expect("it is put");
    let entries = ["{\"event_id\":\"two\"}", "no event"].map(|data| {
        let entry = aws_sdk_kinesis::types::PutRecordsRequestEntry::builder().partition_key("k");
        entry.data(Blob::new(data)).build().expect("an entry")
    });
    let call = rig.client.put_records().stream_name("s").set_records(Some(entries.to_vec()));
    call.send().await.expect("they are put");
    let stamps = |way: &str| -> Vec<(String, u64)> {
        tap.settle();
        let of_way = of_file(&path).into_iter().filter(|line| line["way"] == way && line["stream"] == "s");
        of_way
            .map(|line| {
                (
                    line["event_id"].as_str().expect("an id").to_owned(),
                    line["at_us"].as_u64().expect("a time"),
                )
            })
            .collect()
    };
    let ids = |way: &str| -> Vec<String> { stamps(way).into_iter().map(|(id, _)| id).collect() };
    assert_eq!(ids("put"), ["one", "two"]);
    assert_eq!(ids("given"), [""; 0]);
    let shard = "shardId-000000000000";
    let iterator = rig.iterator(shard).await;
    rig.client.get_records().shard_iterator(iterator).send().await.expect("records");
    assert_eq!(ids("given"), ["one", "two"]);
    let consumer = rig.consumer().await;
    let from = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a place");
    let subscribed = rig.client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard);
    let mut subscription = subscribed.starting_position(from).send().await.expect("a subscription");
    subscription.event_stream.recv().await.expect("an event");
    assert_eq!(ids("given"), ["one", "two", "one", "two"]);
    let (put, given) = (stamps("put"), stamps("given"));
    assert!(put.iter().zip(&given).all(|(put, given)| put.1 <= given.1), "one clock: {put:?} {given:?}");
}

/// `loadgen --to kinesis` with several events in a record, the service, and `loadgen measure` by the stamps: every part of the way has every event.
#[test]
fn what_loadgen_measures_is_whole() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let tap = Tap::create(&folder.path().join("stamps.jsonl")).expect("a file");
    let (local, proxy) = runtime.block_on(async {
        let local = Local::start(local::options());
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let service = Service { one_subscriber: None, ..Service::default() };
        let proxy = Proxy::start_at(free, local.address(), service, Some(tap)).await.expect("a port");
        (local, proxy)
    });
    let client = local::client(&local.url());
    runtime.block_on(async {
        for (stream, shards) in [("in", 2), ("decisions", 2), ("alerts", 1), ("rejects", 1)] {
            local::create_stream(&client, stream, shards).await;
        }
    });
    fs::write(folder.path().join("c.toml"), config(&proxy.url(), "fan-out")).expect("written");
    let _run = Killed(cartguard(folder.path(), &["run", "--config", "c.toml"]).spawn().expect("it starts"));
    let url = proxy.url();
    let place = ["--region", "us-east-1", "--endpoint-url", &url];
    let ends_well = |arguments: &[&str]| {
        let output =
            program("loadgen", folder.path(), &[arguments, &place].concat()).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let put = [
        "--to",
        "kinesis",
        "--world",
        "workload",
        "--stream",
        "in",
        "--sends",
        "sends.jsonl",
        "--events",
        "400",
        "--aggregate",
        "5",
    ];
    ends_well(&[&put[..], &["--rate", "800", "--start", "now", "--event-rate", "wall"]].concat());
    let sent: std::collections::BTreeSet<String> =
        of_file(&folder.path().join("sends.jsonl")).iter().map(|line| line["event_id"].to_string()).collect();
    let decided = || runtime.block_on(lines(&client, "decisions")).len();
    while decided() < sent.len() {
        std::thread::yield_now();
    }
    // All is there, so it needs no more than a moment without a record.
    let streams =
        ["--input", "in", "--decisions", "decisions", "--alerts", "alerts", "--stamps", "stamps.jsonl"];
    let measure =
        ["measure", "--sends", "sends.jsonl", "--idle", "3", "--poll-ms", "20", "--report", "report.json"];
    ends_well(&[&measure[..], &streams].concat());
    let report = fs::read(folder.path().join("report.json")).expect("a report");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let figure = |path: &str| report.pointer(path).and_then(Value::as_u64);
    let all = Some(sent.len() as u64);
    assert_eq!(
        (figure("/sent"), figure("/lost"), figure("/alerts_lost")),
        (all, Some(0), Some(0)),
        "{report:#}"
    );
    assert_eq!((figure("/decisions/ids"), figure("/decisions/conflicting")), (all, Some(0)), "{report:#}");
    assert_eq!(report["arrival"], "stamps");
    for part in ["end_to_end_us", "in_us", "read_us", "ours_us", "out_us"] {
        assert_eq!(figure(&format!("/{part}/count")), all, "{part}: {report:#}");
    }
    assert_eq!(figure("/ours_alerts_us/count"), figure("/alerts/ids"), "{report:#}");
    assert!(figure("/alerts/ids") > Some(0), "{report:#}");
}
