//! docs/python/round_trip.py with the real program: rows out, a model of XGBoost, LightGBM and scikit-learn in, and its scores come back.
//! And the other way: XGBoost reads what `cartguard train` made, to the same margins.
//!
//! Needs a Python with docs/python/requirements.txt, which tools/test.sh makes and names in `CARTGUARD_PYTHON`; skips without.

mod shop;

use loadgen::{Generator, Settings, World};
use shop::Shop;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const EVENTS: u64 = 40_000;
/// Three days.
const KNOWN_AFTER_MS: i64 = 3 * 86_400_000;
/// Any setting of its own, so that the features are the default ones.
const CONFIG: &str = "[output]\nfeatures = \"none\"\n";

/// Prints how many golden rows of a model folder XGBoost gives the margin that is written there, and ends with an error at the first other.
const READ_BY_XGBOOST: &str = r#"
import json, sys
import numpy as np, xgboost
booster = xgboost.Booster(model_file=f"{sys.argv[1]}/model.json")
golden = [json.loads(line) for line in open(f"{sys.argv[1]}/golden.jsonl")]
rows = np.array([[np.nan if value is None else value for value in line["row"]] for line in golden], dtype=np.float32)
margins = booster.predict(xgboost.DMatrix(rows), output_margin=True)
for at, (line, margin) in enumerate(zip(golden, margins)):
    assert np.float32(line["margin"]) == margin, f"row {at}: {line['margin']} here, {margin} there"
print(f"{len(golden)} rows")
"#;

/// Writes `history.jsonl` and `labels.jsonl`: a month of a shop in which every truth is known after three days.
fn write_history(shop: &Shop) {
    let settings = Settings {
        events: Some(EVENTS),
        rate: EVENTS as f64 / (30.0 * 86_400.0),
        legit_after_days: Some(3),
        ..Settings::new(World::Shop)
    };
    let mut generator = Generator::new(&settings).expect("settings that hold");
    let (mut history, mut labels) = (Vec::new(), String::new());
    while let Some(info) = generator.next_event(&mut history) {
        history.push(b'\n');
        if let Some(label) = info.label {
            let known_ms = label.known_at_ms.min(info.time_ms + KNOWN_AFTER_MS);
            let known_at = jiff::Timestamp::from_millisecond(known_ms).expect("a time of this century");
            let (id, word) = (label.event_id, label.word());
            let _ = writeln!(labels, r#"{{"event_id":"{id}","label":"{word}","known_at":"{known_at}"}}"#);
        }
    }
    shop.write("history.jsonl", history);
    shop.write("labels.jsonl", labels);
    shop.write("shop.toml", CONFIG);
}

#[test]
fn a_model_of_python_comes_back_and_scores_as_it_did_there() {
    let Ok(python) = std::env::var("CARTGUARD_PYTHON") else {
        println!("skipped: CARTGUARD_PYTHON names no Python with docs/python/requirements.txt");
        return;
    };
    let shop = Shop::new();
    write_history(&shop);
    let rows = "rows --config shop.toml --input history.jsonl --labels labels.jsonl --output rows.parquet";
    shop.good(&rows.split(' ').collect::<Vec<_>>());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/python/round_trip.py");
    for trainer in ["xgboost", "lightgbm", "sklearn"] {
        let model = format!("models/{trainer}/1");
        let trained = Command::new(&python)
            .arg(&script)
            .args(["--rows", "rows.parquet", "--trainer", trainer, "--output", &model])
            .args(["--cartguard", env!("CARGO_BIN_EXE_cartguard")])
            .current_dir(shop.path("."))
            .output()
            .expect("python starts");
        let said = String::from_utf8_lossy(&trained.stdout);
        assert!(trained.status.success(), "{trainer}: {said}{}", String::from_utf8_lossy(&trained.stderr));
        assert!(said.contains("2000 rows score as the trainer says"), "{trainer}: {said}");
        shop.good(&["model", "check", &model, "--config", "shop.toml"]);
        shop.write(&format!("{trainer}.toml"), format!("{CONFIG}[model]\npath = \"{model}\"\n"));
        let (config, output) = (format!("{trainer}.toml"), format!("out-{trainer}"));
        shop.good(&["replay", "--config", &config, "--input", "history.jsonl", "--output", &output]);
        let decisions = shop.json_lines(&format!("{output}/decisions.jsonl"));
        assert!(
            decisions.iter().all(|line| line["model"] == format!("{trainer}/1") && line["score"].is_f64())
        );
    }
}

#[test]
fn xgboost_reads_what_train_made_to_the_same_margins() {
    let Ok(python) = std::env::var("CARTGUARD_PYTHON") else {
        println!("skipped: CARTGUARD_PYTHON names no Python with docs/python/requirements.txt");
        return;
    };
    let shop = Shop::new();
    write_history(&shop);
    for algorithm in ["boosted", "forest"] {
        // The attacks of this shop come in its second week.
        let train = "train --config shop.toml --input history.jsonl --labels labels.jsonl --until 2026-01-11 --gap 4d --trees 20 --algorithm";
        let model = format!("models/{algorithm}/1");
        shop.good(&[&train.split(' ').collect::<Vec<_>>()[..], &[algorithm, "--output", &model]].concat());
        let read = Command::new(&python)
            .args(["-c", READ_BY_XGBOOST, &model])
            .current_dir(shop.path("."))
            .output()
            .expect("python starts");
        let said = String::from_utf8_lossy(&read.stdout);
        assert!(read.status.success(), "{algorithm}: {said}{}", String::from_utf8_lossy(&read.stderr));
        let rows: usize =
            said.trim().strip_suffix(" rows").and_then(|rows| rows.parse().ok()).expect("a count");
        assert!(rows > 100, "{algorithm}: {said}");
    }
}
