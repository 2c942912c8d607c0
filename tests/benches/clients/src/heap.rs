//! Heap of this process.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use enginewire_heap::{Count, Counting};

#[global_allocator]
static HEAP: Counting<Live> = Counting(Live(AtomicUsize::new(0)));

/// Bytes that are allocated.
struct Live(AtomicUsize);

impl Count for Live {
    fn allocated(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    fn freed(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }
}

/// Returns the bytes that are allocated.
pub(crate) fn live() -> usize {
    HEAP.0.0.load(Relaxed)
}
