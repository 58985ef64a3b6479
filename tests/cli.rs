//! The service as people meet it: real processes, files, pipes, signals and exit codes.
//!
//! Holds: a test waits for bytes, an end of file or an exit, never for a time.
//! Not here: `cartguard model` (`model_cli`), the Handbook (`handbook`), the README's commands (`readme`).

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, gzip, said, zstd};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Six records: three good ones, a repeat, and two rejects of which one carries what nobody should see again.
const SIX: &str = r#"{"event_id":"a-1","event_time":"2026-03-01T10:00:00Z","amount":"12.30","currency":"EUR","customer_id":"c1","card_id":"k1"}
{ "event_time" : "2026-03-01T11:00:01.250+01:00", "event_id" : 2, "amount" : 7.5, "customer_id" : "c\u0031", "unknown" : [1e300] }
not json, but tok_secret
{"event_id":"a-1","event_time":"2026-03-01T10:00:02Z","amount":"12.30","customer_id":"c1"}
{"event_id":"a-3","event_time":"2026-03-01T10:00:03Z","amount":"-1.00","customer_id":"tok_secret"}
{"event_id":"a-4","event_time":"2026-03-01T10:00:04Z","amount":"0","customer_id":"c1"}
"#;

#[test]
fn replay_writes_every_record_somewhere() {
    let shop = Shop::new();
    shop.write("six.jsonl", SIX);
    let said = shop.good(&["replay", "--input", "six.jsonl", "--output", "out"]);
    assert!(said.contains("accepted 3, duplicates 1, rejects 2"), "{said}");
    assert_eq!(shop.files("out"), ["alerts.jsonl", "decisions.jsonl", "rejects.jsonl", "summary.json"]);

    let text = shop.read("out/decisions.jsonl");
    let order: Vec<_> = [
        r#"{"event_id":"#,
        r#","event_time":"#,
        r#","sequence":"#,
        r#","decision":"#,
        r#","score":"#,
        r#","model":"#,
        r#","reasons":"#,
        r#","marks":"#,
        r#","features":{"#,
        r#","event":{"#,
    ]
    .iter()
    .map(|member| text.find(member).unwrap_or_else(|| panic!("{member} is absent")))
    .collect();
    assert!(order.is_sorted(), "members are out of order: {text}");
    // A JSON record keeps its own bytes.
    let second = SIX.lines().nth(1).expect("six lines");
    assert!(text.contains(&format!(r#","event":{second}}}"#)), "{text}");

    let decisions = shop.json_lines("out/decisions.jsonl");
    let of = |name: &str| decisions.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("event_id"), ["a-1", "2", "a-4"]);
    assert_eq!(of("sequence"), [0, 1, 5]);
    assert_eq!(of("decision"), ["approve", "approve", "approve"]);
    assert_eq!(
        of("event_time"),
        ["2026-03-01T10:00:00.000Z", "2026-03-01T10:00:01.250Z", "2026-03-01T10:00:04.000Z"]
    );
    assert!(decisions.iter().all(|line| line["score"].is_null() && line["model"].is_null()));
    let counts: Vec<_> = decisions.iter().map(|line| line["features"]["customer.count_1h"].clone()).collect();
    assert_eq!(counts, [0, 1, 2]);
    assert!(decisions[1]["features"]["card.count_1h"].is_null(), "no key: missing, not 0");

    let rejects = shop.read("out/rejects.jsonl");
    assert!(!rejects.contains("tok_secret"), "a payload got out: {rejects}");
    let rejects = shop.json_lines("out/rejects.jsonl");
    assert_eq!(rejects.len(), 2);
    for (reject, (line, reason)) in rejects.iter().zip([(3, "invalid_json"), (5, "negative_amount")]) {
        let offset: usize = SIX.lines().take(line - 1).map(|line| line.len() + 1).sum();
        assert_eq!(reject["partition"], "six.jsonl");
        assert_eq!(reject["position"]["line"], line);
        assert_eq!(reject["position"]["offset"], offset);
        assert_eq!(reject["sequence"], line - 1);
        assert_eq!(reject["reason"], reason);
        assert!(reject["detail"].is_string());
    }

    let summary = shop.json("out/summary.json");
    for (name, count) in [("events", 6), ("accepted", 3), ("duplicates", 1), ("late", 0), ("alerts", 0)] {
        assert_eq!(summary[name], count, "{name}");
    }
    assert_eq!(summary["rejects"], serde_json::json!({"invalid_json": 1, "negative_amount": 1}));
    for name in ["wall_seconds", "cpu_seconds", "events_per_second", "peak_memory_bytes"] {
        assert!(summary[name].is_number(), "{name}");
    }
    for name in ["bytes", "keys", "entries"] {
        assert!(summary["state"][name].is_number(), "state.{name}");
    }
    for name in ["p50", "p90", "p99", "p99_9", "p99_99", "max"] {
        assert!(summary["latency_us"][name].is_number(), "latency_us.{name}");
    }
}

#[test]
fn a_folder_that_is_not_empty_is_refused() {
    let shop = Shop::new();
    shop.write("six.jsonl", SIX);
    fs::create_dir(shop.path("out")).expect("a folder");
    shop.write("out/mine.txt", "mine");
    let replay = ["replay", "--input", "six.jsonl", "--output", "out"];
    for extra in [None, Some("--discard")] {
        let arguments: Vec<_> = replay.into_iter().chain(extra).collect();
        let (_, complained) = shop.ends(2, &arguments);
        assert!(complained.contains("out") && complained.contains("--force"), "{complained}");
        assert_eq!(shop.files("out"), ["mine.txt"]);
    }
    let arguments: Vec<_> = replay.into_iter().chain(["--force"]).collect();
    shop.good(&arguments);
    shop.good(&arguments);
    assert_eq!(shop.json_lines("out/decisions.jsonl").len(), 3);
    assert_eq!(shop.read("out/mine.txt"), "mine");
}

#[test]
fn discard_writes_the_summary_only() {
    let shop = Shop::new();
    shop.write("six.jsonl", SIX);
    shop.good(&["replay", "--input", "six.jsonl", "--output", "out", "--discard"]);
    assert_eq!(shop.files("out"), ["summary.json"]);
    assert_eq!(shop.json("out/summary.json")["accepted"], 3);
}

#[test]
fn workers_and_batches_change_no_byte() {
    let shop = Shop::new();
    shop.write("in.jsonl", checkouts(0, 5_000));
    let mut first = None;
    for (workers, batch) in [("1", "4096"), ("2", "4096"), ("3", "7"), ("2", "1"), ("8", "1000")] {
        let out = format!("out-{workers}-{batch}");
        let batch = format!("engine.batch_max={batch}");
        let arguments =
            ["replay", "--input", "in.jsonl", "--output", &out, "--workers", workers, "--set", &batch];
        shop.good(&arguments);
        let decisions = shop.read(&format!("{out}/decisions.jsonl"));
        assert_eq!(decisions.lines().count(), 5_000);
        let first = first.get_or_insert_with(|| decisions.clone());
        assert!(*first == decisions, "{workers} workers, {batch}: other bytes");
    }
}

#[test]
fn files_are_one_sequence_whatever_their_format() {
    let shop = Shop::new();
    let parts = [checkouts(0, 700), checkouts(700, 1400), checkouts(1400, 2000)];
    shop.write("all.jsonl", parts.concat());
    shop.write("1.jsonl", &parts[0]);
    shop.write("2.jsonl.gz", gzip(parts[1].as_bytes()));
    shop.write("3.jsonl.zst", zstd(parts[2].as_bytes()));
    shop.good(&["replay", "--input", "all.jsonl", "--output", "whole"]);
    shop.good(&["replay", "--input", "1.jsonl", "2.jsonl.gz", "3.jsonl.zst", "--output", "parts"]);
    assert!(shop.read("whole/decisions.jsonl") == shop.read("parts/decisions.jsonl"));
    // The order given, not the order of names.
    shop.good(&["replay", "--input", "3.jsonl.zst", "1.jsonl", "--output", "turned"]);
    let ids: Vec<_> =
        shop.json_lines("turned/decisions.jsonl").iter().map(|line| line["event_id"].clone()).collect();
    assert_eq!((&ids[0], &ids[599], &ids[600]), (&"e-1400".into(), &"e-1999".into(), &"e-0".into()));

    let csv = "event_id,event_time,amount,customer_id,more\n\
               a-1,2026-03-01T10:00:00Z,12.30,c1,x\n\
               2,2026-03-01 10:00:01.25,7.5,c1,\n\
               a-4,2026-03-01T10:00:04Z,oops,c1,\"y, z\"\n";
    shop.write("in.csv", csv);
    shop.good(&["replay", "--input", "in.csv", "--output", "csv"]);
    let lines = shop.json_lines("csv/decisions.jsonl");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["event_time"], "2026-03-01T10:00:01.250Z");
    assert_eq!(lines[1]["features"]["customer.count_1h"], 1);
    assert_eq!(lines[1]["event"]["event_id"].to_string().trim_matches('"'), "2");
    assert_eq!(shop.json_lines("csv/rejects.jsonl")[0]["position"]["line"], 4);
}

#[test]
fn trouble_with_an_input_names_it() {
    let shop = Shop::new();
    shop.write("six.jsonl", SIX);
    let (_, complained) = shop.ends(1, &["replay", "--input", "six.jsonl", "gone.jsonl", "--output", "out"]);
    assert!(complained.contains("gone.jsonl"), "{complained}");
    shop.write("torn.jsonl.gz", &gzip(SIX.as_bytes())[..60]);
    let (_, complained) = shop.ends(1, &["replay", "--input", "torn.jsonl.gz", "--output", "torn"]);
    assert!(complained.contains("torn.jsonl.gz"), "{complained}");
    let (_, complained) = shop.ends(2, &["replay", "--output", "x"]);
    assert!(complained.contains("--input"), "{complained}");
}

#[test]
fn output_settings_choose_the_features() {
    let shop = Shop::new();
    shop.write("six.jsonl", SIX);
    let replay = ["replay", "--input", "six.jsonl", "--output"];
    let run = |out: &str, set: &str| {
        let arguments: Vec<_> = replay.into_iter().chain([out, "--set", set]).collect();
        shop.good(&arguments);
        shop.json_lines(&format!("{out}/decisions.jsonl")).remove(0)
    };
    let object = run("object", "output.features_as=object");
    let array = run("array", "output.features_as=array");
    let names = shop.json("array/features.json");
    let names: Vec<_> = names["features"]
        .as_array()
        .expect("names")
        .iter()
        .map(|name| name.as_str().expect("text"))
        .collect();
    let values = array["features"].as_array().expect("an array");
    let features = object["features"].as_object().expect("an object");
    assert_eq!((names.len(), values.len()), (features.len(), features.len()));
    for (name, value) in names.iter().zip(values) {
        assert_eq!(&features[*name], value, "{name}");
    }
    assert!(run("none", "output.features=none").get("features").is_none());
}

/// A logistic model over the amount alone: review from 100.00, decline from 1,000.00.
fn amount_model(shop: &Shop) {
    shop.write(
        "amount.json",
        r#"{"format":"cartguard.logistic","version":1,"features":["amount","customer.count_1h"],"weights":[0.01,0.001],"intercept":-1.0}"#,
    );
    let import = ["model", "import", "--from", "amount.json", "--output", "models/amount/7"];
    let limits = ["--review-at", "0.5", "--decline-at", "0.9"];
    shop.good(&[import.as_slice(), limits.as_slice()].concat());
}

#[test]
fn a_model_makes_scores_alerts_and_reasons() {
    let shop = Shop::new();
    amount_model(&shop);
    let event = |id: u32, amount: &str| {
        format!(
            r#"{{"event_id":"m-{id}","event_time":"2026-03-01T10:00:0{id}Z","amount":"{amount}","customer_id":"c1"}}"#
        ) + "\n"
    };
    shop.write("in.jsonl", event(0, "10.00") + &event(1, "150.00") + &event(2, "1500.00"));
    let model = "model.path=models/amount/7";
    shop.good(&["replay", "--input", "in.jsonl", "--output", "out", "--set", model]);
    let decisions = shop.json_lines("out/decisions.jsonl");
    let of = |name: &str| decisions.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("decision"), ["approve", "review", "decline"]);
    assert_eq!(of("model"), ["amount/7", "amount/7", "amount/7"]);
    let scores: Vec<f64> = of("score").iter().map(|score| score.as_f64().expect("a score")).collect();
    for (score, margin) in scores.iter().zip([-0.9, 0.501, 14.002]) {
        let expected = 1.0 / (1.0 + f64::exp(-margin));
        assert!((score - expected).abs() < 1e-6, "{score} is not {expected}");
    }
    assert_eq!(decisions[0]["reasons"], serde_json::json!([]));
    let alerts = shop.json_lines("out/alerts.jsonl");
    assert_eq!(alerts.len(), 2);
    for (alert, decision) in alerts.iter().zip(&decisions[1..]) {
        for name in ["event_id", "event_time", "sequence", "decision", "score", "model", "reasons", "marks"] {
            assert_eq!(alert[name], decision[name], "{name}");
        }
        assert!(alert.get("features").is_none() && alert.get("event").is_none());
        assert_eq!(alert["currency"], "EUR");
        assert_eq!(alert["entities"]["customer"], "c1");
        let reasons = alert["reasons"].as_array().expect("reasons");
        assert!((1..=5).contains(&reasons.len()));
        for name in ["code", "text", "feature", "value", "contribution"] {
            assert!(reasons[0].get(name).is_some(), "{name}: {reasons:?}");
        }
        assert_eq!(reasons[0]["feature"], "amount");
    }
    assert_eq!(shop.json("out/summary.json")["alerts"], 2);

    shop.good(&[
        "replay",
        "--input",
        "in.jsonl",
        "--output",
        "model",
        "--set",
        model,
        "--set",
        "output.features=model",
    ]);
    let features = &shop.json_lines("model/decisions.jsonl")[0]["features"];
    assert_eq!(features.as_object().expect("an object").len(), 2, "{features}");
}

#[test]
fn run_turns_standard_input_into_decisions() {
    let shop = Shop::new();
    let mut child = shop
        .command(&["run"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cartguard runs");
    child.stdin.take().expect("a pipe").write_all(SIX.as_bytes()).expect("taken");
    let (said, complained) = said(child.wait_with_output().expect("an end"), 0, &["run"]);
    let ids: Vec<_> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a decision")["event_id"].clone())
        .collect();
    assert_eq!(ids, ["a-1", "2", "a-4"]);
    assert!(complained.contains("rejects 2"), "{complained}");
}

#[test]
fn run_and_replay_write_the_same_bytes() {
    let shop = Shop::new();
    shop.write("in.jsonl", checkouts(0, 3_000) + SIX);
    shop.write(
        "service.toml",
        "[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n\n[sink]\ntype = \"file\"\npath = \"run\"\n",
    );
    shop.good(&["run", "--config", "service.toml"]);
    shop.good(&["replay", "--config", "service.toml", "--input", "in.jsonl", "--output", "replay"]);
    for name in ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"] {
        assert!(shop.read(&format!("run/{name}")) == shop.read(&format!("replay/{name}")), "{name}");
    }
    assert_eq!(shop.json("run/summary.json")["events"], 3_006);
    let (_, complained) = shop.ends(2, &["run", "--config", "service.toml"]);
    assert!(complained.contains("--force"), "{complained}");
}

/// A source without end is running once its first decision is out; then it is asked to end.
#[test]
fn a_signal_drains_and_ends_with_0() {
    for signal in ["-TERM", "-INT"] {
        let shop = Shop::new();
        let endless = ["run", "--set", "source.type=synthetic", "--set", "source.rate=2000"];
        let mut child = shop
            .command(&endless)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cartguard runs");
        let mut decisions = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        decisions.read_line(&mut first).expect("a decision");
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
        let mut rest = String::new();
        decisions.read_to_string(&mut rest).expect("decisions");
        let (_, complained) = said(child.wait_with_output().expect("an end"), 0, &endless);

        // Whole lines in sequence order, and as many as the summary says.
        let text = first + &rest;
        assert!(text.ends_with('\n'), "a torn line");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a decision")).collect();
        assert!(lines.is_sorted_by_key(|line| line["sequence"].as_u64()));
        assert!(complained.contains(&format!("accepted {},", lines.len())), "{complained}");
    }
}

#[test]
fn check_tells_every_fault_with_its_place() {
    let shop = Shop::new();
    shop.write(
        "broken.toml",
        "[time]\nlatenes = \"1h\"\nskew = \"ten minutes\"\n\n[sink]\ntype = \"kafka\"\n\n[engne]\n",
    );
    let (_, complained) = shop.ends(2, &["check", "--config", "broken.toml"]);
    for part in [
        "broken.toml:2:1: time.latenes: unknown key; did you mean \"lateness\"?",
        "broken.toml:3:8: time.skew: \"ten minutes\" is not a duration",
        "such as \"90s\"",
        "broken.toml:6:8: sink.type: this version has no adapter for kafka; one of file, stdout, null",
        "did you mean \"engine\"?",
        "4 faults",
    ] {
        assert!(complained.contains(part), "{part} is absent from {complained}");
    }
    // The same for every command, before anything is made.
    shop.ends(2, &["replay", "--config", "broken.toml", "--input", "x.jsonl", "--output", "out"]);
    assert!(!shop.path("out").exists());
    let (_, complained) = shop.ends(2, &["check", "--config", "gone.toml"]);
    assert!(complained.contains("gone.toml"), "{complained}");
    shop.write("torn.toml", "[time\n");
    let (_, complained) = shop.ends(2, &["check", "--config", "torn.toml"]);
    assert!(complained.contains("torn.toml:1"), "{complained}");
}

#[test]
fn check_config_and_features_print() {
    let shop = Shop::new();
    let said = shop.good(&["check"]);
    assert!(said.contains("the defaults: ok"), "{said}");
    for name in ["default.toml", "handbook.toml"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let said = shop.good(&["check", "--config", file.to_str().expect("UTF-8")]);
        assert!(said.contains(": ok, "), "{said}");
    }
    shop.write("mine.toml", "[time]\nlateness = \"2h\"\n");
    let set = "engine.workers=3";
    let said = shop.good(&["config", "--config", "mine.toml", "--set", set]);
    let line = |key: &str| said.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}"));
    assert!(line("time.lateness").contains("\"2h\"") && line("time.lateness").contains("mine.toml:2"));
    assert!(line("time.skew").contains("built-in default:"));
    assert!(line("engine.workers").contains("--set"));

    // A variable wins over the file, a flag over a variable.
    let arguments = ["config", "--config", "mine.toml", "--set", "time.skew=7m"];
    let mut command = shop.command(&arguments);
    command.env("CARTGUARD__TIME__LATENESS", "3h").env("CARTGUARD__TIME__SKEW", "5m");
    let (layered, _) = shop::said(command.output().expect("cartguard runs"), 0, &arguments);
    let has =
        |key: &str, value: &str| layered.lines().any(|line| line.starts_with(key) && line.contains(value));
    assert!(has("time.lateness", "\"3h\"") && has("time.lateness", "CARTGUARD__TIME__LATENESS"), "{layered}");
    assert!(has("time.skew", "\"7m\""), "{layered}");

    let said = shop.good(&["features"]);
    let count = said.lines().count();
    assert!(said.contains("card.count_10m") && said.contains("customer.seconds_since_last"), "{said}");
    let markdown = shop.good(&["features", "--format", "markdown"]);
    assert!(markdown.starts_with("| feature | entity | window | unit | meaning |"), "{markdown}");
    assert!(markdown.lines().count() >= count, "markdown has fewer features");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/features.md");
    let page = fs::read_to_string(page).expect("docs/features.md");
    for line in markdown.lines() {
        assert!(page.lines().any(|other| other == line), "docs/features.md is not up to date: {line}");
    }
}

#[test]
fn the_demo_runs_and_ends_by_itself() {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/2").is_dir() {
        println!("skipped: models/demo/2 is not here");
        return;
    }
    let shop = Shop::new();
    for end in [["--seconds", "2"], ["--events", "20000"]] {
        let said = shop.good(&["demo", "--plain", end[0], end[1]]);
        for part in ["events/s", "latency p50", "p99.9", "decisions: ", "alerts: "] {
            assert!(said.contains(part), "{part} is absent from {said}");
        }
    }
}

#[test]
fn dedupe_passes_each_id_once_and_alarms_where_bytes_differ() {
    let shop = Shop::new();
    let (a, b) = ("{\"event_id\":\"a\",\"score\":1}\n", "{\"event_id\":\"b\"}\n");
    shop.write("one.jsonl", [a, b, a].concat());
    shop.write("two.jsonl", [b, a].concat());
    let (said, complained) = shop.ends(0, &["dedupe", "one.jsonl", "two.jsonl"]);
    assert_eq!(said, [a, b].concat());
    assert_eq!(complained, "5 lines, 2 passed, 3 repeated, 0 of a known id with other bytes\n");
    shop.write("other.jsonl", "{\"event_id\":\"a\",\"score\":2}\n");
    let (said, complained) = shop.ends(1, &["dedupe", "one.jsonl", "other.jsonl"]);
    assert_eq!(said, [a, b].concat());
    assert!(complained.starts_with("other.jsonl: \"a\" came before with other bytes\n"), "{complained}");
    assert!(shop.ends(1, &["dedupe", "absent.jsonl"]).1.contains("absent.jsonl"));
}
