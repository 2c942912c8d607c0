//! How clients come into a namespace, how they leave, and how they come back.

use alloc::{boxed::Box, vec::Vec};

use enginewire::{Revision, Time, hub::SessionId};

use super::{
    Client, Hub, Output, SocketKey,
    namespaces::Before,
    returning::{Returning, Taken},
    sockets::Membership,
};
use crate::{
    ConnectError, ConnectRequest, DisconnectReason, PrivateId, SocketId,
    adapter::{Claim, Kept, Restored, SocketState},
    payload::Payload,
};

/// Responses to clients that ask to connect, and ends of sockets.
impl Hub {
    /// Connects the client that [`Output::Connect`] was about.
    ///
    /// The client hears of it before anything else that is sent to the socket. Returns false if it no longer waits.
    pub fn accept(&mut self, now: Time, key: SocketKey) -> bool {
        self.set_now(now);
        let Some(socket) = self.sockets.get(key).filter(|socket| socket.is_asking()) else {
            return false;
        };
        let (session, slot, namespace) = (socket.session, socket.slot, socket.namespace.clone());
        let returning = self.sockets.get_mut(key).and_then(|socket| socket.returning.take());
        let is_recovered = match returning {
            Some(Returning::Application(state)) => {
                let is_recovered = self.recover(key, state);
                self.leave_return(key);
                is_recovered
            }
            // One for which all was not ready is a new client.
            _ => !self.has_log() && self.recover(key, None),
        };
        if is_recovered {
            return true;
        }
        let Some(engine) = self.engine.session(session) else { return false };
        let (id, pid) = match engine.revision() {
            // Clients of 2.x make their ids themselves of the session's, and cannot come back.
            Revision::V3 => (SocketId::from_engine(&namespace, &engine.sid()), None),
            Revision::V4 => {
                let id = SocketId::random(&mut *self.entropy);
                let is_recovering = self.recovery.is_some();
                (id, is_recovering.then(|| PrivateId::random(&mut *self.entropy)))
            }
        };
        let accepted = self.engine.with_layer(self.now, session, |client: &mut Client, cx| {
            client.connection.accept(slot, &id, pid.as_ref(), [], cx.session)
        });
        if accepted != Some(true) {
            return false;
        }
        let index = self.open_namespace(&namespace);
        if let Some(namespace) = self.namespaces.get_mut(index)
            && let (Some(pid), Some(recovery)) = (pid, &mut namespace.recovery)
        {
            recovery.connected(pid, id.clone());
        }
        self.insert(key, index, id, pid);
        true
    }

    /// Refuses to connect the client that [`Output::Connect`] was about.
    ///
    /// The key is of no more use. Returns false if the client no longer waits.
    pub fn refuse(&mut self, now: Time, key: SocketKey, error: &ConnectError) -> bool {
        self.set_now(now);
        let Some(socket) = self.sockets.get(key).filter(|socket| socket.is_asking()) else {
            return false;
        };
        let (session, slot) = (socket.session, socket.slot);
        let refused =
            self.with_client(session, |client, cx| client.refuse(slot, error, cx.session));
        if refused == Some(true) {
            self.cancel_return(key);
            self.sockets.remove(key);
        }
        refused == Some(true)
    }

    /// Disconnects a socket from its namespace, behind what is queued. Its client may go on in other namespaces.
    ///
    /// [`Output::Disconnected`] follows. A client that waits to be connected gets no response.
    pub fn disconnect(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get(key) else { return };
        let (session, slot) = (socket.session, socket.slot);
        self.with_client(session, |client, cx| client.connection.disconnect(slot, cx.session));
    }

    /// Disconnects all sockets of a client, and closes its session behind what is queued.
    ///
    /// [`Output::Disconnected`] follows for each.
    pub fn disconnect_client(&mut self, now: Time, key: SocketKey) {
        self.set_now(now);
        let Some(socket) = self.sockets.get(key) else { return };
        self.with_client(socket.session, |client, cx| {
            client.connection.disconnect_client(cx.now, cx.session);
        });
    }

    /// Leaves further events of a socket in the connection of its client.
    ///
    /// For an application that has no room. They count as unread there, together with those of the other sockets of the
    /// client. When the socket is disconnected, they come nevertheless.
    pub fn pause(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.is_paused = true;
        }
    }

    /// Takes events of a socket again.
    pub fn resume(&mut self, key: SocketKey) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        socket.is_paused = false;
        // If it has none, it leaves the queue at once.
        self.enqueue(key);
    }
}

/// Rooms.
impl Hub {
    /// Joins a socket to a room. Returns false if it is in there, or is not connected.
    pub fn join(&mut self, key: SocketKey, room: &str) -> bool {
        self.change_room(key, room, true)
    }

    /// Removes a socket from a room. Returns false if it is not in there. Its own room cannot be left.
    pub fn leave(&mut self, key: SocketKey, room: &str) -> bool {
        self.change_room(key, room, false)
    }

    fn change_room(&mut self, key: SocketKey, room: &str, joins: bool) -> bool {
        let Some(socket) = self.sockets.get(key) else { return false };
        let Some(member) = socket.member else { return false };
        let Some(namespace) = self.namespaces.get_mut(member.namespace) else { return false };
        let has_changed = match joins {
            true => namespace.adapter.join(member.key, room),
            false => namespace.adapter.leave(member.key, room),
        };
        if let (true, Some(pid), Some(recovery)) =
            (has_changed, &socket.pid, &mut namespace.recovery)
        {
            match joins {
                true => recovery.joined(pid, &room.into()),
                false => recovery.left(pid, &room.into()),
            }
        }
        has_changed
    }
}

impl Hub {
    /// Asks the application whether a client may connect, unless it comes back.
    pub(super) fn connect(&mut self, key: SocketKey, request: ConnectRequest) {
        let Some(request) = self.begin_to_return(key, request) else { return };
        let skips = self.recovery.as_ref().is_some_and(|config| config.skip_authorize);
        if skips && !self.has_log() && self.recover(key, None) {
            return;
        }
        self.ask(key, request);
    }

    pub(super) fn ask(&mut self, key: SocketKey, request: ConnectRequest) {
        if let Some(socket) = self.sockets.get(key) {
            self.outputs.push_back(Output::Connect(key, request, socket.head.clone()));
        }
    }

    /// Makes a socket that was accepted a member of its namespace.
    fn insert(&mut self, key: SocketKey, index: usize, id: SocketId, pid: Option<PrivateId>) {
        let (Some(socket), Some(namespace)) =
            (self.sockets.get_mut(key), self.namespaces.get_mut(index))
        else {
            return;
        };
        let member = namespace.adapter.insert(id.clone(), key);
        socket.id = Some(id);
        socket.pid = pid;
        socket.member = Some(Membership { namespace: index, key: member });
    }

    /// Connects a client that has come back, with what it had. Returns false if it is not one.
    ///
    /// `state` is that of its socket, if it was taken from the bus.
    pub(super) fn recover(&mut self, key: SocketKey, state: Option<Taken>) -> bool {
        if self.recovery.is_none() {
            return false;
        }
        let Some(socket) = self.sockets.get(key) else { return false };
        let Some(claim) = socket.auth.as_ref().and_then(Claim::of) else { return false };
        let (session, slot) = (socket.session, socket.slot);
        let Some(index) = self.namespaces.find(&socket.namespace) else { return false };

        // Its predecessor is still there if nothing has noticed yet that the connection broke.
        if let Some(predecessor) = self.predecessor(index, &claim.pid)
            && predecessor != session
        {
            self.with_client(predecessor, |client, cx| {
                client.connection.abort(DisconnectReason::Replaced, cx.session);
            });
        }
        let now = self.now;
        let restored = self.namespaces.get_mut(index).and_then(|namespace| {
            let recovery = namespace.recovery.as_mut()?;
            if let Some(state) = state
                && !recovery.reclaim(&state.pid, state.mark)
            {
                let SocketState { id, pid, rooms, data, received, stays, mark } = *state;
                let data = Before { key: None, data: Some(Box::new(data)) };
                let state = SocketState { id, pid, rooms, data, received, stays, mark };
                recovery.adopt(now, state);
            }
            recovery.restore(now, &claim.pid, claim.offset.as_deref()).ok()
        });
        let Some(Restored { id, rooms, data: before, missed, .. }) = restored else {
            self.namespaces.settle(index);
            return false;
        };
        let pid = claim.pid;
        let missed = missed.into_iter().map(|missed| missed.event);
        let accepted = self.engine.with_layer(now, session, |client: &mut Client, cx| {
            client.connection.accept(slot, &id, Some(&pid), missed, cx.session)
        });
        if accepted == Some(true) {
            self.insert(key, index, id, Some(pid));
            let member = self.sockets.get(key).and_then(|socket| socket.member);
            if let (Some(member), Some(namespace)) = (member, self.namespaces.get_mut(index)) {
                for room in &rooms {
                    namespace.adapter.join(member.key, room);
                }
            }
            let Before { key: previous, data } = before;
            let payload = data.as_deref().unwrap_or(Payload::empty_object()).clone();
            if let Some(socket) = self.sockets.get_mut(key) {
                socket.data = data;
            }
            self.outputs.push_back(match previous {
                Some(previous) => Output::Recovered(key, previous),
                None => Output::Restored(key, payload),
            });
        } else if let Some(namespace) = self.namespaces.get_mut(index)
            && let Some(recovery) = &mut namespace.recovery
        {
            // It no longer waits, and may come back once more.
            let data = before.data.as_deref().unwrap_or(Payload::empty_object()).clone();
            recovery.keep(now, Kept { pid, rooms, data: before });
            self.share_state(index, &pid, data);
        }
        self.namespaces.settle(index);
        accepted == Some(true)
    }

    /// Returns the session of the socket with this private id, if it is connected.
    fn predecessor(&self, index: usize, pid: &PrivateId) -> Option<SessionId> {
        let namespace = self.namespaces.get(index)?;
        let id = namespace.recovery.as_ref()?.living(pid)?;
        let key = *namespace.adapter.member(namespace.adapter.find(id)?)?;
        self.sockets.get(key).map(|socket| socket.session)
    }

    /// Takes a socket that has disconnected out of its namespace.
    pub(super) fn end(&mut self, key: SocketKey, reason: DisconnectReason) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let (member, pid, data) = (socket.member.take(), socket.pid, socket.data.take());
        socket.reason = Some(reason);
        let mut rooms = Vec::new();
        if let Some(member) = member {
            if let Some(namespace) = self.namespaces.get_mut(member.namespace) {
                rooms = namespace.adapter.remove(member.key).map_or(rooms, |removed| removed.rooms);
                if let (Some(pid), Some(recovery)) = (pid, &mut namespace.recovery) {
                    if reason.is_recoverable() {
                        let shared = data.as_deref().unwrap_or(Payload::empty_object()).clone();
                        let data = Before { key: Some(key), data };
                        recovery.keep(self.now, Kept { pid, rooms: rooms.clone(), data });
                        self.share_state(member.namespace, &pid, shared);
                    } else {
                        recovery.ended(&pid);
                    }
                }
            }
            self.namespaces.settle(member.namespace);
        }
        self.outputs.push_back(Output::Disconnected(key, reason, rooms));
    }
}
