//! A snapshot made from files, and a history that begins with it, as real processes: `rebuild`, `run --seed-from`.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds};
use std::fs;
use std::path::PathBuf;

const CONFIG: &str = "[source]\ntype = \"file\"\npaths = [\"stream.jsonl\"]\n[sink]\ntype = \"file\"\npath = \"out\"\n[engine]\n\
                      workers = 2\nbatch_max = 20\n[history]\nfolder = \"data\"\n";

/// 600 checkouts of history in two files, their snapshot in `seed`, and a stream that begins with the last 100 of them and has 400 more.
fn rebuilt() -> Shop {
    let shop = Shop::new();
    shop.write("old.jsonl", checkouts(0, 300));
    shop.write("new.jsonl", checkouts(300, 600));
    shop.write("stream.jsonl", checkouts(500, 1_000));
    shop.write("c.toml", CONFIG);
    let said = shop.good(&[
        "rebuild",
        "--config",
        "c.toml",
        "--input",
        "old.jsonl",
        "new.jsonl",
        "--output",
        "seed",
    ]);
    holds(&said, &["600 events in", "600 accepted, 0 rejects", "ids in seed"]);
    shop
}

const SEEDED: [&str; 5] = ["run", "--config", "c.toml", "--seed-from", "seed"];

/// Decisions without what depends on the place of a record and not on what was before it.
fn decisions(shop: &Shop, file: &str) -> Vec<Value> {
    let mut lines = shop.json_lines(file);
    for line in &mut lines {
        let line = line.as_object_mut().expect("a decision");
        for name in ["sequence", "decision_id"] {
            line.remove(name);
        }
    }
    lines
}

/// Files of a folder with an ending.
fn files(shop: &Shop, folder: &str, ending: &str) -> Vec<PathBuf> {
    let names = shop.files(folder).into_iter().filter(|name| name.ends_with(ending));
    names.map(|name| shop.path(folder).join(name)).collect()
}

#[test]
fn behind_the_overlap_it_decides_as_a_run_that_saw_it_all() {
    let shop = rebuilt();
    let (_, complained) = shop.ends(0, &SEEDED);
    holds(
        &complained,
        &["note: the history begins with seed, the state behind 600 records", "duplicates 100"],
    );
    shop.write("all.jsonl", checkouts(0, 1_000));
    shop.good(&["replay", "--config", "c.toml", "--input", "all.jsonl", "--output", "whole"]);
    let (seeded, whole) =
        (decisions(&shop, "out/decisions.jsonl"), decisions(&shop, "whole/decisions.jsonl"));
    assert_eq!((seeded.len(), whole.len()), (400, 1_000), "100 of the stream were in the snapshot");
    assert_eq!(seeded, whole[600..]);
    let rows = shop.good(&["snapshot", "list", "--config", "c.toml", "--json"]);
    let rows: Value = serde_json::from_str(&rows).expect("JSON");
    assert_eq!((&rows[0]["batch"], &rows[0]["sequence"]), (&0.into(), &600.into()));
    holds(
        &shop.good(&["verify", "--config", "c.toml", "--outputs"]),
        &["500 records derived again", "every hash equal"],
    );

    let again = ["replay", "--config", "c.toml", "--order-log", "data", "--output", "again"];
    holds(
        &shop.bad(2, &again),
        &["data: its first batch begins with sequence number 600", "--seed-from names"],
    );
    shop.good(&[&again[..], &["--seed-from", "seed"]].concat());
    assert_eq!(shop.read("again/decisions.jsonl"), shop.read("out/decisions.jsonl"));
    holds(&shop.bad(2, &SEEDED), &["data: has a history", "leave it out"]);
    shop.good(&["run", "--config", "c.toml"]);
    assert_eq!(shop.read("again/decisions.jsonl"), shop.read("out/decisions.jsonl"), "nothing is new");
}

#[test]
fn killed_behind_its_beginning_it_goes_on() {
    let shop = rebuilt();
    let mut command = shop.command(&SEEDED);
    let killed = command.env("CARTGUARD_KILL_POINT", "released:7").output().expect("cartguard runs");
    assert_eq!(killed.status.code(), None, "{}", String::from_utf8_lossy(&killed.stderr));
    shop.good(&["run", "--config", "c.toml"]);
    shop.good(&[
        "replay",
        "--config",
        "c.toml",
        "--order-log",
        "data",
        "--output",
        "again",
        "--seed-from",
        "seed",
    ]);
    let [out, again] = ["out", "again"].map(|folder| shop.read(&format!("{folder}/decisions.jsonl")));
    assert_eq!(out.lines().count(), 400);
    assert_eq!(out, again);
}

/// The manifest is last: before it there is no history, whatever lies there.
#[test]
fn what_a_crash_left_while_seeding_is_no_history() {
    let shop = rebuilt();
    let pack = files(&shop, "seed/snapshots", ".pack").pop().expect("a pack");
    let whole = fs::read(&pack).expect("a pack");
    shop.make_folder("data");
    shop.make_folder("data/snapshots");
    let torn = shop.path("data/snapshots").join(pack.file_name().expect("a name"));
    fs::write(&torn, &whole[..whole.len() / 2]).expect("written");
    shop.good(&SEEDED);
    assert_eq!(decisions(&shop, "out/decisions.jsonl").len(), 400);
    holds(&shop.good(&["verify", "--config", "c.toml"]), &["every hash equal"]);
}

#[test]
fn a_seed_that_does_not_fit_is_refused_and_nothing_begins() {
    let shop = rebuilt();
    let refused = |changed: String, parts: &[&str]| {
        shop.write("other.toml", changed);
        holds(&shop.bad(2, &["run", "--config", "other.toml", "--seed-from", "seed"]), parts);
        assert!(!shop.path("out").exists() || shop.files("out").is_empty());
    };
    refused(
        format!("{CONFIG}[dedupe]\nspan = \"1h\"\n"),
        &["seed: its snapshots are of another configuration", "dedupe.span"],
    );
    refused(
        CONFIG.replace("folder = \"data\"", "folder = \"data\"\npipeline = \"returns\""),
        &["of the pipeline \"cartguard\""],
    );
    refused(CONFIG.replace("folder = \"data\"", ""), &["--seed-from: history.folder is empty"]);
    holds(&shop.bad(2, &["run", "--config", "c.toml", "--seed-from", "nowhere"]), &["nowhere"]);

    let pack = files(&shop, "seed/snapshots", ".pack").pop().expect("a pack");
    let whole = fs::read(&pack).expect("a pack");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&pack, damaged).expect("written");
    holds(&shop.bad(2, &SEEDED), &["seed: its pack", ".pack"]);
    assert!(files(&shop, "data/snapshots", ".manifest").is_empty(), "no history begins");
    fs::write(&pack, whole).expect("written");
    shop.good(&SEEDED);
    // Data folders are no seeds: what they hold belongs to a place in their own source.
    shop.write("other.toml", CONFIG.replace("\"data\"", "\"fresh\"").replace("\"out\"", "\"out2\""));
    holds(
        &shop.bad(2, &["run", "--config", "other.toml", "--seed-from", "data"]),
        &["data: is the data folder of a pipeline that reads \"files\""],
    );
}

#[test]
fn a_snapshot_has_a_folder_of_its_own_and_a_pipeline() {
    let shop = rebuilt();
    let rebuild = |config: &str, output: &str| {
        shop.bad(2, &["rebuild", "--config", config, "--input", "old.jsonl", "--output", output])
    };
    holds(&rebuild("c.toml", "seed"), &["seed: is not empty"]);
    shop.write("other.toml", CONFIG.replace("folder = \"data\"", ""));
    holds(&rebuild("other.toml", "seed2"), &["history.folder: is empty"]);
    shop.write("old.jsonl", "");
    holds(&rebuild("c.toml", "seed2"), &["seed2: no record was read"]);
}
