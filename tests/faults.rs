//! What goes wrong around a run, as real processes meet it: full disks, closed pipes, signals, shared folders.
//!
//! Holds: a test waits for bytes, an end of file or an exit, never for a time.
//! Not here: what a good run writes (`cli`), models (`model_cli`), the inputs (`inputs`).

mod shop;

use serde_json::Value;
use shop::{Shop, checkout, checkouts, holds, said, signal, wait_for};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// A full disk that every Linux has, as `full/decisions.jsonl`.
fn full_disk(shop: &Shop) {
    shop.make_folder("full");
    symlink("/dev/full", shop.path("full/decisions.jsonl")).expect("a link");
}

#[test]
fn a_replay_onto_a_full_disk_fails_and_says_where() {
    let shop = Shop::with_checkouts();
    full_disk(&shop);
    let (_, complained) = shop.ends(1, &["replay", "--input", "in.jsonl", "--output", "full", "--force"]);
    let parts =
        ["full/decisions.jsonl: 0 of ", " bytes could be written behind the first 0", "No space left"];
    holds(&complained, &parts);
}

#[test]
fn a_run_onto_a_full_disk_says_so_and_ends_when_asked() {
    let shop = Shop::with_checkouts();
    full_disk(&shop);
    let run = [
        "run",
        "--force",
        "--set",
        "source.type=synthetic",
        "--set",
        "sink.type=file",
        "--set",
        "sink.path=full",
    ];
    let mut child = shop.start(&run);
    let mut complaints = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut told = String::new();
    while !told.contains("No space left") {
        let got = complaints.read_line(&mut told).expect("complaints");
        assert!(got > 0, "ended: {told}");
    }
    holds(&told, &["full/decisions.jsonl: 0 of ", "it is tried again"]);
    signal("-TERM", &child);
    let mut rest = String::new();
    complaints.read_to_string(&mut rest).expect("complaints");
    assert_eq!(child.wait().expect("an end").code(), Some(1), "{rest}");
    holds(&rest, &[" decisions", "not delivered", "full/decisions.jsonl"]);
    assert!(!shop.path("full/summary.json").exists());
}

#[test]
fn a_reader_that_wants_no_more_is_no_failure() {
    let shop = Shop::with_checkouts();
    shop.write("in.jsonl", checkouts(0, 20_000));
    let input = fs::File::open(shop.path("in.jsonl")).expect("the input");
    let mut child = shop.command(&["run"]).stdin(input).spawn().expect("cartguard runs");
    let mut decisions = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    decisions.read_line(&mut first).expect("a decision");
    drop(decisions);
    let (_, complained) = said(child.wait_with_output().expect("an end"), 0, &["run"]);
    holds(&complained, &["note: stdout: closed by its reader", "accepted "]);
}

#[test]
fn a_folder_has_one_writer() {
    let shop = Shop::with_checkouts();
    let run = ["run", "--set", "sink.type=file", "--set", "sink.path=out"];
    let mut child = shop.command(&run).stdin(Stdio::piped()).spawn().expect("cartguard runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(checkout(0).as_bytes()).expect("taken");
    wait_for(|| fs::metadata(shop.path("out/decisions.jsonl")).is_ok_and(|file| file.len() > 0));
    let holder = format!("process {}", child.id());
    let (_, complained) = shop.ends(2, &["replay", "--input", "in.jsonl", "--output", "out", "--force"]);
    holds(&complained, &["out: ", &holder]);
    let (_, complained) = shop.ends(2, &[run.as_slice(), &["--force"]].concat());
    holds(&complained, &["out: ", &holder]);
    drop(pipe);
    said(child.wait_with_output().expect("an end"), 0, &run);
    assert_eq!(shop.files("out"), ["alerts.jsonl", "decisions.jsonl", "rejects.jsonl", "summary.json"]);
    assert_eq!(shop.read("out/decisions.jsonl").lines().count(), 1);
}

#[test]
fn the_lock_of_a_killed_process_is_no_lock() {
    let shop = Shop::with_checkouts();
    let run = ["run", "--set", "sink.type=file", "--set", "sink.path=out"];
    let mut child = shop.command(&run).stdin(Stdio::piped()).spawn().expect("cartguard runs");
    wait_for(|| shop.path("out/.cartguard.lock").exists());
    child.kill().expect("killed");
    child.wait().expect("an end");
    assert!(shop.path("out/.cartguard.lock").exists());
    shop.ends(0, &["replay", "--input", "in.jsonl", "--output", "out", "--force"]);
    assert!(!shop.path("out/.cartguard.lock").exists());
    // It is no content of the folder either.
    shop.make_folder("fresh");
    shop.write("fresh/.cartguard.lock", "4194305\n");
    shop.ends(0, &["replay", "--input", "in.jsonl", "--output", "fresh"]);
}

#[test]
fn a_replay_that_a_signal_ends_is_whole_lines_without_a_summary() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let shop = Shop::with_checkouts();
        shop.make_pipe("pipe.jsonl");
        let replay = ["replay", "--input", "in.jsonl", "pipe.jsonl", "--output", "out"];
        shop.ends(0, &["replay", "--input", "in.jsonl", "--output", "out"]);
        let forced = [replay.as_slice(), &["--force"]].concat();
        let child = shop.start(&forced);
        let mut pipe = fs::File::options().write(true).open(shop.path("pipe.jsonl")).expect("a reader");
        // What stood there of the run before would look like this one's.
        assert!(!shop.path("out/summary.json").exists());
        pipe.write_all(checkouts(1_000, 1_010).as_bytes()).expect("taken");
        wait_for(|| shop.read("out/decisions.jsonl").contains("e-1009"));
        signal(&format!("-{name}"), &child);
        let (said, complained) = said(child.wait_with_output().expect("an end"), code, &forced);
        assert_eq!(said, "");
        let text = shop.read("out/decisions.jsonl");
        assert!(text.ends_with('\n'), "a torn line");
        let ids = |line: &str| serde_json::from_str::<Value>(line).expect("a decision")["event_id"].clone();
        assert_eq!(text.lines().map(ids).next_back(), Some("e-1009".into()));
        assert_eq!(text.lines().count(), 1_010);
        holds(&complained, &[&format!("SIG{name}"), "pipe.jsonl, line 11", "no summary.json"]);
        assert_eq!(shop.files("out"), ["alerts.jsonl", "decisions.jsonl", "rejects.jsonl"]);
    }
}

#[test]
fn files_of_a_run_before_that_are_not_written_again_go() {
    let shop = Shop::with_checkouts();
    let replay = ["replay", "--input", "in.jsonl", "--output", "out"];
    shop.ends(0, &[replay.as_slice(), &["--set", "output.features_as=array"]].concat());
    let three = ["alerts.jsonl", "decisions.jsonl", "rejects.jsonl"];
    assert_eq!(shop.files("out"), [&three[..2], &["features.json"], &three[2..], &["summary.json"]].concat());
    shop.write("out/mine.txt", "mine");
    shop.ends(0, &[replay.as_slice(), &["--force"]].concat());
    assert_eq!(shop.files("out"), [&three[..2], &["mine.txt"], &three[2..], &["summary.json"]].concat());
    shop.ends(0, &[replay.as_slice(), &["--force", "--discard"]].concat());
    assert_eq!(shop.files("out"), ["mine.txt", "summary.json"]);
}

/// O4: with so few that it cannot even begin, and with more; what cannot be opened is said, and whoever has enough goes on.
#[test]
fn a_run_without_file_handles_says_so_and_the_next_goes_on() {
    let shop = Shop::with_checkouts();
    let config = "[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n[sink]\ntype = \"file\"\npath = \"out\"\n[history]\n\
                  folder = \"data\"\n[snapshot]\nevery_records = 100\n[engine]\nbatch_max = 50\n";
    shop.write("c.toml", config);
    shop.good(&["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", "whole"]);
    let mut refused = 0;
    for handles in 8..40 {
        let script = format!("ulimit -n {handles} && exec \"$0\" run --config c.toml");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_cartguard")]).current_dir(shop.path("."));
        let output = command.output().expect("sh runs");
        if output.status.success() {
            break;
        }
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{handles}: {:?}: {told}", output.status);
        holds(&told, &["Too many open files"]);
        refused += 1;
    }
    assert!(refused > 2, "{refused}");
    shop.good(&["run", "--config", "c.toml"]);
    assert_eq!(shop.read("out/decisions.jsonl"), shop.read("whole/decisions.jsonl"));
}

fn amount_model(shop: &Shop, feature: &str) {
    let model = format!(
        r#"{{"format":"cartguard.logistic","version":1,"features":["{feature}"],"weights":[0.01],"intercept":-1.0}}"#
    );
    shop.write("amount.json", model);
    shop.ends(0, &["model", "import", "--from", "amount.json", "--output", "models/amount/7"]);
}

#[test]
fn check_opens_the_model() {
    type Case = (fn(&Shop), &'static [&'static str]);
    let model = ["--set", "model.path=models/amount/7"];
    let check = [["check"].as_slice(), &model].concat();
    let run = [["run"].as_slice(), &model].concat();
    let key = "flag --set model.path=models/amount/7: model.path: ";
    let absent = |_: &Shop| {};
    let tampered = |shop: &Shop| {
        amount_model(shop, "amount");
        let file = fs::read_dir(shop.path("models/amount/7")).expect("a folder");
        let mut names = file.map(|entry| entry.expect("an entry").path());
        let weights =
            names.find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("intercept")));
        let weights = weights.expect("a model file");
        let text = fs::read_to_string(&weights).expect("text").replace("0.01", "0.02");
        fs::write(weights, text).expect("written");
    };
    let foreign = |shop: &Shop| amount_model(shop, "amounts");
    let cases: [Case; 3] = [
        (absent, &["models/amount/7: no model folder"]),
        (tampered, &["has SHA-256", "says"]),
        (foreign, &["amounts", "did you mean"]),
    ];
    for (make, parts) in cases {
        let shop = Shop::with_checkouts();
        make(&shop);
        let (_, checked) = shop.ends(2, &check);
        holds(&checked, parts);
        holds(&checked, &[key, "cartguard: the configuration has 1 fault"]);
        let (_, ran) = shop.ends(2, &run);
        holds(&ran, parts);
    }
    let shop = Shop::with_checkouts();
    amount_model(&shop, "amount");
    let (said, _) = shop.ends(0, &check);
    holds(&said, &[": ok, ", "model amount/7"]);
}

#[test]
fn an_output_that_is_a_file_is_refused_and_kept() {
    let shop = Shop::with_checkouts();
    shop.write("mine.txt", "mine");
    for (output, file) in [("mine.txt", "mine.txt"), ("mine.txt/out", "mine.txt")] {
        for extra in [None, Some("--force")] {
            let replay = ["replay", "--input", "in.jsonl", "--output", output];
            let arguments: Vec<_> = replay.into_iter().chain(extra).collect();
            let (_, complained) = shop.ends(2, &arguments);
            holds(&complained, &[&format!("{output}: "), &format!("{file} is a file"), "name a folder"]);
        }
        let path = format!("sink.path={output}");
        let (_, complained) = shop.ends(2, &["run", "--set", "sink.type=file", "--set", &path]);
        holds(&complained, &[&format!("{file} is a file"), "name a folder"]);
    }
    assert_eq!(shop.read("mine.txt"), "mine");
}

/// O2: whoever asks twice does not wait for a reader that does not read.
#[test]
fn a_second_signal_ends_at_once() {
    let shop = Shop::new();
    let mut child = shop.start(&["run", "--set", "source.type=synthetic", "--set", "source.rate=0"]);
    // The first batch has far more bytes than a pipe takes.
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("a decision");
    let ended = loop {
        signal("-TERM", &child);
        match child.try_wait().expect("a child") {
            Some(ended) => break ended,
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(ended.code(), Some(143));
}

/// O8: a core has what customers ordered. Where the system allows none in any case nothing is shown.
#[test]
fn a_run_leaves_no_core_dump() {
    let shop = Shop::new();
    shop.make_pipe("in.jsonl");
    let child = shop.start(&["run", "--set", "source.type=file", "--set", "source.paths=[\"in.jsonl\"]"]);
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("a process");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let core: Vec<_> = core.split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    pipe.write_all(b"{}\n").expect("a reader");
    drop(pipe);
    said(child.wait_with_output().expect("it ends"), 0, &["run"]);
}

/// 2: what was asked for is wrong; the same every time, and nothing was done.
#[test]
fn refusals_end_with_2_and_leave_nothing() {
    let shop = Shop::with_checkouts();
    shop.write("in.txt", "");
    shop.make_folder("folder.jsonl");
    shop.make_folder("full");
    shop.write("full/mine.txt", "mine");
    amount_model(&shop, "amount");
    shop.write("rows.csv", "amount\n1\n");
    shop.write("scores.csv", "mine");
    let file = |path: &str| format!("source.paths=[\"{path}\"]");
    let (text, folder) = (file("in.txt"), file("folder.jsonl"));
    let cases: [&[&str]; 17] = [
        &["run", "--set", "model.path=gone"],
        &["replay", "--set", "model.path=gone", "--input", "in.jsonl", "--output", "out"],
        &["bench", "--set", "model.path=gone", "--rate", "1000", "--seconds", "1"],
        &["run", "--set", "source.type=file", "--set", &text],
        &["run", "--set", "source.type=file", "--set", &folder],
        &["run", "--set", "sink.type=file", "--set", "sink.path=full"],
        &["replay", "--input", "in.txt", "--output", "out"],
        &["replay", "--input", "folder.jsonl", "--output", "out"],
        &["replay", "--input", "in.jsonl", "--output", "full"],
        &["replay", "--input", "in.jsonl", "--output", "full", "--discard"],
        &["demo", "--plain", "--rate", "fast"],
        &["demo", "--plain", "--rate", "0"],
        &["demo", "--plain", "--seconds", "0"],
        &["bench", "--rate", "0"],
        &["bench", "--rate", "1000", "--seconds", "0"],
        &["bench", "--find-max", "--p99", "soon"],
        &["model", "score", "--model", "models/amount/7", "--input", "rows.csv", "--output", "scores.csv"],
    ];
    for arguments in cases {
        let (said, complained) = shop.ends(2, arguments);
        assert_eq!(said, "", "{arguments:?}");
        assert!(complained.contains("cartguard"), "{arguments:?}: {complained}");
        assert!(!shop.path("out").exists(), "{arguments:?}");
    }
    assert_eq!(shop.files("full"), ["mine.txt"]);
    assert_eq!(shop.read("scores.csv"), "mine");
    // What is not there is the world's.
    shop.ends(1, &["replay", "--input", "gone.jsonl", "--output", "out"]);
}

#[test]
fn rejects_of_a_run_to_standard_output_are_seen() {
    let shop = Shop::with_checkouts();
    let mut records = checkouts(0, 3);
    records += "not json\n{\"event_id\":\"a\"}\nnot json either\n";
    shop.write("in.jsonl", records);
    let input = fs::File::open(shop.path("in.jsonl")).expect("the input");
    let output = shop.command(&["run"]).stdin(input).output().expect("cartguard runs");
    let (decisions, complained) = said(output, 0, &["run"]);
    assert_eq!(decisions.lines().count(), 3);
    let rejects: Vec<Value> = complained
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("a reject"))
        .collect();
    let reasons: Vec<_> = rejects.iter().map(|reject| reject["reason"].clone()).collect();
    assert_eq!(reasons, ["invalid_json", "missing_field", "invalid_json"]);
    let lines: Vec<_> = rejects.iter().map(|reject| reject["position"]["line"].clone()).collect();
    assert_eq!(lines, [4, 5, 6]);
    holds(&complained, &["rejects 3 (invalid_json 2, missing_field 1)"]);
}

#[test]
fn faults_name_what_the_user_gave() {
    let shop = Shop::with_checkouts();
    let told = |arguments: &[&str]| shop.ends(2, arguments).1;
    let faults = told(&["run", "--workers", "99999"]);
    assert!(faults.starts_with("flag --workers 99999: engine.workers: "), "{faults}");
    // What is needed stands nowhere; what needs it does.
    let faults = told(&["check", "--set", "sink.type=file"]);
    holds(&faults, &["flag --set sink.type=file: sink.path: is empty; the folder to write into; "]);
    assert!(!faults.contains("built-in default"), "{faults}");
    // One bad flag hides no other fault.
    let faults = told(&["check", "--set", "foo", "--set", "time.skew=soon"]);
    holds(&faults, &["flag --set foo: has no value; write --set key=value, such as time.lateness=2s"]);
    holds(&faults, &["flag --set time.skew=soon: time.skew: ", "the configuration has 2 faults"]);
}

/// Nor does a fault of the texts hide what is wrong with the folder of the model.
#[test]
fn a_model_is_looked_for_beside_other_faults() {
    let shop = Shop::with_checkouts();
    shop.write("c.toml", "[time]\nskew = 'x'\n[model]\npath = 'no/model'\n");
    let faults = shop.ends(2, &["check", "--config", "c.toml"]).1;
    holds(
        &faults,
        &["c.toml:2:8: time.skew: ", "c.toml:4:8: model.path: no/model: no model folder", "2 faults"],
    );
    fs::create_dir(shop.path("models")).expect("a folder");
    shop.write("models/deployment.toml", "active = 'no/1'\n");
    shop.write("c.toml", "[model]\nfolder = 'models'\n");
    let faults = shop.ends(2, &["check", "--config", "c.toml"]).1;
    holds(&faults, &["c.toml:2:10: model.folder: models/no/1: no model folder", "1 fault\n"]);
}

#[test]
fn a_file_that_is_no_toml_has_that_fault_alone() {
    let shop = Shop::with_checkouts();
    for text in ["[time\nskew = \"1m\"\n", "[event]\nid = \"n\"\ntime = \"t\namount = \"a\"\n"] {
        shop.write("torn.toml", text);
        let (_, complained) = shop.ends(2, &["check", "--config", "torn.toml"]);
        for line in complained.lines() {
            assert!(line.contains("not TOML") || line.starts_with("cartguard: "), "{complained}");
        }
    }
}

/// ("a|b", "c") is not ("a", "b|c").
#[test]
fn the_parts_of_a_composite_key_stay_apart_in_an_alert() {
    let shop = Shop::with_checkouts();
    amount_model(&shop, "amount");
    let record = |id: u32, customer: &str, card: &str| {
        format!(
            "{{\"event_id\":{id},\"event_time\":\"2026-03-01T10:00:00Z\",\"amount\":9000,\
             \"customer_id\":\"{customer}\",\"card_id\":\"{card}\"}}\n"
        )
    };
    shop.write("in.jsonl", record(1, "a|b", "c") + &record(2, "a", "b|\\\"c"));
    let model = ["--set", "model.path=models/amount/7"];
    shop.ends(0, &[["replay", "--input", "in.jsonl", "--output", "out"].as_slice(), &model].concat());
    let alerts: Vec<Value> = shop
        .read("out/alerts.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an alert"))
        .collect();
    let of = |kind: &str| alerts.iter().map(|alert| alert["entities"][kind].clone()).collect::<Vec<_>>();
    assert_eq!(of("customer"), ["a|b", "a"]);
    assert_eq!(of("customer_card"), [serde_json::json!(["a|b", "c"]), serde_json::json!(["a", "b|\"c"])]);
}
