//! The deadlines of one session: an array indexed by what each is for.

use core::hash::Hasher;

use crate::{fingerprint::Fingerprint, time::Time};

/// What a deadline is for: one of `N` kinds.
pub(crate) trait Kind<const N: usize>: Copy + 'static {
    /// All of them; of deadlines that are equal the one of the first kind comes first.
    const ALL: [Self; N];

    /// The place of this kind in [`ALL`](Self::ALL).
    fn index(self) -> usize;
}

/// At most one deadline for each kind.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K, const N: usize> {
    deadlines: [Option<Time>; N],
    /// The earliest of them. A driver asks for it after everything it does to a session, far more
    /// often than a deadline changes.
    next: Option<(Time, K)>,
}

impl<K: Kind<N>, const N: usize> Default for Timers<K, N> {
    fn default() -> Self {
        Self { deadlines: [None; N], next: None }
    }
}

impl<K: Kind<N>, const N: usize> Timers<K, N> {
    pub(crate) fn set(&mut self, kind: K, deadline: Time) {
        self.change(kind, Some(deadline));
    }

    pub(crate) fn stop(&mut self, kind: K) {
        if self.is_set(kind) {
            self.change(kind, None);
        }
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_set(&self, kind: K) -> bool {
        self.deadline(kind).is_some()
    }

    /// The deadline of this kind, if there is one.
    pub(crate) fn deadline(&self, kind: K) -> Option<Time> {
        self.deadlines[kind.index()]
    }

    /// The earliest deadline.
    pub(crate) const fn next(&self) -> Option<(Time, K)> {
        self.next
    }

    /// The earliest deadline of these kinds.
    pub(crate) fn earliest(&self, kinds: &[K]) -> Option<Time> {
        kinds.iter().filter_map(|kind| self.deadlines[kind.index()]).min()
    }

    /// Moves deadlines of these kinds that would come before `until` to then.
    pub(crate) fn postpone(&mut self, kinds: &[K], until: Time) {
        for &kind in kinds {
            if self.deadlines[kind.index()].is_some_and(|deadline| deadline < until) {
                self.set(kind, until);
            }
        }
    }

    /// Takes the earliest deadline that `now` has reached, and what it was for.
    pub(crate) fn expire(&mut self, now: Time) -> Option<(Time, K)> {
        let (deadline, kind) = self.next.filter(|&(deadline, _)| deadline <= now)?;
        self.stop(kind);
        Some((deadline, kind))
    }

    pub(crate) fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        // The next one is the earliest of them.
        let Self { deadlines, next: _ } = self;
        for deadline in deadlines {
            into.push_time(now, *deadline);
        }
    }

    fn change(&mut self, kind: K, deadline: Option<Time>) {
        self.deadlines[kind.index()] = deadline;
        self.next = K::ALL
            .into_iter()
            .filter_map(|kind| Some((self.deadlines[kind.index()]?, kind)))
            .min_by_key(|&(deadline, _)| deadline);
    }
}
