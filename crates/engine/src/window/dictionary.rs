//! The values of a distinct column that a key has seen, each with the last time.
//!
//! history -> **dictionary**
//!
//! An entry names its value by its place here (16 bits). A place is reused only after its value expired, and then
//! every entry that named it has expired too, for none is newer than the value's last time.
//!
//! Head, two words: `handle (32) | places (16) | values (16)`, and the newest time that found no place. The block
//! holds `room` values, then `room` last times, room being the power of two at or above the places.

use crate::window::arena::{Arena, Handle};
use crate::window::layout::NO_VALUE;

/// Last time of a place that holds no value.
const EMPTY: i64 = i64::MIN;
/// Never was a value turned away.
pub(crate) const NEVER: i64 = i64::MIN;

/// The head of a dictionary, as kept in a history's root block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    handle: Handle,
    places: usize,
    /// Values in store.
    pub(crate) values: usize,
    /// Newest time at which a value found no place, or [`NEVER`].
    pub(crate) dropped_ms: i64,
}

impl Dictionary {
    pub(crate) const EMPTY: Self = Self { handle: Handle::NONE, places: 0, values: 0, dropped_ms: NEVER };

    #[inline]
    pub(crate) fn load(head: &[u64]) -> Self {
        let word = head[0];
        Self {
            handle: Handle(word as u32),
            places: (word >> 32) as usize & 0xffff,
            values: (word >> 48) as usize,
            dropped_ms: head[1] as i64,
        }
    }

    #[inline]
    pub(crate) fn store(&self, head: &mut [u64]) {
        head[0] = u64::from(self.handle.0) | (self.places as u64) << 32 | (self.values as u64) << 48;
        head[1] = self.dropped_ms as u64;
    }

    fn room(&self) -> usize {
        self.places.next_power_of_two()
    }

    /// Values and last times, place by place.
    #[inline]
    pub(crate) fn parts<'a>(&self, arena: &'a Arena) -> (&'a [u64], &'a [u64]) {
        if self.places == 0 {
            return (&[], &[]);
        }
        let room = self.room();
        let words = arena.words(self.handle, 2 * room);
        (&words[..self.places], &words[room..room + self.places])
    }

    /// Number of values last seen after `edge_ms`, whether `present` is one of them, and whether any was last seen after `near_ms`.
    pub(crate) fn count_after(
        &self,
        arena: &Arena,
        edge_ms: i64,
        near_ms: i64,
        present: Option<u64>,
    ) -> Counted {
        let (values, lasts) = self.parts(arena);
        let mut counted = Counted::default();
        for (&value, &last) in values.iter().zip(lasts) {
            let last = last as i64;
            if last > edge_ms {
                if last > near_ms {
                    counted.newer = true;
                } else {
                    counted.values += 1;
                    counted.has_present |= Some(value) == present;
                }
            }
        }
        counted
    }

    /// Removes the values last seen at or before `bound_ms`, notes a value at a time, and counts the values last seen after `edge_ms`.
    pub(crate) fn note(
        &mut self,
        arena: &mut Arena,
        value: Option<u64>,
        at_ms: i64,
        (bound_ms, edge_ms): (i64, i64),
        values_max: usize,
    ) -> Noted {
        let (mut found, mut hole, mut others) = (None, None, 0);
        if self.places > 0 {
            let room = self.room();
            let (values, lasts) = arena.words_mut(self.handle, 2 * room).split_at_mut(room);
            let places = self.places.min(lasts.len());
            let (values, lasts) = (&values[..places], &mut lasts[..places]);
            for place in 0..places {
                let last = lasts[place] as i64;
                if last <= bound_ms {
                    self.values -= usize::from(last != EMPTY);
                    lasts[place] = EMPTY as u64;
                    hole = hole.or(Some(place));
                } else if Some(values[place]) == value {
                    lasts[place] = at_ms.max(last) as u64;
                    found = Some(place as u16);
                } else {
                    others += u64::from(last > edge_ms);
                }
            }
        }
        let Some(value) = value else {
            if self.values == 0 {
                self.release(arena);
            }
            return Noted { place: NO_VALUE, within: others };
        };
        if let Some(place) = found {
            return Noted { place, within: others + 1 };
        }
        if self.values >= values_max {
            self.dropped_ms = self.dropped_ms.max(at_ms);
            return Noted { place: NO_VALUE, within: others };
        }
        let place = hole.unwrap_or_else(|| self.grow(arena));
        let room = self.room();
        let words = arena.words_mut(self.handle, 2 * room);
        words[place] = value;
        words[room + place] = at_ms as u64;
        self.values += 1;
        Noted { place: place as u16, within: others + 1 }
    }

    /// Gives back the block.
    pub(crate) fn release(&mut self, arena: &mut Arena) {
        if self.places > 0 {
            arena.release(self.handle, 2 * self.room());
        }
        (self.handle, self.places, self.values) = (Handle::NONE, 0, 0);
    }

    /// Adds a place and returns it.
    fn grow(&mut self, arena: &mut Arena) -> usize {
        let place = self.places;
        if place == 0 {
            self.handle = arena.allocate(2);
        } else if place == self.room() {
            let (old, room) = (self.handle, place);
            let new = arena.allocate(4 * room);
            for half in 0..2 {
                for index in 0..room {
                    let word = arena.words(old, 2 * room)[half * room + index];
                    arena.words_mut(new, 4 * room)[half * 2 * room + index] = word;
                }
            }
            arena.release(old, 2 * room);
            self.handle = new;
        }
        self.places += 1;
        place
    }
}

/// What [`Dictionary::note`] did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    /// The value's place, or [`NO_VALUE`] where there is no value or none was left.
    pub(crate) place: u16,
    /// Values last seen after the edge; a value that was noted at or before it counts too.
    pub(crate) within: u64,
}

/// What [`Dictionary::count_after`] found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) values: u64,
    pub(crate) has_present: bool,
    pub(crate) newer: bool,
}
