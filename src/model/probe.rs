//! Rows that tell one model from another, where the trainer gave none.
//!
//! model -> **probe** -> `golden`
//!
//! The model is asked like a stranger: rows with nothing, rows of usual numbers, and pairs of rows that differ in
//! one feature by one bit and lie on two sides of a threshold, found by halving.
//!
//! Holds: the same model gives the same rows; no clock, no outside randomness.
//! Not here: whether the scores are the trainer's. Ours stand in the rows: they guard a later load.

use super::golden::Golden;
use cartguard_forest::Model;

/// Rows of usual numbers. Arbitrary.
const PLAIN: usize = 48;
/// Pairs around thresholds. Arbitrary; most models have more features that matter than this.
const PAIRS: usize = 32;
/// Features that are tried for each pair before it is given up. Arbitrary.
const TRIES: usize = 64;

/// Rows and the model's own scores.
pub(super) fn golden(model: &Model) -> Golden {
    let width = model.feature_count();
    let mut probe = Probe {
        model,
        scratch: model.scratch(),
        golden: Golden::new(width),
        draw: Draw(0x0ca2_79a2_d5ee_d001),
    };
    probe.keep(&vec![f32::NAN; width]);
    probe.keep(&vec![0.0; width]);
    for _ in 0..PLAIN {
        let row = probe.draw.row(width);
        probe.keep(&row);
    }
    let rows_max = Golden::rows_max(width);
    for _ in 0..PAIRS {
        if probe.golden.scores.len() + 2 > rows_max {
            break;
        }
        probe.keep_pair();
    }
    probe.golden
}

struct Probe<'a> {
    model: &'a Model,
    scratch: cartguard_forest::Scratch,
    golden: Golden,
    draw: Draw,
}

impl Probe<'_> {
    fn keep(&mut self, row: &[f32]) {
        if self.golden.scores.len() < Golden::rows_max(row.len()) {
            let score = self.model.score_one(row, &mut self.scratch);
            self.golden.push(row, score);
        }
    }

    fn margin(&mut self, row: &mut [f32], feature: usize, value: f32) -> u64 {
        row[feature] = value;
        self.model.score_one(row, &mut self.scratch).margin.to_bits()
    }

    /// Looks for a feature that changes a row's margin, and for the two neighbours between which it changes.
    fn keep_pair(&mut self) {
        let width = self.golden.width;
        if width == 0 {
            return;
        }
        let mut row = self.draw.row(width);
        for _ in 0..TRIES {
            let feature = self.draw.below(width as u64) as usize;
            let before = row[feature];
            let (mut low, mut high) = (ordered(self.draw.value()), ordered(self.draw.value()));
            let (at_low, at_high) = (value(low), value(high));
            if at_low.is_nan() || at_high.is_nan() {
                continue;
            }
            let side = self.margin(&mut row, feature, at_low);
            if self.margin(&mut row, feature, at_high) == side {
                row[feature] = before;
                continue;
            }
            while low.abs_diff(high) > 1 {
                let middle = i32::midpoint(low, high);
                if self.margin(&mut row, feature, value(middle)) == side {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            for edge in [low, high] {
                row[feature] = value(edge);
                self.keep(&row.clone());
            }
            return;
        }
    }
}

/// Floats as whole numbers in the same order.
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
}

fn value(ordered: i32) -> f32 {
    f32::from_bits(if ordered < 0 { i32::MIN.wrapping_sub(ordered) } else { ordered } as u32)
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): enough for test rows.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In 0 to 1.
    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// As features are: missing, flags, counts, shares, amounts and seconds, differences.
    fn value(&mut self) -> f32 {
        match self.below(10) {
            0 => f32::NAN,
            1 => 0.0,
            2 | 3 => self.below(12) as f32,
            4 | 5 => self.share(),
            6 => -3.0 * self.share(),
            // Of every magnitude from a thousandth to a million alike.
            magnitude => {
                self.share() * [0.1, 10.0, 1e3, 1e6][(self.below(3) + magnitude - 7).min(3) as usize]
            }
        }
    }

    fn row(&mut self, width: usize) -> Vec<f32> {
        (0..width).map(|_| self.value()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_as_whole_numbers() {
        let floats = [f32::NEG_INFINITY, -1.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-45, 1.0, f32::INFINITY];
        for pair in floats.windows(2) {
            assert!(ordered(pair[0]) <= ordered(pair[1]), "{pair:?}");
        }
        for float in floats {
            assert_eq!(value(ordered(float)), float);
        }
        assert_eq!(value(ordered(1.0) + 1), 1.0f32.next_up());
        assert_eq!(value(ordered(-1.0) + 1), (-1.0f32).next_up());
    }
}
