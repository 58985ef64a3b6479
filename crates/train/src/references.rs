//! The trainers against those of Python on the same rows; see `tools/golden/trainers.py`, which made `trainers.json`.

use crate::boosted::Boosted;
use crate::forest::Forest;
use crate::logistic::Logistic;
use crate::metrics::{Scored, Settings, judge};
use crate::rows::{Rows, TrainingSet};
use crate::trainer::{Trainer, Unwatched, train};
use cartguard_forest::Score;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    versions: String,
    width: usize,
    rows: Vec<Option<f32>>,
    fraud: Vec<u8>,
    /// Area under the ROC curve and average precision, by algorithm.
    qualities: BTreeMap<String, [f64; 2]>,
    coefficients: Vec<f64>,
    intercept: f64,
}

fn golden() -> Golden {
    let golden: Golden = serde_json::from_str(include_str!("trainers.json")).expect("the golden file");
    assert!(golden.versions.contains("xgboost") && golden.versions.contains("scikit-learn"));
    golden
}

impl Golden {
    /// The half that is fitted, and the values and labels of the half that is judged.
    fn halves(&self) -> (TrainingSet, Vec<f32>, Vec<bool>) {
        let names = (0..self.width).map(|at| format!("f{at}")).collect();
        let values: Vec<f32> = self.rows.iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        let fraud: Vec<bool> = self.fraud.iter().map(|fraud| *fraud == 1).collect();
        let half = fraud.len() / 2;
        let rows = Rows::new(names, values[..half * self.width].to_vec());
        let set = TrainingSet::new(rows, fraud[..half].to_vec(), None).expect("good rows");
        (set, values[half * self.width..].to_vec(), fraud[half..].to_vec())
    }
}

#[test]
fn each_trainer_is_as_good_as_pythons() {
    let golden = golden();
    let (set, rows, fraud) = golden.halves();
    // How far below Python's a quality may be. A forest draws its rows otherwise, and its leaves are of means that are smoothed
    // otherwise: its margin is wider; XGBoost here is exact and ours of 1,024 bins.
    let trainers: [(Box<dyn Trainer>, f64); 3] = [
        (Box::new(Boosted::default()), 0.01),
        (Box::new(Forest::default()), 0.02),
        (Box::new(Logistic::default()), 1e-4),
    ];
    for (trainer, margin) in trainers {
        let trained = train(trainer.as_ref(), &set, &Unwatched).expect("a model");
        let mut scores = vec![Score::default(); fraud.len()];
        trained.model.score_rows(&rows, golden.width, &mut trained.model.scratch(), &mut scores);
        let scores: Vec<f64> = scores.iter().map(|score| score.score).collect();
        let judged = judge(
            &Scored {
                scores: &scores,
                fraud: &fraud,
                time_ms: &vec![0; fraud.len()],
                amount: &vec![1.0; fraud.len()],
                cards: &[],
            },
            &Settings { k: 1, review_at: 0.5, decline_at: 0.9 },
        );
        let wanted = golden.qualities[trainer.name()];
        for (metric, wanted) in ["auc", "average_precision"].into_iter().zip(wanted) {
            let found = judged.of(metric).expect("a metric").value;
            assert!(found > wanted - margin, "{}: {metric} {found}, Python's {wanted}", trainer.name());
        }
    }
}

#[test]
fn the_logistic_weights_are_those_of_scikit_learn() {
    let golden = golden();
    let (set, ..) = golden.halves();
    let trained = train(&Logistic::default(), &set, &Unwatched).expect("a model");
    let file: serde_json::Value = serde_json::from_slice(&trained.bytes).expect("JSON");
    for (at, wanted) in golden.coefficients.iter().enumerate() {
        let found = file["weights"][at].as_f64().expect("a number");
        assert!((found - wanted).abs() < 1e-4, "weight {at}: {found}, scikit-learn's {wanted}");
    }
    let found = file["intercept"].as_f64().expect("a number");
    assert!(
        (found - golden.intercept).abs() < 1e-4,
        "intercept: {found}, scikit-learn's {}",
        golden.intercept
    );
}
