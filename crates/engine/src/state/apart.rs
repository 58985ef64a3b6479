//! Windows of labels: read by events, stored by labels (docs/semantics.md, 7).
//!
//! batch -> state -> **apart** -> window
//!
//! Elsewhere an event is read and stored at once; here the two are apart, and what is stored may change.

use crate::event::marks;
use crate::features::cell::Cell;
use crate::features::plan::EntityPlan;
use crate::state::shard::{Shard, StateSettings, Update};
use crate::window::history::History;
use crate::window::read::{self, Reader};
use crate::window::write::{Changed, Entry};

impl Shard {
    /// Reads the features of an event's key into `cells`.
    #[expect(clippy::too_many_arguments, reason = "as `update`, of which it is one half")]
    pub(crate) fn read_apart(
        &mut self,
        settings: &StateSettings,
        plans: &[EntityPlan],
        plan: &EntityPlan,
        update: &Update,
        entry: &Entry,
        scratch: &mut read::Scratch,
        cells: &mut [Cell],
    ) -> u8 {
        let found = self.living(settings, plans, update);
        let mut late = 0;
        if let Some(slot) = found {
            let held = self.slots.get(slot);
            if held.newest_ms - update.time_ms > settings.lateness_ms {
                late = marks::LATE;
            }
            if held.chunks > 0 && held.newest_ms <= update.time_ms {
                self.history_mut(plan, slot).advance(update.time_ms);
            }
        }
        let history = found.map(|slot| History::new(&plan.layout, &self.arena, self.slots.get(slot)));
        let marks = Reader {
            plan,
            values_max: settings.values_per_key,
            history: history.as_ref(),
            lost_before_ms: history.map_or(self.horizon_ms, |history| history.slot.lost_before_ms),
            event: entry,
            scratch,
            cells,
            is_stored_next: false,
        }
        .read();
        marks | late
    }

    /// Stores an event whose label begins to count before the record of `update`'s sequence.
    pub(crate) fn store_apart(
        &mut self,
        settings: &StateSettings,
        plans: &[EntityPlan],
        plan: &EntityPlan,
        update: &Update,
        entry: &Entry,
    ) {
        let found = self.living(settings, plans, update);
        self.sweep_if_due(settings, plans, update);
        let slot = found.unwrap_or_else(|| self.create(plan, update));
        // Before one record many labels may begin to count; eviction wants them in their order.
        self.labels_stored += 1;
        let update = &Update { sequence: self.labels_stored, ..*update };
        let held = self.slots.get(slot);
        if held.chunks > 0 && held.newest_ms <= update.time_ms {
            self.history_mut(plan, slot).advance(update.time_ms);
        }
        self.store(settings, plan, slot, update, entry, false);
        self.evict_if_full(plans, slot);
    }

    /// The event is known as something else from before the record of `update`'s sequence on: its entry changes, and nothing else.
    pub(crate) fn change_apart(
        &mut self,
        settings: &StateSettings,
        plans: &[EntityPlan],
        plan: &EntityPlan,
        update: &Update,
        entry: &Entry,
    ) {
        let Some(slot) = self.living(settings, plans, update) else { return };
        match self.history_mut(plan, slot).change(entry) {
            Changed::Entry | Changed::Nothing => {}
            Changed::InSpan => self.size.lost_labels += 1,
        }
    }

    /// The slot of the key, unless it is forgotten; then it is removed.
    fn living(&mut self, settings: &StateSettings, plans: &[EntityPlan], update: &Update) -> Option<u32> {
        let slot = self.find(update.hash)?;
        if self.slots.get(slot).newest_ms <= update.stream_ms.saturating_sub(settings.forget_after_ms) {
            self.remove(plans, slot);
            return None;
        }
        Some(slot)
    }
}
