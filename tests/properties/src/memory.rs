//! The heap of this thread, in bytes as requested: what a peer can make us hold.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Looks at what this thread allocates from now on. One at a time: a new one starts the peak anew.
pub(crate) struct Watch {
    base: isize,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let base = LIVE.get();
        PEAK.set(base);
        Self { base }
    }

    /// Bytes allocated less bytes freed since.
    pub(crate) fn live(&self) -> usize {
        (LIVE.get() - self.base).max(0).cast_unsigned()
    }

    /// The most that this has been.
    pub(crate) fn peak(&self) -> usize {
        (PEAK.get() - self.base).max(0).cast_unsigned()
    }
}

thread_local! {
    // Made before the program runs and never dropped, so that an allocator can use them.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

impl Counting {
    fn add(bytes: isize) {
        let live = LIVE.get() + bytes;
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_seen_while_it_is_there() {
        let watch = Watch::start();
        let mut bytes = vec![0_u8; 1000];
        assert_eq!((watch.live(), watch.peak()), (1000, 1000));
        bytes.reserve_exact(2000);
        assert_eq!(watch.live(), 3000);
        drop(bytes);
        assert_eq!((watch.live(), watch.peak()), (0, 3000));
    }

    #[test]
    fn other_threads_are_not_seen() {
        let watch = Watch::start();
        let other = std::thread::spawn(|| vec![0_u8; 100_000].len());
        assert_eq!(other.join().unwrap(), 100_000);
        assert!(watch.peak() < 100_000);
    }
}
