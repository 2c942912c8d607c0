//! Whether two values of recovery are the same, for programs that walk through all states.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use enginewire::{Fingerprint, Time};

use super::{Kept, Living, Recovery, Waiting};

impl<D: Hash, E: Hash> Recovery<D, E> {
    /// Feeds all that the future depends on into `into`, but for the configuration.
    #[doc(hidden)]
    pub fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self {
            config: _,
            is_shared: _,
            epoch,
            log,
            living,
            serials: _,
            waiting,
            last_serial,
            dropped,
            unplaced,
            ..
        } = self;
        into.push(&(epoch, last_serial, dropped, unplaced));
        log.fingerprint(now, into);
        let mut sorted: Vec<_> = living.iter().collect();
        sorted.sort_unstable_by_key(|(pid, _)| pid.as_str());
        into.push(&sorted.len());
        for (pid, Living { id, history }) in sorted {
            into.push(&(pid, id));
            history.fingerprint(now, into);
        }
        into.push(&waiting.len());
        for (serial, Waiting { at, socket, kept: Kept { pid, rooms, data }, mark }) in waiting {
            into.push(&(serial, &socket.id, pid, rooms, data, mark));
            into.push_time(now, Some(*at));
            socket.history.fingerprint(now, into);
        }
    }
}
