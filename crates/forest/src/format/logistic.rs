//! Read our own JSON of a logistic model.
//!
//! ```json
//! {
//!   "format": "cartguard.logistic",
//!   "version": 1,
//!   "features": ["amount", "customer.count_1d"],
//!   "weights": [0.31, -0.02],
//!   "intercept": -4.2,
//!   "mean": [52.5, 3.0],
//!   "scale": [41.0, 2.5],
//!   "missing": [0.0, 1.0]
//! }
//! ```
//!
//! The margin is `intercept + sum(weights[i] * (x[i] - mean[i]) / scale[i])`, added in this order in f64; the
//! score is `1 / (1 + exp(-margin))`. `mean` (default 0) and `scale` (default 1) are optional. `missing` is what
//! stands for a missing value, in the feature's own unit; without it a missing value counts as the mean, so that
//! it adds nothing.
//!
//! Holds: all numbers are finite, scales are not 0, lists are as long as `features`, names occur once.
//! Not here: how such a model is fitted.

use serde::Deserialize;

use crate::ModelError;
use crate::limits::FEATURES_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    features: Vec<String>,
    weights: Vec<f64>,
    intercept: f64,
    mean: Option<Vec<f64>>,
    scale: Option<Vec<f64>>,
    missing: Option<Vec<f64>>,
}

/// A validated logistic model.
#[derive(Debug)]
pub(crate) struct Logistic {
    pub(crate) names: Vec<String>,
    pub(crate) intercept: f64,
    pub(crate) terms: Vec<Term>,
}

/// What one feature adds: `weight * (x - mean) / scale`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    weight: f64,
    mean: f64,
    scale: f64,
    missing: f64,
}

impl Term {
    #[inline]
    pub(crate) fn value(self, x: f32) -> f64 {
        let x = if x.is_nan() { self.missing } else { f64::from(x) };
        self.weight * (x - self.mean) / self.scale
    }
}

impl Logistic {
    pub(crate) fn margin(&self, row: &[f32]) -> f64 {
        self.terms.iter().zip(row).fold(self.intercept, |sum, (term, x)| sum + term.value(*x))
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Logistic, ModelError> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| ModelError::Syntax {
        format: "logistic JSON",
        at: format!("line {}, column {}", error.line(), error.column()),
        // Without the place, which it has at its end.
        fault: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
    })?;
    if document.format != "cartguard.logistic" || document.version != 1 {
        let what = "a logistic model of another format or version";
        return Err(ModelError::unsupported(what, "accepted is \"cartguard.logistic\", version 1"));
    }
    let count = document.features.len();
    if count > FEATURES_MAX {
        return Err(ModelError::field("features", format!("has {count} entries, more than {FEATURES_MAX}")));
    }
    if count == 0 {
        return Err(ModelError::field("features", "is empty; a model has one feature at least"));
    }
    check_names(&document.features)?;
    let zeros = || vec![0.0; count];
    let mean = document.mean.unwrap_or_else(zeros);
    let scale = document.scale.unwrap_or_else(|| vec![1.0; count]);
    let missing = document.missing.unwrap_or_else(|| mean.clone());
    let lists = [("weights", &document.weights), ("mean", &mean), ("scale", &scale), ("missing", &missing)];
    for (key, list) in lists {
        if list.len() != count {
            let fault = format!("has {} entries for {count} features", list.len());
            return Err(ModelError::field(key, fault));
        }
        if let Some(at) = list.iter().position(|number| !number.is_finite()) {
            return Err(ModelError::field(format!("{key}[{at}]"), "is not finite"));
        }
    }
    if let Some(at) = scale.iter().position(|scale| *scale == 0.0) {
        return Err(ModelError::field(format!("scale[{at}]"), "is 0"));
    }
    if !document.intercept.is_finite() {
        return Err(ModelError::field("intercept", "is not finite"));
    }
    let terms = (0..count)
        .map(|at| Term {
            weight: document.weights[at],
            mean: mean[at],
            scale: scale[at],
            missing: missing[at],
        })
        .collect();
    Ok(Logistic { names: document.features, intercept: document.intercept, terms })
}

fn check_names(names: &[String]) -> Result<(), ModelError> {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(ModelError::field("features", format!("names `{}` twice", super::value::brief(pair[0]))))
        }
        None => Ok(()),
    }
}
