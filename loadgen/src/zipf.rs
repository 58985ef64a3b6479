//! Who comes next: a customer's rank, drawn by popularity in constant time.
//!
//! settings -> **zipf** -> worlds
//!
//! Holds: rank r (from 0) has weight `(r + 1)^-exponent`, to 2^-32 (Vose's alias method with integer
//! thresholds); 8 bytes a customer. Rejection sampling would need no table, but `pow` per draw.

use crate::rng::Rng;

pub(crate) struct Zipf {
    /// Threshold for keeping the slot's own rank, and the rank taken otherwise.
    slots: Vec<(u32, u32)>,
}

impl Zipf {
    pub(crate) fn new(count: u32, exponent: f64) -> Self {
        let weights: Vec<f64> =
            (1..=count).map(|rank| crate::maths::pow(f64::from(rank), -exponent)).collect();
        let sum: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight / sum * f64::from(count)).collect();
        let mut slots: Vec<(u32, u32)> = (0..count).map(|rank| (u32::MAX, rank)).collect();
        let mut small: Vec<u32> = (0..count).filter(|&rank| scaled[rank as usize] < 1.0).collect();
        let mut large: Vec<u32> = (0..count).rev().filter(|&rank| scaled[rank as usize] >= 1.0).collect();
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            slots[low as usize] = ((scaled[low as usize] * f64::from(u32::MAX)) as u32, high);
            scaled[high as usize] -= 1.0 - scaled[low as usize];
            if scaled[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self { slots }
    }

    /// A rank, 0 the most popular.
    pub(crate) fn draw(&self, rng: &mut Rng) -> u32 {
        let word = rng.word();
        let slot = (((word >> 32) * self.slots.len() as u64) >> 32) as usize;
        let (threshold, other) = self.slots[slot];
        if word as u32 <= threshold { slot as u32 } else { other }
    }

    pub(crate) fn count(&self) -> u32 {
        self.slots.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_has_its_weight() {
        let (count, exponent, draws) = (1_000_u32, 0.8, 400_000);
        let zipf = Zipf::new(count, exponent);
        let mut rng = Rng::new(3, 0);
        let mut seen = vec![0_u32; count as usize];
        for _ in 0..draws {
            seen[zipf.draw(&mut rng) as usize] += 1;
        }
        let sum: f64 = (1..=count).map(|rank| f64::from(rank).powf(-exponent)).sum();
        for rank in [0_usize, 1, 9, 99, 999] {
            let expected = f64::from(draws) * (rank as f64 + 1.0).powf(-exponent) / sum;
            let error = (f64::from(seen[rank]) - expected).abs();
            assert!(error < 5.0 * expected.sqrt(), "rank {rank}: {} for {expected}", seen[rank]);
        }
    }
}
