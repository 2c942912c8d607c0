//! The heap of this process, in bytes as requested. Clients are a part of it, a small one.

use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use enginewire_heap::{Count, Counting};

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
static ALLOCATOR: Counting<Live> = Counting(Live);

struct Live;

impl Count for Live {
    fn allocated(&self, bytes: usize) {
        let live = LIVE.fetch_add(bytes.cast_signed(), Relaxed) + bytes.cast_signed();
        PEAK.fetch_max(live, Relaxed);
    }

    fn freed(&self, bytes: usize) {
        LIVE.fetch_sub(bytes.cast_signed(), Relaxed);
    }
}
