//! Rows for tests: some features that matter, some missing values, few frauds; the same for a seed.

use crate::draw::Draw;
use crate::rows::{Rows, TrainingSet};

/// Rows whose first two features tell something of the label.
pub(crate) fn set(rows: usize, width: usize, seed: u64) -> TrainingSet {
    let mut draw = Draw::new(seed);
    let (mut values, mut fraud) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows));
    for _ in 0..rows {
        let first = values.len();
        for column in 0..width {
            let value = (draw.share() * 8.0 - 4.0) as f32;
            let missing = column > 1 && draw.share() < 0.1;
            values.push(if missing { f32::NAN } else { value });
        }
        let row: &[f32] = &values[first..];
        let margin = f64::from(row[0]) * 1.2 + if width > 1 { f64::from(row[1].abs()) } else { 0.0 } - 4.0;
        fraud.push(draw.share() < 1.0 / (1.0 + (-margin).exp()));
    }
    // Both labels, whatever the draw.
    fraud[0] = true;
    fraud[1] = false;
    let names = (0..width).map(|column| format!("f{column}")).collect();
    TrainingSet::new(Rows::new(names, values), fraud, None).expect("good rows")
}
