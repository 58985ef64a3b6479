//! Bytes as every format of model: refused, or a model that scores rows alone and in blocks with the same bits.
#![no_main]

use cartguard_forest::{Format, Model, Score};
use libfuzzer_sys::fuzz_target;

const ROWS: usize = 9;
/// Wider models are only loaded: to score them shows nothing more and takes long.
const WIDTH_MAX: usize = 10_000;

fn check(format: Format, bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(format, bytes) else { return };
    let (width, mut scratch) = (model.feature_count(), model.scratch());
    if width > WIDTH_MAX {
        return;
    }
    let odd = [f32::NAN, 0.0, -0.0, 1.5, -3.0, 1e-36, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 70.0];
    let rows: Vec<f32> = (0..width * ROWS).map(|at| odd[(at * 7 + at / 5) % odd.len()]).collect();
    let mut scores = [Score::default(); ROWS];
    model.score_rows(&rows, width, &mut scratch, &mut scores);
    let mut out = vec![0.0; width];
    for (at, score) in scores.iter().enumerate() {
        let row = &rows[at * width..(at + 1) * width];
        let single = model.score_one(row, &mut scratch);
        assert_eq!(single.margin.to_bits(), score.margin.to_bits(), "block and single differ");
        model.contributions(row, &mut scratch, &mut out);
        model.path_contributions(row, &mut scratch, &mut out);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = Format::sniff(bytes);
    for format in [Format::XgboostJson, Format::XgboostUbj, Format::LightgbmText, Format::LogisticJson] {
        check(format, bytes);
    }
});
