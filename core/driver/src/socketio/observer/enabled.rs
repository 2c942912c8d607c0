//! The seam where the admin UI may observe. A server that has none keeps a `None`.

use std::{sync::Arc, task::Waker, time::SystemTime};

use enginewire::{CloseReason, Encoded, Message, TransportKind};
use enginewire_socketio::{
    DisconnectReason, Event, Room,
    cluster::{HandshakeInfo, SocketInfo},
};

use crate::{
    cell::SessionCell,
    runtime::Runtime,
    socketio::{
        Io,
        admin::{
            Admin, AdminShared,
            record::{Change, Record},
            view,
        },
        io::Options,
        socket::SocketShared,
    },
    waiters::Shareable,
};

/// The admin UI of a server, if it has one.
#[derive(Default)]
pub(crate) struct Observer(Option<Arc<AdminShared>>);

impl Observer {
    pub(in crate::socketio) fn new(admin: Admin) -> Self {
        Self(Some(AdminShared::new(admin)))
    }

    /// Watches a namespace from its beginning.
    pub(in crate::socketio) fn namespace(&self, name: &str) -> NamespaceWatch {
        let is_own = self.0.as_ref().is_some_and(|admin| admin.is_own(name));
        NamespaceWatch { admin: self.0.clone(), is_own }
    }

    /// Returns the options of a namespace, which are others for that of the pages.
    pub(in crate::socketio) fn options(&self, name: &str, options: &Arc<Options>) -> Arc<Options> {
        match &self.0 {
            Some(admin) if admin.is_own(name) => Arc::new(AdminShared::options(options)),
            _ => Arc::clone(options),
        }
    }

    /// Watches a session from its beginning.
    pub(in crate::socketio) fn session(&self, cell: &SessionCell) -> SessionWatch {
        let opened = self.0.as_ref().map(|admin| {
            let is_polling = cell.inspect(|session| session.transport()) == TransportKind::Polling;
            admin.traffic.opened(is_polling);
            Opened { admin: Arc::clone(admin), lane: cell.id(), is_polling }
        });
        SessionWatch(opened)
    }

    /// Makes the namespace of the pages.
    pub(in crate::socketio) fn install(&self, io: &Io) {
        if let Some(admin) = &self.0 {
            admin.install(io);
        }
    }

    /// Starts the task of the admin UI, unless another server has started it.
    pub(in crate::socketio) fn start<R: Runtime>(&self, runtime: &R, io: &Io) {
        if let Some(admin) = &self.0 {
            admin.start(runtime, io);
        }
    }

    /// Notes that another node has asked for sockets, as it does for a page that has connected there.
    pub(in crate::socketio) fn fetched(&self) {
        if let Some(admin) = &self.0 {
            admin.watch();
        }
    }

    pub(in crate::socketio) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |admin| admin.dropped())
    }
}

/// Watch over a session, from its beginning to its end.
pub(crate) struct SessionWatch(Option<Opened>);

struct Opened {
    admin: Arc<AdminShared>,
    /// The key of its place in the counts.
    lane: u64,
    is_polling: bool,
}

impl SessionWatch {
    /// Returns the count of its packets.
    pub(in crate::socketio) fn tally(&self) -> Tally {
        Tally(self.0.as_ref().map(|opened| (Arc::clone(&opened.admin), opened.lane)))
    }

    /// Notes that the session has moved to a WebSocket.
    pub(in crate::socketio) fn upgraded(&mut self, sockets: &[Arc<SocketShared>]) {
        let Some(opened) = &mut self.0 else { return };
        if std::mem::take(&mut opened.is_polling) {
            opened.admin.traffic.left_polling();
        }
        for socket in sockets {
            socket.namespace.watch.recorder().upgraded(socket);
        }
    }

    /// Notes that the session has ended.
    pub(in crate::socketio) fn closed(&mut self, reason: Option<CloseReason>) {
        if let Some(opened) = self.0.take() {
            let reason = reason.unwrap_or(CloseReason::ForcedClose);
            opened.admin.traffic.closed(opened.is_polling, reason.as_str());
        }
    }
}

/// The server may end before the session could.
impl Drop for SessionWatch {
    fn drop(&mut self) {
        self.closed(None);
    }
}

/// Count of a session's packets.
pub(crate) struct Tally(Option<(Arc<AdminShared>, u64)>);

impl Tally {
    #[inline]
    pub(in crate::socketio) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(in crate::socketio) fn received(&self, message: &Message) {
        if let Some((admin, lane)) = &self.0 {
            admin.traffic.lane(*lane).received(1, message.len());
        }
    }

    /// Returns the packets of a message and their bytes, as long as it is there.
    #[inline]
    pub(in crate::socketio) fn measure(&self, message: &Encoded) -> Sizes {
        let measure = |_: &_| Sizes { packets: message.parts(), bytes: message.len() };
        self.0.as_ref().map(measure).unwrap_or_default()
    }

    #[inline]
    pub(in crate::socketio) fn sent(&self, Sizes { packets, bytes }: Sizes) {
        if let Some((admin, lane)) = &self.0 {
            admin.traffic.lane(*lane).sent(packets, bytes);
        }
    }
}

/// Packets of a message, and their bytes.
#[derive(Default)]
pub(crate) struct Sizes {
    packets: usize,
    bytes: usize,
}

/// Watch over a namespace.
pub(crate) struct NamespaceWatch {
    admin: Option<Arc<AdminShared>>,
    /// It is that of the pages, whose events are not shown.
    is_own: bool,
}

impl NamespaceWatch {
    /// Returns a recorder, which is to be dropped behind all locks.
    #[inline]
    pub(in crate::socketio) fn recorder(&self) -> Recorder<'_> {
        Recorder { admin: self.admin.as_ref(), task: None }
    }

    /// Notes an event that the application takes.
    #[inline]
    pub(in crate::socketio) fn received(&self, socket: &SocketShared, event: &Event) {
        if self.shows_events() {
            let namespace = Arc::clone(&socket.namespace.name);
            self.recorder().push(Change::Received(namespace, socket.id.clone(), event.clone()));
        }
    }

    /// Copies a message that is about to be sent, if it is to be shown.
    #[inline]
    pub(in crate::socketio) fn copy(&self, message: &Encoded) -> Copied {
        Copied(self.shows_events().then(|| message.clone()))
    }

    /// Returns the present moment, if it will be shown.
    pub(in crate::socketio) fn mark(&self) -> Mark {
        Mark(self.admin.as_ref().map(|_| SystemTime::now()))
    }

    /// Adds to a description for other nodes what the page of any of them shows.
    pub(in crate::socketio) fn describe(&self, socket: &SocketShared, info: &mut SocketInfo) {
        if let Some(admin) = self.admin.as_ref().filter(|admin| admin.shows_sockets()) {
            view::add_client(info, &admin.client(socket));
        }
    }

    #[inline]
    fn shows_events(&self) -> bool {
        !self.is_own && self.admin.as_ref().is_some_and(|admin| admin.records())
    }
}

/// Notes changes of sockets and rooms. Dropped, it wakes the task that shows them.
///
/// Changes are noted under the lock of the adapter, and whether a page is there is only looked at then. A page that
/// connects meanwhile finds a change in the list of all sockets, or is told of it behind that.
pub(crate) struct Recorder<'a> {
    admin: Option<&'a Arc<AdminShared>>,
    task: Option<Waker>,
}

impl Recorder<'_> {
    /// Notes that a socket is connected, and is in these rooms and that of its own id.
    pub(in crate::socketio) fn connected(&mut self, socket: &Arc<SocketShared>, rooms: &[Room]) {
        if !self.is_watched() {
            return;
        }
        let own = socket.id.to_room();
        let rooms: Vec<_> = std::iter::once(own).chain(rooms.iter().cloned()).collect();
        // Before the socket, as the reference does: a page counts a room of a known socket a second time.
        for room in &rooms {
            self.change_room(socket, room.clone(), true);
        }
        self.push(Change::Connected(Arc::clone(socket), rooms));
    }

    /// Notes that a socket has joined or left a room.
    #[inline]
    pub(in crate::socketio) fn changed(&mut self, socket: &SocketShared, room: &str, joins: bool) {
        if self.is_watched() {
            self.change_room(socket, room.into(), joins);
        }
    }

    /// Notes that a socket is disconnected, and has left these rooms and that of its own id.
    pub(in crate::socketio) fn left(
        &mut self,
        socket: &SocketShared,
        rooms: &[Room],
        reason: DisconnectReason,
    ) {
        if !self.is_watched() {
            return;
        }
        let namespace = Arc::clone(&socket.namespace.name);
        self.push(Change::Disconnected(namespace, socket.id.clone(), reason));
        for room in std::iter::once(&socket.id.to_room()).chain(rooms) {
            self.change_room(socket, room.clone(), false);
        }
    }

    /// Notes that the application has changed the data of a socket.
    pub(in crate::socketio) fn data_changed(&mut self, socket: &Arc<SocketShared>) {
        self.push(Change::Data(Arc::clone(socket)));
    }

    /// Notes that a socket has moved to a WebSocket.
    fn upgraded(&mut self, socket: &SocketShared) {
        let namespace = Arc::clone(&socket.namespace.name);
        self.push(Change::Upgraded(namespace, socket.id.clone()));
    }

    fn change_room(&mut self, socket: &SocketShared, room: Room, joins: bool) {
        let (namespace, id) = (Arc::clone(&socket.namespace.name), socket.id.clone());
        self.push(Change::Room(namespace, id, room, joins));
    }

    #[inline]
    fn is_watched(&self) -> bool {
        self.admin.is_some_and(|admin| admin.records())
    }

    fn push(&mut self, change: Change) {
        if let Some(admin) = self.admin.filter(|admin| admin.records()) {
            let task = admin.queue.push(Record { at: SystemTime::now(), change });
            self.task = self.task.take().or(task);
        }
    }
}

impl Drop for Recorder<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

/// Copy of a message on its way out, if it is to be shown.
pub(crate) struct Copied(Option<Encoded>);

impl Copied {
    /// Notes that the message was sent.
    #[inline]
    pub(in crate::socketio) fn sent(self, socket: &SocketShared) {
        if let Some(message) = self.0 {
            let namespace = Arc::clone(&socket.namespace);
            let change = Change::Sent(namespace, socket.id.clone(), message);
            socket.namespace.watch.recorder().push(change);
        }
    }
}

/// Returns a socket of another node as the application has it: without what the admin UI shows of its client.
pub(crate) fn of_application(info: SocketInfo) -> SocketInfo {
    view::remove_client(info)
}

/// The moment in which a socket was connected, if it will be shown.
pub(crate) struct Mark(Option<SystemTime>);

impl Mark {
    /// Adds the moment to a handshake.
    pub(in crate::socketio) fn stamp<'a>(&self, handshake: HandshakeInfo<'a>) -> HandshakeInfo<'a> {
        match self.0 {
            Some(at) => handshake.with_time(view::since_1970(at), view::time(at)),
            None => handshake,
        }
    }
}
