//! An allocator that counts what the calling thread asks of it.

#![expect(unsafe_code, reason = "counting allocations takes an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Allocations of this thread so far.
    pub static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Blocks of at least `LARGE_BYTES` that it found, moved or freed.
    pub static LARGE: Cell<u64> = const { Cell::new(0) };
}

/// From here on a block may be one that the system has to find, or takes back.
const LARGE_BYTES: usize = 512;

fn see(bytes: usize) {
    if bytes >= LARGE_BYTES {
        LARGE.with(|large| large.set(large.get() + 1));
    }
}

// SAFETY: everything is the system allocator's; counting touches a thread's own cell, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        see(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        see(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        see(size.max(layout.size()));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
