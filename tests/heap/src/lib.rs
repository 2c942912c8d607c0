//! An allocator that counts, for programs that look at their own heap.

use std::alloc::{GlobalAlloc, Layout, System};

/// Allocator of the system that tells `C` of each change. A program makes one its global allocator.
pub struct Counting<C>(pub C);

/// Counts of a [`Counting`] allocator, in bytes as requested. Must not unwind.
///
/// What it allocates itself is told to it as well.
pub trait Count {
    /// Counts an allocation.
    fn allocated(&self, bytes: usize);

    /// Counts the end of an allocation.
    fn freed(&self, bytes: usize);
}

#[expect(
    unsafe_code,
    reason = "the only way to see every allocation; each call is passed on as it came"
)]
// SAFETY: every method hands its arguments unchanged to `System`, whose contract is the same, and
// counting does not unwind.
unsafe impl<C: Count> GlobalAlloc for Counting<C> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.allocated(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.allocated(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.freed(layout.size());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.0.freed(layout.size());
        self.0.allocated(new_size);
        unsafe { System.realloc(block, layout, new_size) }
    }
}
