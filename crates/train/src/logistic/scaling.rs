//! Mean and deviation of every feature.
//!
//! rows -> **scaling** -> `plain`, `newton`
//!
//! Of the values that are not missing, each counted by its row's weight. Plain arithmetic of our own: linfa's scaler knows
//! neither weights nor missing values, and its crate brings text encodings that nobody maintains.
//!
//! Holds: a deviation is above 0 (a feature that is constant or always missing is left as it is).

use crate::rows::TrainingSet;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaling {
    pub(super) mean: Vec<f64>,
    pub(super) scale: Vec<f64>,
}

impl Scaling {
    pub(super) fn of(set: &TrainingSet) -> Self {
        let rows = set.rows();
        let width = rows.width();
        let mut sums = vec![0.0; width];
        let mut weights = vec![0.0; width];
        for (at, row) in rows.values().chunks_exact(width).enumerate() {
            let weight = set.weight(at);
            for (column, &x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                sums[column] += weight * f64::from(x);
                weights[column] += weight;
            }
        }
        let mean: Vec<f64> = sums
            .iter()
            .zip(&weights)
            .map(|(sum, weight)| if *weight > 0.0 { sum / weight } else { 0.0 })
            .collect();
        // In a second pass: the difference of two large sums would lose a small deviation.
        let mut squares = vec![0.0; width];
        for (at, row) in rows.values().chunks_exact(width).enumerate() {
            let weight = set.weight(at);
            for (column, &x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                let off = f64::from(x) - mean[column];
                squares[column] += weight * off * off;
            }
        }
        let deviation = |(square, weight): (&f64, &f64)| {
            let deviation = (square / weight).sqrt();
            if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 }
        };
        let scale = squares.iter().zip(&weights).map(deviation).collect();
        Self { mean, scale }
    }

    /// A scaled row.
    pub(super) fn apply(&self, row: &[f32], out: &mut [f64]) {
        for (at, (&x, out)) in row.iter().zip(out).enumerate() {
            *out = if x.is_nan() { 0.0 } else { (f64::from(x) - self.mean[at]) / self.scale[at] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;

    #[test]
    fn missing_values_count_as_the_mean_and_constants_stay() {
        let names = ["a", "constant", "never"].map(str::to_owned).to_vec();
        let nan = f32::NAN;
        let rows = Rows::new(names, vec![1.0, 7.0, nan, nan, 7.0, nan, 3.0, 7.0, nan]);
        let set = TrainingSet::new(rows, vec![true, false, false], None).expect("a set");
        let scaling = Scaling::of(&set);
        assert_eq!(scaling, Scaling { mean: vec![2.0, 7.0, 0.0], scale: vec![1.0, 1.0, 1.0] });
        let mut row = [9.0; 3];
        scaling.apply(&[3.0, 7.0, nan], &mut row);
        assert_eq!(row, [1.0, 0.0, 0.0]);
    }
}
