//! The live heap of this process, in bytes as requested.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// Counts from now on. Only processes that serve the heap load do, so that in all the others an
/// allocation costs one predictable branch more and servers that allocate much are not punished.
pub(crate) fn count() {
    COUNTING.store(true, Relaxed);
}

/// Bytes allocated less bytes freed since [`count`].
pub(crate) fn live() -> isize {
    LIVE.load(Relaxed)
}

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

impl Counting {
    fn add(bytes: isize) {
        if COUNTING.load(Relaxed) {
            LIVE.fetch_add(bytes, Relaxed);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the only way to see every allocation; each call is passed on as it came"
)]
// SAFETY: every method hands its arguments unchanged to `System`, whose contract is the same, and
// the counters neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size().cast_signed());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::add(-layout.size().cast_signed());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::add(new_size.cast_signed() - layout.size().cast_signed());
        unsafe { System.realloc(block, layout, new_size) }
    }
}
