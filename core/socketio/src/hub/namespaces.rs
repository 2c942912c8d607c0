//! The namespaces of a hub: those that have sockets, or sockets that may come back.

use alloc::{collections::BTreeMap, string::ToString, sync::Arc, vec::Vec};
use core::iter;

use enginewire::{Alarm, Deadlines, Encoded, Entropy, Text, Time};
use slab::Slab;

use super::SocketKey;
use crate::{
    Args, EncodeError,
    adapter::{Adapter, Recovery, RecoveryConfig, Target},
    parser::{Encoder, Parser},
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
    /// There if clients may come back. It keeps the keys of their sockets.
    pub(super) recovery: Option<Recovery<SocketKey, Encoded>>,
    alarm: Alarm,
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
        entropy: &mut dyn Entropy,
    ) -> usize {
        if let Some(index) = self.find(name) {
            return index;
        }
        let index = self.slots.insert(Namespace {
            name: name.clone(),
            adapter: Adapter::new(entropy),
            recovery: recovery.map(|config| Recovery::new(config.clone(), entropy)),
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
            forgotten.extend(iter::from_fn(|| recovery.poll_dropped()));
        }
        let recovery = namespace.recovery.as_ref();
        let is_needed =
            |recovery: &Recovery<_, _>| recovery.waiting() > 0 || recovery.logged().0 > 0;
        let is_unused = namespace.adapter.is_empty() && !recovery.is_some_and(is_needed);
        let next = recovery.and_then(Recovery::poll_timeout).filter(|_| !is_unused);
        deadlines.rearm(&mut namespace.alarm, next, || index);
        if is_unused {
            names.remove(&*slots.remove(index).name);
        }
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
    /// Encodes the arguments of an event with the offset that it will have, or has if it is volatile.
    pub(super) fn encode_with_offset(
        &self,
        encoder: &mut Encoder,
        parser: &Parser,
        args: &Args,
        is_volatile: bool,
    ) -> Result<Encoded, EncodeError> {
        let offset = self.recovery.as_ref().map(|recovery| match is_volatile {
            true => recovery.latest().to_string(),
            false => recovery.upcoming().to_string(),
        });
        encoder.forward(parser, &self.name, None, args, offset.as_deref())
    }

    /// Logs an event that was encoded with its offset.
    pub(super) fn log(&mut self, now: Time, target: Target, message: &Encoded) {
        if let Some(recovery) = &mut self.recovery {
            recovery.stamp(now, target, message.clone(), message.len());
        }
    }
}
