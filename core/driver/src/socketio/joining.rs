//! How clients come into a namespace, how they leave, and how they come back.

use std::sync::{Arc, Mutex, OnceLock, atomic::AtomicBool};

use enginewire::{Encoded, Revision};
use enginewire_socketio::{
    ConnectError, DisconnectReason, PrivateId, Room, Slot, SocketId,
    adapter::{Claim, Kept, Restored},
    payload::Payload,
};

use super::{
    io::NamespaceUse,
    layer::SocketIoLayer,
    namespace::ConnectRequest,
    observer::Recorder,
    order::{Order, SocketData},
    recovering::Ready,
    session::{Session, Task, caught},
    socket::SocketShared,
};
use crate::{sync::lock, trace::trace, waiters::Shareable, wakes::Wakes};

/// A socket on its way into its namespace.
struct Joining {
    id: SocketId,
    pid: Option<PrivateId>,
    rooms: Vec<Room>,
    data: SocketData,
    /// Events that its client missed.
    missed: Vec<Encoded>,
    is_recovered: bool,
}

impl Session {
    /// Asks the application whether a client may connect, unless it comes back.
    pub(super) fn authorize(&mut self, slot: Slot, namespace: NamespaceUse, auth: Option<Payload>) {
        let handshake = self.engine.shared_handshake();
        let (namespace, rooms) = (self.keep(slot, namespace), Arc::default());
        let request = ConnectRequest { namespace, handshake, auth, rooms };
        if request.namespace.skips_authorize() {
            if let Some(request) = self.begin_to_recover(slot, request, None) {
                self.ask(slot, request);
            }
        } else {
            self.ask(slot, request);
        }
    }

    /// Recovers the client if it comes back. Gives the request back if it does not.
    ///
    /// It may have to wait for the cluster. `data` is what the application has decided on, if it was asked.
    fn begin_to_recover(
        &mut self,
        slot: Slot,
        request: ConnectRequest,
        data: Option<SocketData>,
    ) -> Option<ConnectRequest> {
        let claim = request.auth.as_ref().and_then(Claim::of);
        match claim.and_then(|claim| request.namespace.prepare(&self.cell, claim)) {
            Some(recovering) => {
                self.push_task(slot, Task::Recover(recovering, Box::new((request, data))));
                None
            }
            None if self.recover(slot, &request) => None,
            None => Some(request),
        }
    }

    /// Goes on with a client for which all is ready that can be, or that is a new one.
    pub(super) fn finish_recovery(
        &mut self,
        slot: Slot,
        ready: Option<Ready>,
        request: ConnectRequest,
        data: Option<SocketData>,
    ) {
        // One that no longer waits must not take out what it may come back for.
        let is_ready = self.is_connecting(slot)
            && ready.is_some_and(|ready| match ready {
                Ready::Here => true,
                Ready::Taken(mut taken) => taken.adopt(self.cell.now(), data.as_ref()),
            });
        if is_ready && self.recover(slot, &request) {
            return;
        }
        match data {
            Some(data) => self.connect_anew(slot, request, data),
            None => self.ask(slot, request),
        }
    }

    /// Asks the application whether a client may connect.
    fn ask(&mut self, slot: Slot, request: ConnectRequest) {
        match caught(|| request.namespace.authorize(request.clone())) {
            None => self.refuse(slot, &ConnectError::new("internal error")),
            Some(Some(authorizing)) => {
                self.push_task(slot, Task::Authorize(authorizing, Box::new(request)))
            }
            Some(None) => self.accept(slot, request, Arc::new(())),
        }
    }

    fn is_connecting(&self, slot: Slot) -> bool {
        let connecting = self
            .cell
            .with_layer(|layer: &mut SocketIoLayer, _| layer.connection.is_connecting(slot));
        connecting == Some(true)
    }

    /// Connects a client that has come back, with what it had. Returns false if it is not one.
    fn recover(&mut self, slot: Slot, request: &ConnectRequest) -> bool {
        let Some(claim) = request.auth.as_ref().and_then(Claim::of) else { return false };
        // One that no longer waits must not take out what it may come back for.
        if !self.is_connecting(slot) {
            return false;
        }
        // Dropped behind the lock: it may be the last, and the application's.
        let mut _data = None;
        let mut wakes = Wakes::default();
        let shared = Arc::clone(&request.namespace);
        let mut recorder = shared.watch.recorder();
        let mut order = request.namespace.lock_order();
        let now = order.set_now(self.cell.now());
        let Some(recovery) = &mut order.recovery else { return false };
        // Its predecessor is still there if nothing has noticed yet that the connection broke.
        let predecessor = recovery.living(&claim.pid).and_then(|id| {
            let mut adapter = request.namespace.lock_adapter(&mut wakes);
            let member = adapter.find(id.as_str())?;
            let removed = adapter.remove(member)?;
            recorder.left(&removed.member, &removed.rooms, DisconnectReason::Replaced);
            Some(removed)
        });
        if let Some(removed) = &predecessor {
            let data = Arc::clone(&removed.member.data);
            recovery.keep(now, Kept { pid: claim.pid, rooms: removed.rooms.clone(), data });
        }
        let restored = recovery.restore(now, &claim.pid, claim.offset.as_deref());
        let is_recovered = match restored {
            Ok(Restored { id, rooms, data, missed, .. }) => {
                _data = Some(Arc::clone(&data));
                let kept = Kept { pid: claim.pid, rooms: rooms.clone(), data: Arc::clone(&data) };
                let pid = Some(claim.pid);
                let missed = missed.into_iter().map(|missed| missed.event).collect();
                let joining = Joining { id, pid, rooms, data, missed, is_recovered: true };
                let is_admitted = self.admit(
                    slot,
                    request.clone(),
                    joining,
                    &mut order,
                    &mut wakes,
                    &mut recorder,
                );
                // It has left at this very moment.
                if let (false, Some(recovery)) = (is_admitted, &mut order.recovery) {
                    recovery.keep(now, kept);
                }
                is_admitted
            }
            Err(_) => false,
        };
        drop(order);
        if let Some(removed) = predecessor {
            removed.member.set_left(&removed.rooms);
            removed.member.abort(DisconnectReason::Replaced);
        }
        if is_recovered {
            self.start(slot);
        }
        is_recovered
    }

    /// Connects a client that the application has accepted, with what it had if it comes back.
    pub(super) fn accept(&mut self, slot: Slot, request: ConnectRequest, data: SocketData) {
        let namespace = &request.namespace;
        // A client that was asked for before the application was is a new one.
        let has_tried = namespace.log().is_some() && namespace.skips_authorize();
        if !namespace.is_recovering() || has_tried {
            return self.connect_anew(slot, request, data);
        }
        if let Some(request) = self.begin_to_recover(slot, request, Some(Arc::clone(&data))) {
            self.connect_anew(slot, request, data);
        }
    }

    /// Connects a new client.
    fn connect_anew(&mut self, slot: Slot, request: ConnectRequest, data: SocketData) {
        let is_recovering = request.namespace.is_recovering();
        let entropy = &mut crate::runtime::fill_random;
        // Clients of 2.x make their ids themselves of the session's, and cannot come back.
        let (id, pid) = match self.engine.revision() {
            Revision::V3 => {
                (SocketId::from_engine(request.namespace.name(), self.cell.sid()), None)
            }
            Revision::V4 => {
                (SocketId::random(entropy), is_recovering.then(|| PrivateId::random(entropy)))
            }
        };
        let rooms = lock(&request.rooms).drain(..).map(Room::from).collect();
        let joining = Joining { id, pid, rooms, data, missed: Vec::new(), is_recovered: false };
        let namespace = Arc::clone(&request.namespace);
        // Dropped behind the lock: it may be the last, and the application's.
        let _data = Arc::clone(&joining.data);
        let mut wakes = Wakes::default();
        let mut recorder = namespace.watch.recorder();
        let mut order = namespace.lock_order();
        let is_admitted = self.admit(slot, request, joining, &mut order, &mut wakes, &mut recorder);
        drop(order);
        if is_admitted {
            self.start(slot);
        } else {
            self.let_go(slot);
        }
    }

    /// Connects a client, and makes it a member behind the packet that says so: no event overtakes that.
    ///
    /// Called with the order of the namespace locked, so that it misses nothing and gets nothing twice. The adapter is
    /// locked from before the packet until it has the socket: a client that has the packet finds itself a member,
    /// whatever asks for members.
    fn admit(
        &mut self,
        slot: Slot,
        request: ConnectRequest,
        joining: Joining,
        order: &mut Order,
        wakes: &mut Wakes,
        recorder: &mut Recorder<'_>,
    ) -> bool {
        let ConnectRequest { namespace, handshake, auth, .. } = request;
        let Joining { id, pid, rooms, data, missed, is_recovered } = joining;
        let reason = Arc::new(OnceLock::new());
        let shared = Arc::clone(&namespace);
        let mut adapter = shared.lock_adapter(wakes);
        let is_accepted = self.cell.with_layer(|layer: &mut SocketIoLayer, cx| {
            let (connection, mut wire) = layer.split(cx);
            let accepted = connection.accept(slot, &id, pid.as_ref(), missed, &mut wire);
            if accepted {
                layer.insert(slot, Arc::clone(&reason), Arc::clone(&namespace.counters));
            }
            layer.settle(cx);
            accepted
        });
        if is_accepted != Some(true) {
            return false;
        }
        let socket = Arc::new(SocketShared {
            cell: Arc::clone(&self.cell),
            slot,
            id,
            namespace,
            handshake,
            auth: auth.map(Box::new),
            data,
            is_recovered,
            pid,
            reason,
            is_handed_over: AtomicBool::new(false),
            member: OnceLock::new(),
            left: Mutex::default(),
            mark: shared.watch.mark(),
        });
        let member = adapter.insert(socket.id.clone(), Arc::clone(&socket));
        for room in &rooms {
            adapter.join(member, room.as_str());
        }
        let set = socket.member.set(member);
        debug_assert!(set.is_ok());
        recorder.connected(&socket, &rooms);
        drop(adapter);
        if let (Some(pid), Some(recovery)) = (pid, &mut order.recovery)
            && !is_recovered
        {
            recovery.expect_heartbeat(socket.cell.inspect(|session| {
                let config = session.config();
                config.ping_interval.saturating_add(config.ping_timeout)
            }));
            recovery.connected(pid, socket.id.clone());
            rooms.iter().for_each(|room| recovery.joined(&pid, room));
        }
        self.sockets.reserve_exact(1);
        self.sockets.push(socket);
        true
    }

    /// Hands a socket that was admitted to the application.
    fn start(&mut self, slot: Slot) {
        let Some(socket) = self.sockets.iter().find(|socket| socket.slot == slot) else { return };
        let namespace = &socket.namespace;
        trace!(DEBUG, session = self.cell.id(), namespace = namespace.name(), "socket connected");
        if let Some(serving) = namespace.hand_over(socket) {
            self.push_task(slot, Task::Serve(serving));
        }
    }
}

impl SocketShared {
    /// Takes the socket out of its rooms. It is kept for its client if that may come back.
    pub(super) fn leave(&self, reason: DisconnectReason) {
        let Some(&member) = self.member.get() else { return };
        let is_kept = self.pid.is_some() && reason.is_recoverable();
        let shared = if is_kept { self.data_to_keep() } else { None };
        // Woken behind the lock.
        let mut wakes = Wakes::default();
        let mut recorder = self.namespace.watch.recorder();
        let mut order = self.namespace.lock_order();
        order.set_now(self.cell.now());
        // Another session may have taken its place, and has taken it out.
        let mut adapter = self.namespace.lock_adapter(&mut wakes);
        let Some(removed) = adapter.remove(member) else { return };
        recorder.left(self, &removed.rooms, reason);
        drop(adapter);
        self.set_left(&removed.rooms);
        let Some(pid) = self.pid else { return };
        if is_kept {
            let data = Arc::clone(&self.data);
            self.keep(&mut order, Kept { pid, rooms: removed.rooms, data }, shared, &mut wakes);
        } else if let Some(recovery) = &mut order.recovery {
            recovery.ended(&pid);
        }
        drop(order);
    }

    fn set_left(&self, rooms: &[Room]) {
        *lock(&self.left) = rooms.iter().map(|room| room.as_str().to_owned()).collect();
    }
}
