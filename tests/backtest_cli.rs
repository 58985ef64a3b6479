//! `cartguard backtest` as a process: what it writes, and that no score knows anything of a later time.

mod shop;

use serde_json::Value;
use shop::{Shop, holds, signal, wait_for};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const CONFIG: &str = r#"
[event]
id = "id"
time = "at"
amount = "amount"
currency = { constant = "EUR" }

[entities]
customer = "who"

[features]
file = "features.toml"

[labels]
column = "fraud"
delay = "2d"

[backtest]
start = "20d"
every = "5d"
trees = 20
depth = 3
features = "labelled.toml"
"#;

const FEATURES: &str = r#"
[[feature]]
name = "amount"
value = "amount"
meaning = "Amount of the order"

[[feature]]
entity = "customer"
windows = ["1d", "7d"]
aggregates = ["count", "mean"]
"#;

/// What a customer is known for.
const LABELLED: &str = r#"
[[feature]]
entity = "customer"
windows = ["7d"]
aggregates = ["share"]
label = "fraud"
delay = "2d"
"#;

/// Days of the history, and orders a day.
const DAYS: u64 = 36;
const ORDERS: u64 = 144;

const BACKTEST: [&str; 6] = ["backtest", "--config", "shop.toml", "--input", "history.jsonl", "--output"];

/// Midnight-to-midnight days from 2026-01-01 on, an order every ten minutes; a few customers are fraudulent for a week, and what is
/// dear is often fraud. `flip` turns the labels from this day on.
fn history(days: u64, flip: Option<u64>) -> String {
    let mut text = String::new();
    let mut state = 11u64;
    let mut draw = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    for order in 0..days * ORDERS {
        let (day, minute) = (order / ORDERS, order % ORDERS * 10);
        let (who, dear) = (draw(40), draw(20) == 0);
        let cents = if dear { 20_000 + draw(40_000) } else { 500 + draw(15_000) };
        let bad = who % 8 == day / 7 % 8;
        let fraud = if dear { draw(10) < 7 } else { bad && draw(10) < 4 || draw(300) == 0 };
        let fraud = fraud != flip.is_some_and(|from| day >= from);
        let (month, date) = (1 + day / 31, 1 + day % 31);
        let _ = writeln!(
            text,
            r#"{{"id":"o,{order}","at":"2026-{month:02}-{date:02}T{:02}:{:02}:00Z","amount":"{}.{:02}","who":"c{who}","fraud":{}}}"#,
            minute / 60,
            minute % 60,
            cents / 100,
            cents % 100,
            u8::from(fraud)
        );
    }
    text
}

fn shop() -> Shop {
    let shop = Shop::new();
    shop.write("shop.toml", CONFIG);
    shop.write("features.toml", FEATURES);
    shop.write("labelled.toml", format!("{FEATURES}{LABELLED}"));
    shop.write("history.jsonl", history(DAYS, None));
    shop
}

/// `scored.csv` of a history.
fn scored(shop: &Shop, output: &str, more: &[&str]) -> String {
    shop.good(&[&BACKTEST[..], &[output], more].concat());
    shop.read(&format!("{output}/scored.csv"))
}

/// The scores of the first days.
fn until(scored: &str, day: &str) -> String {
    let early = |line: &&str| line.rsplit(',').nth(2).is_some_and(|time| time < day);
    scored.lines().skip(1).filter(early).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_event_from_the_start_on_has_its_score() {
    let shop = shop();
    let lines = history(DAYS, None);
    // Neither of them is accepted: what is no event, and a duplicate.
    let twice = lines.lines().nth(25 * 144).expect("a line");
    shop.write("history.jsonl", lines.replace(twice, &format!("{{\"id\":\"x\"}}\n{twice}\n{twice}")));
    let said = shop.good(&[&BACKTEST[..], &["out"]].concat());
    holds(
        &said,
        &[
            "backtest: boosted, a model every 5d",
            "models: 4; the first (2026-01-21) of",
            "average_precision",
            "2304 scores",
        ],
    );
    let files: Vec<String> = shop.files("out").into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(files, ["report.html", "report.json", "scored.csv"]);
    let scored = shop.read("out/scored.csv");
    let mut rows = scored.lines();
    assert_eq!(rows.next(), Some("event_id,event_time,score,model"));
    let mut scores = Vec::new();
    for order in 20 * ORDERS..DAYS * ORDERS {
        let event: Value =
            serde_json::from_str(lines.lines().nth(order as usize).expect("a line")).expect("JSON");
        let row = rows.next().expect("a row for every event");
        let begun =
            ["2026-01-21", "2026-01-26", "2026-01-31", "2026-02-05"][(order / ORDERS - 20) as usize / 5];
        let (id, time) = (event["id"].as_str().expect("an id"), event["at"].as_str().expect("a time"));
        let cells: Vec<&str> = row.rsplitn(4, ',').collect();
        assert_eq!(cells[3], format!("\"{id}\""), "an id with a comma is quoted");
        assert_eq!((cells[2], cells[0]), (time, format!("boosted/{begun}").as_str()));
        scores.push((cells[1].parse::<f64>().expect("a number"), event["fraud"] == 1));
    }
    assert_eq!(rows.next(), None);
    // Calibrated: what is said is what is seen.
    let frauds = scores.iter().filter(|(_, fraud)| *fraud).count() as f64 / scores.len() as f64;
    let mean = scores.iter().map(|(score, _)| score).sum::<f64>() / scores.len() as f64;
    assert!(scores.iter().all(|(score, _)| (0.0..=1.0).contains(score)));
    assert!((mean - frauds).abs() < 0.02, "{mean} is said, {frauds} are");
    let report = shop.json("out/report.json");
    let judged = &report["models"][0]["judgement"];
    assert_eq!(judged["events"], 2_304);
    let estimates = judged["estimates"].as_array().expect("a list");
    let auc = estimates.iter().find(|pair| pair[0] == "auc").expect("an area")[1]["value"].as_f64();
    assert!(auc.is_some_and(|auc| auc > 0.7), "{judged}");
    // A folder that is not empty is left alone.
    let why = shop.bad(2, &[&BACKTEST[..], &["out"]].concat());
    holds(&why, &["out: the folder is not empty; --force overwrites what is in it"]);
    shop.good(&[&BACKTEST[..], &["out", "--force"]].concat());
    assert!(scored == shop.read("out/scored.csv"));
}

#[test]
fn neither_batches_nor_workers_change_a_score() {
    let shop = shop();
    let first = scored(&shop, "a", &[]);
    let small = scored(&shop, "b", &["--workers", "1", "--set", "engine.batch_max=7"]);
    assert!(first == small);
}

#[test]
fn labels_that_are_not_known_yet_change_nothing() {
    let shop = shop();
    let first = scored(&shop, "a", &[]);
    // Labels of the last two days are known to nobody; those from the 24th day on, to nobody before the 26th.
    shop.write("history.jsonl", history(DAYS, Some(DAYS - 2)));
    assert!(first == scored(&shop, "b", &[]), "a label that was not known had a say");
    shop.write("history.jsonl", history(DAYS, Some(24)));
    let other = scored(&shop, "c", &[]);
    let day = "2026-01-27";
    assert!(until(&first, day).lines().count() == 6 * 144 && until(&first, day) == until(&other, day));
    assert!(first != other, "labels have no say at all");
}

#[test]
fn events_that_come_later_change_nothing() {
    let shop = shop();
    let first = scored(&shop, "a", &[]);
    for days in [23, 31] {
        shop.write("history.jsonl", history(days, None));
        let output = format!("until-{days}");
        let early = scored(&shop, &output, &[]);
        assert_eq!(early.lines().count() as u64, 1 + (days - 20) * ORDERS);
        assert!(first.starts_with(&early), "what came after day {days} had a say");
    }
}

#[test]
fn a_file_of_labels_says_what_a_column_says() {
    let shop = shop();
    // Features that look at labels have those of the column alone.
    let plain = ["--set", "backtest.features=", "--set", "backtest.algorithm=logistic"];
    let column = scored(&shop, "a", &plain);
    let mut labels = String::from("event_id,label,known_at\n");
    for line in history(DAYS, None).lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let at: jiff::Timestamp = event["at"].as_str().expect("a time").parse().expect("a time");
        let word = if event["fraud"] == 1 { "fraud" } else { "legit" };
        let known = at + jiff::SignedDuration::from_hours(48);
        let _ = writeln!(labels, "\"{}\",{word},{known}", event["id"].as_str().expect("an id"));
    }
    shop.write("labels.csv", labels);
    let column_off = [&plain[..], &["--set", "labels.column=", "--labels", "labels.csv"]].concat();
    assert!(column == scored(&shop, "b", &column_off));
}

/// A chargeback comes sooner than the day from which on an order counts as genuine: the youngest labels are frauds alone, and nobody learns from them.
#[test]
fn frauds_that_are_known_before_anything_is_genuine_are_no_sample() {
    let shop = shop();
    let mut labels = String::from("event_id,label,known_at\n");
    for line in history(DAYS, None).lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let at: jiff::Timestamp = event["at"].as_str().expect("a time").parse().expect("a time");
        let (word, hours) = if event["fraud"] == 1 { ("fraud", 1) } else { ("legit", 240) };
        let known = at + jiff::SignedDuration::from_hours(hours);
        let _ = writeln!(labels, "\"{}\",{word},{known}", event["id"].as_str().expect("an id"));
    }
    shop.write("labels.csv", labels);
    let more = ["--set", "labels.column=", "--set", "backtest.features=", "--labels", "labels.csv"];
    let scored = scored(&shop, "out", &more);
    let score = |row: &str| row.rsplit(',').nth(1).and_then(|score| score.parse::<f64>().ok());
    let scores: Vec<f64> = scored.lines().skip(1).map(|row| score(row).expect("a score")).collect();
    let all = history(DAYS, None);
    let frauds = all.lines().skip((20 * ORDERS) as usize).filter(|line| line.contains("\"fraud\":1")).count();
    let (mean, frauds) =
        (scores.iter().sum::<f64>() / scores.len() as f64, frauds as f64 / scores.len() as f64);
    assert!(frauds > 0.0 && (mean - frauds).abs() < 0.03, "{mean} is said, {frauds} are");
}

#[test]
fn how_soon_each_kind_of_fraud_is_found_is_told() {
    let shop = shop();
    let mut labels = String::from("event_id,label,known_at,kind,attack\n");
    // What is dear stands alone; a customer's other frauds of a day are one attack.
    let mut attacks: BTreeMap<String, (&str, String)> = BTreeMap::new();
    for line in history(DAYS, None).lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let (id, at) = (event["id"].as_str().expect("an id"), event["at"].as_str().expect("a time"));
        let is_dear = event["amount"].as_str().expect("an amount").parse::<f64>().expect("a number") >= 200.0;
        let (kind, attack) =
            if is_dear { ("dear", "") } else { ("bad,\"luck\"", &*format!("{}{}", event["who"], &at[..10])) };
        let fraud = event["fraud"] == 1;
        let word = if fraud { "fraud" } else { "legit" };
        let known = at.parse::<jiff::Timestamp>().expect("a time") + jiff::SignedDuration::from_hours(48);
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let _ = writeln!(labels, "{},{word},{known},{},{}", quoted(id), quoted(kind), quoted(attack));
        if fraud {
            let alone = if attack.is_empty() { id } else { attack };
            attacks.insert(id.to_owned(), (kind, alone.to_owned()));
        }
    }
    shop.write("labels.csv", labels);
    let said = shop.good(
        &[
            &BACKTEST[..],
            &[
                "out",
                "--labels",
                "labels.csv",
                "--alerts-per-day",
                "70",
                "--set",
                "labels.column=",
                "--set",
                "backtest.features=",
            ],
        ]
        .concat(),
    );
    holds(&said, &["kind of fraud", "  dear  ", "bad,\"luck\"", "events before, p50"]);
    holds(&shop.read("out/report.html"), &["by kind of fraud", "<td>bad,&quot;luck&quot;</td>"]);

    let report: Value = serde_json::from_str(&shop.read("out/report.json")).expect("JSON");
    let review_at = report["models"][0]["review_at"].as_f64().expect("a threshold");
    // Of each attack: its events, and how many came before the first that was reviewed.
    let mut told: BTreeMap<(&str, &str), (u64, Option<u64>)> = BTreeMap::new();
    let scored = shop.read("out/scored.csv");
    for row in csv::Reader::from_reader(scored.as_bytes()).records() {
        let row = row.expect("a row");
        let Some((kind, attack)) = attacks.get(&row[0]) else { continue };
        let (events, found) = told.entry((kind, attack)).or_default();
        if row[2].parse::<f64>().expect("a score") >= review_at {
            found.get_or_insert(*events);
        }
        *events += 1;
    }
    let scenarios = report["models"][0]["scenarios"].as_array().expect("a list");
    assert_eq!(scenarios.len(), 2);
    for scenario in scenarios {
        let own = || told.iter().filter(|((kind, _), _)| scenario["kind"] == *kind).map(|(_, told)| told);
        let mut delays: Vec<u64> = own().filter_map(|(_, found)| *found).collect();
        delays.sort_unstable();
        assert_eq!(scenario["events"], own().map(|(events, _)| events).sum::<u64>());
        assert_eq!(scenario["attacks"], own().count());
        assert_eq!(scenario["attacks_found"], delays.len());
        assert!(delays.len() > 10, "{}: found {}", scenario["kind"], delays.len());
        let p90 = delays[(delays.len() * 9).div_ceil(10) - 1];
        assert_eq!(scenario["delay_events"]["p90"].as_f64(), Some(p90 as f64), "{}", scenario["kind"]);
    }
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let shop = shop();
    for (more, what) in [
        (&["--set", "backtest.start=90d"][..], "backtest.start = \"90d\": the history ends before"),
        (&["--set", "backtest.start=1d"], "the model of 2026-01-02: "),
        (&["--set", "backtest.every=1s"], "backtest.every: "),
        (&["--set", "backtest.rate=0"], "backtest.rate: 0 lets no tree count"),
        (
            &["--set", "backtest.algorithm=oracle"],
            "backtest.algorithm: \"oracle\" is not known; one of logistic, forest",
        ),
        (&["--set", "backtest.features=absent.toml"], "backtest.features: \"absent.toml\" cannot be read"),
        (&["--set", "labels.column=", "--set", "backtest.features="], "no labels: give --labels FILE"),
    ] {
        let why = shop.bad(2, &[&BACKTEST[..], &["out"], more].concat());
        holds(&why, &[what]);
        let left = if shop.path("out").exists() { shop.files("out") } else { Vec::new() };
        assert!(left.iter().all(|name| name == ".cartguard.lock"), "{left:?}");
    }
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let shop = shop();
    let child = shop.start(&[&BACKTEST[..], &["out", "--set", "backtest.trees=100000"]].concat());
    wait_for(|| shop.path("out/.unfinished-scored.csv").exists());
    signal("-INT", &child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    holds(&String::from_utf8_lossy(&output.stderr), &["SIGINT: ended; nothing is written"]);
    assert!(shop.files("out").iter().all(|name| name == ".cartguard.lock"), "{:?}", shop.files("out"));
}
