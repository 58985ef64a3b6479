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
        while rest.len() > 16 {
            state = fold(word(rest) ^ s0, word(&rest[8..]) ^ state);
            rest = &rest[16..];
        }
        let (a, b) = match rest.len() {
            8.. => (word(rest), word(&rest[rest.len() - 8..])),
            4.. => (half(rest), half(&rest[rest.len() - 4..])),
            1.. => {
                let (first, middle, last) = (rest[0], rest[rest.len() / 2], rest[rest.len() - 1]);
                (u64::from(first) | u64::from(middle) << 8 | u64::from(last) << 16, 0)
            }
            0 => (0, 0),
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

#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

#[inline]
fn half(bytes: &[u8]) -> u64 {
    let mut half = [0; 4];
    half.copy_from_slice(&bytes[..4]);
    u64::from(u32::from_le_bytes(half))
}

fn splitmix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
