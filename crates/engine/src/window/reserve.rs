//! Pages made ready by a thread of their own.
//!
//! **reserve** -> arena, slots
//!
//! The first touch of fresh memory is the system's work: it finds a page and fills it with zeros. On a virtual machine that
//! gives free memory back to its host a huge page takes 4 ms, which an event would wait for. Here a thread touches pages ahead, a few
//! at a time, and the state takes them as it grows.
//!
//! Holds: what is taken is as new; a page that is not ready is made on the spot, so nobody ever waits for the thread. What the
//! state holds does not depend on it.

use crate::window::arena::PAGE_WORDS;
use crate::window::slot::{SLOTS_PER_PAGE, Slot};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Pages of each kind that are kept ready: 20 MiB together.
const READY: usize = 64;

/// A page of an arena, zeroed.
pub(crate) type Page = Box<Aligned<[u64; PAGE_WORDS]>>;
/// A page of free slots.
pub(crate) type SlotPage = Box<Aligned<[Slot; SLOTS_PER_PAGE]>>;

/// A page that begins where one of the system's does, every 4 KiB. An allocator may take more for a page that may begin
/// anywhere: mimalloc gives 320 KiB for 256, so that it can align the page within.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Aligned<P>(P);

impl<P> Deref for Aligned<P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        &self.0
    }
}

impl<P> DerefMut for Aligned<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P {
        &mut self.0
    }
}

/// Takes pages from the thread that makes them; clones take from the same.
#[derive(Clone, Debug)]
pub(crate) struct Reserve {
    /// Nothing where pages are made on the spot only.
    owner: Option<Arc<Owner>>,
}

/// Ends the thread when the last clone is gone.
#[derive(Debug)]
struct Owner {
    store: Arc<Store>,
}

#[derive(Debug, Default)]
struct Store {
    ready: Mutex<Ready>,
    /// Something was taken, or all is over.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ready {
    pages: Vec<Page>,
    slot_pages: Vec<SlotPage>,
    is_over: bool,
}

impl Reserve {
    /// Pages are made when they are asked for.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { owner: None }
    }

    /// Starts the thread; it ends when the last clone is gone.
    pub(crate) fn start() -> Self {
        let store = Arc::new(Store::default());
        let own = Arc::clone(&store);
        // Without the thread the state still grows, only less evenly.
        let started = std::thread::Builder::new().name("pages".to_owned()).spawn(move || own.fill());
        Self { owner: started.ok().map(|_| Arc::new(Owner { store })) }
    }

    /// Whether as many pages are ready as are kept, or none ever will be.
    pub(crate) fn is_full(&self) -> bool {
        self.owner.as_ref().is_none_or(|owner| {
            let ready = owner.store.lock();
            ready.pages.len() >= READY && ready.slot_pages.len() >= READY
        })
    }

    /// An empty page.
    pub(crate) fn page(&self) -> Page {
        self.take(|ready| ready.pages.pop()).unwrap_or_else(empty)
    }

    /// A page of free slots.
    pub(crate) fn slot_page(&self) -> SlotPage {
        self.take(|ready| ready.slot_pages.pop()).unwrap_or_else(free_slots)
    }

    fn take<T>(&self, pop: impl FnOnce(&mut Ready) -> Option<T>) -> Option<T> {
        let store = &self.owner.as_ref()?.store;
        let taken = pop(&mut store.lock());
        store.changed.notify_one();
        taken
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.store.lock().is_over = true;
        self.store.changed.notify_one();
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of the thread. Pages are made while the lock is free.
    fn fill(&self) {
        let mut ready = self.lock();
        while !ready.is_over {
            if ready.pages.len() < READY {
                drop(ready);
                let page = empty();
                ready = self.lock();
                ready.pages.push(page);
            } else if ready.slot_pages.len() < READY {
                drop(ready);
                let page = free_slots();
                ready = self.lock();
                ready.slot_pages.push(page);
            } else {
                ready = self.changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// An empty page, of which every part has been written to.
#[expect(
    clippy::large_stack_arrays,
    reason = "optimised, it is made in its place; else a stack has room for it"
)]
fn empty() -> Page {
    Box::new(Aligned([0; PAGE_WORDS]))
}

/// A page of free slots.
#[expect(clippy::large_stack_arrays, reason = "as above")]
fn free_slots() -> SlotPage {
    Box::new(Aligned([Slot::FREE; SLOTS_PER_PAGE]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_empty_and_come_without_end() {
        let reserve = Reserve::start();
        for _ in 0..4 * READY {
            assert!(reserve.page().iter().all(|&word| word == 0));
            assert!(reserve.slot_page().iter().all(|slot| slot.hash == 0));
        }
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let reserve = Reserve::start();
        let store = Arc::downgrade(&reserve.owner.as_ref().expect("a thread can be started").store);
        let clone = reserve.clone();
        while !clone.is_full() {
            std::thread::yield_now();
        }
        drop(reserve);
        assert!(clone.page().iter().all(|&word| word == 0));
        assert!(store.upgrade().is_some_and(|store| !store.lock().is_over));
        drop(clone);
        assert!(
            store.upgrade().is_none_or(|store| store.lock().is_over),
            "the thread is told, if it is not gone"
        );
    }
}
