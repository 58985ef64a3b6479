//! Golden models of the trainers, with rows and what the trainers say of them.
//!
//! tests/golden -> **golden rows** -> the tests of `cartguard model`

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Rows of a golden file, with the trainer's bits as numbers.
pub(crate) struct Case {
    pub(crate) single: bool,
    /// Texts of the features, empty where missing; margin; score.
    pub(crate) rows: Vec<(Vec<String>, f64, f64)>,
}

impl Case {
    /// `kind` is `rows`, of f32, or `wide`, of f64.
    pub(crate) fn read(name: &str, kind: &str) -> Self {
        let text = fs::read_to_string(golden().join(format!("{name}.{kind}.jsonl"))).expect("golden rows");
        let single = name.starts_with("xgb");
        let rows = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| line[key].as_str().expect("hexadecimal").to_owned();
            let bits = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
            let number = |key: &str| {
                let bits = bits(&text(key));
                if single { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
            };
            let feature = |x: &str| match kind {
                "wide" => f64::from_bits(bits(x)).to_string(),
                // All digits, so that a reader of f64 has the very f32.
                _ => f64::from(f32::from_bits(bits(x) as u32)).to_string(),
            };
            let row = text("x").split(' ').map(feature).map(|x| x.replace("NaN", "")).collect();
            (row, number("margin"), number("score"))
        });
        Self { single, rows: rows.collect() }
    }

    /// Names and kinds.
    pub(crate) fn all() -> Vec<(String, &'static str)> {
        let mut names: Vec<_> = fs::read_dir(golden())
            .expect("the golden folder")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| {
                let named = |kind| Some((name.strip_suffix(&format!(".{kind}.jsonl"))?.to_owned(), kind));
                named("rows").or(named("wide"))
            })
            .collect();
        names.sort();
        names
    }

    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.rows[0].0.len()).map(|at| format!("f{at}")).collect()
    }

    pub(crate) fn text(&self, value: f64) -> String {
        if self.single { (value as f32).to_string() } else { value.to_string() }
    }

    /// All columns, those of the model in reverse, with one that nobody wants.
    pub(crate) fn csv(&self, names: &[String]) -> String {
        let mut csv = String::from("note,margin,score");
        for name in names.iter().rev() {
            let _ = write!(csv, ",{name}");
        }
        for (row, margin, score) in &self.rows {
            let _ = write!(csv, "\n\"a, b\",{},{}", self.text(*margin), self.text(*score));
            for value in row.iter().rev() {
                let _ = write!(csv, ",{value}");
            }
        }
        csv + "\n"
    }
}
