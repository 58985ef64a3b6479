//! The crash rig over streams: the real binary between two of a local Kinesis, killed again and again while events come in and shards are split and
//! merged, and every copy that ever was delivered held against the run that nobody disturbed.
//!
//! `CARTGUARD_KILLS` sets how many kills it survives (default 30), `CARTGUARD_CRASH_SEED` the seed. Needs `cartguard` beside it, built with
//! the feature aws, as `tools/test.sh` does.

mod process;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use cartguard_kinesis_tests::local::{Local, client, create_stream, options};
use process::{Killed, cartguard, config, lines};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

const EVENTS: u64 = 6_000;
const SIGKILL: i32 = 9;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Puts all events by their customer, a few at a time, and splits and merges shards on the way.
async fn produce(client: Client, seed: u64) {
    let settings =
        loadgen::Settings { seed, events: Some(EVENTS), ..loadgen::Settings::new(loadgen::World::Workload) };
    let mut generator = loadgen::Generator::new(&settings).expect("settings of its own");
    let mut text = Vec::new();
    let mut made = 0;
    while generator.next_event(&mut text).is_some() {
        let event: Value = serde_json::from_slice(&text).expect("an event");
        let key = event["customer_id"].as_str().unwrap_or("none").to_owned();
        if made % 500 == 77 {
            text.truncate(text.len() / 2);
        }
        let put = client.put_record().stream_name("in").partition_key(key).data(Blob::new(text.clone()));
        put.send().await.expect("the local server takes it");
        text.clear();
        made += 1;
        if made == EVENTS / 3 {
            split(&client).await;
        }
        if made == EVENTS * 2 / 3 {
            merge(&client).await;
        }
        if made % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
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

fn survive(mode: &str, seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let local = Local::start(options());
    let client = client(&local.url());
    runtime.block_on(async {
        for (stream, shards) in [("in", 3), ("decisions", 2), ("alerts", 1), ("rejects", 1)] {
            create_stream(&client, stream, shards).await;
        }
    });
    fs::write(folder.path().join("c.toml"), config(&local.url(), mode)).expect("written");
    let producer = runtime.spawn(produce(client.clone(), seed));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kills = number("CARTGUARD_KILLS", 30);
    for kill in 0..kills {
        let mut child = cartguard(folder.path(), &["run", "--config", "c.toml"]).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(60 + random.next_u64() % 500));
        child.kill().expect("it runs until it is killed");
        let output = child.wait_with_output().expect("it ends");
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGKILL), "after {kill} kills: {complained}");
    }
    runtime.block_on(producer).expect("all events are put");
    let wanted = runtime.block_on(lines(&client, "in")).len();
    // Now it may come to where nothing is left.
    let mut last =
        Killed(cartguard(folder.path(), &["run", "--config", "c.toml"]).spawn().expect("it starts"));
    let whole = loop {
        let _ = fs::remove_dir_all(folder.path().join("whole"));
        let told = cartguard(
            folder.path(),
            &["replay", "--config", "c.toml", "--order-log", "data", "--output", "whole"],
        );
        let output = { told }.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary = fs::read(folder.path().join("whole/summary.json")).expect("a summary");
        let summary: Value = serde_json::from_slice(&summary).expect("JSON");
        assert!(last.0.try_wait().expect("a child").is_none(), "it runs on");
        if summary["events"].as_u64() == Some(wanted as u64) {
            break folder.path().join("whole");
        }
    };
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
        let delivered = runtime.block_on(lines(&client, stream));
        copies += delivered.len();
        let delivered = by_id(&delivered, id);
        let undisturbed = fs::read_to_string(whole.join(file)).expect("a file");
        let undisturbed: Vec<String> = undisturbed.lines().map(str::to_owned).collect();
        assert!(!undisturbed.is_empty(), "{file}");
        let [delivered, undisturbed]: [BTreeSet<String>; 2] =
            [delivered.into_values().collect(), undisturbed.into_iter().collect()];
        assert!(delivered == undisturbed, "{stream} is not what the undisturbed run writes into {file}");
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
