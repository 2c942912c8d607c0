//! Copies and fingerprints of managers, for programs that walk through all states.

use alloc::{format, sync::Arc};
use core::{
    fmt::Debug,
    hash::{Hash, Hasher},
};

use enginewire::{Fingerprint, Time};

use super::{
    Auth, Manager, Update,
    entry::{Entry, Retries, Retry, State},
};

impl<T> Manager<T> {
    /// Copies the manager. `None` if the parser is an application's own.
    #[doc(hidden)]
    pub fn fork(&self) -> Option<Self>
    where
        T: Clone,
    {
        Some(Self {
            config: Arc::clone(&self.config),
            decoder: self.decoder.fork()?,
            link: self.link,
            reconnector: self.reconnector.clone(),
            entries: self.entries.clone(),
            serial: self.serial,
            waiting: self.waiting.clone(),
            partial: self.partial,
            unread: self.unread,
            close_by: self.close_by,
            grace: self.grace,
            readable: self.readable.clone(),
            outputs: self.outputs.clone(),
            fault: self.fault.clone(),
            failure: self.failure.clone(),
            failures: self.failures,
            sid: self.sid,
            root: self.root,
            left: self.left.clone(),
            next_ack: self.next_ack,
            is_closed: self.is_closed,
            unsent: self.unsent,
        })
    }

    /// Feeds all that the manager's future depends on into `into`, but for its configuration.
    ///
    /// How many sessions have ended does not count, nor what grace period there was. An application's own decoder counts by whether it waits.
    #[doc(hidden)]
    pub fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>)
    where
        T: Debug + Hash,
    {
        let Self { config: _, decoder, link, reconnector, entries, serial, waiting, .. } = self;
        let Self { partial, unread, close_by, readable, outputs, fault, failure, .. } = self;
        let Self { failures: _, sid, root, left, next_ack, is_closed, unsent, .. } = self;
        decoder.fingerprint(into);
        into.push(&(link, serial, waiting, partial, unread, readable));
        into.push(&(root, left, next_ack, is_closed, unsent));
        into.push(&format!("{outputs:?} {fault:?} {failure:?}"));
        into.push(&sid.as_ref().map(|sid| sid.as_str()));
        into.push_time(now, *close_by);
        if let Some(reconnector) = reconnector {
            into.push(&(reconnector.attempts(), reconnector.is_ended()));
            into.push_time(now, reconnector.poll_timeout());
            into.push(&reconnector.clone().poll_open());
        }
        into.push(&entries.len());
        entries.iter().for_each(|entry| entry.fingerprint(now, into));
    }
}

impl<T: Debug + Hash> Entry<T> {
    fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        let Self { serial, namespace, query, auth, state, connection, id, place, .. } = self;
        let Self { is_stale, is_released, is_of_another, end, refusals, next_ack, acks, .. } = self;
        let Self { offline, retries, is_full, updates, .. } = self;
        into.push(&(serial, namespace, query, connection, id, place));
        into.push(&(is_stale, is_released, is_of_another, refusals.attempts(), next_ack));
        into.push(&(offline, is_full, updates.len()));
        into.push(&format!("{auth:?} {end:?}"));
        if let Auth::Payload(payload) = auth {
            payload.fingerprint(into);
        }
        into.push(&core::mem::discriminant(state));
        if let State::Connecting(due) | State::Rejoining(due) | State::Refused(due) = state {
            into.push_time(now, Some(*due));
        }
        acks.fingerprint(now, into);
        let Retries { events, sent_until, bytes: _ } = retries;
        into.push(&events.len());
        for Retry { event, id, left, timeout, token, was_sent } in events {
            into.push(&(event, id, left, timeout, token, was_sent));
        }
        into.push_time(now, *sent_until);
        for (update, cost) in updates {
            into.push(cost);
            match update {
                Update::Event { event, connection } => {
                    into.push(connection);
                    event.fingerprint(into);
                }
                other => into.push(&format!("{other:?}")),
            }
        }
    }
}
