//! Storage that is given back after bursts, at a constant cost per removal.

use alloc::vec::Vec;

/// Removals since storage was last given back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Churn {
    removals: usize,
}

impl Churn {
    /// Fewer removals than this are not worth the work.
    const LEAST: usize = 64;

    /// Counts a removal that leaves `left` entries. Returns true if storage is to be given back now.
    ///
    /// That visits every slot. There are at most as many as entries and removals, so the removals pay for it.
    pub(super) const fn remove(&mut self, left: usize) -> bool {
        self.removals += 1;
        let due = self.removals > left.saturating_mul(3).saturating_add(Self::LEAST);
        if due {
            self.removals = 0;
        }
        due
    }
}

/// Gives back storage of a list of which three quarters are unused.
pub(super) fn trim<T>(list: &mut Vec<T>) {
    /// Shorter lists are not worth the work.
    const LEAST: usize = 8;
    if list.capacity() > LEAST && list.len() <= list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

/// Narrows an index, which halves the storage of memberships.
///
/// # Panics
///
/// From 2^32 on. Slots of that many members take more than 256 GiB, those of rooms more than 160 GiB.
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or_else(|_| panic!("more than 2^32 members or rooms"))
}

pub(super) const fn wide(index: u32) -> usize {
    // No target that has `alloc` and these tables has pointers of 16 bits.
    index as usize
}
