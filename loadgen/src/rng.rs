//! Random draws, and fixed attributes drawn from a name.
//!
//! seed -> **rng** -> everything that looks random
//!
//! Holds: `ChaCha8` and integer arithmetic, or floats with `+ - * /` only: equal on every machine.
//! Not here: distributions over customers (`zipf`), over time (`clock`).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// 2^-53: turns the 53 high bits of a word into a number in [0, 1).
const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// The source of draws that depend on the order in which they are made.
pub(crate) struct Rng(ChaCha8Rng);

impl Rng {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut core = ChaCha8Rng::seed_from_u64(seed);
        core.set_stream(stream);
        Self(core)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`; the bias of at most bound / 2^64 is no concern here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        scale(self.word(), bound)
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.word())
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -crate::maths::ln(1.0 - self.unit()) * mean
    }

    /// Standard normal (Marsaglia's polar method; the second draw is given away).
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.unit() - 1.0;
            let y = 2.0 * self.unit() - 1.0;
            let s = x * x + y * y;
            if s < 1.0 && s > 0.0 {
                return x * (-2.0 * crate::maths::ln(s) / s).sqrt();
            }
        }
    }

    /// Poisson with a small mean (products of uniforms: about mean + 1 draws).
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        let limit = crate::maths::exp(-mean);
        let mut product = self.unit();
        let mut count = 0;
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// A word as uniform in [0, 1).
pub(crate) fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * UNIT
}

/// A word as uniform in `0..bound`.
pub(crate) fn scale(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

/// The finaliser of splitmix64: a bijection that leaves no visible pattern.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Attributes that belong to somebody for good: drawn from the name, never stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names(u64);

impl Names {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x6361_7274_6775_6172))
    }

    /// The word of `(what, who)`.
    pub(crate) fn of(self, what: u64, who: u64) -> u64 {
        mix(mix(self.0 ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_add(who.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    /// A version 4 UUID of `who`; two of 122 bits collide with no probability that matters.
    pub(crate) fn uuid(self, what: u64, who: u64) -> u128 {
        let high = self.of(what, who) & !0xf000 | 0x4000;
        let low = self.of(what ^ 0xff00, who) & (u64::MAX >> 2) | (1 << 63);
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_right() {
        let mut rng = Rng::new(7, 0);
        let n = 200_000;
        let (mut normal, mut square, mut exponential, mut poisson) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = rng.normal();
            normal += x;
            square += x * x;
            exponential += rng.exponential(3.0);
            poisson += f64::from(rng.poisson(2.0));
        }
        let n = f64::from(n);
        assert!((normal / n).abs() < 0.01);
        assert!((square / n - 1.0).abs() < 0.02);
        assert!((exponential / n - 3.0).abs() < 0.05);
        assert!((poisson / n - 2.0).abs() < 0.02);
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let mut rng = Rng::new(7, 1);
        for _ in 0..10_000 {
            assert!(rng.below(3) < 3);
            assert!((5..=6).contains(&rng.between(5, 6)));
            assert!((0.0..1.0).contains(&rng.unit()));
        }
    }
}
