//! From a trainer's f64 to the f32 that this crate scores.
//!
//! format -> **narrow** -> model
//!
//! Rounding can carry a number over a threshold that lies between two f32. Here it stops at the f32 on its own side.
//!
//! Holds: what is kept is the trainer's own thresholds, where the trainer compares in f64; a number that is an f32 stays
//! as it is.
//! Not here: the thresholds that rows are compared with (`tree`): of those the smallest f32 above is enough.

use crate::tree::ZERO;

/// Where the trainer's answers change, by feature.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    features: Vec<Edge>,
}

#[derive(Debug, Clone, Default)]
struct Edge {
    /// A number up to one and a number above it are told apart; ascending once [`Edges::sort`] ran.
    thresholds: Vec<f64>,
    /// Categories: what counts is the whole part.
    is_category: bool,
}

impl Edges {
    pub(crate) fn new(feature_count: usize) -> Self {
        Self { features: vec![Edge::default(); feature_count] }
    }

    /// A split that goes left for x <= `threshold`; all up to [`ZERO`] in size count as 0.
    pub(crate) fn threshold(&mut self, feature: i64, threshold: f64) {
        let zero = f64::from(ZERO);
        let threshold = match threshold {
            t if (0.0..=zero).contains(&t) => zero,
            t if (-zero..0.0).contains(&t) => (-zero).next_down(),
            t => t,
        };
        if let Some(edge) = self.of(feature) {
            edge.thresholds.push(threshold);
        }
    }

    /// A split by category.
    pub(crate) fn category(&mut self, feature: i64) {
        if let Some(edge) = self.of(feature) {
            edge.is_category = true;
        }
    }

    fn of(&mut self, feature: i64) -> Option<&mut Edge> {
        usize::try_from(feature).ok().and_then(|feature| self.features.get_mut(feature))
    }

    /// Sorts them, once all are there. Where a row's value counts as missing changes at [`ZERO`] too.
    pub(crate) fn sort(&mut self) {
        let zero = f64::from(ZERO);
        for edge in &mut self.features {
            if !edge.thresholds.is_empty() {
                edge.thresholds.extend([zero, (-zero).next_down()]);
                edge.thresholds.sort_by(f64::total_cmp);
                edge.thresholds.dedup();
            }
        }
    }

    /// The f32 nearest to x on its side of every threshold; none where two thresholds enclose x and no f32.
    pub(crate) fn narrow(&self, feature: usize, x: f64) -> Option<f32> {
        let Some(edge) = self.features.get(feature) else { return Some(x as f32) };
        let near = x as f32;
        if x.is_nan() || f64::from(near) == x {
            return Some(near);
        }
        if edge.is_category {
            let whole = x.trunc();
            return (f64::from(whole as f32) == whole || x <= -1.0).then_some(whole as f32);
        }
        let (below, above) =
            if f64::from(near) < x { (near, near.next_up()) } else { (near.next_down(), near) };
        // How many thresholds x, and the f32 on either side, are above.
        let passed = |x: f64| edge.thresholds.partition_point(|threshold| *threshold < x);
        let (low, here, high) = (passed(f64::from(below)), passed(x), passed(f64::from(above)));
        match (here == low, here == high) {
            (true, true) => Some(near),
            (true, false) => Some(below),
            (false, true) => Some(above),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(thresholds: &[f64]) -> Edges {
        let mut edges = Edges::new(1);
        for threshold in thresholds {
            edges.threshold(0, *threshold);
        }
        edges.sort();
        edges
    }

    #[test]
    fn a_number_stays_on_its_side() {
        // 0.1 lies between two f32, nearer to the upper.
        let (low, high) = (0.1f32.next_down(), 0.1f32);
        assert!(f64::from(low) < 0.1 && 0.1 < f64::from(high));
        let at = |thresholds: &[f64], x: f64| edges(thresholds).narrow(0, x);
        assert_eq!(at(&[], 0.1), Some(high));
        assert_eq!(at(&[0.1], 0.1), Some(low), "not above it: left");
        assert_eq!(at(&[0.1], 0.1f64.next_up()), Some(high));
        assert_eq!(at(&[0.1], 0.1f64.next_down()), Some(low));
        // Nearer to the lower f32, but above the threshold.
        let x = f64::from(low) + (f64::from(high) - f64::from(low)) / 8.0;
        assert_eq!(at(&[0.2], x), Some(low));
        assert_eq!(at(&[x.next_down()], x), Some(high));
        assert_eq!(at(&[x.next_down(), 0.1], x), None, "no f32 lies between the two");
        assert_eq!(at(&[f64::from(low)], x), Some(high), "a threshold that is an f32 itself is on the left");
        for same in [f64::NAN, f64::INFINITY, -0.0, 0.5, f64::from(high)] {
            let narrow = at(&[0.1], same).map(|x| f64::from(x).to_bits());
            assert_eq!(narrow, Some(same.to_bits()));
        }
        assert_eq!(at(&[1e300], 1e299), Some(f32::MAX));
        assert_eq!(at(&[1e300], 1e301), Some(f32::INFINITY));
    }

    #[test]
    fn zeros_stay_zeros() {
        let zero = f64::from(ZERO);
        for threshold in [-1e-40, 0.0, 1e-36, 5.0] {
            let edges = edges(&[threshold]);
            assert_eq!(edges.narrow(0, zero.next_up()), Some(ZERO.next_up()), "{threshold}");
            assert_eq!(edges.narrow(0, (-zero).next_down()), Some((-ZERO).next_down()), "{threshold}");
            assert!(edges.narrow(0, zero.next_down()).is_some_and(|x| x.abs() <= ZERO), "{threshold}");
        }
    }

    #[test]
    fn a_category_is_the_whole_part() {
        let mut edges = Edges::new(1);
        edges.category(0);
        edges.sort();
        assert_eq!(edges.narrow(0, 6.0f64.next_down()), Some(5.0));
        assert_eq!(edges.narrow(0, -1.0f64.next_up()), Some(-1.0));
        assert_eq!(edges.narrow(0, (-1.0f64).next_up()), Some(-0.0));
        assert_eq!(edges.narrow(0, 16_777_217.5), None);
    }
}
