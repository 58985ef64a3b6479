//! The Fraud Detection Handbook's transactions, replayed whole, against a second, naive calculation.
//!
//! The test reads back each decision's own `event`, and adds up the windows of a sample of customers and terminals from those
//! alone, in cents; so it does with the labels that count from 7 days after a transaction on. Needs the Handbook's file; where it is not, the test says so and passes.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

const TRANSACTIONS: usize = 1_754_155;
const DAY_MS: i64 = 86_400_000;

/// Each so many customers and terminals are checked: 100 of 5,000 and 100 of 10,000.
const EVERY_CUSTOMER: u64 = 50;
const EVERY_TERMINAL: u64 = 100;

#[derive(Deserialize)]
struct Line {
    event_id: String,
    sequence: usize,
    decision: String,
    score: Option<f64>,
    features: BTreeMap<String, f64>,
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    transaction_id: u64,
    tx_datetime: String,
    customer_id: u64,
    terminal_id: u64,
    tx_amount: String,
}

/// A transaction of one key, and what the engine said of that key.
struct Past {
    at: i64,
    cents: i64,
    features: BTreeMap<String, f64>,
}

/// `2018-04-01T00:00:31.000Z` in ms, by counting days.
fn millis(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().expect("digits");
    assert!(text.len() == 24 && text.ends_with('Z'), "{text}");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = |month: i64| match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let days = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum::<i64>()
        + (1..month).map(days_of).sum::<i64>()
        + day
        - 1;
    (((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1000 + number(20, 23)
}

/// `57.16` in cents; at most two decimals.
fn cents(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 2, "{text}");
    whole.parse::<i64>().expect("digits") * 100 + format!("{part:0<2}").parse::<i64>().expect("digits")
}

/// Everything of a key in `(at - days, at]` that came no later, the present one included.
fn rescan(past: &[Past], present: usize, days: i64) -> (i64, i64) {
    let at = past[present].at;
    past[..=present]
        .iter()
        .filter(|one| at - days * DAY_MS < one.at && one.at <= at)
        .fold((0, 0), |(count, sum), one| (count + 1, sum + one.cents))
}

#[test]
#[expect(clippy::float_cmp, reason = "whole numbers and hundredths, each rounded once: equal or wrong")]
fn the_handbook_replayed_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let input = root.join("../shared/data/handbook.parquet");
    if !input.is_file() {
        println!("skipped: the Handbook's file is not at ../shared/data/handbook.parquet");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ended = Command::new(env!("CARGO_BIN_EXE_cartguard"))
        .args(["replay", "--config"])
        .arg(root.join("config/handbook.toml"))
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(folder.path())
        .output()
        .expect("cartguard runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    let summary = std::fs::read(folder.path().join("summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_slice(&summary).expect("JSON");
    for (name, count) in [
        ("events", TRANSACTIONS),
        ("accepted", TRANSACTIONS),
        ("duplicates", 0),
        ("late", 0),
        ("early", 0),
        ("saturated", 0),
        ("degraded", 0),
        ("evicted", 0),
        ("alerts", 0),
    ] {
        assert_eq!(summary[name], count, "{name}");
    }

    let mut customers: BTreeMap<u64, Vec<Past>> = BTreeMap::new();
    let mut terminals: BTreeMap<u64, Vec<Past>> = BTreeMap::new();
    let lines = BufReader::new(File::open(folder.path().join("decisions.jsonl")).expect("decisions"));
    let mut count = 0;
    for line in lines.lines() {
        let decision: Line = serde_json::from_str(&line.expect("a line")).expect("a decision");
        assert_eq!(decision.sequence, count);
        assert_eq!(decision.event_id, decision.event.transaction_id.to_string());
        assert!(decision.decision == "approve" && decision.score.is_none());
        count += 1;
        let Event { tx_datetime, customer_id, terminal_id, tx_amount, .. } = decision.event;
        let (of_customer, of_terminal) =
            (customer_id % EVERY_CUSTOMER == 0, terminal_id % EVERY_TERMINAL == 0);
        if of_customer || of_terminal {
            let (at, cents, features) = (millis(&tx_datetime), cents(&tx_amount), decision.features);
            let past = || Past { at, cents, features: features.clone() };
            if of_customer {
                customers.entry(customer_id).or_default().push(past());
            }
            if of_terminal {
                terminals.entry(terminal_id).or_default().push(past());
            }
        }
    }
    assert_eq!(count, TRANSACTIONS);
    assert!(customers.len() > 90 && terminals.len() > 90, "the sample is empty");

    let mut checked = 0;
    for (key, past) in &customers {
        for present in 0..past.len() {
            for days in [1, 7, 30] {
                let (count, sum) = rescan(past, present, days);
                let features = &past[present].features;
                let said = features[&format!("customer.count_{days}d")];
                assert!(said == count as f64, "customer {key}, {present}, {days} days: {said}, {count}");
                // Rounded once: sums of cents are exact in f64, so is their quotient's rounding.
                let mean = (sum as f64 / (count * 100) as f64) as f32;
                let said = features[&format!("customer.mean_amount_{days}d")] as f32;
                assert_eq!(
                    said.to_bits(),
                    mean.to_bits(),
                    "customer {key}, {present}, {days} days: {said}, {mean}"
                );
                checked += 2;
            }
            let amount = past[present].features["amount"];
            let cents = past[present].cents as f64;
            assert!(amount == cents / 100.0, "customer {key}, {present}: {amount}, {cents} cents");
        }
    }
    for (key, past) in &terminals {
        for present in 0..past.len() {
            for days in [1, 7, 30] {
                let (count, _) = rescan(past, present, days);
                let said = past[present].features[&format!("terminal.count_{days}d")];
                assert!(said == count as f64, "terminal {key}, {present}, {days} days: {said}, {count}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100_000, "{checked}");
    println!("{checked} values of {} customers and {} terminals", customers.len(), terminals.len());
}

/// A transaction of a terminal, its label, and what the engine said of the terminal.
struct Labelled {
    at: i64,
    is_fraud: bool,
    features: serde_json::Map<String, serde_json::Value>,
}

#[test]
fn the_handbook_with_its_labels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let input = root.join("../shared/data/handbook.parquet");
    if !input.is_file() {
        println!("skipped: the Handbook's file is not at ../shared/data/handbook.parquet");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ended = Command::new(env!("CARGO_BIN_EXE_cartguard"))
        .args(["replay", "--config"])
        .arg(root.join("config/handbook-labels.toml"))
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(folder.path())
        .output()
        .expect("cartguard runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let summary = std::fs::read(folder.path().join("summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_slice(&summary).expect("JSON");
    assert_eq!(summary["accepted"], TRANSACTIONS);
    assert_eq!((&summary["state"]["lost_labels"], &summary["degraded"]), (&0.into(), &0.into()));
    assert!(summary["state"]["waiting"].as_u64().is_some_and(|waiting| waiting > 50_000), "a week waits");

    let mut terminals: BTreeMap<u64, Vec<Labelled>> = BTreeMap::new();
    let lines = BufReader::new(File::open(folder.path().join("decisions.jsonl")).expect("decisions"));
    for line in lines.lines() {
        let line = line.expect("a line");
        let (_, terminal) = line.split_once("\"terminal_id\":").expect("an event with its terminal");
        let digits = terminal.find(|digit: char| !digit.is_ascii_digit()).expect("an end");
        let terminal: u64 = terminal[..digits].parse().expect("a number");
        if !terminal.is_multiple_of(EVERY_TERMINAL) {
            continue;
        }
        let decision: serde_json::Value = serde_json::from_str(&line).expect("a decision");
        let event = &decision["event"];
        terminals.entry(terminal).or_default().push(Labelled {
            at: millis(event["tx_datetime"].as_str().expect("a time")),
            is_fraud: event["tx_fraud"] == 1 || event["tx_fraud"] == true,
            features: decision["features"].as_object().expect("by name").clone(),
        });
    }
    assert!(terminals.len() > 90, "the sample is empty");
    let (mut checked, mut risky) = (0, 0);
    for (key, past) in &terminals {
        for (present, Labelled { at, features, .. }) in past.iter().enumerate() {
            for days in [1, 7, 30] {
                let known = past[..present]
                    .iter()
                    .filter(|one| at - (days + 7) * DAY_MS < one.at && one.at <= at - 7 * DAY_MS);
                let count = known.clone().count();
                let fraud = known.filter(|one| one.is_fraud).count();
                let said = &features[&format!("terminal.count_{days}d_delay_7d")];
                assert_eq!(said.as_u64(), Some(count as u64), "terminal {key}, {present}, {days} days");
                // Rounded once; without labels the file's `or`.
                let share = if count == 0 { 0.0 } else { (fraud as f64 / count as f64) as f32 };
                let said = features[&format!("terminal.share_fraud_{days}d")].as_f64().expect("a share");
                assert_eq!(
                    (said as f32).to_bits(),
                    share.to_bits(),
                    "terminal {key}, {present}, {days} days"
                );
                checked += 2;
                risky += u32::from(fraud > 0);
            }
        }
    }
    assert!(checked > 50_000 && risky > 500, "{checked} values, {risky} of them with fraud");
    println!("{checked} values of {} terminals", terminals.len());
}
