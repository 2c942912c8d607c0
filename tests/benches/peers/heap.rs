//! The live heap of this process, in bytes as requested.

use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

use enginewire_heap::{Count, Counting};

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
static ALLOCATOR: Counting<Live> = Counting(Live);

struct Live;

impl Live {
    fn add(bytes: isize) {
        if COUNTING.load(Relaxed) {
            LIVE.fetch_add(bytes, Relaxed);
        }
    }
}

impl Count for Live {
    fn allocated(&self, bytes: usize) {
        Self::add(bytes.cast_signed());
    }

    fn freed(&self, bytes: usize) {
        Self::add(-bytes.cast_signed());
    }
}
