//! The namespaces of a hub: those that have sockets, or sockets that may come back.

use alloc::{boxed::Box, collections::BTreeMap, string::ToString, sync::Arc, vec::Vec};
use core::iter;

use enginewire::{Alarm, Deadlines, Encoded, Entropy, Text, Time};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use super::{
    SocketKey,
    logging::{Manner, Pending, Place},
    returning::Readers,
};
use crate::{
    Args, EncodeError, PrivateId,
    adapter::{Adapter, Recovery, RecoveryConfig, Target},
    cluster::{Appending, LogEntry},
    parser::{Encoder, Parser},
    payload::Payload,
};

/// Namespaces by name and by index.
#[derive(Default)]
pub(super) struct Namespaces {
    slots: Slab<Namespace>,
    /// Clients choose names, so they are compared and not hashed.
    names: BTreeMap<Arc<str>, usize>,
    /// When something of a namespace can no longer be recovered.
    deadlines: Deadlines<usize>,
    /// Sockets that can no longer be recovered, to be told.
    pub(super) forgotten: Vec<SocketKey>,
}

pub(super) struct Namespace {
    pub(super) name: Text,
    pub(super) adapter: Adapter<SocketKey>,
    /// There if clients may come back. It keeps what their sockets were.
    pub(super) recovery: Option<Recovery<Before, Encoded>>,
    /// Events that wait for their place in the log of the cluster.
    pub(super) appending: Appending<Pending>,
    /// Sockets of clients that come back, and wait for the bus or the application.
    ///
    /// Each with the private id of the socket reserved for it, once all is ready.
    pub(super) returning: BTreeMap<SocketKey, Option<PrivateId>>,
    /// Sockets reserved for them. Ids are ours, so the hasher may be known. Never iterated.
    claims: HashMap<PrivateId, Claims, FixedState>,
    /// The log of the cluster is read for one of them.
    pub(super) is_reading: bool,
    /// Queue of the others for a read of their own.
    pub(super) readers: Readers,
    alarm: Alarm,
}

/// Returning clients with a claim to one socket.
#[derive(Default)]
struct Claims {
    clients: usize,
    /// Data of the socket, once its connection is broken.
    kept: Option<Payload>,
}

/// A socket before its client came back.
pub(super) struct Before {
    /// Its key, if it was one of this node.
    pub(super) key: Option<SocketKey>,
    /// Data that other nodes are given.
    pub(super) data: Option<Box<Payload>>,
}

impl Namespaces {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Namespace> {
        self.slots.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Namespace> {
        self.slots.get_mut(index)
    }

    /// Finds a namespace, or makes it.
    pub(super) fn open(
        &mut self,
        name: &Text,
        recovery: Option<&RecoveryConfig>,
        is_shared: bool,
        entropy: &mut dyn Entropy,
    ) -> usize {
        if let Some(index) = self.find(name) {
            return index;
        }
        let new = if is_shared { Recovery::shared } else { Recovery::new };
        let index = self.slots.insert(Namespace {
            name: name.clone(),
            adapter: Adapter::new(entropy),
            recovery: recovery.map(|config| new(config.clone(), entropy)),
            appending: Appending::new(),
            returning: BTreeMap::new(),
            claims: HashMap::default(),
            is_reading: false,
            readers: Readers::default(),
            alarm: Alarm::new(),
        });
        self.names.insert(Arc::from(&**name), index);
        index
    }

    /// Arms the deadline of a namespace after a change, and removes it if nothing is left of it.
    pub(super) fn settle(&mut self, index: usize) {
        let Self { slots, names, deadlines, forgotten } = self;
        let Some(namespace) = slots.get_mut(index) else { return };
        if let Some(recovery) = &mut namespace.recovery {
            let dropped = iter::from_fn(|| recovery.poll_dropped());
            forgotten.extend(dropped.filter_map(|before| before.key));
        }
        let recovery = namespace.recovery.as_ref();
        // The cluster keeps its entries for clients that come back.
        let is_needed = |recovery: &Recovery<_, _>| {
            recovery.waiting() > 0 || (!recovery.is_shared() && recovery.logged().0 > 0)
        };
        let is_unused = namespace.adapter.is_empty()
            && namespace.appending.is_empty()
            && namespace.returning.is_empty()
            // A copy of the log that begins anew would have a gap behind what is read.
            && !namespace.is_reading
            && !recovery.is_some_and(is_needed);
        let next = recovery.and_then(Recovery::poll_timeout).filter(|_| !is_unused);
        deadlines.rearm(&mut namespace.alarm, next, || index);
        if is_unused {
            names.remove(&*slots.remove(index).name);
        }
    }

    /// Changes all copies of the log that the cluster shares.
    pub(super) fn change_copies(&mut self, change: impl Fn(&mut Recovery<Before, Encoded>)) {
        let recovering = self.slots.iter_mut().filter_map(|(_, it)| it.recovery.as_mut());
        recovering.filter(|recovery| recovery.is_shared()).for_each(change);
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        while let Some(index) = self.deadlines.pop(now) {
            if let Some(namespace) = self.slots.get_mut(index) {
                namespace.alarm.expire(now);
                if let Some(recovery) = &mut namespace.recovery {
                    recovery.handle_timeout(now);
                }
            }
            self.settle(index);
        }
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Time> {
        self.deadlines.first()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the names in alphabetic order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Returns the sockets that a target selects.
    pub(super) fn select(&mut self, name: &str, target: &Target) -> Vec<SocketKey> {
        let index = self.find(name);
        let Some(namespace) = index.and_then(|index| self.slots.get_mut(index)) else {
            return Vec::new();
        };
        namespace.adapter.select(target).iter().map(|(_, &key)| key).collect()
    }
}

impl Namespace {
    /// Reserves a socket of this node for a returning client, until the end of its return.
    pub(super) fn claim(&mut self, key: SocketKey, pid: PrivateId) {
        if let Some(claimed) = self.returning.get_mut(&key) {
            *claimed = Some(pid);
            self.claims.entry(pid).or_default().clients += 1;
        }
    }

    /// Sets aside the data of a broken socket. Gives them back if it is not reserved.
    pub(super) fn set_aside(&mut self, pid: &PrivateId, data: Payload) -> Option<Payload> {
        match self.claims.get_mut(pid) {
            Some(claims) => {
                claims.kept = Some(data);
                None
            }
            None => Some(data),
        }
    }

    /// Ends the return of a client. Returns its socket with data set aside, if no other client has a claim to it.
    pub(super) fn leave_return(&mut self, key: SocketKey) -> Option<(PrivateId, Payload)> {
        self.readers.remove(key);
        let pid = self.returning.remove(&key)??;
        let claims = self.claims.get_mut(&pid)?;
        claims.clients -= 1;
        if claims.clients > 0 {
            return None;
        }
        let kept = self.claims.remove(&pid)?.kept;
        if self.claims.is_empty() {
            self.claims = HashMap::default();
        }
        Some((pid, kept?))
    }

    /// Encodes the arguments of an event with the offset that it will have, or that of the last one if it is not logged.
    pub(super) fn encode_with_offset(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        args: &Args,
        manner: Manner,
    ) -> Result<Encoded, EncodeError> {
        let offset = self.recovery.as_ref().map(|recovery| match manner.place {
            _ if !manner.is_logged() => recovery.latest_offset(),
            Place::Entry(entry) => entry.to_string(),
            _ => recovery.upcoming().to_string(),
        });
        encoder.forward(parser, &self.name, None, args, offset.as_deref())
    }

    /// Logs an event that was encoded with its offset, unless it is not to be logged.
    pub(super) fn log(&mut self, now: Time, target: Target, message: &Encoded, manner: Manner) {
        if let Some(recovery) = self.recovery.as_mut().filter(|_| manner.is_logged()) {
            let entry = match manner.place {
                Place::Entry(entry) => Some(entry),
                _ => None,
            };
            recovery.log(now, entry, target, message.clone(), message.len());
        }
    }

    /// Adds older entries to the copy of the log.
    pub(super) fn log_before(
        &mut self,
        now: Time,
        encoder: &mut Encoder,
        parser: &Parser,
        entries: Vec<LogEntry>,
    ) {
        // One that cannot be encoded reaches nobody here, as when it was sent.
        let encoded = entries.into_iter().filter_map(|LogEntry { id, target, event }| {
            let offset = id.to_string();
            let message = encoder.forward(parser, &self.name, None, &event, Some(&offset));
            let message = message.ok()?.into_shared();
            let cost = message.len();
            Some((id, target, message, cost))
        });
        let encoded: Vec<_> = encoded.collect();
        encoder.shrink();
        if let Some(recovery) = &mut self.recovery {
            recovery.log_before(now, encoded.into_iter());
        }
    }
}
