//! The heap of this process, in bytes as requested. Clients are a part of it, a small one.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicIsize, Ordering::Relaxed},
};

/// The heap since it was looked at first. One at a time: a new one starts the peak anew.
pub(crate) struct Heap {
    base: isize,
}

impl Heap {
    pub(crate) fn start() -> Self {
        let base = LIVE.load(Relaxed);
        PEAK.store(base, Relaxed);
        Self { base }
    }

    /// Bytes allocated less bytes freed since.
    pub(crate) fn live(&self) -> usize {
        (LIVE.load(Relaxed) - self.base).max(0).cast_unsigned()
    }

    /// The most that this has been.
    pub(crate) fn peak(&self) -> usize {
        (PEAK.load(Relaxed) - self.base).max(0).cast_unsigned()
    }

    #[track_caller]
    pub(crate) fn assert_peak(&self, bound: usize) {
        let peak = self.peak();
        assert!(peak <= bound, "{peak} bytes were held, at most {bound} may be");
    }
}

static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

impl Counting {
    fn add(bytes: isize) {
        let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
        if bytes > 0 {
            PEAK.fetch_max(live, Relaxed);
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
