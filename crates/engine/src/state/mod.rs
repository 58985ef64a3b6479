//! The engine's memory: keys in shards, and the ids seen.
//!
//! batch -> **state** -> window
//!
//! The shards lie in a dashmap, one entry a shard, each with a lock of its own. A worker holds each of its shards for a phase of a batch, so
//! the lock costs nothing; no two workers ask for the same, so that nobody waits in a circle. Whoever goes through all shards (sizes,
//! snapshots) does so between batches, when the engine is nobody else's: a walk holds one lock while it asks for the next.

mod apart;
pub(crate) mod ids;
mod index;
pub(crate) mod part;
mod rows;
pub(crate) mod shard;
mod slots;
pub(crate) mod waiting;

use crate::window::reserve::Reserve;
use dashmap::DashMap;
use shard::{Shard, StateSettings};
use std::hash::{BuildHasher, Hasher};

/// All shards of keys.
pub(crate) type Shards = DashMap<usize, Shard, SpreadShards>;

/// Makes the shards of a state.
pub(crate) fn open(settings: &StateSettings, reserve: &Reserve) -> Shards {
    let locks = settings.shards.next_power_of_two().max(2);
    let shards = DashMap::with_hasher_and_shard_amount(SpreadShards { bits: locks.trailing_zeros() }, locks);
    for shard in 0..settings.shards {
        shards.insert(shard, Shard::new(settings, reserve.clone()));
    }
    shards
}

/// Which shard a key belongs to: its hash modulo the number of shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardOf {
    shards: u64,
    /// `shards - 1` where that is a mask: a division costs as much as all the rest of finding a shard.
    mask: Option<u64>,
}

impl ShardOf {
    pub(crate) fn new(shards: usize) -> Self {
        let shards = shards as u64;
        Self { shards, mask: shards.is_power_of_two().then(|| shards - 1) }
    }

    #[inline]
    pub(crate) fn of(self, hash: u64) -> usize {
        match self.mask {
            Some(mask) => (hash & mask) as usize,
            None => (hash % self.shards) as usize,
        }
    }
}

/// Gives each shard a lock of its own: dashmap takes a lock by the bits below the top seven of the hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpreadShards {
    bits: u32,
}

impl BuildHasher for SpreadShards {
    type Hasher = SpreadShard;

    fn build_hasher(&self) -> SpreadShard {
        SpreadShard { bits: self.bits, hash: 0 }
    }
}

/// See [`SpreadShards`].
#[derive(Debug)]
pub(crate) struct SpreadShard {
    bits: u32,
    hash: u64,
}

impl Hasher for SpreadShard {
    fn finish(&self) -> u64 {
        self.hash << (57 - self.bits)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = self.hash << 8 | u64::from(byte);
        }
    }

    fn write_usize(&mut self, shard: usize) {
        self.hash = shard as u64;
    }
}
