//! Calibrated models: the map's score on both paths, margins and contributions as they were.

use cartguard_forest::{Calibration, Format, Model, Score};

const LOGISTIC: &str = r#"{"format":"cartguard.logistic","version":1,"features":["a","b"],"weights":[0.5,1.5],"intercept":-1.0}"#;
const FOREST: &[u8] = include_bytes!("../../../models/demo/2/model.json");

fn map() -> Calibration {
    Calibration::new(vec![-5.0, 0.0, 3.0], vec![-9.0, -3.0, 2.5]).expect("a map")
}

fn rows(width: usize) -> Vec<f32> {
    (0..40 * width).map(|at| ((at * 2_654_435_761) % 1_000) as f32 / 50.0 - 3.0).collect()
}

#[test]
fn the_score_is_the_maps_on_both_paths() {
    for (format, bytes, is_f32) in
        [(Format::LogisticJson, LOGISTIC.as_bytes(), false), (Format::XgboostJson, FOREST, true)]
    {
        let plain = Model::from_bytes(format, bytes).expect("a model");
        let calibrated = Model::from_bytes(format, bytes).expect("a model").calibrated(map());
        assert_eq!(calibrated.calibration(), Some(&map()));
        let width = plain.feature_count();
        let rows = rows(width);
        let mut scratch = plain.scratch();
        let (mut before, mut after) = (vec![Score::default(); 40], vec![Score::default(); 40]);
        plain.score_rows(&rows, width, &mut scratch, &mut before);
        calibrated.score_rows(&rows, width, &mut scratch, &mut after);
        let mut changed = 0;
        for (at, row) in rows.chunks_exact(width).enumerate() {
            let wanted = map().score_of(before[at].margin);
            let wanted = if is_f32 { f64::from(wanted as f32) } else { wanted };
            assert_eq!(after[at].margin.to_bits(), before[at].margin.to_bits());
            assert_eq!(after[at].score.to_bits(), wanted.to_bits());
            let single = calibrated.score_one(row, &mut scratch);
            assert_eq!(
                (single.margin.to_bits(), single.score.to_bits()),
                (after[at].margin.to_bits(), wanted.to_bits())
            );
            changed += usize::from(after[at].score != before[at].score);
        }
        assert!(changed > 30, "the map changes nothing");
        let (mut one, mut other) = (vec![0.0; width], vec![0.0; width]);
        plain.contributions(&rows[..width], &mut scratch, &mut one);
        calibrated.contributions(&rows[..width], &mut scratch, &mut other);
        assert_eq!(one, other);
    }
}
