//! Asks the processor for cache lines before they are needed.
//!
//! shard -> **prefetch**
//!
//! A batch reaches into memory of gigabytes; one miss after the other would be most of its time. A prefetch, unlike a load, does not
//! wait in the order of instructions, so that as many misses overlap as the processor has room for.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a prefetch takes a pointer"))]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache line of a place.
#[inline]
pub(crate) fn line<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and cannot fault; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(place);
}

/// Asks for the cache lines of a block.
#[inline]
pub(crate) fn lines<T>(words: &[T]) {
    for words in words.chunks(LINE / size_of::<T>()) {
        line(&words[0]);
    }
    if let Some(last) = words.last() {
        line(last);
    }
}
