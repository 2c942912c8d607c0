//! Copies and fingerprints of connections, for programs that walk through all states.

use alloc::{format, sync::Arc};
use core::{
    fmt::Debug,
    hash::{Hash, Hasher},
};

use enginewire::{Fingerprint, Time};

use super::{Connection, Entry};

impl<T> Connection<T> {
    /// Copies the connection. `None` if the parser is an application's own.
    #[doc(hidden)]
    pub fn fork(&self) -> Option<Self>
    where
        T: Clone,
    {
        Some(Self {
            config: Arc::clone(&self.config),
            revision: self.revision,
            decoder: self.decoder.fork()?,
            slots: self.slots.clone(),
            serial: self.serial,
            left: self.left.clone(),
            waiting: self.waiting.clone(),
            missed: self.missed,
            unread: self.unread,
            connect_deadline: self.connect_deadline,
            grace: self.grace,
            readable: self.readable.clone(),
            outputs: self.outputs.clone(),
            fault: self.fault.clone(),
            is_closed: self.is_closed,
        })
    }

    /// Feeds all that the connection's future depends on into `into`, but for its configuration.
    ///
    /// An application's own decoder counts by whether it waits, and what grace period there was does not.
    #[doc(hidden)]
    pub fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>)
    where
        T: Debug + Hash,
    {
        let Self {
            config: _,
            revision,
            decoder,
            slots,
            serial,
            left,
            waiting,
            missed,
            unread,
            connect_deadline,
            grace: _,
            readable,
            outputs,
            fault,
            is_closed,
        } = self;
        into.push(&(revision, serial, left, waiting, missed, unread, readable, is_closed));
        into.push_time(now, *connect_deadline);
        decoder.fingerprint(into);
        into.push(&slots.len());
        for Entry { serial, namespace, state, events, acks } in slots {
            into.push(&(serial, namespace, state));
            into.push(&events.len());
            for (event, cost) in events {
                into.push(cost);
                event.fingerprint(into);
            }
            acks.fingerprint(now, into);
        }
        // Few wait between two moves, and they have no deadlines.
        into.push(&format!("{outputs:?} {fault:?}"));
    }
}
