//! Finds the slot of a key by the key's hash.
//!
//! shard -> **index** -> slot
//!
//! Open addressing with linear probing in one array of words, so that a look-up is one cache line, known from the hash alone: a batch
//! prefetches the lines of all its keys and then finds them without waiting. (A `hashbrown` table has its bytes of control apart from
//! its entries and offers no prefetch; on the workload, 5 % of all time was spent waiting in it.)
//! A place holds the upper half of the hash and the slot; where two hashes share that half the caller's look at the slot decides.

use crate::window::arena::PAGE_WORDS;
use crate::window::prefetch;
use crate::window::reserve::{Page, Reserve};
use std::ops::{Deref, DerefMut, RangeInclusive};

/// Places of a new index.
const PLACES_MIN: usize = 16;
/// Places for which a page of the reserve is taken: a quarter of it to all.
const PAGE_PLACES: RangeInclusive<usize> = PAGE_WORDS / 4..=PAGE_WORDS;
/// Bits of a hash that name its part.
pub(crate) const PART_BITS: u32 = 10;
/// A place without a slot.
const FREE: u64 = 0;

/// See the module.
#[derive(Debug)]
pub(crate) struct Index {
    /// `upper half of the hash << 32 | slot + 1`, or [`FREE`]. A power of two of them, at most three quarters taken.
    places: Places,
    taken: usize,
}

/// The array of an index.
#[derive(Debug)]
enum Places {
    Own(Vec<u64>),
    /// The first words of a page.
    InPage(Page, usize),
}

impl Deref for Places {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        match self {
            Self::Own(words) => words,
            Self::InPage(page, len) => &page[..*len],
        }
    }
}

impl DerefMut for Places {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Own(words) => words,
            Self::InPage(page, len) => &mut page[..*len],
        }
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { places: Places::Own(vec![FREE; PLACES_MIN]), taken: 0 }
    }

    /// Bytes of the array, or of the page in which it lies.
    pub(crate) fn bytes(&self) -> u64 {
        let words = match &self.places {
            Places::Own(words) => words.capacity(),
            Places::InPage(page, _) => page.len(),
        };
        words as u64 * 8
    }

    /// Prefetches where the look-up of a hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch::line(&self.places[self.start(hash)]);
    }

    /// The first slot with this hash's upper half that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.start(hash);
        loop {
            let place = self.places[at];
            if place == FREE {
                return None;
            }
            if place >> 32 == hash >> 32 && is_it(slot_of(place)) {
                return Some(slot_of(place));
            }
            at = self.after(at);
        }
    }

    /// Adds a slot that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32, reserve: &Reserve) {
        if (self.taken + 1) * 4 > self.places.len() * 3 {
            self.grow(reserve);
        }
        self.put((hash >> 32 << 32) | (u64::from(slot) + 1));
        self.taken += 1;
    }

    /// Removes a slot.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let mut hole = self.start(hash);
        loop {
            match self.places[hole] {
                FREE => return,
                place if slot_of(place) == slot => break,
                _ => hole = self.after(hole),
            }
        }
        // Whoever probed past the hole moves up, so that no look-up ends at it.
        let mask = self.places.len() - 1;
        let mut at = self.after(hole);
        while self.places[at] != FREE {
            let start = self.start(self.places[at]);
            if at.wrapping_sub(start) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = self.places[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.places[hole] = FREE;
        self.taken -= 1;
    }

    /// All slots, in no order that means anything.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.places.iter().filter(|&&place| place != FREE).map(|&place| slot_of(place))
    }

    /// The slots of a part: those of hashes with these upper [`PART_BITS`] bits.
    pub(crate) fn slots_of_part(&self, part: u64) -> impl Iterator<Item = u32> {
        let first = self.start(part << (64 - PART_BITS));
        // A part's places follow one another, but for those that probed past its end.
        let own = (self.places.len() >> PART_BITS).max(1);
        (0..self.places.len())
            .map(move |step| (step, self.places[(first + step) & (self.places.len() - 1)]))
            .take_while(move |&(step, place)| step < own || place != FREE)
            .filter(move |&(_, place)| place != FREE && place >> (64 - PART_BITS) == part)
            .map(|(_, place)| slot_of(place))
    }

    /// Where the probing for a hash, or for a place's own, begins: its top bits.
    #[inline]
    fn start(&self, hash: u64) -> usize {
        (hash >> (64 - self.places.len().trailing_zeros())) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn put(&mut self, place: u64) {
        let mut at = self.start(place);
        while self.places[at] != FREE {
            at = self.after(at);
        }
        self.places[at] = place;
    }

    #[cold]
    fn grow(&mut self, reserve: &Reserve) {
        let room = self.places.len() * 2;
        // Fresh memory of that size is better touched by the reserve's thread, though the page may be larger than asked for.
        let places = if PAGE_PLACES.contains(&room) {
            Places::InPage(reserve.page(), room)
        } else {
            Places::Own(vec![FREE; room])
        };
        let old = std::mem::replace(&mut self.places, places);
        for place in old.iter().copied().filter(|&place| place != FREE) {
            self.put(place);
        }
    }
}

/// The slot of a place that is not free; of a free one nothing.
#[inline]
fn slot_of(place: u64) -> u32 {
    (place as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_past_a_page() {
        let (mut index, reserve) = (Index::new(), Reserve::start());
        let hash = |slot: u32| u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for slot in 0..60_000 {
            index.insert(hash(slot), slot, &reserve);
        }
        assert!((0..60_000).all(|slot| index.find(hash(slot), |found| found == slot) == Some(slot)));
        assert_eq!(index.slots().count(), 60_000);
    }

    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;

    proptest! {
        /// Few upper halves and few starts, so that probing, sharing and moving up all happen.
        #[test]
        fn it_finds_what_a_map_finds(steps in prop::collection::vec((0u64..40, 0u64..4, any::<bool>()), 1..300)) {
            let mut index = Index::new();
            let mut map = HashMap::new();
            let mut hashes = Vec::new();
            for (top, low, removes) in steps {
                let hash = (top << 58 | top) << 1 | low;
                if removes {
                    if let Some(slot) = map.remove(&hash) {
                        index.remove(hash, slot);
                    }
                } else if let Entry::Vacant(vacant) = map.entry(hash) {
                    let slot = hashes.len() as u32;
                    hashes.push(hash);
                    vacant.insert(slot);
                    index.insert(hash, slot, &Reserve::none());
                }
                for (&hash, &slot) in &map {
                    prop_assert_eq!(index.find(hash, |slot| hashes[slot as usize] == hash), Some(slot));
                }
                let missing = hash ^ 1 << 40;
                prop_assert_eq!(index.find(missing, |slot| hashes[slot as usize] == missing), None);
                let mut slots: Vec<u32> = index.slots().collect();
                let mut held: Vec<u32> = map.values().copied().collect();
                slots.sort_unstable();
                held.sort_unstable();
                prop_assert_eq!(slots, held);
                let part = hash >> (64 - PART_BITS);
                let mut slots: Vec<u32> = index.slots_of_part(part).collect();
                let in_part = |&(hash, _): &(&u64, &u32)| hash >> (64 - PART_BITS) == part;
                let mut held: Vec<u32> = map.iter().filter(in_part).map(|(_, &slot)| slot).collect();
                slots.sort_unstable();
                held.sort_unstable();
                prop_assert_eq!(slots, held);
            }
        }
    }
}
