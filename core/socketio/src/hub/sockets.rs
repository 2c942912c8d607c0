//! The sockets of a hub.

use alloc::{boxed::Box, sync::Arc};

use enginewire::{Text, hub::SessionId, wire::http::RequestHead};
use slab::Slab;

use super::{SocketKey, returning::Returning};
use crate::{
    ConnectRequest, DisconnectReason, PrivateId, Slot, SocketId, adapter::MemberKey,
    payload::Payload,
};

/// Sockets by key, those that ask to connect among them.
#[derive(Default)]
pub(super) struct Sockets {
    slots: Slab<(u64, Socket)>,
    /// The last serial number of a socket.
    serial: u64,
}

/// One client in one namespace.
pub(super) struct Socket {
    pub(super) session: SessionId,
    pub(super) slot: Slot,
    pub(super) namespace: Text,
    pub(super) head: Arc<RequestHead>,
    pub(super) auth: Option<Payload>,
    /// Data that other nodes are given when they ask for it.
    pub(super) data: Option<Box<Payload>>,
    /// There from the acceptance on.
    pub(super) id: Option<SocketId>,
    /// There if the client may come back.
    pub(super) pid: Option<PrivateId>,
    pub(super) member: Option<Membership>,
    /// There while its client comes back, and is not connected.
    pub(super) returning: Option<Returning>,
    /// Why it is disconnected, once the application is to be told.
    pub(super) reason: Option<DisconnectReason>,
    /// It stands in the queue of sockets with events.
    pub(super) is_queued: bool,
    /// The application takes no events.
    pub(super) is_paused: bool,
}

/// A socket in its namespace.
#[derive(Clone, Copy)]
pub(super) struct Membership {
    pub(super) namespace: usize,
    pub(super) key: MemberKey,
}

impl Socket {
    /// Returns whether the application is asked about it.
    pub(super) const fn is_asking(&self) -> bool {
        self.id.is_none() && !matches!(self.returning, Some(Returning::Bus(_)))
    }

    /// Creates a socket that asks to connect.
    pub(super) fn new(
        session: SessionId,
        slot: Slot,
        request: &ConnectRequest,
        head: &Arc<RequestHead>,
    ) -> Self {
        // What was received may be a large message. The name is kept for as long as the socket.
        let namespace = match &*request.namespace {
            "/" => Text::from_static("/"),
            name => Text::from(name),
        };
        Self {
            session,
            slot,
            namespace,
            head: Arc::clone(head),
            auth: request.auth.clone(),
            data: None,
            id: None,
            pid: None,
            member: None,
            returning: None,
            reason: None,
            is_queued: false,
            is_paused: false,
        }
    }
}

impl Sockets {
    pub(super) fn insert(&mut self, socket: Socket) -> SocketKey {
        self.serial += 1;
        SocketKey { index: self.slots.insert((self.serial, socket)), serial: self.serial }
    }

    pub(super) fn get(&self, key: SocketKey) -> Option<&Socket> {
        let (serial, socket) = self.slots.get(key.index)?;
        (*serial == key.serial).then_some(socket)
    }

    pub(super) fn get_mut(&mut self, key: SocketKey) -> Option<&mut Socket> {
        let (serial, socket) = self.slots.get_mut(key.index)?;
        (*serial == key.serial).then_some(socket)
    }

    pub(super) fn remove(&mut self, key: SocketKey) {
        if self.get(key).is_some() {
            self.slots.remove(key.index);
        }
    }

    /// Returns the socket that was inserted last, if it is there.
    #[cfg(test)]
    pub(super) fn last(&self) -> Option<SocketKey> {
        let mut slots = self.slots.iter();
        let (index, _) = slots.find(|(_, (serial, _))| *serial == self.serial)?;
        Some(SocketKey { index, serial: self.serial })
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}
