//! Labels that come on their own, as real processes meet them: in `replay`, in what is trained on, and beside a running process.

mod shop;

use serde_json::Value;
use shop::{Shop, checkout, holds, said, wait_for};
use std::fs::{self, OpenOptions};
use std::io::Write as _;

const FILES: [&str; 3] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"];

const FEATURES: &str = "[[feature]]\nentity = 'customer'\nwindows = '1h'\naggregates = ['count', 'share']\nlabel = 'fraud'\n\
    [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = ['count']\nlabel = 'known'\n";

/// When a checkout's label is known, after it.
const DELAY_MS: u64 = 5_000;

const CONFIG: &str = "[features]\nfile = \"f.toml\"\n";

/// 1,000 checkouts, with what is asked of labels.
fn shop() -> Shop {
    let shop = Shop::with_checkouts();
    shop.write("f.toml", FEATURES);
    shop.write("c.toml", CONFIG);
    shop
}

/// The n-th checkout's time and so many ms.
fn time(n: u64, after_ms: u64) -> String {
    let ms = n * 333 + after_ms;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("2026-03-01T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60)
}

fn is_fraud(n: u64) -> bool {
    n.is_multiple_of(3)
}

/// The label of the n-th checkout; most have one.
fn label(n: u64) -> Option<String> {
    let word = if is_fraud(n) { "fraud" } else { "legit" };
    let known_at = time(n, DELAY_MS);
    (n % 10 != 7).then(|| {
        format!(
            "{{\"event_id\":\"e-{n}\",\"label\":\"{word}\",\"known_at\":\"{known_at}\",\"kind\":\"x\"}}\n"
        )
    })
}

fn labels(from: u64, to: u64) -> String {
    (from..to).filter_map(label).collect()
}

/// What is known of a customer's earlier checkouts when the n-th comes: frauds, and all.
fn known(n: u64) -> (u64, u64) {
    let customer = |n: u64| n * n % 97;
    let of_customer = (0..n).filter(|&m| customer(m) == customer(n) && m % 10 != 7);
    let known: Vec<u64> = of_customer.filter(|&m| m * 333 + DELAY_MS <= n * 333).collect();
    (known.iter().filter(|&&m| is_fraud(m)).count() as u64, known.len() as u64)
}

/// By event id: its features.
fn features(shop: &Shop, folder: &str) -> Vec<(String, Value)> {
    let lines = shop.json_lines(&format!("{folder}/decisions.jsonl"));
    lines
        .into_iter()
        .map(|line| (line["event_id"].as_str().expect("a text").to_owned(), line["features"].clone()))
        .collect()
}

fn replay(shop: &Shop, output: &str, more: &[&str]) {
    let base = ["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", output];
    shop.good(&[&base[..], more].concat());
}

#[test]
fn a_label_counts_from_the_time_on_at_which_it_is_known() {
    let shop = shop();
    shop.write("labels.jsonl", labels(0, 1_000));
    replay(&shop, "out", &["--labels", "labels.jsonl"]);
    let mut frauds = 0;
    for (n, (id, features)) in (0..).zip(features(&shop, "out")) {
        let (fraud, all) = known(n);
        assert_eq!(id, format!("e-{n}"));
        assert_eq!(features["customer.count_fraud_1h"], fraud, "{id}: {features}");
        let share = (all > 0).then(|| fraud as f64 / all as f64);
        assert_eq!(
            features["customer.share_fraud_1h"].as_f64().map(|share| share as f32),
            share.map(|share| share as f32),
            "{id}: {features}"
        );
        frauds += fraud;
    }
    assert!(frauds > 500, "{frauds} known frauds");
    let summary = shop.json("out/summary.json");
    assert_eq!((&summary["events"], &summary["labels"]), (&1_000.into(), &900.into()));
    assert_eq!(summary["labels_without_event"], 0);
    // Whoever computes, and however it is cut.
    for workers in ["1", "3"] {
        replay(
            &shop,
            workers,
            &["--labels", "labels.jsonl", "--workers", workers, "--set", "engine.batch_max=77"],
        );
        for name in FILES {
            let [one, other] =
                ["out", workers].map(|folder| fs::read(shop.path(folder).join(name)).expect("a file"));
            assert!(one == other, "{name} with {workers} workers");
        }
    }
}

#[test]
fn labels_in_any_form_and_beside_their_events_say_the_same() {
    let shop = shop();
    shop.write("labels.jsonl", labels(0, 1_000));
    let rows = (0..1_000).filter(|n| n % 10 != 7).map(|n| {
        let word = if is_fraud(n) { "1" } else { "0" };
        format!("x,{},e-{n},{word}\n", time(n, DELAY_MS))
    });
    // The last lines first: their order does not matter.
    let rows: Vec<String> = rows.collect();
    shop.write(
        "labels.csv",
        format!("kind,known_at,event_id,label\n{}", rows.iter().rev().cloned().collect::<String>()),
    );
    let beside = (0..1_000).map(|n| {
        let label = if n % 10 == 7 { "null".to_owned() } else { is_fraud(n).to_string() };
        format!("{},\"fraud\":{label}}}\n", checkout(n).trim_end().trim_end_matches('}'))
    });
    shop.write("beside.jsonl", beside.collect::<String>());
    replay(&shop, "lines", &["--labels", "labels.jsonl"]);
    replay(&shop, "table", &["--labels", "labels.csv"]);
    replay(&shop, "configured", &["--set", "labels.input=[\"labels.csv\"]"]);
    let column = ["--set", "labels.column=fraud", "--set", "labels.delay=5s"];
    let base = ["replay", "--config", "c.toml", "--input", "beside.jsonl", "--output", "column"];
    shop.good(&[&base[..], &column].concat());
    let lines = features(&shop, "lines");
    for folder in ["table", "configured", "column"] {
        assert!(features(&shop, folder) == lines, "{folder}");
    }
    // Files win over the column.
    let both = [
        "--input",
        "beside.jsonl",
        "--output",
        "both",
        "--labels",
        "labels.jsonl",
        "--set",
        "labels.delay=0s",
    ];
    shop.good(&[&["replay", "--config", "c.toml", "--set", "labels.column=fraud"][..], &both].concat());
    assert!(features(&shop, "both") == lines);
}

#[test]
fn a_label_that_comes_again_wins_and_one_that_is_none_is_a_reject() {
    let shop = shop();
    // Of one customer's checkouts; the last is long after the labels.
    let later = |n: u64, s: u64| {
        format!(
            "{{\"event_id\":\"x-{n}\",\"event_time\":\"{}\",\"amount\":\"1.00\",\"customer_id\":\"c\"}}\n",
            time(0, s * 1_000)
        )
    };
    shop.write("in.jsonl", later(0, 0) + &later(1, 1) + &later(2, 20) + &later(3, 40) + &later(4, 60));
    let say = |n: u64, word: &str, s: u64| {
        let known_at = time(0, s * 1_000);
        format!("{{\"event_id\":\"x-{n}\",\"label\":\"{word}\",\"known_at\":\"{known_at}\"}}\n")
    };
    let good = say(0, "fraud", 10) + &say(1, "legit", 10) + &say(0, "legit", 30) + &say(1, "fraud", 50);
    let bad = "no label\n{\"event_id\":\"x-0\",\"label\":\"maybe\",\"known_at\":\"2026-03-01\"}\n\n\
               {\"event_id\":\"x-0\",\"label\":\"fraud\",\"known_at\":\"soon\"}\n{\"label\":\"fraud\",\"known_at\":\"2026-03-01\"}\n";
    shop.write("labels.jsonl", good + &say(9, "fraud", 15) + bad);
    replay(&shop, "out", &["--labels", "labels.jsonl"]);
    let counts: Vec<Value> = features(&shop, "out")
        .iter()
        .map(|(_, features)| features["customer.count_fraud_1h"].clone())
        .collect();
    assert_eq!(counts, [0, 0, 1, 0, 1]);
    let summary = shop.json("out/summary.json");
    assert_eq!((&summary["labels"], &summary["labels_without_event"]), (&5.into(), &1.into()));
    assert_eq!((&summary["events"], &summary["accepted"]), (&9.into(), &5.into()));
    let rejects: Vec<(String, u64, String)> = shop
        .json_lines("out/rejects.jsonl")
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().expect("a text").to_owned();
            (text("partition"), line["position"]["line"].as_u64().expect("a line"), text("reason"))
        })
        .collect();
    let reject = |line, reason: &str| ("labels.jsonl".to_owned(), line, reason.to_owned());
    assert_eq!(
        rejects,
        [
            reject(6, "invalid_json"),
            reject(7, "unknown_label"),
            reject(9, "invalid_time"),
            reject(10, "missing_field")
        ]
    );
    assert!(shop.read("out/rejects.jsonl").contains("`label` of the label is neither fraud nor legit"));
    // Whoever judges by labels wants to know.
    let train = [
        "train",
        "--config",
        "c.toml",
        "--input",
        "in.jsonl",
        "--algorithm",
        "logistic",
        "--output",
        "m/a/1",
    ];
    let why = shop.bad(2, &[&train[..], &["--labels", "labels.jsonl"]].concat());
    holds(&why, &["labels.jsonl: line 6: no label: the record is not valid JSON"]);
    // Without features of labels they are not even opened.
    let plain = ["--set", "features.file=builtin:checkout", "--labels", "absent.jsonl", "--force"];
    let base = ["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", "plain"];
    let (_, complained) = shop.ends(0, &[&base[..], &plain].concat());
    holds(&complained, &["note: labels.input: no feature looks at labels"]);
}

/// Labels for times that never come are the first to go: neither events nor true labels make room for them.
#[test]
fn labels_that_never_count_crowd_nothing_out() {
    let shop = shop();
    shop.write("labels.jsonl", labels(0, 1_000));
    let memory = ["--set", "labels.memory=1MiB", "--labels", "labels.jsonl"];
    replay(&shop, "out", &memory);
    let junk =
        |n: u64| format!("{{\"event_id\":\"j-{n}\",\"label\":\"fraud\",\"known_at\":\"9999-01-01\"}}\n");
    shop.write("labels.jsonl", (0..20_000).map(junk).collect::<String>() + &labels(0, 1_000));
    replay(&shop, "crowded", &memory);
    assert_eq!(shop.json("out/summary.json")["lost_labels"], 0);
    let lost = shop.json("crowded/summary.json")["lost_labels"].as_u64().expect("a count");
    assert!((10_000..20_000).contains(&lost), "{lost} of the labels for the year 9999 are lost");
    assert!(features(&shop, "crowded") == features(&shop, "out"), "features do not notice");
}

/// Once there are events, a label for more than 400 days after the newest of them is a reject.
#[test]
fn a_label_that_is_known_in_a_far_future_is_a_reject() {
    let shop = shop();
    shop.write("c.toml", HISTORY);
    shop.write("labels.jsonl", labels(0, 100));
    shop.write("in.jsonl", (0..500).map(checkout).collect::<String>());
    shop.ends(0, &["run", "--config", "c.toml"]);
    append(&shop, "labels.jsonl", "{\"event_id\":\"e-3\",\"label\":\"fraud\",\"known_at\":\"2028-01-01\"}\n");
    append(&shop, "labels.jsonl", &labels(100, 200));
    shop.write("more.jsonl", (500..1_000).map(checkout).collect::<String>());
    shop.write("c.toml", HISTORY.replace("[\"in.jsonl\"]", "[\"in.jsonl\", \"more.jsonl\"]"));
    shop.ends(0, &["run", "--config", "c.toml"]);
    let summary = shop.json("out/summary.json");
    assert_eq!(summary["rejects"]["known_at_too_far"], 1, "{summary:#}");
    let rejects = shop.json_lines("out/rejects.jsonl");
    assert_eq!(rejects[0]["partition"], "labels.jsonl");
    holds(&rejects[0]["detail"].to_string(), &["`known_at` of the label is more than 400 days after"]);
}

/// A training row is what the engine computed when the event was scored, labels and all.
#[test]
fn rows_know_what_replay_knew() {
    let shop = shop();
    shop.write("labels.jsonl", labels(0, 1_000));
    replay(&shop, "out", &["--labels", "labels.jsonl"]);
    let rows = ["rows", "--config", "c.toml", "--input", "in.jsonl", "--output", "rows.parquet"];
    let said = shop.good(&[&rows[..], &["--labels", "labels.jsonl"]].concat());
    holds(&said, &["1000 rows of 3 features, 900 with a label, 301 of them fraud"]);
    let names = ["customer.count_fraud_1h", "card.count_known_1h"];
    let mut reader = cartguard_io::RowReader::open(&shop.path("rows.parquet"), &names).expect("rows");
    let mut rows = Vec::new();
    assert_eq!(reader.read_f32(&mut rows, 10_000).expect("rows"), 1_000);
    for ((id, features), row) in features(&shop, "out").iter().zip(rows.chunks_exact(names.len())) {
        for (name, value) in names.iter().zip(row) {
            assert_eq!(features[name].as_f64(), Some(f64::from(*value)), "{id}: {name}");
        }
    }
}

const HISTORY: &str = "[features]\nfile = \"f.toml\"\n[labels]\ninput = [\"labels.jsonl\"]\n[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n\
    [sink]\ntype = \"file\"\npath = \"out\"\n[engine]\nworkers = 2\nbatch_max = 20\n[history]\nfolder = \"data\"\n\
    [snapshot]\nevery_records = 200\n";

fn append(shop: &Shop, name: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).open(shop.path(name)).expect("a file that is there");
    file.write_all(text.as_bytes()).expect("room");
}

/// Killed again and again while labels go on coming: each is bound once, in an order that holds for good.
#[test]
fn no_label_is_lost_or_doubled_when_it_is_killed() {
    let shop = shop();
    shop.write("c.toml", HISTORY);
    shop.write("labels.jsonl", "");
    let points = [
        "bound:1",
        "released:3",
        "processed:2",
        "repeated:1",
        "bound:9",
        "released:12",
        "repeated:4",
        "processed:14",
        "released:11",
        "bound:6",
    ];
    let mut written = 0;
    for (round, point) in (0..).zip(points) {
        // Not always up to the end of a line.
        let (from, to) = (written, written + 37 + round * 5);
        let text = labels(from, to);
        append(&shop, "labels.jsonl", &text[..text.len() / 2]);
        let mut command = shop.command(&["run", "--config", "c.toml"]);
        let output = command.env("CARTGUARD_KILL_POINT", point).output().expect("cartguard runs");
        assert_eq!(output.status.code(), None, "{point}: {}", String::from_utf8_lossy(&output.stderr));
        append(&shop, "labels.jsonl", &text[text.len() / 2..]);
        written = to;
    }
    append(&shop, "labels.jsonl", "no label\n");
    let (_, complained) = shop.ends(0, &["run", "--config", "c.toml"]);
    let summary = shop.json("out/summary.json");
    let lines = labels(0, written).lines().count();
    assert_eq!((&summary["accepted"], &summary["labels"]), (&1_000.into(), &lines.into()), "{complained}");
    assert_eq!(summary["rejects"]["invalid_json"], 1);
    let frauds: u64 = features(&shop, "out")
        .iter()
        .map(|(_, features)| features["customer.count_fraud_1h"].as_u64().expect("a count"))
        .sum();
    assert!(frauds > 100, "{frauds} known frauds");
    holds(&shop.good(&["verify", "--config", "c.toml", "--outputs"]), &["every hash equal"]);
    shop.good(&["replay", "--config", "c.toml", "--order-log", "data", "--output", "told"]);
    for name in FILES {
        let [told, written] =
            ["told", "out"].map(|folder| fs::read(shop.path(folder).join(name)).expect("a file"));
        assert!(told == written, "{name} differs from what the order log tells");
    }
    // Whole from the start they come to the same, but for where they stood.
    assert_eq!(shop.json("told/summary.json")["labels"], lines);
}

/// Labels in front of a history and in its snapshot: a run that was killed goes on with the same bytes as one that nobody disturbed.
#[test]
fn a_history_with_labels_goes_on_as_if_nothing_had_been() {
    let shop = shop();
    shop.write("c.toml", HISTORY);
    shop.write("labels.jsonl", labels(0, 1_000));
    replay(&shop, "whole", &[]);
    for point in ["released:60", "bound:12"] {
        let mut command = shop.command(&["run", "--config", "c.toml"]);
        let output = command.env("CARTGUARD_KILL_POINT", point).output().expect("cartguard runs");
        assert_eq!(output.status.code(), None, "{point}: {}", String::from_utf8_lossy(&output.stderr));
    }
    shop.ends(0, &["run", "--config", "c.toml"]);
    let lines = |folder: &str| -> Vec<Value> {
        let mut lines = shop.json_lines(&format!("{folder}/decisions.jsonl"));
        // Only where a history is kept have decisions ids.
        for line in &mut lines {
            line.as_object_mut().expect("an object").remove("decision_id");
        }
        lines
    };
    assert_eq!(lines("whole").len(), 1_000);
    assert!(lines("whole") == lines("out"), "decisions differ from those of an undisturbed replay");
    // A label that changed behind its back is told, not taken.
    let changed = shop.read("labels.jsonl").replacen("fraud", "legit", 1);
    shop.write("labels.jsonl", changed);
    let why = shop.bad(2, &["replay", "--config", "c.toml", "--order-log", "data", "--output", "told"]);
    holds(&why, &["what comes of it now is not what was bound before"]);
}

/// Files of labels are added behind those that were read, whatever came in between; nothing else of the list changes.
#[test]
fn a_file_of_labels_is_added_at_a_restart() {
    let shop = shop();
    let config = |labels: &str, events: &str| {
        let text = HISTORY.replace("[\"labels.jsonl\"]", labels).replace("[\"in.jsonl\"]", events);
        shop.write("c.toml", text);
    };
    shop.write("in.jsonl", (0..500).map(checkout).collect::<String>());
    shop.write("more.jsonl", (500..1_000).map(checkout).collect::<String>());
    // All that are known before the last event of the first run.
    shop.write("labels.jsonl", labels(0, 485));
    shop.write("later.csv", {
        let rows = (485..900).filter(|n| n % 10 != 7).map(|n| {
            format!("e-{n},{},{}\n", if is_fraud(n) { "fraud" } else { "legit" }, time(n, DELAY_MS))
        });
        "event_id,label,known_at\n".to_owned() + &rows.collect::<String>()
    });
    config("[\"labels.jsonl\"]", "[\"in.jsonl\"]");
    shop.ends(0, &["run", "--config", "c.toml"]);
    let both = "[\"labels.jsonl\", \"later.csv\"]";
    let events = "[\"in.jsonl\", \"more.jsonl\"]";
    config(both, events);
    let mut command = shop.command(&["run", "--config", "c.toml"]);
    let output = command.env("CARTGUARD_KILL_POINT", "released:30").output().expect("cartguard runs");
    assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    for (labels, wanted) in [
        ("[\"labels.jsonl\"]", "later.csv was file 2 before, and is not among them now"),
        ("[\"later.csv\", \"labels.jsonl\"]", "labels.jsonl was file 1 before, and is file 2 now"),
    ] {
        config(labels, events);
        let why = shop.bad(2, &["run", "--config", "c.toml"]);
        holds(&why, &["labels.input: ", wanted, "new ones come behind them"]);
    }
    config(both, events);
    shop.ends(0, &["run", "--config", "c.toml"]);
    let summary = shop.json("out/summary.json");
    assert_eq!((&summary["accepted"], &summary["labels"]), (&1_000.into(), &810.into()));
    // Each label came before the first event that reaches its time, so that all is as if they had been in front.
    shop.write("labels.jsonl", labels(0, 900));
    shop.write("in.jsonl", (0..1_000).map(checkout).collect::<String>());
    shop.write("c.toml", CONFIG);
    replay(&shop, "whole", &["--labels", "labels.jsonl"]);
    assert!(features(&shop, "whole") == features(&shop, "out"));
}

/// What was taken of a file is looked at while it is followed, too.
#[test]
fn a_file_of_labels_that_is_cut_ends_a_run_that_follows_it() {
    let shop = shop();
    shop.make_pipe("in.pipe.jsonl");
    shop.write("labels.jsonl", labels(0, 10));
    let config = HISTORY.replace("in.jsonl", "in.pipe.jsonl");
    shop.write("c.toml", &config[..config.find("[history]").expect("the last sections")]);
    let child = shop.start(&["run", "--config", "c.toml"]);
    let mut events = OpenOptions::new().write(true).open(shop.path("in.pipe.jsonl")).expect("a reader");
    events.write_all(checkout(0).as_bytes()).expect("it reads");
    let decided = || fs::read_to_string(shop.path("out/decisions.jsonl")).unwrap_or_default();
    wait_for(|| decided().ends_with('\n'));
    shop.write("labels.jsonl", labels(0, 9));
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 2, &["run"]);
    let wanted = [
        "labels.jsonl: is not what was taken of it, up to line 9: ",
        "Put it back as it was",
        "added behind it",
    ];
    holds(&complained, &wanted);
    assert_eq!(decided().lines().count(), 1);
    drop(events);
}

/// A running process takes the labels that are written beside it.
#[test]
fn a_file_of_labels_is_followed_while_it_grows() {
    let shop = shop();
    shop.make_pipe("in.pipe.jsonl");
    shop.write("labels.jsonl", "");
    let config = HISTORY.replace("in.jsonl", "in.pipe.jsonl");
    shop.write("c.toml", &config[..config.find("[history]").expect("the last sections")]);
    let mut child = shop.start(&["run", "--config", "c.toml"]);
    let mut events = OpenOptions::new().write(true).open(shop.path("in.pipe.jsonl")).expect("a reader");
    let of = |n: u64| checkout(n).replace(&format!("\"c{}\"", n * n % 97), "\"one\"");
    let decided = |n: u64| {
        let text = fs::read_to_string(shop.path("out/decisions.jsonl")).unwrap_or_default();
        let line = text.lines().nth(n as usize).filter(|_| text.matches('\n').count() > n as usize);
        line.map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
    };
    events.write_all(of(0).as_bytes()).expect("it reads");
    wait_for(|| decided(0).is_some());
    append(&shop, "labels.jsonl", &label(0).expect("it has one"));
    // From some event on that comes after the label was known.
    let mut n = 20;
    let mut next = 1;
    loop {
        events.write_all(of(n).as_bytes()).expect("it reads");
        wait_for(|| decided(next).is_some());
        if decided(next).expect("it is there")["features"]["customer.count_fraud_1h"] == 1 {
            break;
        }
        (n, next) = (n + 1, next + 1);
    }
    drop(events);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(shop.json("out/summary.json")["labels"], 1);
}
