//! `cartguard model` as a process: the trainers' golden models through import and score, and every refusal.

mod golden_rows;
mod shop;

use golden_rows::{Case, golden};
use shop::Shop;
use std::fs;

const IMPORT: [&str; 8] =
    ["model", "import", "--from", "model.json", "--output", "models/small/1", "--feature-names", "names.txt"];
const SCORE: [&str; 8] =
    ["model", "score", "--model", "models/small/1", "--input", "rows.csv", "--output", "scores.csv"];

/// A small model under models/small/1, and names.txt and rows.csv for it.
fn with_model() -> Shop {
    let shop = Shop::new();
    let case = Case::read("xgb-3.2-base", "rows");
    shop.write("model.json", fs::read(golden().join("xgb-3.2-base.json")).expect("a golden model"));
    shop.write("names.txt", case.names().join("\n"));
    shop.write("rows.csv", case.csv(&case.names()));
    shop.good(&IMPORT);
    shop
}

#[test]
fn every_golden_model_is_imported_and_scores_its_rows_to_the_bit() {
    let shop = Shop::new();
    let cases = Case::all();
    assert!(cases.len() >= 40, "{cases:?}");
    assert!(cases.iter().any(|(_, kind)| *kind == "wide"), "{cases:?}");
    for (name, kind) in cases {
        let case = Case::read(&name, kind);
        shop.write("names.txt", case.names().join("\n"));
        shop.write("rows.csv", case.csv(&case.names()));
        for end in ["json", "ubj", "txt"] {
            let file = golden().join(format!("{name}.{end}"));
            let (Some(from), true) = (file.to_str(), file.exists()) else { continue };
            let (folder, scores) =
                (format!("models/{name}-{kind}/{end}"), format!("{name}.{kind}.{end}.csv"));
            let said = shop.good(&[
                "model",
                "import",
                "--from",
                from,
                "--output",
                &folder,
                "--feature-names",
                "names.txt",
                "--golden",
                "rows.csv",
                "--review-at",
                "0.25",
                "--decline-at",
                "0.75",
            ]);
            assert!(said.contains("120 rows score as the trainer says"), "{said}");
            shop.good(&["model", "score", "--model", &folder, "--input", "rows.csv", "--output", &scores]);
            let text = shop.read(&scores);
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("score,margin"));
            for (line, (_, margin, score)) in lines.by_ref().zip(&case.rows) {
                let (our_score, our_margin) = line.split_once(',').expect("two columns");
                for (ours, theirs) in [(our_score, score), (our_margin, margin)] {
                    let same = if case.single {
                        ours.parse::<f32>().map(|ours| ours.to_bits()) == Ok((*theirs as f32).to_bits())
                    } else {
                        ours.parse::<f64>().map(f64::to_bits) == Ok(theirs.to_bits())
                    };
                    assert!(same, "{name}.{kind}.{end}: ours {ours}, the trainer's {theirs}");
                    assert!(ours.len() <= 24, "{ours} is not the shortest text");
                }
            }
            assert_eq!(text.lines().count(), case.rows.len() + 1);
        }
    }
}

#[test]
fn a_folder_holds_the_model_its_manifest_and_golden_rows() {
    let shop = with_model();
    let folder = shop.path("models/small/1");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file").file_name()).collect();
    files.sort();
    assert_eq!(files, ["golden.jsonl", "manifest.toml", "model.json"]);
    assert_eq!(fs::read(folder.join("model.json")).ok(), fs::read(shop.path("model.json")).ok());
    let manifest: toml::Table = shop.read("models/small/1/manifest.toml").parse().expect("TOML");
    assert_eq!(manifest["format"].as_str(), Some("xgboost-json"));
    assert_eq!(manifest["precision"].as_str(), Some("f32"));
    assert_eq!(manifest["features"][1].as_str(), Some("f1"));
    assert_eq!(manifest["thresholds"]["review_at"].as_float(), Some(0.5));
    assert_eq!(manifest["thresholds"]["decline_at"].as_float(), Some(0.9));
    let rows = shop.read("models/small/1/golden.jsonl");
    assert!(rows.lines().count() >= 64, "{}", rows.lines().count());
    // Nothing unfinished is left beside it.
    assert_eq!(fs::read_dir(shop.path("models/small")).expect("the folder").count(), 1);
    // A second import of the same file gives the same bytes.
    let mut again = IMPORT;
    again[5] = "models/small/2";
    shop.good(&again);
    for file in ["golden.jsonl", "manifest.toml"] {
        assert_eq!(
            shop.read(&format!("models/small/1/{file}")),
            shop.read(&format!("models/small/2/{file}"))
        );
    }
}

#[test]
fn names_come_from_the_model_unless_a_file_is_given() {
    let shop = Shop::new();
    let case = Case::read("xgb-3.2-logistic", "rows");
    shop.write("model.ubj", fs::read(golden().join("xgb-3.2-logistic.ubj")).expect("a golden model"));
    let import = ["model", "import", "--from", "model.ubj", "--output", "models/own/1"];
    shop.good(&import);
    let manifest: toml::Table = shop.read("models/own/1/manifest.toml").parse().expect("TOML");
    assert_eq!(manifest["features"][5].as_str(), Some("item,é\"\\"));

    shop.write("names.txt", "\u{feff}a\r\nb\r\nc\r\nd\r\ne\r\nf\r\n\r\n");
    let mut named = import.to_vec();
    named[5] = "models/own/2";
    named.extend(["--feature-names", "names.txt"]);
    shop.good(&named);
    let manifest: toml::Table = shop.read("models/own/2/manifest.toml").parse().expect("TOML");
    assert_eq!(manifest["features"][5].as_str(), Some("f"));

    named[5] = "models/own/3";
    shop.write("names.txt", "a\nb\n");
    let said = shop.bad(2, &named);
    assert!(said.contains("names.txt: has 2 names, the model in model.ubj has 6 features"), "{said}");
    shop.write("names.txt", "a\nb\na\nd\ne\nf\n");
    let said = shop.bad(2, &named);
    assert!(said.contains("names.txt: line 3: `a` is feature 1 already"), "{said}");
    shop.write("names.txt", "a\n\nc\nd\ne\nf\n");
    assert!(shop.bad(2, &named).contains("names.txt: line 2: the name of a feature is empty"));
    assert!(case.rows.len() == 120 && !shop.path("models/own/3").exists());
}

#[test]
fn a_model_without_names_says_how_to_give_them() {
    let shop = with_model();
    let said = shop.bad(2, &["model", "import", "--from", "model.json", "--output", "models/small/2"]);
    assert!(
        said.contains("model.json: has no feature names: give --feature-names FILE with 6 lines"),
        "{said}"
    );
}

#[test]
fn names_that_lightgbm_made_up_are_names() {
    let shop = Shop::new();
    let text = fs::read_to_string(golden().join("lgb-3.3-nan.txt")).expect("a golden model");
    let names = text.lines().find_map(|line| line.strip_prefix("feature_names=")).expect("names");
    let made_up: Vec<String> = (0..names.split(' ').count()).map(|at| format!("Column_{at}")).collect();
    shop.write("model.txt", text.replace(names, &made_up.join(" ")));
    let said = shop.good(&["model", "import", "--from", "model.txt", "--output", "models/own/1"]);
    assert!(said.contains("features have the names that LightGBM makes up"), "{said}");
    let manifest: toml::Table = shop.read("models/own/1/manifest.toml").parse().expect("TOML");
    assert_eq!(manifest["features"][1].as_str(), Some("Column_1"));
}

#[test]
fn early_stopping_is_told_of() {
    let shop = with_model();
    let text = shop.read("model.json");
    let with = text.replacen("\"attributes\":{}", "\"attributes\":{\"best_iteration\":\"1\"}", 1);
    assert_ne!(with, text);
    shop.write("model.json", with);
    let import = [&IMPORT[..5], &["models/small/2", "--feature-names", "names.txt"]].concat();
    let said = shop.good(&import);
    assert!(said.contains("early stopping found the first 2 rounds best; all its 8 trees"), "{said}");
    assert!(said.contains("save `booster[:2]`"), "{said}");
}

#[test]
fn rows_are_not_scored_onto_themselves() {
    let shop = with_model();
    let rows = shop.read("rows.csv");
    for output in ["rows.csv", "./rows.csv"] {
        let score = [
            "model",
            "score",
            "--model",
            "models/small/1",
            "--input",
            "rows.csv",
            "--output",
            output,
            "--force",
        ];
        let said = shop.bad(2, &score);
        assert!(
            said.contains(&format!("{output}: is the input rows.csv, and would be overwritten")),
            "{said}"
        );
        assert!(shop.read("rows.csv") == rows, "the rows were changed");
    }
}

#[test]
fn golden_rows_that_differ_refuse_the_import() {
    let shop = with_model();
    let mut case = Case::read("xgb-3.2-base", "rows");
    let import =
        [&IMPORT[..5], &["models/small/2", "--feature-names", "names.txt", "--golden", "rows.csv"]].concat();
    let names = case.names();
    let right = case.rows[16].clone();

    case.rows[16].1 = f64::from((right.1 as f32).next_up());
    shop.write("rows.csv", case.csv(&names));
    let said = shop.bad(2, &import);
    let (ours, theirs) =
        (format!("ours: margin {}", right.1 as f32), format!("theirs: margin {}", case.rows[16].1 as f32));
    assert!(said.contains("rows.csv: row 17: ") && said.contains(&ours) && said.contains(&theirs), "{said}");
    assert!(!shop.path("models/small/2").exists());

    // Beside an equal margin one unit in the score's last place is the trainer's exponential; without it, it is not.
    case.rows[16] = (right.0.clone(), right.1, f64::from((right.2 as f32).next_up()));
    shop.write("rows.csv", case.csv(&names));
    assert!(shop.good(&import).contains("1 scores (not margins) are one unit in the last place away"));
    shop.write("rows.csv", case.csv(&names).replacen("margin", "other", 1));
    let mut third = import.clone();
    third[5] = "models/small/3";
    let said = shop.bad(2, &third);
    assert!(said.contains("row 17: ours: margin") && said.contains("theirs: score"), "{said}");

    shop.write("rows.csv", case.csv(&names).replacen("score", "scores", 1));
    let said = shop.bad(2, &third);
    assert!(said.contains("column is absent: \"score\" (did you mean \"scores\"?)"), "{said}");
}

/// `0.1` is no f32: where the trainer scored the f32 and a threshold lies between the two, the import says so.
#[test]
fn the_shortest_text_of_an_f32_is_another_number() {
    let shop = Shop::new();
    let case = Case::read("lgb-4.7-nan", "rows");
    let shortest = |x: &String| x.parse::<f64>().map_or(String::new(), |x| (x as f32).to_string());
    let rows = case.rows.iter().map(|(x, margin, score)| (x.iter().map(shortest).collect(), *margin, *score));
    let short = Case { single: false, rows: rows.collect() };
    shop.write("names.txt", case.names().join("\n"));
    let from = golden().join("lgb-4.7-nan.txt").display().to_string();
    let import = |folder| {
        let flags = [
            "--feature-names",
            "names.txt",
            "--golden",
            "rows.csv",
            "--review-at",
            "0.2",
            "--decline-at",
            "0.8",
        ];
        [&["model", "import", "--from", &from, "--output", folder][..], &flags].concat().join(" ")
    };
    shop.write("rows.csv", case.csv(&case.names()));
    shop.good(&import("models/all/1").split(' ').collect::<Vec<_>>());
    shop.write("rows.csv", short.csv(&case.names()));
    let refused = shop.bad(2, &import("models/short/1").split(' ').collect::<Vec<_>>());
    assert!(refused.contains("numbers so far are f64 beside a threshold"), "{refused}");
}

#[test]
fn thresholds_are_checked() {
    let shop = with_model();
    let import = |given: &[&'static str]| [&IMPORT[..5], &["models/small/2"], &IMPORT[6..], given].concat();
    for (given, what) in [
        (["--review-at", "0.9", "--decline-at", "0.5"], "review_at = 0.9 is above decline_at = 0.5"),
        (["--review-at", "0.5", "--decline-at", "1.5"], "decline_at = 1.5: a number from 0 to 1"),
        (["--review-at", "nan", "--decline-at", "1"], "review_at = NaN: a number from 0 to 1"),
    ] {
        let said = shop.bad(2, &import(&given));
        assert!(said.contains(what), "{said}");
    }
    shop.good(&import(&["--review-at", "0.1", "--decline-at", "0.3"]));
    let text = shop.read("models/small/2/manifest.toml");
    assert!(text.contains("review_at = 0.1\ndecline_at = 0.3\n"), "{text}");
}

#[test]
fn provenance_is_kept() {
    let shop = with_model();
    shop.write(
        "from.toml",
        "trainer = \"xgboost\"\nversion = \"3.2.0\"\n[metrics]\nauc = 0.97\n[data]\nrows = 10\n",
    );
    let import = [&IMPORT[..5], &["models/small/2"], &IMPORT[6..], &["--provenance", "from.toml"]].concat();
    shop.good(&import);
    let manifest: toml::Table = shop.read("models/small/2/manifest.toml").parse().expect("TOML");
    assert_eq!(manifest["provenance"]["metrics"]["auc"].as_float(), Some(0.97));
    assert_eq!(manifest["provenance"]["source"].as_str(), Some("model.json"));
    shop.good(&["model", "score", "--model", "models/small/2", "--input", "rows.csv", "--output", "2.csv"]);
    shop.write("from.toml", "trainr = \"xgboost\"\n");
    let mut third = import.clone();
    third[5] = "models/small/3";
    assert!(shop.bad(2, &third).contains("from.toml: "));
}

#[test]
fn what_is_no_model_is_refused_by_name() {
    let shop = with_model();
    for (name, bytes, what) in [
        ("model.pkl", &b"\x80\x04\x95\x10\x00"[..], "Python pickle"),
        ("model.bin", b"binf\x00\x00", "XGBoost's old binary format"),
        ("empty.json", b"", "the file is empty"),
        ("short.json", b"{\"learner\":{", "short.json"),
        ("text.txt", b"hello", "it begins like none of"),
    ] {
        shop.write(name, bytes);
        let said = shop.bad(2, &["model", "import", "--from", name, "--output", "models/bad/1"]);
        assert!(said.contains(&format!("{name}: ")) && said.contains(what), "{said}");
    }
    let said = shop.bad(1, &["model", "import", "--from", "none.json", "--output", "models/bad/1"]);
    assert!(said.contains("none.json: cannot be read: No such file"), "{said}");
    let said = shop.bad(2, &["model", "import", "--from", "models", "--output", "models/bad/1"]);
    assert!(said.contains("models: is a folder"), "{said}");
    assert!(!shop.path("models/bad").exists(), "nothing is left of refused imports");
    // A sparse file: its size is looked at before a byte of it.
    let file = fs::File::create(shop.path("huge.json")).expect("a file");
    file.set_len(4 << 30).expect("sparse");
    let said = shop.bad(2, &["model", "import", "--from", "huge.json", "--output", "models/bad/1"]);
    assert!(said.contains("huge.json: has 4294967296 bytes, more than"), "{said}");
}

#[test]
fn folders_that_exist_and_bad_names_are_refused() {
    let shop = with_model();
    let said = shop.bad(2, &IMPORT);
    assert!(said.contains("models/small/1: exists; a version is never changed"), "{said}");
    for output in ["models/sm all/1", "models/small/.2", "models/small/v:1"] {
        let mut import = IMPORT;
        import[5] = output;
        let said = shop.bad(2, &import);
        assert!(said.contains(output) && said.contains("NAME/VERSION"), "{said}");
        assert!(!shop.path(output).exists());
    }
}

#[test]
fn scores_ask_for_every_column_and_keep_files_that_exist() {
    let shop = with_model();
    shop.good(&SCORE);
    let first = shop.read("scores.csv");
    let said = shop.bad(2, &SCORE);
    assert!(said.contains("scores.csv: exists; --force replaces it"), "{said}");
    let forced = [&SCORE[..], &["--force"]].concat();
    shop.good(&forced);
    assert_eq!(shop.read("scores.csv"), first);

    shop.write("rows.csv", "f0,f2,f33,f4,f5\n1,2,3,4,5\n");
    let said = shop.bad(2, &forced);
    assert!(said.contains("rows.csv: columns are absent: \"f1\"") && said.contains("\"f3\""), "{said}");
    shop.write("rows.csv", "f0,f1,f2,f3,f4,f5\n1,2,3,4,5,6\n1,2,x,4,5,6\n");
    let said = shop.bad(2, &forced);
    assert!(said.contains("rows.csv: line 3: column \"f2\" is not a number"), "{said}");
    assert_eq!(shop.read("scores.csv"), first, "a refused run leaves the output as it was");
    let left = fs::read_dir(shop.path(".")).expect("the folder").count();
    assert_eq!(left, 5, "model.json, models, names.txt, rows.csv, scores.csv");

    shop.write("rows.csv", "f0,f1,f2,f3,f4,f5\n");
    shop.good(&forced);
    assert_eq!(shop.read("scores.csv"), "score,margin\n");
    let said = shop
        .bad(1, &["model", "score", "--model", "models/none/1", "--input", "rows.csv", "--output", "x.csv"]);
    assert!(said.contains("models/none/1: no model folder"), "{said}");
}

#[test]
fn a_folder_that_was_touched_is_refused() {
    type Touch = fn(&Shop);
    fn edit(shop: &Shop, from: &str, to: &str) {
        let text = shop.read("models/small/1/manifest.toml");
        assert!(text.contains(from), "{text}");
        shop.write("models/small/1/manifest.toml", text.replacen(from, to, 1));
    }
    let touches: [(&str, Touch); 11] = [
        ("model.json: has 100 bytes, model.bytes in manifest.toml says", |shop| {
            let text = shop.read("models/small/1/model.json");
            shop.write("models/small/1/model.json", &text[..100]);
        }),
        ("model.json: has SHA-256", |shop| {
            let text = shop.read("models/small/1/model.json");
            shop.write("models/small/1/model.json", text.replacen('1', "2", 1));
        }),
        ("golden.jsonl: has SHA-256", |shop| {
            let text = shop.read("models/small/1/golden.jsonl");
            shop.write("models/small/1/golden.jsonl", text.replacen('0', "1", 1));
        }),
        ("manifest.toml: cannot be read", |shop| {
            fs::remove_file(shop.path("models/small/1/manifest.toml")).expect("removed");
        }),
        ("golden.jsonl: cannot be read", |shop| {
            fs::remove_file(shop.path("models/small/1/golden.jsonl")).expect("removed");
        }),
        ("unknown field `formt`", |shop| edit(shop, "format", "formt")),
        ("review_at = 0.95 is above", |shop| edit(shop, "review_at = 0.5", "review_at = 0.95")),
        ("has 5 names, the model has 6 features", |shop| edit(shop, "    \"f5\",\n", "")),
        ("precision = F64", |shop| edit(shop, "\"f32\"", "\"f64\"")),
        ("a plain name within the folder", |shop| edit(shop, "\"model.json\"", "\"../model.json\"")),
        ("manifest.toml: cannot be read", |shop| {
            fs::remove_file(shop.path("models/small/1/manifest.toml")).expect("removed");
            std::os::unix::fs::symlink("manifest.toml", shop.path("models/small/1/manifest.toml"))
                .expect("linked");
        }),
    ];
    for (what, touch) in touches {
        let shop = with_model();
        touch(&shop);
        let output = shop.command(&SCORE).output().expect("cartguard runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("models/small/1"), "{what}: {said}");
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn golden_rows_of_another_model_are_noticed() {
    let shop = with_model();
    // A poisoned folder: every hash is right, the model is another one.
    let text = shop.read("models/small/1/golden.jsonl");
    let line = text.lines().next().expect("a line");
    let margin =
        &line[line.find("margin\":").expect("a margin") + 8..line.find(",\"score").expect("a score")];
    let other = text.replacen(margin, "0.12345", 1);
    shop.write("models/small/1/golden.jsonl", &other);
    let manifest = shop.read("models/small/1/manifest.toml");
    let mut table: toml::Table = manifest.parse().expect("TOML");
    let hash: String = {
        use sha2::{Digest, Sha256};
        Sha256::digest(other.as_bytes())
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let golden = table["golden"].as_table_mut().expect("a table");
    golden.insert("sha256".into(), hash.into());
    golden.insert("bytes".into(), (other.len() as i64).into());
    shop.write("models/small/1/manifest.toml", table.to_string());
    let said = shop.bad(2, &SCORE);
    assert!(said.contains("golden.jsonl: line 1: scored in a block the model gives margin"), "{said}");
    assert!(said.contains("the line has margin 0.12345"), "{said}");
}

#[test]
fn a_model_whose_features_are_not_computed_is_refused_with_a_table() {
    let shop = with_model();
    shop.write("names.txt", "amount\ncustomer.count_1hr\nf2\nf3\nf4\nf5\n");
    let mut import = IMPORT;
    import[5] = "models/small/2";
    shop.good(&import);
    shop.write("events.jsonl", "");
    let said = shop.bad(
        2,
        &["replay", "--set", "model.path=models/small/2", "--input", "events.jsonl", "--output", "out"],
    );
    assert!(said.contains("models/small/2/manifest.toml: 5 of the model's 6 features are not in"), "{said}");
    assert!(said.contains("customer.count_1hr  absent; did you mean customer.count_1h?"), "{said}");
}
