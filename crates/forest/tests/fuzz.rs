//! Mutated model files: whatever the bytes are, loading ends in a model that scores or in an error.
//!
//! `CARTGUARD_FUZZ_RUNS=1000000 cargo test -p cartguard-forest --release --test fuzz` for a longer run. A failure
//! prints seed and file; the same seed gives the same bytes.

use std::path::PathBuf;

use cartguard_forest::{Format, Model, Score};

/// What a fuzzer calls: loads, and where that succeeds, scores and explains odd rows.
fn fuzz_model(format: Format, bytes: &[u8]) {
    let _ = Format::sniff(bytes);
    let Ok(model) = Model::from_bytes(format, bytes) else { return };
    let (count, mut scratch) = (model.feature_count(), model.scratch());
    let odd = [f32::NAN, 0.0, -0.0, 1.5, -3.0, 1e-36, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 70.0];
    let rows: Vec<f32> = (0..count * 9).map(|at| odd[(at * 7 + at / 5) % odd.len()]).collect();
    let mut scores = [Score::default(); 9];
    model.score_rows(&rows, count, &mut scratch, &mut scores);
    let mut out = vec![0.0; count];
    for (at, score) in scores.iter().enumerate() {
        let row = &rows[at * count..(at + 1) * count];
        let single = model.score_one(row, &mut scratch);
        assert_eq!(single.margin.to_bits(), score.margin.to_bits(), "block and single differ");
        model.contributions(row, &mut scratch, &mut out);
        model.path_contributions(row, &mut scratch, &mut out);
    }
    let mut text = Vec::new();
    model.precision().write(scores[0].score, &mut text);
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Numbers and pieces that stand for trouble in any of the formats.
const PIECES: &[&str] = &[
    "-1",
    "0",
    "1",
    "2",
    "7",
    "99999999999999999999",
    "2147483647",
    "-2147483648",
    "1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "nan",
    "inf",
    "-0",
    "16777215",
    "16777216",
    "4294967295",
    "0.5",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    " ",
    "=",
    "\n",
    "null",
    "true",
    "[]",
    "{}",
    "Tree=0",
    "end of trees",
    "$d#L",
    "#",
    "\u{e9}",
];

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            3 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            4 => {
                let end = (at + 1 + random.below(200)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5 => {
                let piece = PIECES[random.below(PIECES.len())].bytes();
                bytes.splice(at..at, piece);
            }
            _ => swap_number(random, bytes, at),
        }
    }
}

/// Puts another number in place of the one at or after `at`.
fn swap_number(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let Some(start) = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found) else {
        return;
    };
    let end = bytes[start..].iter().position(|byte| !part(byte)).map_or(bytes.len(), |found| start + found);
    let number = PIECES[random.below(19)].bytes();
    bytes.splice(start..end, number);
}

fn corpus() -> Vec<(String, Format, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the golden folder is committed").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let format = match name.rsplit('.').next() {
            Some("json") => Format::XgboostJson,
            Some("ubj") => Format::XgboostUbj,
            Some("txt") => Format::LightgbmText,
            _ => continue,
        };
        files.push((name, format, std::fs::read(entry.path()).expect("readable")));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let logistic = br#"{"format":"cartguard.logistic","version":1,"features":["a","b"],"weights":[0.5,-2.0],
        "intercept":-1.0,"mean":[10.0,1.0],"scale":[4.0,0.5],"missing":[0.0,3.0]}"#;
    files.push(("logistic".into(), Format::LogisticJson, logistic.to_vec()));
    files
}

#[test]
fn no_bytes_make_loading_or_scoring_panic() {
    let runs =
        std::env::var("CARTGUARD_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1500_u64);
    let corpus = corpus();
    for seed in 1..=runs {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (name, format, bytes) = &corpus[random.below(corpus.len())];
        let mut bytes = bytes.clone();
        mutate(&mut random, &mut bytes);
        let caught = std::panic::catch_unwind(|| fuzz_model(*format, &bytes));
        assert!(caught.is_ok(), "seed {seed}, {name}");
    }
}

#[test]
fn every_golden_file_as_every_format() {
    for (_, _, bytes) in corpus() {
        for format in [Format::XgboostJson, Format::XgboostUbj, Format::LightgbmText, Format::LogisticJson] {
            fuzz_model(format, &bytes);
        }
    }
}
