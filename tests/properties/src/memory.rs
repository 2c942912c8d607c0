//! The heap of this thread, in bytes as requested: what a peer can make us hold.

use std::cell::Cell;

use enginewire_heap::{Count, Counting};

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
static ALLOCATOR: Counting<Live> = Counting(Live);

struct Live;

impl Live {
    fn add(bytes: isize) {
        let live = LIVE.get() + bytes;
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
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
