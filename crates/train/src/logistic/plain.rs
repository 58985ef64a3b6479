//! linfa's logistic regression.
//!
//! scaled rows -> **plain** -> weights and intercept
//!
//! Its traps, each met here: sample weights are ignored without a word (they go to `newton`); the tolerance is absolute on a
//! summed loss, so it is given by the number of rows (or 575,000 rows take half a minute); the positive class is the more
//! frequent one, so signs are turned where that is legit.

use super::{Logistic, Scaling, Solution};
use crate::rows::TrainingSet;
use crate::trainer::{TrainError, Watch};
use linfa::traits::Fit;
use linfa::{Dataset, ParamGuard as _};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use std::ops::ControlFlow;

/// Of the mean gradient. Measured: the weights are then within 1e-5 of those of Newton's method.
const TOLERANCE: f64 = 1e-6;

pub(super) fn fit(
    trainer: &Logistic,
    set: &TrainingSet,
    scaling: &Scaling,
    watch: &dyn Watch,
) -> Result<Solution, TrainError> {
    let told = |error: &dyn ToString| TrainError::library("logistic", error.to_string());
    let rows = set.rows();
    let mut records = Array2::zeros((rows.len(), rows.width()));
    for (row, mut out) in rows.values().chunks_exact(rows.width()).zip(records.rows_mut()) {
        scaling.apply(row, out.as_slice_mut().expect("rows of a new matrix lie together"));
    }
    let targets: Array1<bool> = set.fraud().iter().copied().collect();
    let params = LogisticRegression::default()
        .alpha(trainer.penalty)
        .max_iterations(trainer.steps as u64)
        .gradient_tolerance(TOLERANCE * set.len() as f64)
        .check()
        .map_err(|error| told(&error))?;
    let model = params.fit(&Dataset::new(records, targets)).map_err(|error| told(&error))?;
    // It cannot be stopped on its way.
    if watch.step(1, 1) == ControlFlow::Break(()) {
        return Err(TrainError::Cancelled);
    }
    let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
    let weights: Vec<f64> = model.params().iter().map(|weight| sign * weight).collect();
    let intercept = sign * model.intercept();
    if weights.iter().chain([&intercept]).all(|number| number.is_finite()) {
        Ok(Solution { weights, intercept })
    } else {
        Err(TrainError::library("logistic", "the fit did not converge"))
    }
}
