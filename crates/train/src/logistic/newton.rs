//! Newton's method with weights (iteratively reweighted least squares).
//!
//! scaled rows -> **newton** -> weights and intercept
//!
//! Holds: sums are taken over parts of a fixed number of rows and added in their order, so that threads change no bit; a
//! step that would not lower the loss is halved.

use super::{Logistic, Scaling, Solution};
use crate::rows::TrainingSet;
use crate::trainer::{TrainError, Watch};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows of a part. Arbitrary: some milliseconds of work, and parts enough for any number of threads.
const PART: usize = 16_384;
/// Steps at most; from a start at 0 six to ten are enough.
const STEPS_MAX: usize = 50;
/// It has converged where the gradient's largest mean is below this.
const TOLERANCE: f64 = 1e-9;
/// Halvings of a step at most: a millionth of it.
const HALVINGS_MAX: usize = 20;

pub(super) fn fit(
    trainer: &Logistic,
    set: &TrainingSet,
    scaling: &Scaling,
    watch: &dyn Watch,
) -> Result<Solution, TrainError> {
    let places = set.rows().width() + 1;
    let problem = Problem { set, scaling, penalty: trainer.penalty, threads: threads(trainer.threads) };
    // The intercept is last.
    let mut at = vec![0.0; places];
    let mut sums = problem.sums(&at, true);
    let total: f64 = (0..set.len()).map(|row| set.weight(row)).sum();
    let steps = trainer.steps.min(STEPS_MAX);
    for step in 0..steps {
        if watch.step(step, steps) == ControlFlow::Break(()) {
            return Err(TrainError::Cancelled);
        }
        let largest = sums.gradient.iter().fold(0.0f64, |most, part| most.max(part.abs()));
        if largest <= TOLERANCE * total {
            break;
        }
        let Some(direction) = solve(&sums.hessian, &sums.gradient) else {
            return Err(TrainError::library(
                "logistic",
                "the features are linearly dependent; set a penalty above 0",
            ));
        };
        let Some(next) = problem.descend(&at, &direction, sums.loss) else { break };
        at = next;
        sums = problem.sums(&at, true);
    }
    let intercept = at.pop().unwrap_or(0.0);
    if at.iter().chain([&intercept]).all(|number| number.is_finite()) {
        Ok(Solution { weights: at, intercept })
    } else {
        Err(TrainError::library("logistic", "the fit did not converge"))
    }
}

fn threads(wanted: usize) -> usize {
    if wanted > 0 { wanted } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

struct Problem<'a> {
    set: &'a TrainingSet,
    scaling: &'a Scaling,
    penalty: f64,
    threads: usize,
}

/// Loss, gradient, and the lower half of the matrix of second derivatives.
#[derive(Clone, Debug, Default)]
struct Sums {
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl Problem<'_> {
    /// The point `direction` away, or nearer, where the loss is lower.
    fn descend(&self, at: &[f64], direction: &[f64], loss: f64) -> Option<Vec<f64>> {
        let mut share = 1.0;
        for _ in 0..HALVINGS_MAX {
            let next: Vec<f64> = at.iter().zip(direction).map(|(at, step)| at - share * step).collect();
            let found = self.sums(&next, false).loss;
            if found.is_finite() && found < loss {
                return Some(next);
            }
            share /= 2.0;
        }
        None
    }

    /// Over all rows, and the penalty; without derivatives where they are not wanted.
    fn sums(&self, at: &[f64], derive: bool) -> Sums {
        let parts = self.set.len().div_ceil(PART);
        let next = AtomicUsize::new(0);
        let done = Mutex::new(vec![Sums::default(); parts]);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(parts) {
                scope.spawn(|| {
                    loop {
                        let part = next.fetch_add(1, Ordering::Relaxed);
                        if part >= parts {
                            return;
                        }
                        let sums = self.part(at, part, derive);
                        done.lock().unwrap_or_else(PoisonError::into_inner)[part] = sums;
                    }
                });
            }
        });
        let places = at.len();
        let mut total = Sums {
            loss: 0.0,
            gradient: vec![0.0; places],
            hessian: vec![0.0; if derive { places * places } else { 0 }],
        };
        for part in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            total.loss += part.loss;
            for (sum, more) in total.gradient.iter_mut().zip(&part.gradient) {
                *sum += more;
            }
            for (sum, more) in total.hessian.iter_mut().zip(&part.hessian) {
                *sum += more;
            }
        }
        for (place, weight) in at.iter().enumerate().take(places - 1) {
            total.loss += 0.5 * self.penalty * weight * weight;
            total.gradient[place] += self.penalty * weight;
            if derive {
                total.hessian[place * places + place] += self.penalty;
            }
        }
        total
    }

    fn part(&self, at: &[f64], part: usize, derive: bool) -> Sums {
        let places = at.len();
        let mut sums = Sums {
            loss: 0.0,
            gradient: vec![0.0; places],
            hessian: vec![0.0; if derive { places * places } else { 0 }],
        };
        let mut row = vec![1.0; places];
        for index in part * PART..self.set.len().min((part + 1) * PART) {
            self.scaling.apply(self.set.rows().row(index), &mut row[..places - 1]);
            let margin: f64 = row.iter().zip(at).map(|(x, weight)| x * weight).sum();
            let weight = self.set.weight(index);
            let signed = if self.set.fraud()[index] { -margin } else { margin };
            // ln(1 + e^signed) without overflow.
            sums.loss += weight * (signed.max(0.0) + (-signed.abs()).exp().ln_1p());
            if !derive {
                continue;
            }
            let score = 1.0 / (1.0 + (-margin).exp());
            let target = f64::from(u8::from(self.set.fraud()[index]));
            let (slope, curve) = (weight * (score - target), weight * score * (1.0 - score));
            for (place, x) in row.iter().enumerate() {
                sums.gradient[place] += slope * x;
                let weighted = curve * x;
                let out = &mut sums.hessian[place * places..][..=place];
                for (out, other) in out.iter_mut().zip(&row) {
                    *out += weighted * other;
                }
            }
        }
        sums
    }
}

/// Solves `matrix * x = right` by Cholesky's decomposition of the lower half; nothing where it is not positive definite.
fn solve(matrix: &[f64], right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let mut lower = matrix.to_vec();
    for row in 0..n {
        for column in 0..=row {
            let dot: f64 = (0..column).map(|k| lower[row * n + k] * lower[column * n + k]).sum();
            let rest = lower[row * n + column] - dot;
            if row == column {
                if rest <= 0.0 || !rest.is_finite() {
                    return None;
                }
                lower[row * n + row] = rest.sqrt();
            } else {
                lower[row * n + column] = rest / lower[column * n + column];
            }
        }
    }
    let mut x = right.to_vec();
    for row in 0..n {
        let dot: f64 = (0..row).map(|k| lower[row * n + k] * x[k]).sum();
        x[row] = (x[row] - dot) / lower[row * n + row];
    }
    for row in (0..n).rev() {
        let dot: f64 = (row + 1..n).map(|k| lower[k * n + row] * x[k]).sum();
        x[row] = (x[row] - dot) / lower[row * n + row];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_from_its_lower_half() {
        // [[4, 2], [2, 3]] x = [8, 7]: x = [1.25, 1.5]; the upper half is not looked at.
        let x = solve(&[4.0, 99.0, 2.0, 3.0], &[8.0, 7.0]).expect("positive definite");
        assert!((x[0] - 1.25).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(&[1.0, 0.0, 1.0, 1.0], &[1.0, 1.0]), None, "two equal rows");
    }
}
