//! The binary as a real process: files, labels, refusals, pace, interrupts.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn loadgen(arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    command
}

#[track_caller]
fn works(arguments: &str, folder: &Path) -> Output {
    let output = loadgen(arguments, folder).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What was asked for is wrong.
#[track_caller]
fn refused(arguments: &str, folder: &Path, words: &str) {
    fails(2, arguments, folder, words);
}

#[track_caller]
fn fails(code: i32, arguments: &str, folder: &Path, words: &str) {
    let output = loadgen(arguments, folder).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {message}");
    assert!(output.stdout.is_empty(), "{arguments}");
    for word in words.split_whitespace() {
        assert!(message.contains(word), "{arguments}: {message} lacks {word}");
    }
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
fn every_output_carries_the_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plain = works("--world workload --events 5000 --seed 3", at).stdout;
    assert_eq!(lines(&plain).len(), 5_000);
    works("generate --world workload --events 5000 --seed 3 --output a.jsonl", at);
    works("--world workload --events 5000 --seed 3 --output a.jsonl.gz", at);
    works("--world workload --events 5000 --seed 3 --output a.json.zst", at);
    let file = |name: &str| std::fs::File::open(at.join(name)).unwrap();
    let mut gzip = Vec::new();
    flate2::read::GzDecoder::new(file("a.jsonl.gz")).read_to_end(&mut gzip).unwrap();
    assert!(std::fs::read(at.join("a.jsonl")).unwrap() == plain);
    assert!(gzip == plain);
    assert!(zstd::decode_all(file("a.json.zst")).unwrap() == plain);
}

#[test]
fn labels_fit_the_events_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for ending in ["jsonl", "csv", "parquet"] {
        works(&format!("--events 20000 --output events-{ending}.jsonl --labels labels.{ending}"), at);
    }
    let events: BTreeSet<String> = lines(&std::fs::read(at.join("events-csv.jsonl")).unwrap())
        .iter()
        .map(|event| event["event_id"].as_str().unwrap().to_owned())
        .collect();
    let json: Vec<[String; 5]> = lines(&std::fs::read(at.join("labels.jsonl")).unwrap())
        .iter()
        .map(|row| {
            let [event_id, label, known_at, kind] =
                ["event_id", "label", "known_at", "kind"].map(|name| row[name].as_str().unwrap().to_owned());
            // Left out of what stands alone.
            let attack = row.get("attack").map_or_else(String::new, ToString::to_string);
            [event_id, label, known_at, kind, attack]
        })
        .collect();
    let ids: BTreeSet<String> = json.iter().map(|row| row[0].clone()).collect();
    assert!(ids == events && ids.len() == json.len());
    assert!(json.iter().any(|row| row[1] == "fraud") && json.iter().any(|row| row[1] == "legit"));
    assert!(json.iter().all(|row| row[2].len() == 24 && row[2].ends_with('Z')));
    let mut csv = csv::Reader::from_path(at.join("labels.csv")).unwrap();
    let csv: Vec<[String; 5]> = csv
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>().try_into().unwrap())
        .collect();
    assert!(csv == json);
    assert!(json.iter().any(|row| row[4].is_empty()) && json.iter().any(|row| !row[4].is_empty()));
    assert_eq!(parquet_rows(&at.join("labels.parquet")), json.len());
}

#[test]
fn the_handbook_is_a_table_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let parameters = "--world handbook --days 10 --customers 500 --terminals 1000";
    for output in ["a.csv", "a.parquet", "a.jsonl"] {
        works(&format!("{parameters} --output {output} --labels {output}.labels.csv"), at);
    }
    let json = lines(&std::fs::read(at.join("a.jsonl")).unwrap());
    let mut csv = csv::Reader::from_path(at.join("a.csv")).unwrap();
    let columns = "transaction_id,tx_datetime,customer_id,terminal_id,tx_amount,tx_fraud";
    assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>().join(","), columns);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), json.len());
    for (row, event) in rows.iter().zip(&json) {
        assert_eq!(row[0], event["transaction_id"].to_string());
        assert_eq!(
            row[1].parse::<jiff::Timestamp>().unwrap(),
            event["tx_datetime"].as_str().unwrap().parse().unwrap()
        );
        assert_eq!(row[4].parse::<f64>().unwrap().to_bits(), event["tx_amount"].as_f64().unwrap().to_bits());
        assert_eq!(row[5], event["tx_fraud"].to_string());
    }
    assert_eq!(parquet_rows(&at.join("a.parquet")), rows.len());
    let labels = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(labels("a.csv.labels.csv") == labels("a.jsonl.labels.csv"));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("there.jsonl"), "precious").unwrap();
    refused("--events 10 --output there.jsonl", at, "there.jsonl --force");
    assert_eq!(std::fs::read(at.join("there.jsonl")).unwrap(), b"precious");
    works("--events 10 --output there.jsonl --force", at);
    assert_eq!(lines(&std::fs::read(at.join("there.jsonl")).unwrap()).len(), 10);
    fails(1, "--events 10 --output no/such/folder.jsonl", at, "no/such/folder.jsonl");
    refused("--events 10 --output events.xml", at, "events.xml .jsonl");
    refused("--world shop --events 10 --output events.csv", at, "events.csv handbook");
    refused("--world moon", at, "moon shop");
    refused("--rate fast", at, "--rate fast");
    refused("--ramp 1:2", at, "--ramp 1:2");
    refused("--duplicates 2", at, "duplicates 2");
    refused("--burst 10:1:5", at, "--burst --rate");
    refused("--events 10 --hgrm l.hgrm", at, "--hgrm --rate");
    refused("--start yesterday", at, "--start yesterday");
    refused("--customers 1", at, "customers 1");
    refused("--labels labels.txt --events 10", at, "labels.txt");
    if Path::new("/dev/full").exists() {
        fails(1, "--events 1000 --output /dev/full --force", at, "/dev/full");
    }
}

#[test]
fn what_is_refused_leaves_nothing_that_refuses_the_corrected_call() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("there.jsonl"), "precious").unwrap();
    std::fs::create_dir(at.join("folder.jsonl")).unwrap();
    let beside = "--events 10 --rate 1000 --labels l.csv --report r.json --hgrm l.hgrm --output";
    refused(&format!("{beside} there.jsonl"), at, "there.jsonl --force");
    refused(&format!("{beside} folder.jsonl --force"), at, "--output folder.jsonl folder");
    refused(&format!("{beside} events.xml"), at, "events.xml .jsonl");
    refused(&format!("{beside} events.csv.gz --world handbook"), at, "events.csv.gz");
    refused("--events 10 --output e.jsonl --labels l.txt --report r.json", at, "l.txt .csv");
    refused("--events 10 --output e.jsonl --labels l.csv --report there.jsonl", at, "there.jsonl --force");
    fails(1, &format!("{beside} no/such/e.jsonl"), at, "no/such/e.jsonl no/such");
    let left: BTreeSet<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, BTreeSet::from(["folder.jsonl".into(), "there.jsonl".into()]));
    works(&format!("{beside} corrected.jsonl"), at);
}

#[test]
fn no_two_outputs_are_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("d")).unwrap();
    for force in ["", "--force"] {
        for other in ["e.jsonl", "./e.jsonl", "d/../e.jsonl", &at.join("e.jsonl").display().to_string()] {
            let words = format!("--output --labels {other} one file");
            refused(&format!("--events 10 --output e.jsonl --labels {other} {force}"), at, &words);
        }
        refused(
            &format!("--events 10 --rate 1000 --report r --hgrm ./r {force}"),
            at,
            "--report --hgrm one file",
        );
        assert!(!at.join("e.jsonl").exists() && !at.join("r").exists());
    }
    // Under two names that are one file already.
    std::fs::write(at.join("e.jsonl"), "precious").unwrap();
    std::fs::hard_link(at.join("e.jsonl"), at.join("hard.jsonl")).unwrap();
    std::os::unix::fs::symlink("e.jsonl", at.join("soft.jsonl")).unwrap();
    for other in ["hard.jsonl", "soft.jsonl"] {
        let call = format!("--events 10 --output e.jsonl --labels {other} --force");
        refused(&call, at, &format!("--output --labels {other} one file"));
    }
    assert_eq!(std::fs::read(at.join("e.jsonl")).unwrap(), b"precious");
    // Nothing is lost in what keeps nothing.
    works("--events 10 --output /dev/null --report /dev/null --force", at);
}

#[test]
fn a_report_can_be_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let said = works("--events 10 --output e.jsonl --report -", at).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&said).unwrap()["events"], 10);
    let said = works("--events 10 --rate 1000 --output e.jsonl --hgrm - --force", at).stdout;
    assert!(String::from_utf8(said).unwrap().contains("#[Max"));
    assert!(!at.join("-").exists());
    refused("--events 10 --report -", at, "--output --report standard output");
    refused("--events 10 --rate 1000 --output f.jsonl --report - --hgrm -", at, "--report --hgrm standard");
    assert!(!at.join("f.jsonl").exists());
}

#[test]
fn numbers_are_refused_with_what_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    refused("--events 0", at, "--events 0: from 1");
    refused("--events 10 --days 36500", at, "--events 10 --days 36500 0.000001");
    refused("--days 0", at, "--days 0: above 0 36,500");
    refused("--days 0 --world handbook", at, "--days 0: above 0");
    refused("--event-rate 0", at, "--event-rate 0: 0.000001");
    refused("--events 10 --seconds 0", at, "--seconds 0: above 0");
    // No flag that nobody knows.
    refused("generate --rate -5", at, "rate = -5: 0.001 to 1,000,000,000");
    refused("--days -1", at, "--days -1: above 0 36,500");
    refused("--event-rate -1.5", at, "--event-rate -1.5: 0.000001");
    refused("--events -1", at, "-1 --events");
    // Few are spread less thin than asked of many, and all come.
    for events in [1, 2] {
        assert_eq!(lines(&works(&format!("--events {events}"), at).stdout).len(), events);
    }
}

#[test]
fn a_pace_is_kept_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let output = works("--rate 2000 --seconds 0.5 --report r.json --hgrm l.hgrm", at);
    assert_eq!(lines(&output.stdout).len(), 1_000);
    let report: Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["events"], 1_000);
    assert_eq!(report["ended"], "done");
    assert_eq!(report["latency_us"]["count"], 1_000);
    // The last event is due at 0.4995 s: nobody can be done before.
    assert!(report["seconds"].as_f64().unwrap() >= 0.499, "{report}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("p99.99") && text.contains("1000 events"), "{text}");
    assert!(std::fs::read_to_string(at.join("l.hgrm")).unwrap().contains("#[Max"));
}

#[test]
fn a_ramp_with_bursts_sends_its_integral() {
    let folder = tempfile::tempdir().unwrap();
    // 0 to 4,000 over 0.4 s is 800; then 0.2 s at 4,000, of which the burst in the last 0.1 s of 0.5 s
    // periods (0.4 to 0.5 s) doubles 0.1 s: 400 more.
    let output = works("--ramp 0:4000:0.4 --burst 0.5:0.1:2 --seconds 0.6", folder.path());
    assert_eq!(lines(&output.stdout).len(), 800 + 800 + 400);
}

#[test]
fn a_closed_pipe_and_an_interrupt_end_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut child = loadgen("--events 1000000000 --report pipe.json", at)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(child.wait().unwrap().success());
    let report =
        |name: &str| -> Value { serde_json::from_slice(&std::fs::read(at.join(name)).unwrap()).unwrap() };
    assert_eq!(report("pipe.json")["ended"], "broken_pipe");

    let mut child = loadgen("--rate 1000 --seconds 600 --output a.jsonl.gz --report interrupt.json", at)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its output file exists once signals are handled.
    while !at.join("a.jsonl.gz").exists() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let report = report("interrupt.json");
    assert_eq!(report["ended"], "interrupted");
    let mut text = Vec::new();
    let file = std::fs::File::open(at.join("a.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
    assert_eq!(Some(lines(&text).len() as u64), report["events"].as_u64());
}

fn parquet_rows(path: &Path) -> usize {
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[cfg(feature = "aws")]
#[test]
fn a_report_does_not_replace_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("s.jsonl"), "precious").unwrap();
    let call = "measure --sends s.jsonl --decisions d --report ./s.jsonl --force";
    refused(call, at, "--sends --report ./s.jsonl one file");
    assert_eq!(std::fs::read(at.join("s.jsonl")).unwrap(), b"precious");
}

#[test]
fn a_stream_needs_its_feature_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let words = if cfg!(feature = "aws") { "--to kinesis needs --stream" } else { "without the feature aws" };
    refused("--to kinesis", folder.path(), words);
}
