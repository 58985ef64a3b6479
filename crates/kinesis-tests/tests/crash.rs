//! The crash rig over streams: the real binary between two of a local Kinesis, killed again and again while events come in and shards are split and
//! merged, or at the very places where a shard ends or a history begins with a rebuilt snapshot, and every copy that ever was delivered held
//! against the run that nobody disturbed.
//!
//! `CARTGUARD_KILLS` sets how many kills it survives (default 30), `CARTGUARD_CRASH_SEED` the seed. Needs `cartguard` beside it, built with
//! the feature aws, as `tools/test.sh` does.

mod process;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use cartguard_kinesis_tests::local::{Local, client, create_stream, options, read_all};
use loadgen::kpl::Aggregate;
use process::{Killed, cartguard, config, lines};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const EVENTS: u64 = 6_000;
/// Records in a batch at most.
const BATCH_MAX: usize = 64;
const SIGKILL: i32 = 9;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Puts all events by their customer, a few at a time, and splits and merges shards on the way: alone, compressed, and many in a record as
/// Kinesis's producer library puts them, some of those compressed too. How many there were.
async fn produce(client: Client, seed: u64) -> u64 {
    let settings =
        loadgen::Settings { seed, events: Some(EVENTS), ..loadgen::Settings::new(loadgen::World::Workload) };
    let mut generator = loadgen::Generator::new(&settings).expect("settings of its own");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = Vec::new();
    let mut aggregate = Aggregate::default();
    let mut made = 0;
    let mut is_left = true;
    while is_left {
        let wanted = match random.next_u64() % 50 {
            // More than a batch may have.
            0 => BATCH_MAX + 36,
            1..=5 => 3,
            _ => 1,
        };
        let mut first = None;
        while aggregate.len() < wanted {
            is_left = generator.next_event(&mut text).is_some();
            if !is_left {
                break;
            }
            let event: Value = serde_json::from_slice(&text).expect("an event");
            let key = event["customer_id"].as_str().unwrap_or("none").to_owned();
            if made % 500 == 77 {
                text.truncate(text.len() / 2);
            }
            let payload = match random.next_u64() % 4 {
                0 => gzip(&text),
                1 => zstd::encode_all(&text[..], 3).expect("memory"),
                _ => text.clone(),
            };
            text.clear();
            aggregate.push(&key, &payload);
            first.get_or_insert((key, payload));
            made += 1;
            if made == EVENTS / 3 {
                split(&client).await;
            }
            if made == EVENTS * 2 / 3 {
                merge(&client).await;
            }
        }
        let Some((key, alone)) = first else { break };
        let data = if aggregate.len() == 1 { alone } else { aggregate.to_bytes() };
        let pause = Duration::from_millis(aggregate.len() as u64);
        aggregate = Aggregate::default();
        let put = client.put_record().stream_name("in").partition_key(key).data(Blob::new(data));
        put.send().await.expect("the local server takes it");
        tokio::time::sleep(pause).await;
    }
    made
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

async fn open_shards(client: &Client) -> Vec<(u128, u128, String)> {
    let listed = client.list_shards().stream_name("in").send().await.expect("a list");
    let is_open = |shard: &&aws_sdk_kinesis::types::Shard| {
        shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none())
    };
    let mut open: Vec<_> = listed
        .shards()
        .iter()
        .filter(is_open)
        .map(|shard| {
            let range = shard.hash_key_range().expect("a range");
            let number = |text: &str| text.parse().expect("a number");
            (number(range.starting_hash_key()), number(range.ending_hash_key()), shard.shard_id().to_owned())
        })
        .collect();
    open.sort();
    open
}

async fn split(client: &Client) {
    let (from, to, shard) = open_shards(client).await.swap_remove(0);
    let middle = from + (to - from) / 2;
    let split = client.split_shard().stream_name("in").shard_to_split(shard);
    split.new_starting_hash_key(middle.to_string()).send().await.expect("a split");
}

async fn merge(client: &Client) {
    let open = open_shards(client).await;
    let merge = client.merge_shards().stream_name("in").shard_to_merge(&open[0].2);
    merge.adjacent_shard_to_merge(&open[1].2).send().await.expect("a merge");
}

/// Copies by id: equal, or a conflict.
fn by_id(lines: &[String], id: &str) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for line in lines {
        let value: Value = serde_json::from_str(line).expect("a line of JSON");
        let id = value[id].to_string();
        let held = first.entry(id.clone()).or_insert_with(|| line.clone());
        assert_eq!(held, line, "two payloads under {id}");
    }
    first
}

/// The real binary between streams of a local Kinesis.
struct Rig {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    client: Client,
    local: Local,
}

impl Rig {
    fn new(mode: &str, shards: i32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let local = Local::start(options());
        let client = client(&local.url());
        runtime.block_on(async {
            for (stream, shards) in [("in", shards), ("decisions", 2), ("alerts", 1), ("rejects", 1)] {
                create_stream(&client, stream, shards).await;
            }
        });
        let rig = Self { runtime, folder, client, local };
        rig.write("c.toml", config(&rig.local.url(), mode));
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("written");
    }

    fn cartguard(&self, arguments: &[&str]) -> Command {
        cartguard(self.folder.path(), arguments)
    }

    /// Runs a command that must end well; what it complained of.
    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.cartguard(arguments).output().expect("it starts");
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {complained}");
        complained
    }

    /// Starts it and has it die at a place.
    #[track_caller]
    fn dies_at(&self, arguments: &[&str], point: &str) {
        let output =
            self.cartguard(arguments).env("CARTGUARD_KILL_POINT", point).output().expect("it starts");
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGKILL), "{point}: {complained}");
    }

    fn put(&self, key: &str, event: &[u8]) {
        let put = self.client.put_record().stream_name("in").partition_key(key);
        let put = put.data(Blob::new(event.to_vec()));
        self.runtime.block_on(put.send()).expect("the local server takes it");
    }

    fn lines(&self, stream: &str) -> Vec<String> {
        self.runtime.block_on(lines(&self.client, stream))
    }

    /// Lets a process come to where `wanted` records are taken, ends it, and holds every copy that ever was delivered against a run that nobody
    /// disturbed; what the process complained of, and how many copies there are. `more` are flags of that run.
    fn settle(&self, wanted: u64, more: &[&str]) -> (String, usize) {
        let child = self.cartguard(&["run", "--config", "c.toml"]).spawn().expect("it starts");
        let mut last = Killed(child);
        let undisturbed = ["replay", "--config", "c.toml", "--order-log", "data", "--output", "whole"];
        loop {
            let _ = fs::remove_dir_all(self.path("whole"));
            self.good(&[&undisturbed[..], more].concat());
            let summary = fs::read(self.path("whole/summary.json")).expect("a summary");
            let summary: Value = serde_json::from_slice(&summary).expect("JSON");
            assert!(last.0.try_wait().expect("a child").is_none(), "it runs on");
            if summary["events"].as_u64() == Some(wanted) {
                break;
            }
        }
        let ended = Command::new("kill").args(["-TERM", &last.0.id().to_string()]).status();
        assert!(ended.expect("kill runs").success());
        let mut complained = String::new();
        last.0.stderr.take().expect("piped").read_to_string(&mut complained).expect("text");
        assert!(last.0.wait().expect("it ends").success(), "{complained}");
        let mut copies = 0;
        for (stream, file, id) in [
            ("decisions", "decisions.jsonl", "decision_id"),
            ("alerts", "alerts.jsonl", "alert_id"),
            ("rejects", "rejects.jsonl", "sequence"),
        ] {
            let delivered = self.lines(stream);
            copies += delivered.len();
            let delivered = by_id(&delivered, id);
            let undisturbed = fs::read_to_string(self.path("whole").join(file)).expect("a file");
            let undisturbed: BTreeSet<String> = undisturbed.lines().map(str::to_owned).collect();
            let delivered: BTreeSet<String> = delivered.into_values().collect();
            assert!(delivered == undisturbed, "{stream} is not what the undisturbed run writes into {file}");
        }
        (complained, copies)
    }
}

fn survive(mode: &str, seed: u64) {
    let rig = Rig::new(mode, 3);
    rig.write("c.toml", config(&rig.local.url(), mode) + &format!("[engine]\nbatch_max = {BATCH_MAX}\n"));
    let producer = rig.runtime.spawn(produce(rig.client.clone(), seed));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kills = number("CARTGUARD_KILLS", 30);
    for kill in 0..kills {
        let mut child = rig.cartguard(&["run", "--config", "c.toml"]).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(60 + random.next_u64() % 500));
        child.kill().expect("it runs until it is killed");
        let output = child.wait_with_output().expect("it ends");
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGKILL), "after {kill} kills: {complained}");
    }
    let wanted = rig.runtime.block_on(producer).expect("all events are put");
    let (_, copies) = rig.settle(wanted, &[]);
    for file in ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"] {
        assert!(fs::metadata(rig.path("whole").join(file)).is_ok_and(|file| file.len() > 0), "{file}");
    }
    println!(
        "{mode}: survived {kills} kills, {wanted} records, {copies} copies delivered; conflicts 0, lost 0"
    );
}

#[test]
fn by_polling_nothing_is_lost_and_every_copy_is_equal() {
    survive("polling", number("CARTGUARD_CRASH_SEED", 3));
}

#[test]
fn by_subscription_nothing_is_lost_and_every_copy_is_equal() {
    survive("fan-out", number("CARTGUARD_CRASH_SEED", 4));
}

/// Events with their customer, five a second from a time on.
fn events(start_ms: i64, count: u64) -> Vec<(String, Vec<u8>)> {
    let settings = loadgen::Settings {
        events: Some(count),
        start_ms,
        rate: 5.0,
        duplicates: 0.0,
        ..loadgen::Settings::new(loadgen::World::Workload)
    };
    let mut generator = loadgen::Generator::new(&settings).expect("settings of its own");
    let mut made = Vec::new();
    let mut text = Vec::new();
    while generator.next_event(&mut text).is_some() {
        let event: Value = serde_json::from_slice(&text).expect("an event");
        let key = event["customer_id"].as_str().unwrap_or("none").to_owned();
        made.push((key, std::mem::take(&mut text)));
    }
    made
}

/// S5: the end of a shard is in the history or it is not, and so are its children.
#[test]
fn a_crash_where_a_shard_ends_loses_and_repeats_nothing() {
    for mode in ["polling", "fan-out"] {
        let rig = Rig::new(mode, 2);
        let events = events(loadgen::DEFAULT_START_MS, 300);
        for (at, (key, event)) in events.iter().enumerate() {
            rig.put(key, event);
            match at {
                100 => rig.runtime.block_on(split(&rig.client)),
                // The children of the split: nobody can know of their end before theirs.
                200 => rig.runtime.block_on(merge(&rig.client)),
                _ => {}
            }
        }
        for _ in 0..2 {
            // Known, and not bound: the next start reads to it again. Bound, and nothing more: its children are open then.
            for point in ["end_read:1", "end_bound:1"] {
                rig.dies_at(&["run", "--config", "c.toml"], point);
            }
        }
        rig.settle(events.len() as u64, &[]);
    }
}

/// Events in an aggregate.
const PARTS: u64 = 400;

/// S16: a batch, and a snapshot, that end within what a producer put as one record.
#[test]
fn a_crash_within_an_aggregate_goes_on_behind_its_last_part() {
    for mode in ["polling", "fan-out"] {
        let rig = Rig::new(mode, 1);
        let due = config(&rig.local.url(), mode).replace("every_records = 700", "every_records = 20");
        rig.write("c.toml", due + "[engine]\nbatch_max = 20\n");
        let events = events(loadgen::DEFAULT_START_MS, 10 * PARTS);
        let mut aggregates = events.chunks(PARTS as usize);
        let mut events_put = 0;
        let mut put_another = || {
            let events = aggregates.next().expect("a snapshot that does not stand behind all there is");
            let mut aggregate = Aggregate::default();
            for (at, (key, event)) in events.iter().enumerate() {
                aggregate.push(key, &if at % 3 == 0 { gzip(event) } else { event.clone() });
            }
            rig.put(&events[0].0, &aggregate.to_bytes());
            events_put += PARTS;
        };
        let place = || {
            let inspect = ["snapshot", "inspect", "--config", "c.toml", "--json"];
            let output = rig.cartguard(&inspect).stdout(std::process::Stdio::piped()).output();
            let output = output.expect("it starts");
            let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let place = told["partitions"][0]["place"].as_str().expect("a place").to_owned();
            place.rsplit_once('/').expect("a number and an index").1.parse::<u64>().expect("an index")
        };
        put_another();
        for point in ["bound:1", "released:2"] {
            rig.dies_at(&["run", "--config", "c.toml"], point);
        }
        // The cut comes once a thread has made ready for it, on a busy machine behind the last part: then there is more to cut.
        loop {
            put_another();
            rig.dies_at(&["run", "--config", "c.toml"], "manifest_stored:1");
            if place() + 1 < PARTS {
                break;
            }
        }
        rig.dies_at(&["run", "--config", "c.toml"], "released:1");
        rig.settle(events_put, &[]);
    }
}

/// A rebuilt snapshot, and a stream from a time on: records before it are not read, those that are in both are dropped by their id, and
/// a kill changes nothing.
#[test]
fn a_history_that_begins_with_a_rebuilt_snapshot_goes_on_after_a_kill() {
    let rig = Rig::new("polling", 1);
    // A clock that is ahead by a minute, so that the snapshot ends behind the stream's beginning.
    let now = jiff::Timestamp::now().as_millisecond();
    let events = events(now + 60_000, 900);
    let text = |range: std::ops::Range<usize>| -> String {
        events[range].iter().map(|(_, event)| String::from_utf8_lossy(event).into_owned() + "\n").collect()
    };
    rig.write("old.jsonl", text(0..600));
    rig.write("all.jsonl", text(0..900));
    let put =
        |range: std::ops::Range<usize>| events[range].iter().for_each(|(key, event)| rig.put(key, event));
    put(0..100);
    // The first time, in the server's whole seconds, at which nothing has come yet.
    let arrival = |stream: &str| {
        let records = rig.runtime.block_on(read_all(&rig.client, stream));
        let times =
            records.iter().filter_map(|record| record.approximate_arrival_timestamp()?.to_millis().ok());
        times.max().expect("a record")
    };
    rig.runtime.block_on(create_stream(&rig.client, "clock", 1));
    let before = arrival("in");
    let begins = loop {
        let tick = rig.client.put_record().stream_name("clock").partition_key("k").data(Blob::new("tick"));
        rig.runtime.block_on(tick.send()).expect("the local server takes it");
        let now = arrival("clock");
        if now > before {
            break now;
        }
    };
    put(500..900);
    let config = config(&rig.local.url(), "polling") + "[engine]\nbatch_max = 20\n";
    let begin_at = |ms: i64| {
        let time = jiff::Timestamp::from_millisecond(ms).expect("a time");
        let start = format!("start = \"AT_TIMESTAMP\"\nstart_at = \"{time}\"");
        rig.write("c.toml", config.replace("start = \"TRIM_HORIZON\"", &start));
    };
    begin_at(begins);
    rig.good(&["rebuild", "--config", "c.toml", "--input", "old.jsonl", "--output", "seed"]);
    let seeded = ["run", "--config", "c.toml", "--seed-from", "seed"];

    // Ids are known for ten minutes less two seconds before the snapshot's end.
    begin_at(now - 600_000);
    let refused = rig.cartguard(&seeded).output().expect("it starts");
    let complained = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{complained}");
    assert!(complained.contains("would be decided twice"), "{complained}");
    assert!(fs::read_dir(rig.path("data/snapshots")).is_ok_and(|mut files| files.next().is_none()));

    begin_at(begins);
    rig.dies_at(&seeded, "released:6");
    // Killed again before there is a snapshot, and behind one.
    rig.dies_at(&["run", "--config", "c.toml"], "released:2");
    rig.dies_at(&["run", "--config", "c.toml"], "manifest_stored:1");
    let (complained, _) = rig.settle(1_000, &["--seed-from", "seed"]);
    assert!(complained.contains("duplicates 100"), "{complained}");

    rig.good(&["replay", "--config", "c.toml", "--input", "all.jsonl", "--output", "sees-all"]);
    let decisions = |folder: &str| -> Vec<Value> {
        let text = fs::read_to_string(rig.path(folder).join("decisions.jsonl")).expect("a file");
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("a decision");
            // What depends on the place of a record and not on what was before it.
            for name in ["sequence", "decision_id"] {
                line.as_object_mut().expect("a decision").remove(name);
            }
            line
        };
        text.lines().map(line).collect()
    };
    let (seeded, all) = (decisions("whole"), decisions("sees-all"));
    assert_eq!((seeded.len(), all.len()), (300, 900));
    assert_eq!(seeded, all[600..], "as a run that saw it all");
}
