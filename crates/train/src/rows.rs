//! Rows of numbers with names, and what is known of each.
//!
//! **rows** -> `trainer`
//!
//! Holds: all rows are as wide as there are names; NaN is missing and nothing is infinite; a training set has rows of both
//! labels, and its weights are finite and above 0.

use crate::trainer::TrainError;

/// Rows one after the other; NaN is missing.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    names: Vec<String>,
    values: Vec<f32>,
}

impl Rows {
    /// Rows of `values`, each with a value for each name.
    ///
    /// # Panics
    /// Where `values` are not whole rows, or there is no name.
    pub fn new(names: Vec<String>, values: Vec<f32>) -> Self {
        assert!(!names.is_empty() && values.len().is_multiple_of(names.len()), "whole rows are needed");
        Self { names, values }
    }

    /// The features, by place.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.names.len().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.width()..(at + 1) * self.width()]
    }

    /// All rows, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Adds rows.
    ///
    /// # Panics
    /// Where they are not whole.
    pub fn extend(&mut self, values: &[f32]) {
        assert!(values.len().is_multiple_of(self.width()), "whole rows are needed");
        self.values.extend_from_slice(values);
    }

    /// Copies of some rows, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.width());
        for &row in rows {
            values.extend_from_slice(self.row(row as usize));
        }
        Self { names: self.names.clone(), values }
    }
}

/// Rows with labels, as a trainer takes them.
#[derive(Clone, Debug)]
pub struct TrainingSet {
    rows: Rows,
    fraud: Vec<bool>,
    weights: Option<Vec<f32>>,
}

impl TrainingSet {
    /// Checks and joins them. Without weights every row counts once.
    pub fn new(rows: Rows, fraud: Vec<bool>, weights: Option<Vec<f32>>) -> Result<Self, TrainError> {
        let refused = |what: String| Err(TrainError::Rows(what));
        if fraud.len() != rows.len() {
            return refused(format!("{} labels for {} rows", fraud.len(), rows.len()));
        }
        if u32::try_from(fraud.len()).is_err() {
            return refused(format!("{} rows: 4294967295 at most", fraud.len()));
        }
        let frauds = fraud.iter().filter(|fraud| **fraud).count();
        if frauds == 0 || frauds == fraud.len() {
            let kind = if frauds == 0 { "fraud" } else { "legit" };
            return refused(format!("{} rows, none of them {kind}: both labels are needed", fraud.len()));
        }
        if let Some(weights) = &weights {
            if weights.len() != rows.len() {
                return refused(format!("{} weights for {} rows", weights.len(), rows.len()));
            }
            if let Some(at) = weights.iter().position(|weight| !weight.is_finite() || *weight <= 0.0) {
                return refused(format!(
                    "row {}: weight {}; a number above 0 is needed",
                    at + 1,
                    weights[at]
                ));
            }
        }
        if let Some(at) = rows.values.iter().position(|value| value.is_infinite()) {
            let (row, column) = (at / rows.width(), at % rows.width());
            return refused(format!(
                "row {}: {} is infinite; numbers or missing values are needed",
                row + 1,
                rows.names[column]
            ));
        }
        Ok(Self { rows, fraud, weights })
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    pub fn fraud(&self) -> &[bool] {
        &self.fraud
    }

    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// How much row `at` counts.
    pub(crate) fn weight(&self, at: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[at]))
    }

    /// How many rows there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a training set has rows")]
    pub fn len(&self) -> usize {
        self.fraud.len()
    }
}

/// Weights that let both labels count alike in sum, as scikit-learn's `class_weight="balanced"`.
pub fn balanced_weights(fraud: &[bool]) -> Vec<f32> {
    let frauds = fraud.iter().filter(|fraud| **fraud).count().max(1);
    let legits = (fraud.len() - frauds.min(fraud.len())).max(1);
    let of = |count: usize| (fraud.len() as f64 / (2.0 * count as f64)) as f32;
    let (of_fraud, of_legit) = (of(frauds), of(legits));
    fraud.iter().map(|fraud| if *fraud { of_fraud } else { of_legit }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Rows {
        Rows::new(vec!["a".into(), "b".into()], values.to_vec())
    }

    fn fault(rows: Rows, fraud: &[bool], weights: Option<&[f32]>) -> String {
        let set = TrainingSet::new(rows, fraud.to_vec(), weights.map(<[f32]>::to_vec));
        set.expect_err("must be refused").to_string()
    }

    #[test]
    fn a_training_set_has_both_labels_and_whole_numbers() {
        let two = [1.0, f32::NAN, 3.0, 4.0];
        assert!(TrainingSet::new(rows(&two), vec![true, false], None).is_ok());
        assert!(fault(rows(&two), &[true], None).contains("1 labels for 2 rows"));
        assert!(fault(rows(&two), &[false, false], None).contains("none of them fraud"));
        assert!(fault(rows(&two), &[true, true], None).contains("none of them legit"));
        assert!(
            fault(rows(&[1.0, 2.0, 3.0, f32::INFINITY]), &[true, false], None)
                .contains("row 2: b is infinite")
        );
        assert!(fault(rows(&two), &[true, false], Some(&[1.0, 0.0])).contains("row 2: weight 0"));
        assert!(fault(rows(&two), &[true, false], Some(&[1.0])).contains("1 weights for 2 rows"));
    }

    #[test]
    fn balanced_weights_sum_to_the_same_on_both_sides() {
        let fraud = [true, false, false, false];
        assert_eq!(balanced_weights(&fraud), [2.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn rows_are_selected_in_the_order_given() {
        let chosen = rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).select(&[2, 0]);
        assert_eq!(chosen.values(), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(chosen.len(), 2);
    }
}
