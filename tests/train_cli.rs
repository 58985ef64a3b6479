//! `cartguard train`, `evaluate` and `rows` as a process: a history with a fraud that its windows show, from files to a model.

mod shop;

use serde_json::Value;
use shop::{CUSTOMER_FEATURES, Shop};
use std::fmt::Write as _;
use std::process::Command;

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
delay = "1d"
"#;

const TRAIN: [&str; 10] = [
    "train",
    "--config",
    "shop.toml",
    "--input",
    "history.jsonl",
    "--algorithm",
    "boosted",
    "--output",
    "models/m/1",
    "--no-test",
];

/// A history of 40 days, some 120 orders a day, of which every 25th is dear and most often fraud; `flip` turns labels from
/// this day on.
fn history(flip: Option<u64>) -> String {
    let mut text = String::new();
    let mut state = 7u64;
    let mut draw = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    for order in 0..4_800u64 {
        let minute = order * 12;
        let (day, hour, minute) = (minute / 1_440, minute / 60 % 24, minute % 60);
        let dear = draw(25) == 0;
        let cents = if dear { 20_000 + draw(40_000) } else { 500 + draw(15_000) };
        let fraud = if dear { draw(10) < 8 } else { draw(400) == 0 };
        let fraud = fraud != flip.is_some_and(|from| day >= from);
        let (month, date) = (1 + day / 28, 1 + day % 28);
        let _ = writeln!(
            text,
            r#"{{"id":"o{order}","at":"2026-{month:02}-{date:02}T{hour:02}:{minute:02}:00Z","amount":"{}.{:02}","who":"c{}","fraud":{}}}"#,
            cents / 100,
            cents % 100,
            draw(40),
            u8::from(fraud)
        );
    }
    text
}

fn shop() -> Shop {
    let shop = Shop::new();
    shop.write("shop.toml", CONFIG);
    shop.write("features.toml", CUSTOMER_FEATURES);
    shop.write("history.jsonl", history(None));
    shop
}

fn train(shop: &Shop, algorithm: &str, output: &str, more: &[&str]) -> String {
    let mut arguments = vec![
        "train",
        "--config",
        "shop.toml",
        "--input",
        "history.jsonl",
        "--algorithm",
        algorithm,
        "--output",
        output,
    ];
    arguments.extend(more);
    shop.good(&arguments)
}

#[test]
fn a_trained_model_is_loaded_and_scores_as_its_report_says() {
    let shop = shop();
    for algorithm in ["logistic", "forest", "boosted"] {
        let folder = format!("models/{algorithm}/1");
        let said = train(&shop, algorithm, &folder, &[]);
        assert!(said.contains("trained on: ") && said.contains("average_precision"), "{said}");
        assert_eq!(
            shop.files(&folder),
            ["golden.jsonl", "manifest.toml", "model.json", "report.html", "report.json"]
        );
        let manifest: toml::Table = shop.read(&format!("{folder}/manifest.toml")).parse().expect("TOML");
        assert_eq!(manifest["provenance"]["trainer"].as_str(), Some(algorithm));
        assert_eq!(manifest["training"]["histograms"].as_array().map(Vec::len), Some(5));
        assert!(manifest.contains_key("calibration"));
        let report = shop.json(&format!("{folder}/report.json"));
        let of = |judgement: &Value, metric: &str| {
            let list = judgement["estimates"].as_array().expect("a list");
            let found = list.iter().find(|pair| pair[0] == metric).expect("the metric");
            found[1]["value"].as_f64().expect("a number")
        };
        let judged = &report["models"][0]["judgement"];
        assert!(of(judged, "auc") > 0.85, "{algorithm}: {judged}");
        // On its own test time, `evaluate` finds what the training told.
        let from = manifest["provenance"]["data"]["judged_from"].as_str().expect("a time");
        shop.good(&[
            "evaluate",
            "--config",
            "shop.toml",
            "--input",
            "history.jsonl",
            "--model",
            &folder,
            "--from",
            from,
            "--json",
            "again.json",
            "--html",
            "again.html",
        ]);
        let again = shop.json("again.json");
        assert_eq!(again["models"][0]["judgement"], *judged, "{algorithm}");
        let page = shop.read("again.html");
        assert!(page.matches("<svg").count() >= 4 && !page.contains("http://") && !page.contains("<script"));
        // The score of a decision is the calibrated one.
        let path = format!("model.path={folder}");
        shop.good(&[
            "replay",
            "--config",
            "shop.toml",
            "--set",
            &path,
            "--input",
            "history.jsonl",
            "--output",
            "out",
            "--force",
        ]);
        let decisions = shop.json_lines("out/decisions.jsonl");
        let scores = decisions.iter().map(|line| line["score"].as_f64().expect("a score"));
        let mean = scores.sum::<f64>() / decisions.len() as f64;
        assert!((0.02..0.06).contains(&mean), "{algorithm}: the mean score is {mean}, some 3.5 % are fraud");
    }
}

#[test]
fn the_same_history_gives_the_same_model_and_a_folder_is_never_changed() {
    let shop = shop();
    train(&shop, "boosted", "models/a/1", &["--workers", "1"]);
    train(&shop, "boosted", "models/a/2", &["--workers", "2"]);
    for file in ["model.json", "golden.jsonl", "manifest.toml"] {
        assert_eq!(
            shop.read(&format!("models/a/1/{file}")),
            shop.read(&format!("models/a/2/{file}")),
            "{file}"
        );
    }
    let (_, why) = shop.ends(
        2,
        &[
            "train",
            "--config",
            "shop.toml",
            "--input",
            "history.jsonl",
            "--algorithm",
            "boosted",
            "--output",
            "models/a/1",
        ],
    );
    assert!(why.contains("models/a/1: exists; a version is never changed"), "{why}");
}

#[test]
fn labels_that_come_later_and_events_that_come_later_change_nothing() {
    let shop = shop();
    let until = ["--until", "2026-01-28T23:59:00Z", "--no-test"];
    let model = |history: String, version: &str| {
        shop.write("history.jsonl", history);
        let folder = format!("models/a/{version}");
        train(&shop, "boosted", &folder, &until);
        shop.read(&format!("{folder}/model.json"))
    };
    let first = model(history(None), "1");
    // Labels of the last day, which the delay keeps back, and events behind the end.
    assert!(first == model(history(Some(27)), "2"), "a label that was not known had a say");
    let early = history(None).lines().take(29 * 120).map(|line| format!("{line}\n")).collect();
    assert!(first == model(early, "3"), "an event after the training had a say");
    // Those of the day before were known.
    assert!(first != model(history(Some(26)), "4"), "labels have no say at all");
}

#[test]
fn a_file_of_labels_is_joined_by_id_and_by_time() {
    let shop = shop();
    train(&shop, "boosted", "models/a/1", &["--gap", "1d"]);
    let mut labels = String::from("event_id,label,known_at\n");
    for line in history(None).lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let at: jiff::Timestamp = event["at"].as_str().expect("a time").parse().expect("a time");
        let known = at + jiff::SignedDuration::from_hours(24);
        let word = if event["fraud"] == 1 { "fraud" } else { "legit" };
        let _ = writeln!(labels, "{},{word},{known}", event["id"].as_str().expect("an id"));
    }
    shop.write("labels.csv", &labels);
    train(&shop, "boosted", "models/a/2", &["--gap", "1d", "--labels", "labels.csv"]);
    assert_eq!(shop.read("models/a/1/model.json"), shop.read("models/a/2/model.json"));
    shop.write("labels.csv", labels.replace("o7,legit", "o7,perhaps"));
    let (_, why) = shop.ends(2, &[&TRAIN[..], &["--labels", "labels.csv"]].concat());
    assert!(
        why.contains("labels.csv: line 9: no label: `label` of the label is neither fraud nor legit"),
        "{why}"
    );
}

#[test]
fn rows_are_the_features_of_the_decisions() {
    let shop = shop();
    let said =
        shop.good(&["rows", "--config", "shop.toml", "--input", "history.jsonl", "--output", "rows.parquet"]);
    assert!(said.starts_with("4800 rows of 5 features, 4800 with a label, "), "{said}");
    shop.good(&["replay", "--config", "shop.toml", "--input", "history.jsonl", "--output", "out"]);
    let names = [
        "amount",
        "customer.count_1d",
        "customer.mean_amount_1d",
        "customer.count_7d",
        "customer.mean_amount_7d",
    ];
    let mut reader = cartguard_io::RowReader::open(&shop.path("rows.parquet"), &names).expect("rows");
    let mut rows = Vec::new();
    assert_eq!(reader.read_f32(&mut rows, 10_000).expect("rows"), 4_800);
    for (line, row) in shop.json_lines("out/decisions.jsonl").iter().zip(rows.chunks_exact(names.len())) {
        for (name, value) in names.iter().zip(row) {
            let wanted = &line["features"][name];
            if wanted.is_null() {
                assert!(value.is_nan(), "{name}: {line}");
            } else {
                assert_eq!(wanted.to_string().parse::<f32>().expect("a number"), *value, "{name}: {line}");
            }
        }
    }
    let (_, why) = shop
        .ends(2, &["rows", "--config", "shop.toml", "--input", "history.jsonl", "--output", "rows.parquet"]);
    assert!(why.contains("rows.parquet: exists; --force replaces it"), "{why}");
}

#[test]
fn two_models_are_compared() {
    let shop = shop();
    train(&shop, "logistic", "models/a/1", &[]);
    train(&shop, "boosted", "models/a/2", &[]);
    let said = shop.good(&[
        "evaluate",
        "--config",
        "shop.toml",
        "--input",
        "history.jsonl",
        "--model",
        "models/a/1",
        "--model",
        "models/a/2",
        "--json",
        "both.json",
    ]);
    assert!(said.contains("a/1 and a/2") && said.contains("difference"), "{said}");
    assert_eq!(shop.json("both.json")["differences"].as_array().map(Vec::len), Some(15));
}

#[test]
fn what_cannot_be_trained_on_is_refused_by_name() {
    let shop = shop();
    for (more, what) in [
        (&["--set", "labels.column="][..], "no labels: give --labels FILE, or set labels.column"),
        (&["--set", "labels.column=who"], "labels.column: \"who\" is the label, and \"who\" is mapped too"),
        (&["--set", "labels.column=amount"], "labels.column: \"amount\" is the label"),
        (&["--set", "labels.column=id"], "labels.column: \"id\" is the label"),
        (&["--set", "labels.column=at"], "labels.column: \"at\" is the label"),
        (&["--until", "2025-01-01"], "nothing is left to train on"),
        (&["--rate", "7"], "--rate 7: a number above 0 and up to 1"),
        (&["--trees", "0"], "--trees 0: a number from 1 to 100000"),
        (&["--trees", "1000000000000000000"], "--trees 1000000000000000000: a number from 1 to 100000"),
        (&["--depth", "65"], "--depth 65: a number from 1 to 64"),
        (&["--card", "nobody"], "--card nobody: the configuration has no such entity; it has customer"),
        (&["--until", "soon"], "is no time; such as 2018-07-25"),
    ] {
        let (_, why) = shop.ends(2, &[&TRAIN[..], more].concat());
        assert!(why.contains(what), "{more:?}: {why}");
    }
    let (_, why) = shop.ends(2, &[&TRAIN[..], &["--set", "labels.column=absent"]].concat());
    assert!(why.contains("both labels are needed"), "{why}");
    assert!(!shop.path("models/m/1").exists());
}

#[test]
fn a_signal_ends_a_training_and_leaves_nothing() {
    let shop = shop();
    // Ten copies of the history under other ids, so that it is still at work.
    let mut long = String::new();
    for copy in 0..10 {
        long.push_str(&history(None).replace("\"id\":\"o", &format!("\"id\":\"o{copy}-")));
    }
    shop.write("history.jsonl", long);
    let mut child = shop.start(&[&TRAIN[..], &["--trees", "100000"]].concat());
    // It listens for signals before it reads; until then SIGINT would end it as it ends any process.
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
        u64::from_str_radix(caught, 16).unwrap_or(0) & 0b10 != 0
    };
    while !listens() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SIGINT: ended; nothing is written"));
    let left: Vec<String> = if shop.path("models").exists() { shop.files("models") } else { Vec::new() };
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_map_that_was_changed_is_noticed() {
    let shop = shop();
    train(&shop, "logistic", "models/a/1", &[]);
    let manifest = shop.read("models/a/1/manifest.toml");
    let mut table: toml::Table = manifest.parse().expect("TOML");
    let places = table["calibration"]["log_odds"].as_array_mut().expect("a list");
    let first = places[0].as_float().expect("a number");
    places[0] = (first - 0.5).into();
    shop.write("models/a/1/manifest.toml", table.to_string());
    let (_, why) = shop
        .ends(2, &["evaluate", "--config", "shop.toml", "--input", "history.jsonl", "--model", "models/a/1"]);
    assert!(why.contains("golden.jsonl: line ") && why.contains("the model gives"), "{why}");
}
