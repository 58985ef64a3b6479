//! How long to wait before a call is tried again.
//!
//! Exponential with full jitter, without end: the position is unchanged and nothing is lost by waiting, so there is no number of
//! tries after which to give up. Not here: what is worth another try (`fault`).

use crate::limits;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The pauses of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
    chance: u64,
}

impl Backoff {
    /// None is longer than `longest`.
    pub fn new(longest: Duration) -> Self {
        // Every process and every shard has pauses of its own, or all would come back at once.
        Self::seeded(longest, RandomState::new().build_hasher().finish())
    }

    fn seeded(longest: Duration, chance: u64) -> Self {
        Self { first: limits::BACKOFF_FIRST.min(longest), longest, tries: 0, chance }
    }

    /// The next pause: anything up to a bound that doubles.
    pub fn pause(&mut self) -> Duration {
        let bound = self.first.saturating_mul(1 << self.tries.min(20)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        bound.mul_f64(share)
    }

    /// It went well: the next pause is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Tries since it last went well.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        for seed in 0..100 {
            let mut backoff = Backoff::seeded(Duration::from_secs(10), seed);
            let pauses: Vec<_> = (0..10_000).map(|_| backoff.pause()).collect();
            for (pause, bound) in pauses.iter().zip([100, 200, 400, 800, 1_600]) {
                assert!(*pause <= Duration::from_millis(bound));
            }
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)));
            assert!(pauses.iter().any(|pause| *pause > Duration::from_secs(9)));
            backoff.reset();
            assert!(backoff.pause() <= Duration::from_millis(100));
        }
    }
}
