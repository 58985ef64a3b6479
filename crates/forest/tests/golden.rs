//! The forest against the trainers' own bits, on the committed rows of `tests/golden` (made by
//! `tools/golden/make.py`): every model, every path, every instruction set of this machine.

use std::fmt::Write as _;
use std::path::PathBuf;

use cartguard_forest::{Format, InstructionSet, Model, Precision, Score};

struct Row {
    x: Vec<f32>,
    margin: u64,
    score: u64,
    contributions: Option<Vec<f64>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Names of the cases: file names without `.rows.jsonl`.
fn cases() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the golden folder is committed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rows.jsonl").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 40, "golden cases are missing: {names:?}");
    names
}

fn models(case: &str) -> Vec<(Format, Vec<u8>)> {
    let files = [("json", Format::XgboostJson), ("ubj", Format::XgboostUbj), ("txt", Format::LightgbmText)];
    let found: Vec<_> = files
        .iter()
        .filter_map(|(ext, format)| {
            Some((*format, std::fs::read(folder().join(format!("{case}.{ext}"))).ok()?))
        })
        .collect();
    assert!(!found.is_empty(), "{case} has no model file");
    found
}

fn rows(case: &str) -> Vec<Row> {
    let text =
        std::fs::read_to_string(folder().join(format!("{case}.rows.jsonl"))).expect("rows are committed");
    text.lines().map(|line| row(&serde_json::from_str(line).expect("a row is JSON"))).collect()
}

fn row(line: &serde_json::Value) -> Row {
    let hex = |key: &str| u64::from_str_radix(line[key].as_str().expect("hex"), 16).expect("hex");
    let x = line["x"].as_str().expect("hex").split(' ');
    Row {
        x: x.map(|x| f32::from_bits(u32::from_str_radix(x, 16).expect("hex"))).collect(),
        margin: hex("margin"),
        score: hex("score"),
        contributions: line["contribs"]
            .as_array()
            .map(|list| list.iter().map(|value| value.as_f64().expect("a number")).collect()),
    }
}

fn bits(precision: Precision, value: f64) -> u64 {
    match precision {
        Precision::F32 => u64::from((value as f32).to_bits()),
        Precision::F64 => value.to_bits(),
    }
}

/// Differences between what was scored and what the trainer said, as text; empty where there are none.
fn differences(case: &str, path: &str, precision: Precision, rows: &[Row], scores: &[Score]) -> String {
    let mut text = String::new();
    for (at, (row, score)) in rows.iter().zip(scores).enumerate() {
        let (margin, after) = (bits(precision, score.margin), bits(precision, score.score));
        if margin != row.margin {
            let _ = writeln!(
                text,
                "{case}, {path}, row {at}: margin {margin:x}, trainer {:x}: {:?}",
                row.margin, row.x
            );
        }
        if after != row.score {
            let _ = writeln!(text, "{case}, {path}, row {at}: score {after:x}, trainer {:x}", row.score);
        }
    }
    text
}

#[test]
fn margins_and_scores_are_the_trainers_bit_for_bit() {
    let mut text = String::new();
    for case in cases() {
        let rows = rows(&case);
        for (format, bytes) in models(&case) {
            assert_eq!(Format::sniff(&bytes), Ok(format), "{case}");
            for set in [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Baseline] {
                let model =
                    Model::from_bytes(format, &bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
                let model = model.limited_to(set);
                let (width, mut scratch) = (model.feature_count() + 1, model.scratch());
                let flat: Vec<f32> =
                    rows.iter().flat_map(|row| row.x.iter().copied().chain([f32::NAN])).collect();
                let mut block = vec![Score::default(); rows.len()];
                model.score_rows(&flat, width, &mut scratch, &mut block);
                text += &differences(&case, &format!("{format:?} {set:?}"), model.precision(), &rows, &block);
                let single: Vec<Score> =
                    rows.iter().map(|row| model.score_one(&row.x, &mut scratch)).collect();
                text += &differences(&case, &format!("{format:?} single"), model.precision(), &rows, &single);
            }
        }
    }
    assert!(text.is_empty(), "{text}");
}

/// Rows of f64 on and beside `LightGBM`'s own thresholds: `x`, margin, score.
fn wide_rows(case: &str) -> Vec<(Vec<f64>, u64, u64)> {
    let text =
        std::fs::read_to_string(folder().join(format!("{case}.wide.jsonl"))).expect("rows are committed");
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("hex");
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a row is JSON");
            let of = |key: &str| line[key].as_str().expect("hex").to_owned();
            let x = of("x").split(' ').map(|x| f64::from_bits(hex(x))).collect();
            (x, hex(&of("margin")), hex(&of("score")))
        })
        .collect()
}

#[test]
fn rows_of_f64_are_narrowed_to_the_trainers_side() {
    let mut nearest_differs = 0;
    for case in ["nan", "zero", "no-missing", "leaves", "categorical"].map(|name| format!("lgb-4.7-{name}")) {
        let (format, bytes) = models(&case).remove(0);
        let model = Model::from_bytes(format, &bytes).expect("loads");
        let mut scratch = model.scratch();
        for (at, (wide, margin, score)) in wide_rows(&case).iter().enumerate() {
            let x: Vec<f32> = wide
                .iter()
                .enumerate()
                .map(|(feature, x)| {
                    model.narrow(feature, *x).unwrap_or_else(|| panic!("{case}, row {at}: {x:e}"))
                })
                .collect();
            let ours = model.score_one(&x, &mut scratch);
            assert_eq!(
                (ours.margin.to_bits(), ours.score.to_bits()),
                (*margin, *score),
                "{case}, row {at}: {wide:?}"
            );
            let nearest: Vec<f32> = wide.iter().map(|x| *x as f32).collect();
            nearest_differs +=
                usize::from(model.score_one(&nearest, &mut scratch).margin.to_bits() != *margin);
        }
    }
    assert!(nearest_differs > 50, "rows that the nearest f32 gets right show nothing: {nearest_differs}");
}

#[test]
fn contributions_are_the_trainers_and_add_up() {
    for case in cases() {
        let (format, bytes) = models(&case).remove(0);
        let model = Model::from_bytes(format, &bytes).expect("loads");
        let (mut scratch, mut out) = (model.scratch(), vec![0.0; model.feature_count()]);
        for (at, row) in rows(&case).iter().enumerate() {
            let margin = model.score_one(&row.x, &mut scratch).margin;
            let tolerance = 1e-5 * margin.abs().max(1.0);
            let bias = model.path_contributions(&row.x, &mut scratch, &mut out);
            let sum = out.iter().fold(bias, |sum, value| sum + value);
            assert!((sum - margin).abs() < tolerance, "{case}, row {at}: path {sum}, margin {margin}");
            let bias = model.contributions(&row.x, &mut scratch, &mut out);
            let sum = out.iter().fold(bias, |sum, value| sum + value);
            assert!((sum - margin).abs() < tolerance, "{case}, row {at}: exact {sum}, margin {margin}");
            let Some(expected) = &row.contributions else { continue };
            let found = out.iter().chain([&bias]);
            for (feature, (found, expected)) in found.zip(expected).enumerate() {
                let near = (found - expected).abs() < 1e-5 * expected.abs().max(1.0);
                assert!(near, "{case}, row {at}, feature {feature}: {found}, trainer {expected}");
            }
        }
    }
}

#[test]
fn a_block_of_any_length_gives_the_same_bits() {
    let (format, bytes) = models("xgb-3.2-logistic").remove(0);
    let model = Model::from_bytes(format, &bytes).expect("loads");
    let rows = rows("xgb-3.2-logistic");
    let flat: Vec<f32> = rows.iter().flat_map(|row| row.x.iter().copied()).collect();
    let mut scratch = model.scratch();
    for count in [0, 1, 7, 8, 9, 31, 32, 33, 64, 71, 119] {
        let mut scores = vec![Score::default(); count];
        model.score_rows(&flat, model.feature_count(), &mut scratch, &mut scores);
        assert_eq!(differences("length", &count.to_string(), Precision::F32, &rows, &scores), "");
    }
}

/// A round of a boosted forest has several trees.
#[test]
fn early_stopping_is_told_in_rounds() {
    let (format, bytes) = models("xgb-3.2-base").remove(0);
    let text = String::from_utf8(bytes).expect("JSON");
    let best = |iteration: usize, bounds: &str| {
        let text = text
            .replacen(
                "\"attributes\":{}",
                &format!("\"attributes\":{{\"best_iteration\":\"{iteration}\"}}"),
                1,
            )
            .replacen("[0,1,2,3,4,5,6,7,8]", bounds, 1);
        assert!(text.contains("best_iteration") && text.contains(bounds));
        Model::from_bytes(format, text.as_bytes()).expect("loads").best_rounds()
    };
    assert_eq!([best(1, "[0,1,2,3,4,5,6,7,8]"), best(7, "[0,1,2,3,4,5,6,7,8]")], [Some(2), None]);
    assert_eq!([best(1, "[0,2,4,6,8]"), best(3, "[0,2,4,6,8]")], [Some(2), None]);
}

#[test]
fn names_and_sizes_are_read() {
    let (format, bytes) = models("xgb-3.2-logistic").remove(1);
    let model = Model::from_bytes(format, &bytes).expect("loads");
    let names = model.feature_names().expect("has names");
    assert_eq!(names, ["amount", "count", "sum", "mean", "hour", "item,é\"\\"]);
    let summary = model.summary();
    assert_eq!((summary.trees, summary.depth), (8, 3));
    let (format, bytes) = models("lgb-4.7-nan").remove(0);
    let model = Model::from_bytes(format, &bytes).expect("loads");
    let names = model.feature_names().expect("those that the trainer made up");
    assert_eq!((names[0].as_str(), names[5].as_str(), names.len()), ("Column_0", "Column_5", 6));
}
