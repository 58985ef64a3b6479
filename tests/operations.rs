//! The commands of whoever keeps cartguard running, as real processes: `snapshot`.
//!
//! Holds: a test waits for bytes, an end of file or an exit, never for a time.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds};
use std::fs;

/// Files are added at the end; each run that ends takes a snapshot.
fn config(paths: &[&str]) -> String {
    format!(
        "[source]\ntype = \"file\"\npaths = {paths:?}\n[sink]\ntype = \"file\"\npath = \"out\"\n[engine]\nworkers = 2\n\
         batch_max = 20\n[history]\nfolder = \"data\"\n"
    )
}

/// A shop with a snapshot before the first of its 1,000 records, one behind 400 and one behind 800, killed somewhat later.
fn killed() -> Shop {
    let shop = Shop::with_checkouts();
    for (name, from, to) in [("a.jsonl", 0, 400), ("b.jsonl", 400, 800), ("c.jsonl", 800, 1_000)] {
        shop.write(name, checkouts(from, to));
    }
    for paths in [&["a.jsonl"][..], &["a.jsonl", "b.jsonl"]] {
        shop.write("c.toml", config(paths));
        shop.good(&["run", "--config", "c.toml"]);
    }
    shop.write("c.toml", config(&["a.jsonl", "b.jsonl", "c.jsonl"]));
    let mut command = shop.command(&["run", "--config", "c.toml"]);
    let output = command.env("CARTGUARD_KILL_POINT", "released:3").output().expect("cartguard runs");
    assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    shop
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn snapshots_are_listed_with_what_is_wrong_with_them() {
    let shop = killed();
    let list = || json(&shop.good(&["snapshot", "list", "--config", "c.toml", "--json"]));
    let before = list();
    let rows = before.as_array().expect("a list");
    assert_eq!(rows.len(), 3, "the empty one and two more: {before:#}");
    assert!(rows.iter().all(|row| row["whole"] == true && row["fault"].is_null()), "{before:#}");
    assert_eq!(rows[0]["sequence"], 0);
    assert!(rows[0]["stream_time"].is_null(), "nothing was seen");
    let end = rows[0]["records_behind"].as_u64().expect("a number");
    for row in rows {
        let [sequence, behind] =
            ["sequence", "records_behind"].map(|name| row[name].as_u64().expect("a number"));
        assert_eq!(sequence + behind, end, "{row:#}");
    }
    assert!(end > 800, "{end}");
    let newest = &rows[2];
    assert_eq!(newest["sequence"], 800);
    let last = json(shop.read("b.jsonl").lines().last().expect("some"));
    assert_eq!(newest["stream_time"], last["event_time"]);
    assert!(newest["bytes"].as_u64() > newest["stored_bytes"].as_u64());
    let text = shop.good(&["snapshot", "list", "--config", "c.toml"]);
    assert_eq!(text.lines().count(), 5, "{text}");

    let pack = shop
        .files("data/snapshots")
        .into_iter()
        .find(|name| name.strip_suffix(".pack").is_some())
        .expect("a pack");
    fs::write(shop.path("data/snapshots").join(&pack), "no pack").expect("written");
    let after = list();
    let damaged = after.as_array().expect("a list").iter().find(|row| row["whole"] == false).expect("one");
    holds(damaged["fault"].as_str().expect("why"), &[&pack]);
}

/// Who has a damaged order log needs to see the snapshots most.
#[test]
fn a_damaged_order_log_hides_no_snapshot() {
    let shop = killed();
    let log = shop.files("data/order").pop().expect("a segment");
    let log = format!("data/order/{log}");
    let mut bytes = fs::read(shop.path(&log)).expect("a file");
    // In its first record, with whole ones behind it.
    bytes[130] ^= 1;
    shop.write(&log, bytes);
    let (said, complained) = shop.ends(1, &["snapshot", "list", "--config", "c.toml", "--json"]);
    let rows = json(&said);
    assert_eq!(rows.as_array().map(Vec::len), Some(3), "{rows:#}");
    assert_eq!((&rows[2]["whole"], &rows[2]["records_behind"]), (&true.into(), &Value::Null));
    holds(&complained, &[&format!("{log}: damaged at byte")]);
    let (said, complained) = shop.ends(1, &["snapshot", "inspect", "--config", "c.toml", "--json"]);
    assert_eq!(json(&said)["sequence"], 800);
    holds(&complained, &["damaged at byte"]);
}

#[test]
fn a_snapshot_is_looked_into() {
    let shop = killed();
    let inspect = |more: &[&str]| {
        let arguments = [&["snapshot", "inspect", "--config", "c.toml"], more].concat();
        shop.good(&arguments)
    };
    let newest = json(&inspect(&["--json"]));
    assert_eq!((&newest["sequence"], &newest["counts"]["events"]), (&800.into(), &800.into()));
    assert_eq!(newest["counts"]["accepted"], 800);
    let names: Vec<_> =
        newest["partitions"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["a.jsonl", "b.jsonl"]);
    holds(newest["partitions"][1]["place"].as_str().expect("a place"), &["400:"]);
    assert_eq!(newest["versions"]["model"], "none");
    assert!(newest["stored_bytes_per_event"].as_f64() < newest["bytes_per_event"].as_f64());
    assert!(newest["identity"]["features"].as_array().is_some_and(|features| !features.is_empty()));
    let text = inspect(&[]);
    holds(&text, &["b.jsonl at 400:", "stored_bytes_per_event", "dedupe.span"]);
    let first = json(&inspect(&["--batch", "0", "--json"]));
    assert_eq!(first["sequence"], 0);
    let complained = shop.bad(2, &["snapshot", "inspect", "--config", "c.toml", "--batch", "7777"]);
    holds(&complained, &["before batch 7777", "among the snapshots: 0,"]);
}

#[test]
fn a_history_goes_on_from_what_pruning_left() {
    let shop = killed();
    let inputs = ["a.jsonl", "b.jsonl", "c.jsonl"];
    shop.good(&[&["replay", "--config", "c.toml", "--output", "whole", "--input"][..], &inputs].concat());
    shop.bad(2, &["snapshot", "prune", "--config", "c.toml", "--keep", "0"]);
    let said = shop.good(&["snapshot", "prune", "--config", "c.toml", "--keep", "1"]);
    holds(&said, &["removed 2 snapshots"]);
    let rows = json(&shop.good(&["snapshot", "list", "--config", "c.toml", "--json"]));
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    shop.good(&["run", "--config", "c.toml"]);
    assert!(shop.read("out/decisions.jsonl") == shop.read("whole/decisions.jsonl"), "other decisions");
}

#[test]
fn without_a_history_there_is_nothing_to_tell() {
    let shop = Shop::with_checkouts();
    holds(&shop.bad(2, &["snapshot", "list"]), &["history.folder"]);
    shop.write("c.toml", config(&["in.jsonl"]));
    holds(&shop.bad(2, &["snapshot", "list", "--config", "c.toml"]), &["data: holds no history"]);
}
