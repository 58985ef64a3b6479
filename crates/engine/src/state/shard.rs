//! One shard of keys: find, read, store, forget, evict.
//!
//! batch -> state -> **shard** -> window
//!
//! docs/semantics.md, 2 and 5, step by step. Holds: what a shard does depends on its own updates, in order, and on nothing else.

use crate::event::marks;
use crate::features::cell::Cell;
use crate::features::plan::EntityPlan;
use crate::state::index::{Index, PART_BITS};
use crate::state::slots::Slots;
use crate::window::arena::Arena;
use crate::window::history::History;
use crate::window::layout::Layout;
use crate::window::prefetch;
use crate::window::read::{self, Reader};
use crate::window::reserve::Reserve;
use crate::window::sliding::SlidingMut;
use crate::window::slot::{NOTHING_LOST, Slot};
use crate::window::write::{Entry, HistoryMut, Scratch};

/// Settings of the state, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    /// `state.shards`
    pub shards: usize,
    /// `state.memory`, bytes by the published formula, all shards together.
    pub memory_bytes: u64,
    /// `state.entries_per_key`
    pub entries_per_key: usize,
    /// Distinct values of a column that a key keeps, at most [`crate::limits::DISTINCT_VALUES_MAX`].
    pub values_per_key: usize,
    /// `state.forget_after`, ms.
    pub forget_after_ms: i64,
    /// `state.sweep_every`, sequence numbers.
    pub sweep_every: u64,
    /// `time.lateness`, ms.
    pub lateness_ms: i64,
}

#[cfg(test)]
impl StateSettings {
    /// One shard in which nothing is evicted or forgotten.
    pub(crate) fn roomy() -> Self {
        Self {
            shards: 1,
            memory_bytes: 1 << 30,
            entries_per_key: 4_096,
            values_per_key: 1_024,
            forget_after_ms: 1 << 50,
            sweep_every: 1 << 40,
            lateness_ms: 0,
        }
    }
}

/// One event's update of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub(crate) hash: u64,
    pub(crate) sequence: u64,
    pub(crate) time_ms: i64,
    /// M at this event.
    pub(crate) stream_ms: i64,
}

/// What a shard holds, by the formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) keys: u64,
    pub(crate) entries: u64,
    pub(crate) values: u64,
    pub(crate) bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) evicted: u64,
    /// Labels that came again for an event that lies in a span.
    pub(crate) lost_labels: u64,
}

/// One shard.
pub(crate) struct Shard {
    /// Key hash to slot number. An index: it can be made again from the slots.
    pub(super) index: Index,
    pub(super) slots: Slots,
    pub(super) arena: Arena,
    reserve: Reserve,
    scratch: Scratch,
    pub(super) size: Size,
    budget_bytes: u64,
    /// Labels stored; see `apart`.
    pub(super) labels_stored: u64,
    /// Newest last-seen time that was evicted.
    pub(super) horizon_ms: i64,
    /// `m` of the last update, and the sequence at which the next part is due (docs/semantics.md, 5).
    pub(super) swept: u64,
    pub(super) next_sweep: u64,
    /// Slots with the oldest updates, oldest last, as of when they were collected; see [`Shard::evict`].
    oldest: Vec<(u64, u32)>,
    /// While a snapshot is taken: what is not in pages, as of the cut.
    pub(super) captured_head: Vec<u64>,
}

impl Shard {
    pub(crate) fn new(settings: &StateSettings, reserve: Reserve) -> Self {
        Self {
            index: Index::new(),
            slots: Slots::default(),
            arena: Arena::new(reserve.clone()),
            reserve,
            scratch: Scratch::default(),
            size: Size::default(),
            budget_bytes: settings.memory_bytes / settings.shards as u64,
            labels_stored: 0,
            horizon_ms: NOTHING_LOST,
            swept: 0,
            next_sweep: sweep_step(settings),
            oldest: Vec::new(),
            captured_head: Vec::new(),
        }
    }

    pub(crate) fn size(&self) -> Size {
        let resident_bytes = self.arena.resident_bytes() + self.slots.resident_bytes() + self.index.bytes();
        Size { resident_bytes, ..self.size }
    }

    /// Prefetches where a key's slot is looked up.
    #[inline]
    pub(crate) fn prefetch_place(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// The slot that a key very likely has, prefetched; [`Shard::confirm`] says whether it does.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        let slot = self.index.find(hash, |_| true);
        if let Some(slot) = slot {
            prefetch::line(self.slots.get(slot));
        }
        slot
    }

    /// The slot of a key, if it is in store, from the guess: with millions of keys some guesses name a key that shares half its hash, even one
    /// of another entity. Prefetches what the key's update starts with: all of a small root, the windows and the last summary of a big one.
    #[inline]
    pub(crate) fn confirm(&self, plan: &EntityPlan, guess: Option<u32>, hash: u64) -> Option<u32> {
        let mut found = guess?;
        let mut held = self.slots.get(found);
        if held.hash != hash {
            found = self.find(hash)?;
            held = self.slots.get(found);
        }
        History::new(&plan.layout, &self.arena, held).prefetch_root();
        Some(found)
    }

    /// The words of the sliding windows of a key, where they stand as of its newest event.
    #[cfg(test)]
    pub(crate) fn windows(&mut self, plan: &EntityPlan, hash: u64) -> Option<Vec<u64>> {
        let slot = self.find(hash)?;
        let held = self.slots.get(slot);
        History::new(&plan.layout, &self.arena, held).sliding(held.newest_ms)?;
        Some(self.history_mut(plan, slot).take_windows())
    }

    /// The slot of a key, if it is in store. The number stays good until the key is removed.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |slot| self.slots.get(slot).hash == hash)
    }

    /// Prefetches what an update at this time reads besides the root.
    #[inline]
    pub(crate) fn prefetch_rows(&self, plan: &EntityPlan, slot: u32, time_ms: i64) {
        let held = self.slots.get(slot);
        if held.chunks > 0 || plan.layout.distincts > 0 {
            History::new(&plan.layout, &self.arena, held).prefetch_rows(time_ms);
        }
    }

    /// One update: reads the features into `cells` and stores the event. `hint` is what [`Shard::confirm`] said earlier in the batch.
    #[expect(
        clippy::too_many_arguments,
        reason = "the batch's hot call; a struct would be built for each event"
    )]
    #[inline]
    pub(crate) fn update(
        &mut self,
        settings: &StateSettings,
        plans: &[EntityPlan],
        plan: &EntityPlan,
        hint: Option<u32>,
        update: &Update,
        entry: &Entry,
        scratch: &mut read::Scratch,
        cells: &mut [Cell],
    ) -> u8 {
        let mut found = match hint {
            Some(slot) if self.slots.get(slot).hash == update.hash => Some(slot),
            _ => self.find(update.hash),
        };
        let mut is_late = false;
        let mut is_in_order = true;
        // Of a key whose windows are moved, read and added to in one pass: their words. The event is in them before it is stored.
        let mut windows = None;
        if let Some(slot) = found {
            let held = self.slots.get(slot);
            is_late = held.newest_ms - update.time_ms > settings.lateness_ms;
            is_in_order = held.newest_ms <= update.time_ms;
            if held.newest_ms <= update.stream_ms.saturating_sub(settings.forget_after_ms) {
                self.remove(plans, slot);
                (found, is_late, is_in_order) = (None, false, true);
            } else if held.chunks > 0 && is_in_order {
                let is_one_pass = plan.is_one_pass
                    && held.spans == 0
                    && History::new(&plan.layout, &self.arena, held)
                        .windows_stand_at_or_before(update.time_ms);
                let mut history = self.history_mut(plan, slot);
                if is_one_pass {
                    windows = Some(history.take_windows());
                } else {
                    history.advance(update.time_ms);
                }
            }
        }
        let history = found.map(|slot| History::new(&plan.layout, &self.arena, self.slots.get(slot)));
        let mut reader = Reader {
            plan,
            values_max: settings.values_per_key,
            history: history.as_ref(),
            lost_before_ms: history.map_or(self.horizon_ms, |history| history.slot.lost_before_ms),
            event: entry,
            scratch,
            cells,
            is_stored_next: is_in_order,
        };
        let mut marks = match (&history, &mut windows) {
            (Some(history), Some(words)) => {
                reader.pass(history, &mut SlidingMut::new(&plan.layout.sliding, words))
            }
            _ => reader.read(),
        };
        if is_late {
            return marks | marks::LATE;
        }
        let has_entered = windows.is_some();
        if let (Some(slot), Some(words)) = (found, windows) {
            self.history_mut(plan, slot).put_windows(words);
        }
        self.sweep_if_due(settings, plans, update);
        let slot = found.unwrap_or_else(|| self.create(plan, update));
        self.store(settings, plan, slot, update, entry, has_entered);
        if is_in_order {
            for &(distinct, cell) in &plan.counted {
                let (values, may_miss) = self.scratch.counted[distinct];
                cells[cell] = Cell(values as i64);
                marks |= if may_miss { marks::SATURATED } else { 0 };
            }
        }
        self.evict_if_full(plans, slot);
        marks
    }

    #[inline]
    pub(super) fn sweep_if_due(&mut self, settings: &StateSettings, plans: &[EntityPlan], update: &Update) {
        if update.sequence >= self.next_sweep {
            self.sweep(settings, plans, update);
        }
    }

    #[inline]
    pub(super) fn evict_if_full(&mut self, plans: &[EntityPlan], keep: u32) {
        if self.size.bytes > self.budget_bytes {
            self.evict(plans, keep);
        }
    }

    pub(super) fn history_mut<'a>(&'a mut self, plan: &'a EntityPlan, slot: u32) -> HistoryMut<'a> {
        HistoryMut {
            layout: &plan.layout,
            arena: &mut self.arena,
            slot: self.slots.get_mut(slot),
            scratch: &mut self.scratch,
        }
    }

    pub(super) fn create(&mut self, plan: &EntityPlan, update: &Update) -> u32 {
        let slot = self.slots.take(&self.reserve);
        *self.slots.get_mut(slot) = Slot {
            hash: update.hash,
            newest_ms: update.time_ms,
            first_ms: update.time_ms,
            lost_before_ms: self.horizon_ms,
            entity: plan.entity as u8,
            ..Slot::FREE
        };
        self.index.insert(update.hash, slot, &self.reserve);
        self.history_mut(plan, slot).create();
        self.size.keys += 1;
        self.size.bytes += plan.layout.sizes.key_bytes;
        slot
    }

    #[inline]
    pub(super) fn store(
        &mut self,
        settings: &StateSettings,
        plan: &EntityPlan,
        slot: u32,
        update: &Update,
        entry: &Entry,
        has_entered: bool,
    ) {
        let layout = &plan.layout;
        let slot = self.slots.get_mut(slot);
        let before = Held::of(slot);
        slot.newest_ms = slot.newest_ms.max(update.time_ms);
        slot.first_ms = slot.first_ms.min(update.time_ms);
        slot.updated = update.sequence << 6 | plan.entity as u64;
        let bound_ms = slot.newest_ms - plan.horizon_ms;
        let mut history = HistoryMut { layout, arena: &mut self.arena, slot, scratch: &mut self.scratch };
        history.expire(bound_ms);
        if update.time_ms > bound_ms {
            history.insert(entry, settings.entries_per_key, settings.values_per_key, has_entered);
        }
        let after = Held::of(history.slot);
        self.size.change(plan, before, after);
    }

    /// Removes the keys with the oldest updates until the shard is within its part of the memory. The oldest are collected by a scan that is
    /// repeated when they are used up: a key not among them was updated later than all of them, and one that was updated
    /// since is passed by, so the order is exact and an update pays nothing for it.
    #[inline(never)]
    fn evict(&mut self, plans: &[EntityPlan], keep: u32) {
        while self.size.bytes > self.budget_bytes && self.size.keys > 1 {
            let Some((updated, slot)) = self.oldest.pop() else {
                self.collect_oldest(keep);
                if self.oldest.is_empty() {
                    return;
                }
                continue;
            };
            let held = self.slots.get(slot);
            if held.hash == 0 || held.updated != updated || slot == keep {
                continue;
            }
            self.horizon_ms = self.horizon_ms.max(held.newest_ms);
            self.remove(plans, slot);
            self.size.evicted += 1;
        }
    }

    fn collect_oldest(&mut self, keep: u32) {
        let mut all: Vec<(u64, u32)> = self
            .index
            .slots()
            .filter(|&slot| slot != keep)
            .map(|slot| (self.slots.get(slot).updated, slot))
            .collect();
        let wanted = (all.len() / 8).max(16).min(all.len());
        if wanted < all.len() {
            all.select_nth_unstable(wanted);
            all.truncate(wanted);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        self.oldest = all;
    }

    pub(super) fn remove(&mut self, plans: &[EntityPlan], slot: u32) {
        let hash = self.slots.get(slot).hash;
        let entity = self.slots.get(slot).entity as usize;
        let Some(plan) = plans.iter().find(|plan| plan.entity == entity) else {
            return;
        };
        let held = Held::of(self.slots.get(slot));
        self.size.change(plan, held, Held::NOTHING);
        self.size.keys -= 1;
        self.size.bytes -= plan.layout.sizes.key_bytes;
        self.history_mut(plan, slot).release();
        self.index.remove(hash, slot);
        self.slots.give_back(slot);
    }

    /// Removes the keys of the parts that are due and that stream time has left behind. Changes no value: they would be forgotten when
    /// met.
    #[cold]
    fn sweep(&mut self, settings: &StateSettings, plans: &[EntityPlan], update: &Update) {
        let step = sweep_step(settings);
        let due = update.sequence / step;
        let bound_ms = update.stream_ms.saturating_sub(settings.forget_after_ms);
        let parts = 1 << PART_BITS;
        for part in (self.swept + 1).max((due + 1).saturating_sub(parts))..=due {
            let is_idle = |&slot: &u32| self.slots.get(slot).newest_ms <= bound_ms;
            let mut gone: Vec<u32> = self.index.slots_of_part(part % parts).filter(is_idle).collect();
            // The index of a restored shard may have another order, and freed slots are given out again in the order of this.
            gone.sort_unstable();
            for slot in gone {
                self.remove(plans, slot);
            }
        }
        self.swept = due;
        self.next_sweep = (due + 1) * step;
    }
}

/// Sequence numbers from one part of the sweep to the next.
fn sweep_step(settings: &StateSettings) -> u64 {
    (settings.sweep_every >> PART_BITS).max(1)
}

/// What a key holds besides itself.
#[derive(Clone, Copy)]
struct Held {
    entries: u32,
    spans: u32,
    values: u32,
}

impl Held {
    const NOTHING: Self = Self { entries: 0, spans: 0, values: 0 };

    #[inline]
    fn of(slot: &Slot) -> Self {
        Self { entries: slot.entries, spans: slot.spans, values: slot.values }
    }
}

impl Size {
    /// A key of this plan holds something else than before.
    #[inline]
    fn change(&mut self, plan: &EntityPlan, before: Held, after: Held) {
        // Differences, where there are fewer: they wrap, and so does the sum, to what it is.
        let difference = |after: u32, before: u32| u64::from(after).wrapping_sub(before.into());
        let entries = difference(after.entries, before.entries);
        let spans = difference(after.spans, before.spans);
        let values = difference(after.values, before.values);
        let layout = &plan.layout;
        let bytes = (entries.wrapping_mul(layout.sizes.entry_bytes))
            .wrapping_add(spans.wrapping_mul(layout.sizes.span_bytes))
            .wrapping_add(values.wrapping_mul(Layout::VALUE_BYTES));
        self.entries = self.entries.wrapping_add(entries).wrapping_add(spans);
        self.values = self.values.wrapping_add(values);
        self.bytes = self.bytes.wrapping_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::plan::Plan;

    /// Half a hash is shared by some pair of keys once there are some ten thousands in a shard.
    #[test]
    fn a_key_that_shares_half_its_hash_with_another_is_told_from_it() {
        let plan =
            Plan::of_card("[[feature]]\nentity = 'card'\nwindows = ['1m']\naggregates = ['count']\n", 0);
        let settings = StateSettings::roomy();
        let entity = &plan.entities[0];
        let mut shard = Shard::new(&settings, Reserve::none());
        let (held, other) = (0xabcd_ef01_0000_0040, 0xabcd_ef01_0000_0080);
        let update = Update { hash: held, sequence: 0, time_ms: 1_000_000_000, stream_ms: 1_000_000_000 };
        let entry = Entry { time_ms: update.time_ms, ..Entry::default() };
        let mut scratch = read::Scratch::new(entity);
        let mut cells = [Cell::MISSING];
        shard.update(&settings, &plan.entities, entity, None, &update, &entry, &mut scratch, &mut cells);
        assert_eq!(shard.confirm(entity, shard.guess(held), held), Some(0));
        assert_eq!(shard.guess(other), Some(0), "the guess looks at half a hash");
        assert_eq!(shard.confirm(entity, shard.guess(other), other), None);
    }
}
