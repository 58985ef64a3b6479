//! Models that score beside the one that decides, of real processes: they change no byte, and folders that are copied start as configured.
//!
//! Holds: a test waits for bytes, an answer or an exit, never for a time to be over.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds, said, signal, status_until, wait_for};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Child;

const CONFIG: &str = "[model]\nfolder = \"models\"\n[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n\
[sink]\ntype = \"file\"\npath = \"out\"\n[history]\nfolder = \"data\"\npipeline = \"shop\"\n";

const OUTPUTS: [&str; 3] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"];

/// A version of the demo's model; a lenient one approves everything.
fn model(shop: &Shop, version: &str, is_lenient: bool) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/2");
    let folder = shop.path(&format!("models/shop/{version}"));
    fs::create_dir_all(&folder).expect("a folder");
    for entry in fs::read_dir(&demo).expect("the demo's model") {
        let entry = entry.expect("a file");
        fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
    }
    if is_lenient {
        let manifest = shop.read(&format!("models/shop/{version}/manifest.toml"));
        let lines = manifest.lines().map(|line| match line.split_once(" = ") {
            Some(("review_at", _)) => "review_at = 1.0",
            Some(("decline_at", _)) => "decline_at = 1.0",
            _ => line,
        });
        let text: String = lines.map(|line| line.to_owned() + "\n").collect();
        shop.write(&format!("models/shop/{version}/manifest.toml"), text);
    }
}

/// A shop with one model, which decides.
fn one_model() -> Shop {
    let shop = Shop::new();
    model(&shop, "1", false);
    shop.write("c.toml", CONFIG);
    shop.good(&["model", "activate", "shop/1"]);
    shop
}

fn three_models(shop: &Shop) {
    model(shop, "1", false);
    model(shop, "2", false);
    model(shop, "3", true);
    shop.write("c.toml", CONFIG);
    shop.good(&["model", "activate", "shop/1"]);
}

/// Scores of a model, with their sequence.
fn scores(shop: &Shop, file: &str, model: &str) -> Vec<(u64, Value)> {
    let lines = shop.json_lines(file);
    let of = lines.into_iter().filter(|line| line["model"] == model);
    of.map(|line| (line["sequence"].as_u64().expect("a number"), line["score"].clone())).collect()
}

fn replay(shop: &Shop, output: &str, more: &[&str]) {
    let mut arguments = vec!["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", output];
    arguments.extend(more);
    shop.good(&arguments);
}

#[test]
fn challengers_change_no_byte_and_score_as_they_would_decide() {
    let shop = Shop::with_checkouts();
    three_models(&shop);
    replay(&shop, "alone", &[]);
    assert!(!shop.path("alone/shadow.jsonl").exists());
    holds(
        &shop.good(&["model", "shadow", "shop/2", "--config", "c.toml"]),
        &["shop/2 scores 1 of all events"],
    );
    shop.good(&["model", "shadow", "shop/3", "--share", "0.25"]);
    holds(&shop.good(&["model", "list"]), &["active    shop/1", "shadow    shop/2", "shadow    shop/3"]);
    replay(&shop, "beside", &[]);
    replay(&shop, "other", &["--workers", "2", "--set", "engine.batch_max=7"]);
    for output in OUTPUTS {
        assert_eq!(shop.read(&format!("alone/{output}")), shop.read(&format!("beside/{output}")), "{output}");
        assert_eq!(shop.read(&format!("alone/{output}")), shop.read(&format!("other/{output}")), "{output}");
    }
    assert_eq!(shop.read("beside/shadow.jsonl"), shop.read("other/shadow.jsonl"), "the same share, in order");

    let decided = shop.json_lines("alone/decisions.jsonl");
    let decided: Vec<_> = decided
        .iter()
        .map(|line| (line["sequence"].as_u64().expect("a number"), line["score"].clone()))
        .collect();
    assert_eq!(scores(&shop, "beside/shadow.jsonl", "shop/2"), decided, "every event, the score to the bit");
    let share = scores(&shop, "beside/shadow.jsonl", "shop/3");
    assert!((150..350).contains(&share.len()), "{}", share.len());
    assert!(share.iter().all(|score| decided.contains(score)), "the thresholds alone differ");

    let report = shop.good(&["model", "shadow", "--report", "beside"]);
    holds(
        &report,
        &["shop/2 beside shop/1: 1000 of 1000 events", "1000 (100.00 %)", "skipped 0 events", "us an event"],
    );
    let json: Value =
        serde_json::from_str(&shop.good(&["model", "shadow", "--report", "beside", "--json"])).expect("JSON");
    let lenient = &json["pairs"][1];
    assert_eq!((&lenient["challenger"], &lenient["events"]), (&"shop/3".into(), &share.len().into()));
    let all = shop.json_lines("alone/decisions.jsonl");
    let is_scored = |line: &&Value| share.iter().any(|(sequence, _)| line["sequence"] == *sequence);
    let alike = all.iter().filter(is_scored).filter(|line| line["decision"] == "approve").count();
    assert_eq!(lenient["agreed"], alike);
    assert!(alike < share.len(), "{lenient:#}");
    assert_eq!(json["pairs"][0]["psi"], 0.0);

    // A run before is not mixed with this one.
    shop.good(&["model", "shadow", "shop/2", "--off"]);
    shop.good(&["model", "shadow", "shop/3", "--off"]);
    replay(&shop, "beside", &["--force"]);
    assert!(!shop.path("beside/shadow.jsonl").exists() && !shop.path("beside/shadow.json").exists());
    let audit = shop.json_lines("models/audit.jsonl");
    let acts: Vec<_> = audit.iter().map(|line| line["action"].as_str().expect("text")).collect();
    assert_eq!(acts, ["activate", "shadow", "shadow", "shadow_off", "shadow_off"]);
    assert_eq!((&audit[2]["model"], &audit[2]["share"]), (&"shop/3".into(), &0.25.into()));
}

#[test]
fn what_cannot_score_in_shadow_is_refused() {
    let shop = Shop::new();
    three_models(&shop);
    holds(&shop.bad(2, &["model", "shadow", "shop/4"]), &["has no model", "did you mean shop/"]);
    holds(&shop.bad(2, &["model", "shadow", "shop/1"]), &["shop/1", "it decides"]);
    for share in ["0", "1.5", "nan"] {
        holds(&shop.bad(2, &["model", "shadow", "shop/2", "--share", share]), &["above 0 and up to 1"]);
    }
    holds(&shop.bad(2, &["model", "shadow", "shop/2", "--off"]), &["in shadow", "none is"]);
    for version in 5..13 {
        model(&shop, &version.to_string(), false);
        shop.good(&["model", "shadow", &format!("shop/{version}")]);
    }
    holds(&shop.bad(2, &["model", "shadow", "shop/2"]), &["8 models in shadow", "--off"]);
    holds(&shop.bad(2, &["model", "shadow", "--report", "nowhere"]), &["nowhere/decisions.jsonl"]);
    // A challenger that is gone costs its scores and nothing else.
    fs::remove_dir_all(shop.path("models/shop/5")).expect("a folder");
    shop.write("in.jsonl", checkouts(0, 100));
    let (_, complained) =
        shop.ends(0, &["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", "out"]);
    holds(&complained, &["model shop/5 is refused"]);
    assert_eq!(scores(&shop, "out/shadow.jsonl", "shop/6").len(), 100);
    assert!(scores(&shop, "out/shadow.jsonl", "shop/5").is_empty());
}

/// A run whose source is a pipe, and that pipe.
fn running(shop: &Shop, more: &[&str]) -> (Child, fs::File) {
    shop.make_pipe("in.jsonl");
    let mut arguments = vec!["run", "--config", "c.toml"];
    arguments.extend(more);
    let child = shop.start(&arguments);
    let pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    (child, pipe)
}

fn text_of(value: &Value) -> String {
    value.to_string()
}

#[test]
fn challengers_come_and_go_while_it_runs_and_a_crash_tears_no_line() {
    let shop = Shop::new();
    three_models(&shop);
    shop.good(&["model", "shadow", "shop/2"]);
    let (mut child, mut pipe) = running(&shop, &[]);
    pipe.write_all(checkouts(0, 300).as_bytes()).expect("a reader");
    let report = status_until(&shop, |report| report["shadow"]["models"][0]["scored"] == 300);
    assert_eq!(report["models"]["active"], "shop/1");
    assert_eq!(text_of(&report["models"]["challengers"]), r#"[{"model":"shop/2","share":1.0}]"#);
    assert_eq!(report["shadow"]["skipped"], 0);
    shop.good(&["model", "shadow", "shop/3"]);
    shop.good(&["model", "shadow", "shop/2", "--off"]);
    let mut next = 300;
    wait_for(|| {
        pipe.write_all(checkouts(next, next + 20).as_bytes()).expect("a reader");
        next += 20;
        std::thread::sleep(std::time::Duration::from_millis(20));
        shop.read("out/shadow.jsonl").contains("shop/3")
    });
    let text = shop.good(&["status", "--config", "c.toml"]);
    holds(&text, &["model     shop/1", "in shadow shop/3", "scored    shop/2"]);
    signal("-KILL", &child);
    child.wait().expect("it is killed");
    drop(pipe);
    // As a kill in the middle of a write leaves it.
    let mut torn = fs::File::options().append(true).open(shop.path("out/shadow.jsonl")).expect("a file");
    torn.write_all(b"{\"sequence\":12345,\"mod").expect("written");
    let before = scores(&shop_without_tail(&shop), "out/shadow.jsonl", "shop/3");

    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    shop.write("in.jsonl", checkouts(0, next + 100));
    shop.good(&["run", "--config", "c.toml"]);
    let after = scores(&shop, "out/shadow.jsonl", "shop/3");
    assert_eq!(after[..before.len()], before);
    let sequences: Vec<_> = after.iter().map(|(sequence, _)| *sequence).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next), "each once, in order");
    assert_eq!(sequences.last(), Some(&(next + 99)));
    assert!(scores(&shop, "out/shadow.jsonl", "shop/2").len() >= 300);
    shop.good(&["model", "shadow", "--report", "out"]);
    shop.good(&["verify", "--config", "c.toml", "--outputs"]);
}

/// The same shop; its scores without the line that was torn.
fn shop_without_tail(shop: &Shop) -> Shop {
    let copy = Shop::new();
    let text = shop.read("out/shadow.jsonl");
    copy.make_folder("out");
    copy.write("out/shadow.jsonl", &text[..=text.rfind('\n').expect("a line")]);
    copy
}

#[test]
fn of_a_sink_that_is_no_folder_scores_go_where_it_is_said() {
    let shop = Shop::with_checkouts();
    three_models(&shop);
    shop.good(&["model", "shadow", "shop/2"]);
    shop.write("c.toml", "[model]\nfolder = \"models\"\n[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n[sink]\ntype = \"stdout\"\n");
    let alone = shop.good(&[
        "run",
        "--config",
        "c.toml",
        "--set",
        "model.folder=",
        "--set",
        "model.path=models/shop/1",
    ]);
    let beside = shop.good(&["run", "--config", "c.toml", "--set", "shadow.path=kept/scores.jsonl"]);
    assert_eq!(alone, beside);
    let kept = scores(&shop, "kept/scores.jsonl", "shop/2");
    // Where it cannot keep up events are skipped, and counted.
    let skipped = shop.json("kept/shadow.json")["skipped"].as_u64().expect("a number");
    assert_eq!(kept.len() as u64 + skipped, 1_000);
}

#[test]
fn a_copied_folder_waits_until_it_is_whole_and_starts_in_shadow() {
    let shop = one_model();
    let (child, mut pipe) = running(&shop, &[]);
    pipe.write_all(checkouts(0, 100).as_bytes()).expect("a reader");
    status_until(&shop, |report| report["counts"]["events"] == 100);

    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/2");
    let bytes = fs::read(demo.join("model.json")).expect("the demo's model");
    fs::create_dir_all(shop.path("models/shop/2")).expect("a folder");
    for name in ["manifest.toml", "golden.jsonl"] {
        fs::copy(demo.join(name), shop.path(&format!("models/shop/2/{name}"))).expect("copied");
    }
    shop.write("models/shop/2/model.json", &bytes[..bytes.len() / 2]);
    let waits = |report: &Value| text_of(&report["models"]["waiting"]).contains("half-written");
    let report = status_until(&shop, waits);
    assert_eq!(
        (&report["models"]["waiting"][0]["model"], &report["models"]["active"]),
        (&"shop/2".into(), &"shop/1".into())
    );
    holds(&shop.good(&["status", "--config", "c.toml"]), &["waiting   shop/2"]);
    shop.write("models/shop/2/model.json", &bytes);
    let report = status_until(&shop, |report| !text_of(&report["models"]["challengers"]).eq("[]"));
    assert_eq!(text_of(&report["models"]["challengers"]), r#"[{"model":"shop/2","share":1.0}]"#);
    assert_eq!(text_of(&report["models"]["waiting"]), "[]");
    holds(&shop.read("models/deployment.toml"), &["active = \"shop/1\"", "\"shop/2\" = 1.0"]);
    let audit = shop.json_lines("models/audit.jsonl");
    assert_eq!((&audit[1]["action"], &audit[1]["by"]), (&"shadow".into(), &"service".into()));
    pipe.write_all(checkouts(100, 200).as_bytes()).expect("a reader");
    drop(pipe);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    holds(&complained, &["model shop/2 has arrived: it scores in shadow"]);
    assert!(!scores(&shop, "out/shadow.jsonl", "shop/2").is_empty());
}

/// M1: what a command was about, or what was there when models were first watched, is left as it is.
#[test]
fn a_folder_that_was_copied_while_nobody_ran_starts_at_the_next_start() {
    let shop = one_model();
    model(&shop, "2", false);
    let (mut child, mut pipe) = running(&shop, &[]);
    pipe.write_all(checkouts(0, 100).as_bytes()).expect("a reader");
    status_until(&shop, |report| report["counts"]["events"] == 100);
    let challengers = |wanted: &'static str| {
        status_until(&shop, move |report| text_of(&report["models"]["challengers"]) == wanted)
    };
    challengers("[]");
    model(&shop, "3", false);
    challengers(r#"[{"model":"shop/3","share":1.0}]"#);
    shop.good(&["model", "shadow", "shop/3", "--off"]);
    challengers("[]");
    signal("-TERM", &child);
    assert!(child.wait().expect("it ends").success());
    drop(pipe);

    model(&shop, "4", false);
    let child = shop.start(&["run", "--config", "c.toml"]);
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    pipe.write_all(checkouts(0, 200).as_bytes()).expect("a reader");
    challengers(r#"[{"model":"shop/4","share":1.0}]"#);
    drop(pipe);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    holds(&complained, &["model shop/4 has arrived: it scores in shadow"]);
    assert_eq!(complained.matches("has arrived").count(), 1, "{complained}");
    let audit = shop.json_lines("models/audit.jsonl");
    let acts: Vec<_> = audit.iter().map(|line| line["action"].as_str().expect("text")).collect();
    assert_eq!(acts, ["activate", "shadow", "shadow_off", "shadow"]);
}

/// A lock that cannot be had is nobody's model's fault: the folder starts when it can be, and until then commands are heeded.
#[test]
fn a_copied_folder_that_cannot_start_yet_starts_later() {
    let shop = one_model();
    let (child, mut pipe) = running(&shop, &[]);
    pipe.write_all(checkouts(0, 100).as_bytes()).expect("a reader");
    status_until(&shop, |report| report["counts"]["events"] == 100);

    fs::create_dir(shop.path("models/.deployment.lock")).expect("a folder in the place of the lock");
    model(&shop, "2", false);
    let waits = |report: &Value| text_of(&report["models"]["waiting"]).contains("cannot be locked");
    status_until(&shop, waits);
    fs::remove_dir(shop.path("models/.deployment.lock")).expect("gone");
    status_until(&shop, |report| !text_of(&report["models"]["challengers"]).eq("[]"));
    drop(pipe);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    holds(
        &complained,
        &["model shop/2 has arrived, and starts later: ", "model shop/2 has arrived: it scores"],
    );
    assert_eq!(complained.matches("starts later").count(), 1, "{complained}");
}

/// M9: a bad folder is refused with the reason wherever somebody looks, and the model before goes on.
#[test]
fn a_copied_folder_that_is_bad_is_refused_and_the_old_model_stays() {
    let shop = one_model();
    let (child, mut pipe) = running(&shop, &["--set", "model.start=active"]);
    pipe.write_all(checkouts(0, 100).as_bytes()).expect("a reader");
    status_until(&shop, |report| report["counts"]["events"] == 100);
    // Whole by its manifest, and wrong: golden rows of another model; a feature that nobody computes.
    for (version, from, to) in
        [("2", "\"score\":0.", "\"score\":0.9"), ("3", "\"amount\"", "\"no_such_feature\"")]
    {
        model(&shop, "made", false);
        let [manifest, golden] =
            ["manifest.toml", "golden.jsonl"].map(|name| shop.read(&format!("models/shop/made/{name}")));
        let (manifest, golden) = if version == "2" {
            let changed = golden.replacen(from, to, 1);
            (resized(&manifest, &golden, &changed), changed)
        } else {
            (manifest.replacen(from, to, 1), golden)
        };
        shop.write("models/shop/made/manifest.toml", manifest);
        shop.write("models/shop/made/golden.jsonl", golden);
        // As a training does: it appears whole.
        fs::create_dir_all(shop.path("models/.beside")).expect("a folder");
        fs::rename(shop.path("models/shop/made"), shop.path(&format!("models/.beside/{version}")))
            .expect("renamed");
        fs::rename(
            shop.path(&format!("models/.beside/{version}")),
            shop.path(&format!("models/shop/{version}")),
        )
        .expect("renamed");
    }
    let report = status_until(&shop, |report| {
        report["models"]["refused"].as_array().is_some_and(|all| all.len() >= 2)
    });
    let refused = text_of(&report["models"]["refused"]);
    holds(&refused, &["shop/2", "golden.jsonl: line ", "shop/3", "no_such_feature"]);
    assert_eq!((&report["models"]["active"], &report["phase"]), (&"shop/1".into(), &"running".into()));
    holds(&text_of(&report["degraded"]), &["model_refused"]);
    let listed = shop.good(&["model", "list", "--config", "c.toml"]);
    holds(&listed, &["active    shop/1", "refused: models/shop/2/golden.jsonl", "no_such_feature"]);
    pipe.write_all(checkouts(100, 200).as_bytes()).expect("a reader");
    // A good one decides.
    model(&shop, "4", false);
    status_until(&shop, |report| report["models"]["active"] == "shop/4");
    let mut next = 200;
    wait_for(|| {
        pipe.write_all(checkouts(next, next + 20).as_bytes()).expect("a reader");
        next += 20;
        std::thread::sleep(std::time::Duration::from_millis(20));
        shop.read("out/decisions.jsonl").contains("shop/4")
    });
    let report = status_until(&shop, |report| report["models"]["switches"] == 1);
    assert!(report["models"]["switch_us_max"].as_f64().is_some_and(|us| us > 0.0), "{report:#}");
    drop(pipe);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 0, &["run"]);
    holds(
        &complained,
        &["model shop/2 is refused", "model shop/3 is refused", "model shop/4 has arrived: it is to decide"],
    );
    let of: Vec<_> =
        shop.json_lines("out/decisions.jsonl").iter().map(|line| line["model"].clone()).collect();
    assert!(of[..200].iter().all(|model| model == "shop/1"), "until then the old one decides");
    // The file that the pipe should have been.
    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    shop.write("in.jsonl", checkouts(0, next));
    shop.good(&["verify", "--config", "c.toml", "--outputs"]);
}

/// A manifest that says of changed golden rows that they are right.
fn resized(manifest: &str, before: &str, after: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = |text: &str| -> String {
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert!(manifest.contains(&hash(before)));
    let sizes = [before, after].map(|text| format!("bytes = {}", text.len()));
    manifest.replace(&hash(before), &hash(after)).replace(&sizes[0], &sizes[1])
}

#[test]
fn a_copied_folder_may_start_by_nobody() {
    let shop = one_model();
    let (mut child, pipe) = running(&shop, &["--set", "model.start=none"]);
    status_until(&shop, |report| report["phase"] == "running");
    model(&shop, "2", false);
    let mut told = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains("model shop/2 has arrived: it is good, and waits for")));
    drop(pipe);
    told.for_each(drop);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(shop.read("models/audit.jsonl").lines().count(), 1);
}

/// M10, A10: sizes, names and kinds of files come before anything that is in them.
#[test]
fn a_folder_of_hostile_files_is_refused_before_it_is_read() {
    let shop = Shop::new();
    model(&shop, "1", false);
    let manifest = shop.read("models/shop/1/manifest.toml");
    let check = |manifest: String, wanted: &[&str]| {
        shop.write("models/shop/1/manifest.toml", manifest);
        holds(&shop.bad(2, &["model", "check", "models/shop/1"]), wanted);
    };
    for name in ["../../../c.toml", "/etc/passwd", "sub/model.json"] {
        check(manifest.replacen("model.json", name, 1), &["a plain name within the folder"]);
    }
    check(manifest.replacen("[model]", "unknown = 1\n[model]", 1), &["unknown field"]);
    check("features = [".repeat(100_000), &["manifest.toml"]);
    // 4 GB that take no room: the manifest says so, and so it is.
    let whole = fs::metadata(shop.path("models/shop/1/model.json")).expect("a file").len();
    let huge = 4_u64 << 30;
    let file = fs::File::options().write(true).open(shop.path("models/shop/1/model.json")).expect("a file");
    file.set_len(huge).expect("a sparse file");
    let said = |bytes: u64| format!("bytes = {bytes}");
    assert!(manifest.contains(&said(whole)));
    check(manifest.replace(&said(whole), &said(huge)), &["4294967296 bytes, more than"]);
    fs::remove_file(shop.path("models/shop/1/model.json")).expect("a file");
    shop.make_pipe("models/shop/1/model.json");
    check(manifest.clone(), &["neither a file nor a folder"]);
    fs::remove_file(shop.path("models/shop/1/model.json")).expect("a pipe");
    std::os::unix::fs::symlink("/dev/zero", shop.path("models/shop/1/model.json")).expect("linked");
    check(manifest, &["a link out of the folder"]);
}
