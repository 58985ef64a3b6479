//! Pages made ready by a thread of their own.
//!
//! **reserve** -> arena, slots
//!
//! The first touch of fresh memory is the system's work: it finds a page and fills it with zeros. On a virtual machine that
//! gives free memory back to its host a huge page takes 4 ms, which an event would wait for. Here a thread touches pages ahead, a few
//! at a time, and the state takes them as it grows.
//!
//! Holds: what is taken is zeroed; a page that is not ready is made on the spot, so nobody ever waits for the thread. What the
//! state holds does not depend on it.

use crate::state::shard::SLOTS_PER_PAGE;
use crate::window::arena::PAGE_WORDS;
use crate::window::slot::Slot;
use crossbeam_channel::{Receiver, bounded, select};
use std::sync::Arc;

/// Pages of each kind that are kept ready: 5 MiB together.
const READY: usize = 16;

/// A page of an arena, zeroed.
pub(crate) type Page = Box<[u64; PAGE_WORDS]>;
/// A page of free slots.
pub(crate) type SlotPage = Box<[Slot; SLOTS_PER_PAGE]>;

/// Takes pages from the thread that makes them; clones take from the same.
#[derive(Clone, Debug)]
pub(crate) struct Reserve {
    /// Nothing where pages are made on the spot only.
    ready: Option<Arc<Ready>>,
}

#[derive(Debug)]
struct Ready {
    pages: Receiver<Page>,
    slot_pages: Receiver<SlotPage>,
}

impl Reserve {
    /// Pages are made when they are asked for.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { ready: None }
    }

    /// Starts the thread; it ends when the last clone is gone.
    pub(crate) fn start() -> Self {
        let (to_pages, pages) = bounded(READY);
        let (to_slot_pages, slot_pages) = bounded(READY);
        let make = move || {
            // Ends with the receivers.
            loop {
                let sent = select! {
                    send(to_pages, touched()) -> sent => sent.is_ok(),
                    send(to_slot_pages, free_slots()) -> sent => sent.is_ok(),
                };
                if !sent {
                    return;
                }
            }
        };
        // Without the thread the state still grows, only less evenly.
        let started = std::thread::Builder::new().name("pages".to_owned()).spawn(make);
        Self { ready: started.ok().map(|_| Arc::new(Ready { pages, slot_pages })) }
    }

    /// An empty page.
    pub(crate) fn page(&self) -> Page {
        self.ready.as_ref().and_then(|ready| ready.pages.try_recv().ok()).unwrap_or_else(empty)
    }

    /// A page of free slots.
    pub(crate) fn slot_page(&self) -> SlotPage {
        self.ready.as_ref().and_then(|ready| ready.slot_pages.try_recv().ok()).unwrap_or_else(free_slots)
    }
}

/// An empty page; never on the stack.
fn empty() -> Page {
    vec![0; PAGE_WORDS].into_boxed_slice().try_into().expect("it has the length of a page")
}

/// A page of free slots; never on the stack.
fn free_slots() -> SlotPage {
    vec![Slot::FREE; SLOTS_PER_PAGE].into_boxed_slice().try_into().expect("it has the length of a page")
}

/// An empty page of which every part has been written to.
fn touched() -> Page {
    let mut page = empty();
    for word in page.iter_mut().step_by(512) {
        *word = std::hint::black_box(0);
    }
    page
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
        let ready = Arc::downgrade(reserve.ready.as_ref().expect("a thread can be started"));
        let clone = reserve.clone();
        drop(reserve);
        assert!(ready.upgrade().is_some());
        drop(clone);
        assert!(ready.upgrade().is_none(), "the receiver is gone, and the next send fails");
    }
}
