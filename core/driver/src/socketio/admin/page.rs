//! A page of the admin UI: its greeting, and its commands.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use enginewire_socketio::{
    Args, Event, Room, Value,
    adapter::Target,
    cluster::{self, Operation, SocketInfo},
    parser::is_reserved,
};
use serde::Serialize;

use super::{
    AdminShared,
    auth::Admitted,
    record::{Change, Record},
};
use crate::{
    socketio::{Io, Socket, SocketRef, cluster::remote_sockets, socket::SocketShared},
    sync::lock,
    trace::trace,
};

/// The sockets that a page is told of when it connects.
pub(crate) struct Listing {
    pub(super) page: SocketRef<Admitted>,
    /// Sockets of this node, and their rooms.
    pub(super) here: Vec<(Arc<SocketShared>, Vec<Room>)>,
    /// Sockets of other nodes, and their namespaces.
    pub(super) elsewhere: Vec<(Arc<str>, SocketInfo)>,
}

impl Listing {
    /// Returns the bytes that the list holds, about. The sockets are there in any case.
    pub(super) fn cost(&self) -> usize {
        (self.here.len() + self.elsewhere.len()) * size_of::<(Arc<SocketShared>, Vec<Room>)>()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    supported_features: Vec<&'static str>,
}

/// Serves a page until it leaves.
pub(super) async fn serve(mut page: Socket<Admitted>, admin: Arc<AdminShared>, io: Io) {
    let _connected = admin.connect();
    greet(&page, &admin, &io).await;
    while let Some(event) = page.recv().await {
        if admin.config.read_only {
            continue;
        }
        let is_done = match Command::read(&event) {
            Some(command) => command.carry_out(&io).await,
            None => false,
        };
        trace!(INFO, command = event.name(), is_done = is_done, "command of the admin UI");
    }
}

/// Tells a page its session, what it may do, and which sockets there are.
async fn greet(page: &SocketRef<Admitted>, admin: &AdminShared, io: &Io) {
    // Behind the packet that connects it, since it listens to nothing before.
    if let Some(session) = &page.data().session {
        page.emit("session", session).await.ok();
    }
    let supported_features = admin.config.features().collect();
    page.emit("config", &Config { supported_features }).await.ok();
    if admin.shows_sockets() {
        let mut namespaces = io.shared.namespaces();
        namespaces.truncate(MAX_ASKED);
        let elsewhere = remote_sockets(&namespaces, FETCH_TIMEOUT).await;
        list(page, admin, io, elsewhere);
    }
}

/// Queues all sockets for a page, at one moment of all namespaces.
///
/// Changes before it are told before, and changes after it afterwards: they are queued under the locks that this holds.
fn list(
    page: &SocketRef<Admitted>,
    admin: &AdminShared,
    io: &Io,
    mut elsewhere: Vec<(Arc<str>, SocketInfo)>,
) {
    let task = io.shared.with_namespaces(|namespaces| {
        // Nothing else locks more than one.
        let adapters: Vec<_> = namespaces.map(|namespace| lock(&namespace.adapter)).collect();
        let mut here = Vec::new();
        for adapter in &adapters {
            let members = adapter.iter().take(MAX_LISTED - here.len());
            here.extend(members.map(|(key, id, socket)| {
                let rooms = std::iter::once(id.to_room()).chain(adapter.rooms(key).cloned());
                (Arc::clone(socket), rooms.collect())
            }));
        }
        elsewhere.truncate(MAX_LISTED - here.len());
        let listing = Box::new(Listing { page: page.clone(), here, elsewhere });
        admin.queue.push(Record { at: SystemTime::now(), change: Change::Page(listing) })
    });
    if let Some(task) = task {
        task.wake();
    }
}

/// Something that a page asks for, of the sockets of a namespace.
struct Command {
    namespace: String,
    /// The room, or the id of the socket, that is meant. `None`: all of the namespace.
    filter: Option<String>,
    action: Action,
    /// Bytes of the event that asks for it.
    size: usize,
}

enum Action {
    Join(String),
    Leave(String),
    /// Whether the connections of the clients are closed.
    Disconnect(bool),
    Emit(Event),
}

impl Command {
    /// Reads a command. `None` if it is not understood.
    fn read(event: &Event) -> Option<Self> {
        let (namespace, filter, action) = match event.name() {
            "join" => {
                let (namespace, room, filter) = event.data().ok()?;
                (namespace, filter, Action::Join(room))
            }
            "leave" => {
                let (namespace, room, filter) = event.data().ok()?;
                (namespace, filter, Action::Leave(room))
            }
            "_disconnect" => {
                let (namespace, close, filter) = event.data().ok()?;
                (namespace, filter, Action::Disconnect(close))
            }
            "emit" => {
                let (namespace, filter, name): (_, _, String) = event.data().ok()?;
                if is_reserved(&name) {
                    return None;
                }
                // Behind the name of the command, the namespace and the filter.
                let arguments: Vec<Value> = event.args().to_values().ok()?.split_off(3);
                (namespace, filter, Action::Emit(Event::from(Args::from_values(arguments))))
            }
            _ => return None,
        };
        Some(Self { namespace, filter, action, size: event.args().payload().size() })
    }

    /// Does it to the sockets of all nodes. Returns whether there is a namespace that it could be about.
    async fn carry_out(self, io: &Io) -> bool {
        let Some(namespace) = io.find(&self.namespace) else {
            // Other nodes may have it. It is not made here, as the reference does, whose clients could then connect to it.
            let (namespace, size) = (Arc::from(&*self.namespace), self.size);
            return io.shared.tell_elsewhere(&namespace, self.into_operation(), size);
        };
        let sockets = namespace.broadcast();
        let sockets = match self.filter {
            Some(room) => sockets.to(room),
            None => sockets,
        };
        let delivered = match self.action {
            Action::Join(room) => Ok(sockets.join(room)),
            Action::Leave(room) => Ok(sockets.leave(room)),
            Action::Disconnect(true) => Ok(sockets.disconnect_clients()),
            Action::Disconnect(false) => Ok(sockets.disconnect()),
            Action::Emit(event) => sockets.forward(&event).await,
        };
        delivered.is_ok()
    }

    /// Returns what other nodes are told.
    fn into_operation(self) -> Operation {
        let target = self.filter.map_or_else(Target::all, |room| Target::all().to(room));
        match self.action {
            Action::Join(room) => Operation::Join { target, rooms: vec![room.into()] },
            Action::Leave(room) => Operation::Leave { target, rooms: vec![room.into()] },
            Action::Disconnect(close) => Operation::Disconnect { target, close },
            Action::Emit(event) => {
                Operation::Broadcast(cluster::Broadcast::new(target, event.args().clone()))
            }
        }
    }
}

/// Limit on the sockets that a page is told of when it connects, some kilobyte each.
const MAX_LISTED: usize = 10_000;

/// Limit on the namespaces whose sockets are asked for on other nodes, all at once.
const MAX_ASKED: usize = 1000;

/// Time that other nodes have for their sockets. The commands of a page wait for as long.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
