//! Models that change while the service runs: which decides is in the order log, and a crash changes nothing of it.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds, signal, wait_for};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

const CONFIG: &str = "[model]\nfolder = \"models\"\n[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n\
[sink]\ntype = \"file\"\npath = \"out\"\n[history]\nfolder = \"data\"\npipeline = \"shop\"\n";

/// Two versions of the demo's model, of which the second holds everything for fraud.
fn two_models(shop: &Shop) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/2");
    for version in ["1", "2"] {
        let folder = shop.path(&format!("models/shop/{version}"));
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(&demo).expect("the demo's model") {
            let entry = entry.expect("a file");
            fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
        }
    }
    let manifest = shop.read("models/shop/2/manifest.toml");
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some(("review_at", _)) => "review_at = 0.0",
        _ => line,
    });
    shop.write("models/shop/2/manifest.toml", lines.map(|line| line.to_owned() + "\n").collect::<String>());
}

/// The model of each decision, in order.
fn models(shop: &Shop) -> Vec<String> {
    let lines = shop.read("out/decisions.jsonl");
    let model = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["model"].as_str().unwrap_or("none").to_owned()
    };
    // The last line may be on its way.
    let whole = lines.rfind('\n').map_or("", |end| &lines[..end]);
    whole.lines().map(model).collect()
}

#[test]
fn a_switch_takes_effect_between_two_batches_and_survives_a_crash() {
    let shop = Shop::new();
    two_models(&shop);
    shop.write("c.toml", CONFIG);
    shop.good(&["model", "activate", "shop/1"]);
    shop.make_pipe("in.jsonl");
    let mut child = shop.start(&["run", "--config", "c.toml"]);
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    pipe.write_all(checkouts(0, 400).as_bytes()).expect("a reader");
    wait_for(|| shop.path("out/decisions.jsonl").exists() && models(&shop).len() >= 400);
    holds(&shop.good(&["model", "activate", "shop/2"]), &["shop/1 -> shop/2"]);
    // Records come until one of them is decided by it.
    let mut next = 400;
    wait_for(|| {
        pipe.write_all(checkouts(next, next + 20).as_bytes()).expect("a reader");
        next += 20;
        std::thread::sleep(std::time::Duration::from_millis(20));
        models(&shop).last().is_some_and(|model| model == "shop/2")
    });
    signal("-KILL", &child);
    child.wait().expect("it is killed");
    drop(pipe);
    let before = models(&shop);
    let switched = before.iter().position(|model| model == "shop/2").expect("it was taken");
    assert!(switched >= 400 && before[switched..].iter().all(|model| model == "shop/2"), "{before:?}");

    // The same records as a file, and a rollback while nobody runs.
    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    shop.write("in.jsonl", checkouts(0, next + 100));
    shop.good(&["model", "rollback"]);
    holds(&shop.bad(2, &["model", "rollback"]), &["no previous model"]);
    shop.good(&["run", "--config", "c.toml"]);
    let after = models(&shop);
    assert_eq!(after.len(), next as usize + 100);
    assert_eq!(after[..before.len()], before, "what was decided stays decided");
    assert_eq!(after.last().expect("some"), "shop/1");
    let turns: Vec<_> = after.chunk_by(|one, next| one == next).map(|run| run[0].as_str()).collect();
    assert_eq!(turns, ["shop/1", "shop/2", "shop/1"]);
    shop.good(&["replay", "--config", "c.toml", "--order-log", "data", "--output", "told"]);
    assert_eq!(shop.read("told/decisions.jsonl"), shop.read("out/decisions.jsonl"));
    shop.good(&["verify", "--config", "c.toml", "--outputs"]);
    assert_eq!(shop.read("models/audit.jsonl").lines().count(), 3);
}

#[test]
fn what_decided_before_a_crash_must_be_there_to_decide_it_again() {
    let shop = Shop::with_checkouts();
    two_models(&shop);
    shop.write("c.toml", CONFIG);
    shop.good(&["model", "activate", "shop/1"]);
    let mut command = shop.command(&["run", "--config", "c.toml", "--set", "engine.batch_max=100"]);
    command.env("CARTGUARD_KILL_POINT", "released:5").output().expect("it is killed");
    shop.good(&["model", "activate", "shop/2"]);
    fs::rename(shop.path("models/shop/1"), shop.path("elsewhere")).expect("moved");
    let delivered = shop.read("out/decisions.jsonl");
    let complaint = shop.bad(2, &["run", "--config", "c.toml"]);
    assert_eq!(shop.read("out/decisions.jsonl"), delivered, "a refused start takes nothing away");
    holds(&complaint, &["model shop/1", "decided batches", "models/shop/1"]);
    fs::rename(shop.path("elsewhere"), shop.path("models/shop/1")).expect("moved back");
    shop.good(&["run", "--config", "c.toml"]);
    let seen: BTreeSet<_> = models(&shop).into_iter().collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["shop/1", "shop/2"]);
}

#[test]
fn a_model_that_is_not_whole_is_refused_and_the_one_before_goes_on() {
    let shop = Shop::with_checkouts();
    two_models(&shop);
    shop.write("c.toml", CONFIG);
    holds(&shop.bad(2, &["model", "activate", "shop/3"]), &["shop/3", "did you mean shop/"]);
    shop.good(&["model", "activate", "shop/1", "--config", "c.toml"]);
    let file =
        shop.files("models/shop/2").into_iter().find(|name| name.starts_with("model.")).expect("a model");
    let whole = fs::read(shop.path(&format!("models/shop/2/{file}"))).expect("a model");
    shop.write(&format!("models/shop/2/{file}"), &whole[..whole.len() / 2]);
    holds(&shop.bad(2, &["model", "activate", "shop/2"]), &[&file, "half-written"]);
    let listed = shop.good(&["model", "list"]);
    holds(&listed, &["active    shop/1", "refused", "half-written"]);
    holds(&shop.bad(2, &["model", "check", "models/shop/2"]), &["half-written"]);
    holds(&shop.good(&["model", "check", "models/shop/1", "--config", "c.toml"]), &["is good"]);
    holds(&shop.bad(2, &["model", "rollback"]), &["no previous model"]);
    shop.write(&format!("models/shop/2/{file}"), &whole);
    holds(&shop.good(&["model", "diff", "models/shop/1", "models/shop/2"]), &["thresholds", "review 0 "]);

    // Somebody writes the deployment by hand, with a model that is not there; later it is.
    shop.make_pipe("pipe.jsonl");
    let config = CONFIG.replace("in.jsonl", "pipe.jsonl");
    shop.write(
        "p.toml",
        config.replace("folder = \"data\"", "folder = \"other\"").replace("\"out\"", "\"lines\""),
    );
    let mut child = shop.start(&["run", "--config", "p.toml"]);
    let mut told =
        BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("text"));
    let mut pipe = fs::File::options().write(true).open(shop.path("pipe.jsonl")).expect("a reader");
    shop.write("models/deployment.toml", "active = \"shop/9\"\n");
    assert!(told.any(|line| line.contains("shop/9") && line.contains("still shop/1")), "it says so");
    pipe.write_all(checkouts(0, 50).as_bytes()).expect("a reader");
    drop(pipe);
    told.for_each(drop);
    assert!(child.wait().expect("it ends").success());
    assert!(shop.read("lines/decisions.jsonl").lines().all(|line| line.contains("\"model\":\"shop/1\"")));
    holds(
        &shop.bad(2, &["check", "--config", "c.toml", "--set", "model.path=models/shop/1"]),
        &["model.folder"],
    );
}

#[test]
fn a_start_whose_active_model_is_no_good_goes_on_with_the_one_that_decided_last() {
    let shop = Shop::new();
    two_models(&shop);
    // A last line without its end waits: a record comes whenever the test wants one.
    shop.make_pipe("in.jsonl");
    shop.write("c.toml", CONFIG);
    shop.good(&["model", "activate", "shop/2"]);
    let begin = || {
        let mut child = shop.start(&["run", "--config", "c.toml"]);
        let told = BufReader::new(child.stderr.take().expect("piped")).lines();
        let pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
        (child, told.map(|line| line.expect("text")), pipe)
    };
    // No model decided yet, so there is none to go on with.
    let manifest = shop.read("models/shop/2/manifest.toml");
    shop.write("models/shop/2/manifest.toml", "half");
    let complaint = shop.bad(2, &["run", "--config", "c.toml"]);
    holds(&complaint, &["models/shop/2/manifest.toml", "no model decided before"]);
    shop.write("models/shop/2/manifest.toml", manifest);

    let (mut child, told, mut pipe) = begin();
    pipe.write_all(checkouts(0, 100).as_bytes()).expect("a reader");
    wait_for(|| shop.path("out/decisions.jsonl").exists() && models(&shop).len() == 100);
    signal("-KILL", &child);
    child.wait().expect("it is killed");
    drop((pipe, told));

    // Somebody copies a third by hand, and has not finished.
    fs::create_dir_all(shop.path("models/shop/3")).expect("a folder");
    shop.write("models/deployment.toml", "active = \"shop/3\"\nprevious = \"shop/2\"\n");
    let (mut child, mut told, mut pipe) = begin();
    let warned = told.find(|line| line.contains("is refused")).expect("it says so");
    holds(&warned, &["warning", "models/shop/3", "shop/2 decides"]);
    pipe.write_all(checkouts(0, 200).as_bytes()).expect("a reader");
    wait_for(|| models(&shop).len() == 200);
    let is_refused = || {
        let report = shop.good(&["status", "--config", "c.toml", "--json"]);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let degraded = report["degraded"].as_array().expect("a list").clone();
        degraded.iter().any(|one| one["code"] == "model_refused")
    };
    wait_for(is_refused);
    // It is whole by and by, and takes over without a restart.
    for file in shop.files("models/shop/1") {
        fs::copy(shop.path(&format!("models/shop/1/{file}")), shop.path(&format!("models/shop/3/{file}")))
            .expect("copied");
    }
    assert!(
        told.any(|line| line.contains("model shop/3") && line.contains("decides from the next batch on"))
    );
    pipe.write_all(checkouts(200, 300).as_bytes()).expect("a reader");
    wait_for(|| models(&shop).len() == 300);
    wait_for(|| !is_refused());
    drop(pipe);
    told.for_each(drop);
    assert!(child.wait().expect("it ends").success());
    let decided = models(&shop);
    let turns: Vec<_> = decided.chunk_by(|one, next| one == next).map(|run| run[0].as_str()).collect();
    assert_eq!(turns, ["shop/2", "shop/3"]);

    // What the order log tells needs the models that decided, and no other.
    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    shop.write("in.jsonl", checkouts(0, 300));
    shop.write("models/deployment.toml", "active = \"shop/9\"\n");
    let told = ["replay", "--config", "c.toml", "--order-log", "data", "--output", "told"];
    let (_, complained) = shop.ends(0, &told);
    holds(&complained, &["the active model is refused", "shop/3 decides"]);
    assert_eq!(shop.read("told/decisions.jsonl"), shop.read("out/decisions.jsonl"));
}
