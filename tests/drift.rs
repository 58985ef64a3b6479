//! What comes is compared with what the model was trained on, of real processes: features that mean something else, and drift.
//!
//! Holds: a test waits for bytes, an answer or an exit, never for a time to be over.

mod shop;

use serde_json::Value;
use shop::{CUSTOMER_FEATURES, Shop, holds, said, status_until};
use std::fs;
use std::io::Write as _;

const TRAINED: &str = r#"
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
[drift]
share = 1.0
[source]
type = "file"
paths = ["in.jsonl"]
[sink]
type = "file"
path = "out"
[admin]
socket = "a.sock"
"#;

/// 30 days, 80 orders a day, of which every 20th is dear and fraud; all `dearer` by so many cents.
fn orders(dearer: u64) -> String {
    let order = |n: u64| {
        let minute = n * 18;
        let (day, hour, minute) = (minute / 1_440, minute / 60 % 24, minute % 60);
        let dear = n * 7919 % 20 == 3;
        let cents = dearer + n * 104_729 % 9_000 + if dear { 30_000 } else { 500 };
        format!(
            "{{\"id\":\"o{n}\",\"at\":\"2026-01-{:02}T{hour:02}:{minute:02}:00Z\",\"amount\":\"{}.{:02}\",\"who\":\"c{}\",\"fraud\":{}}}\n",
            1 + day,
            cents / 100,
            cents % 100,
            n * n % 41,
            u8::from(dear && !n.is_multiple_of(9)),
        )
    };
    (0..2_400).map(order).collect()
}

/// A shop with a model that was trained in it.
fn trained() -> Shop {
    let shop = Shop::new();
    shop.write("c.toml", TRAINED);
    shop.write("features.toml", CUSTOMER_FEATURES);
    shop.write("history.jsonl", orders(0));
    shop.good(&[
        "train",
        "--config",
        "c.toml",
        "--input",
        "history.jsonl",
        "--algorithm",
        "logistic",
        "--output",
        "models/m/1",
        "--no-test",
    ]);
    shop
}

/// M4: the names are the same.
#[test]
fn features_that_mean_something_else_are_refused() {
    let shop = trained();
    let check = ["model", "check", "models/m/1", "--config", "c.toml"];
    shop.good(&check);
    // A feature more, and another order, are none of its business.
    let more = "[[feature]]\nname = \"more\"\nvalue = \"amount * 2\"\nmeaning = \"Twice\"\nreason = \"it is {amount}\"\n";
    shop.write("features.toml", format!("{more}{CUSTOMER_FEATURES}"));
    shop.good(&check);
    shop.write(
        "features.toml",
        CUSTOMER_FEATURES.replace("Amount of the order", "Amount of the order without tax"),
    );
    holds(&shop.bad(2, &check), &["models/m/1/manifest.toml", "training.features_sha256", "train again"]);
    shop.write("in.jsonl", orders(0));
    let run = ["run", "--config", "c.toml", "--set", "model.path=models/m/1"];
    holds(&shop.bad(2, &run), &["training.features_sha256"]);
}

#[test]
fn drift_is_told_of_a_running_process_and_of_files() {
    let shop = trained();
    shop.write("in.jsonl", orders(0));
    let run = ["run", "--config", "c.toml", "--set", "model.path=models/m/1"];
    shop.good(&run);
    let steady: Value = serde_json::from_str(&shop.good(&[
        "model",
        "drift",
        "--decisions",
        "out",
        "--model",
        "models/m/1",
        "--json",
    ]))
    .expect("JSON");
    assert_eq!(
        (&steady["model"], &steady["events"], &steady["large"]),
        (&"m/1".into(), &2_400.into(), &0.into())
    );
    let psi = |found: &Value, name: &str| {
        let features = found["features"].as_array().expect("a list");
        let one = features.iter().find(|one| one["name"] == name).expect("a feature");
        one["psi"].as_f64().expect("a number")
    };
    assert!(psi(&steady, "amount") < 0.05, "{steady:#}");

    // Everything is dearer now. What the process counts is what its decisions say.
    shop.make_pipe("pipe.jsonl");
    let arguments = [
        "run",
        "--config",
        "c.toml",
        "--set",
        "model.path=models/m/1",
        "--set",
        "source.paths=[\"pipe.jsonl\"]",
        "--force",
    ];
    let child = shop.start(&arguments);
    let mut pipe = fs::File::options().write(true).open(shop.path("pipe.jsonl")).expect("a reader");
    pipe.write_all(orders(20_000).as_bytes()).expect("a reader");
    let report = status_until(&shop, |report| report["shadow"]["drift"]["events"] == 2_400);
    let worst = &report["shadow"]["drift"]["features"][0]["name"];
    let text = shop.good(&["model", "drift", "--config", "c.toml", "--top", "1"]);
    holds(&text, &["m/1: 2400 events", worst.as_str().expect("a name"), "score"]);
    assert!(!text.contains("customer.count_1d"), "{text}");
    let live: Value =
        serde_json::from_str(&shop.good(&["model", "drift", "--config", "c.toml", "--json"])).expect("JSON");
    holds(&shop.good(&["status", "--config", "c.toml"]), &["drift     m/1, events 2400"]);
    drop(pipe);
    said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    let decided = shop.good(&[
        "model",
        "drift",
        "--decisions",
        "out/decisions.jsonl",
        "--model",
        "models/m/1",
        "--json",
    ]);
    assert_eq!(live, serde_json::from_str::<Value>(&decided).expect("JSON"));
    assert!(psi(&live, "amount") > 1.0, "{live:#}");
    assert!(live["score"]["psi"].as_f64().is_some_and(|psi| psi > 0.25), "{live:#}");

    holds(&shop.bad(2, &["model", "drift", "--decisions", "out"]), &["--model"]);
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/workload/model/workload/1");
    holds(&shop.bad(2, &["model", "drift", "--decisions", "out", "--model", demo]), &["no [training]"]);
    shop.write("histogram.toml", shop.read("models/m/1/manifest.toml"));
    let manifest = shop.read("models/m/1/manifest.toml");
    let (before, histogram) = manifest.split_once("counts = [").expect("a histogram");
    shop.write("models/m/1/manifest.toml", format!("{before}counts = [1, {histogram}"));
    holds(
        &shop.bad(2, &["model", "check", "models/m/1"]),
        &["models/m/1/manifest.toml: training: the histogram of", "one more than edges"],
    );
}
