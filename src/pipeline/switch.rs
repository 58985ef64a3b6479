//! What changes between two batches: the model that decides, who scores beside it.
//!
//! `model::watch` -> **switch** -> `stage`
//!
//! Holds: the engine's thread neither makes nor frees a model, and never waits for whoever does; of several changes of a kind before a batch
//! only the last takes effect; a model and who scores beside it, where both change at once, do so before the same batch.

use crate::shadow::Roster;
use cartguard_engine::batch::Prepared;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// From the next batch on this model decides.
#[derive(Debug)]
pub(crate) struct Switch {
    /// What the order log says of it.
    pub(crate) version: String,
    pub(crate) prepared: Prepared,
}

/// What is other from the next batch on, all of it from the same batch on.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// This model decides.
    pub(crate) model: Option<Switch>,
    /// Nobody scores beside it, or these.
    #[expect(clippy::option_option, reason = "no change, nobody, or these")]
    pub(crate) roster: Option<Option<Arc<Roster>>>,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<Step>,
    is_any: AtomicBool,
    /// What decided before, to be dropped by whoever has the time.
    retired: Mutex<Vec<Prepared>>,
}

/// The engine's side.
#[derive(Debug, Default)]
pub(crate) struct Switches(Arc<Slot>);

/// Puts switches for as long as somebody takes them.
pub(crate) struct Switcher(Weak<Slot>);

impl Switcher {
    /// In the place of what still waits of the same kind; false where nobody takes any more. What was replaced is dropped here, behind the lock.
    pub(crate) fn put(&self, mut step: Step) -> bool {
        let Some(slot) = self.0.upgrade() else { return false };
        {
            let mut waiting = lock(&slot.waiting);
            if step.model.is_some() {
                std::mem::swap(&mut waiting.model, &mut step.model);
            }
            if step.roster.is_some() {
                std::mem::swap(&mut waiting.roster, &mut step.roster);
            }
        }
        // Publishes what waits to whoever sees it set; the lock does so again.
        slot.is_any.store(true, Ordering::Release);
        true
    }

    /// The models that decided before and do no more.
    pub(crate) fn retired(&self) -> Vec<Prepared> {
        self.0.upgrade().map(|slot| std::mem::take(&mut *lock(&slot.retired))).unwrap_or_default()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Switches {
    pub(crate) fn switcher(&self) -> Switcher {
        Switcher(Arc::downgrade(&self.0))
    }

    /// What changes now, if anything. While somebody puts it, it is not there yet.
    #[inline]
    pub(super) fn take(&self) -> Option<Step> {
        if !self.0.is_any.load(Ordering::Acquire) {
            return None;
        }
        let mut waiting = self.0.waiting.try_lock().ok()?;
        self.0.is_any.store(false, Ordering::Release);
        Some(std::mem::take(&mut *waiting))
    }

    pub(super) fn retire(&self, prepared: Prepared) {
        match self.0.retired.try_lock() {
            Ok(mut retired) => retired.push(prepared),
            // Somebody looks at this very moment, which is once in half a second: dropped here.
            Err(_) => drop(prepared),
        }
    }
}

/// What they guard is whole whenever its lock is free.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, load};
    use crate::engine;

    #[test]
    fn of_several_switches_before_a_batch_the_last_decides() {
        let config =
            load(&Given::default()).map_err(|faults| format!("{faults:?}")).expect("defaults").config;
        let preparer = engine::open(&config, "").expect("an engine").preparer();
        let switches = Switches::default();
        let switcher = switches.switcher();
        assert!(switches.take().is_none());
        for version in ["good/2", "good/1"] {
            let model = Switch { version: version.to_owned(), prepared: preparer.prepare(None) };
            assert!(switcher.put(Step { model: Some(model), roster: None }));
        }
        assert!(switcher.put(Step { model: None, roster: Some(None) }));
        let taken = switches.take().expect("two wait");
        let model = taken.model.expect("a model");
        assert_eq!((model.version.as_str(), taken.roster.is_some()), ("good/1", true));
        assert!(switches.take().is_none());
        switches.retire(model.prepared);
        assert_eq!((switcher.retired().len(), switcher.retired().len()), (1, 0));
        // Both of one step wait together.
        let model = Some(Switch { version: "good/3".to_owned(), prepared: preparer.prepare(None) });
        assert!(switcher.put(Step { model, roster: Some(None) }));
        let taken = switches.take().expect("a step waits");
        assert!(taken.model.is_some() && taken.roster.is_some() && switches.take().is_none());
        drop(switches);
        assert!(!switcher.is_wanted() && !switcher.put(Step::default()));
    }
}
