//! Keyed 64-bit hashes of ids, keys and categories.
//!
//! read, expressions, the read API -> **hash**
//!
//! Holds: a hash is a function of the seed, the purpose and the bytes alone: the same in every process, on every
//! platform and in every later version (snapshots keep hashes). A key is never [`NO_KEY`], a category never
//! [`MISSING`]. Parts of a composite key stay apart, because every part is mixed in with its length.
//!
//! Own code in the manner of wyhash and rapidhash (128-bit folded products, secrets from the seed) and not foldhash,
//! whose results depend on the byte order and the width of the machine and may change with its version. Keyed: without
//! the seed nobody can aim at a collision; it is no MAC, and hashes are never published.

use crate::event::{MISSING, NO_KEY};

/// The hash of a category's text, as the slot of an event holds it.
pub fn category(seed: u64, text: &[u8]) -> i64 {
    Hasher::categories(seed).category(text)
}

/// The hash of an entity's key: the entity's index in the schema and the decoded texts of its parts.
pub fn key(seed: u64, entity: usize, parts: &[&[u8]]) -> u64 {
    let hasher = Hasher::entity(seed, entity);
    let state = parts.iter().fold(hasher.start(), |state, part| hasher.mix(state, part));
    hasher.key(state)
}

/// The hash of a decoded event id.
pub fn id(seed: u64, text: &[u8]) -> u64 {
    Hasher::ids(seed).id(text)
}

/// The secrets of one purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    secrets: [u64; 4],
}

impl Hasher {
    pub(super) fn ids(seed: u64) -> Self {
        Self::new(seed, 0)
    }

    pub(super) fn categories(seed: u64) -> Self {
        Self::new(seed, 1)
    }

    pub(super) fn entity(seed: u64, entity: usize) -> Self {
        Self::new(seed, 2 + entity as u64)
    }

    /// splitmix64 from the seed and the purpose.
    fn new(seed: u64, purpose: u64) -> Self {
        let mut state = splitmix(seed).wrapping_add(splitmix(!purpose));
        let secrets = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            splitmix(state)
        });
        Self { secrets }
    }

    /// The state before the first part.
    #[inline]
    pub(super) fn start(&self) -> u64 {
        self.secrets[3]
    }

    /// Mixes one part, and its length, into the state.
    #[inline]
    pub(super) fn mix(&self, state: u64, text: &[u8]) -> u64 {
        let [s0, s1, s2, _] = self.secrets;
        let len = text.len();
        let mut state = state;
        let mut rest = text;
        while rest.len() > 16
            && let Some((chunk, behind)) = rest.split_first_chunk::<16>()
        {
            let chunk = u128::from_le_bytes(*chunk);
            state = fold(chunk as u64 ^ s0, (chunk >> 64) as u64 ^ state);
            rest = behind;
        }
        let (a, b) = match (rest.first_chunk(), rest.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => below_eight(rest),
        };
        let product = u128::from(a ^ s1) * u128::from(b ^ state);
        fold(product as u64 ^ s2 ^ len as u64, (product >> 64) as u64 ^ s0)
    }

    /// The key word of a state.
    #[inline]
    pub(super) fn key(&self, state: u64) -> u64 {
        if state == NO_KEY { self.secrets[2] | 1 } else { state }
    }

    #[inline]
    pub(super) fn id(&self, text: &[u8]) -> u64 {
        self.mix(self.start(), text)
    }

    #[inline]
    pub(super) fn category(&self, text: &[u8]) -> i64 {
        let hash = self.mix(self.start(), text) as i64;
        if hash == MISSING { MISSING ^ 1 } else { hash }
    }
}

/// The halves of the 128-bit product, folded.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The two words of fewer than eight bytes.
#[inline]
fn below_eight(bytes: &[u8]) -> (u64, u64) {
    let half = |chunk: &[u8; 4]| u64::from(u32::from_le_bytes(*chunk));
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (half(first), half(last));
    }
    let [first, .., last] = *bytes else {
        return (bytes.first().map_or(0, |&byte| u64::from(byte) * 0x1_0101), 0);
    };
    let middle = bytes[bytes.len() / 2];
    (u64::from(first) | u64::from(middle) << 8 | u64::from(last) << 16, 0)
}

fn splitmix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Snapshots keep these: a change of any is a change of format.
    #[test]
    fn hashes_never_change() {
        assert_eq!(category(0, b""), 0x7fea_58a0_f9ce_0037);
        assert_eq!(category(1, b"DE"), 0x5f93_519f_c05e_1f4a);
        assert_eq!(id(1, b"0123456789abcdef"), 0x9d49_6fe2_630e_4f2e);
        assert_eq!(id(1, b"0123456789abcdef0123456789abcdef0"), 0xdc4d_094d_219b_64f7);
        assert_eq!(key(1, 0, &[b"c00000001"]), 0x0a0b_ff6b_a664_4db8);
        assert_eq!(key(1, 3, &[b"a", b"bc"]), 0x2e14_c764_9ac1_9d88);
    }

    #[test]
    fn seed_purpose_and_parts_all_count() {
        let all = [
            id(1, b"a"),
            id(2, b"a"),
            category(1, b"a") as u64,
            key(1, 0, &[b"a"]),
            key(1, 1, &[b"a"]),
            key(2, 0, &[b"a"]),
            key(1, 0, &[b"a", b"bc"]),
            key(1, 0, &[b"ab", b"c"]),
            key(1, 0, &[b"abc"]),
            key(1, 0, &[b"abc", b""]),
            key(1, 0, &[b"", b"abc"]),
            key(1, 0, &[b"a", b"b", b"c"]),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn reserved_words_are_never_given() {
        let hasher = Hasher::entity(1, 0);
        assert_ne!(hasher.key(NO_KEY), NO_KEY);
        assert_eq!(hasher.key(5), 5);
    }

    /// Every length, and every bit of a text, moves about half of the bits; no two of many similar texts collide.
    #[test]
    fn similar_texts_are_far_apart() {
        let mut seen = HashSet::new();
        for len in 1..=64_usize {
            let text = vec![b'0'; len];
            let base = id(7, &text);
            assert!(seen.insert(base));
            let mut moved = 0;
            for bit in 0..len * 8 {
                let mut other = text.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let hash = id(7, &other);
                assert!(seen.insert(hash), "length {len}, bit {bit}");
                moved += (hash ^ base).count_ones();
            }
            let mean = f64::from(moved) / (len * 8) as f64;
            assert!((28.0..36.0).contains(&mean), "length {len}: {mean} bits");
        }
        for number in 0..100_000 {
            assert!(seen.insert(id(7, format!("c{number:08}").as_bytes())));
        }
        // The low bits choose shards and slots.
        let mut shards = [0_u32; 64];
        for number in 0..64_000 {
            shards
                [key(7, 0, &[format!("10.0.{}.{}", number / 256, number % 256).as_bytes()]) as usize % 64] +=
                1;
        }
        assert!(shards.iter().all(|&count| (850..1150).contains(&count)), "{shards:?}");
    }
}
