//! Histograms of a training, for drift later.
//!
//! rows -> **histogram** -> manifest

use crate::model::Histogram;

/// Bins, about: of a twentieth of the values each.
const BINS: usize = 20;
/// Values that the edges come of, at most.
const SAMPLE: usize = 50_000;

/// Of values in any order; NaN is missing. Edges are quantiles of a spread of them, each once.
pub(super) fn of(name: &str, values: impl Iterator<Item = f32> + Clone) -> Histogram {
    let count = values.clone().filter(|value| !value.is_nan()).count();
    let stride = count.div_ceil(SAMPLE).max(1);
    let mut sample: Vec<f32> = values.clone().filter(|value| !value.is_nan()).step_by(stride).collect();
    sample.sort_by(f32::total_cmp);
    let mut edges: Vec<f32> = Vec::new();
    for bin in 1..BINS {
        let Some(&edge) = sample.get(bin * sample.len() / BINS) else { break };
        // A bin below the least value would stay empty.
        if sample.first().is_some_and(|least| edge > *least) && edges.last().is_none_or(|last| edge > *last) {
            edges.push(edge);
        }
    }
    let (mut counts, mut missing) = (vec![0; edges.len() + 1], 0);
    for value in values {
        if value.is_nan() {
            missing += 1;
        } else {
            counts[edges.partition_point(|edge| *edge <= value)] += 1;
        }
    }
    Histogram { name: name.to_owned(), edges, counts, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_alike_full_and_values_of_one_kind_lie_in_one() {
        let spread = of("a", (0..1_000).map(|at| at as f32));
        assert_eq!(spread.edges.len(), 19);
        assert_eq!(spread.counts, [50; 20]);
        let flag = of("b", (0..100).map(|at| if at % 4 == 0 { 1.0 } else { 0.0 }));
        assert_eq!((flag.edges, flag.counts), (vec![1.0], vec![75, 25]));
        let same = of("c", [f32::NAN, 7.0, 7.0].into_iter());
        assert_eq!((same.edges, same.counts, same.missing), (vec![], vec![2], 1));
        let never = of("d", [f32::NAN].into_iter());
        assert_eq!((never.edges, never.counts, never.missing), (vec![], vec![0], 1));
    }
}
