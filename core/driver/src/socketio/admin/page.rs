//! A page of the admin UI: its greeting, and its commands.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use enginewire_socketio::{Args, Event, Room, Value, cluster::SocketInfo, parser::is_reserved};
use serde::Serialize;

use super::{
    AdminShared,
    auth::Admitted,
    record::{Change, Record},
};
use crate::{
    socketio::{Broadcast, Io, Socket, SocketRef, cluster::remote_sockets, socket::SocketShared},
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
        let is_done = carry_out(&io, &event).await.is_some();
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

/// Does what a page asks for. `None` if it is not understood, or for a namespace that does not exist.
async fn carry_out(io: &Io, event: &Event) -> Option<()> {
    match event.name() {
        "join" => {
            let (namespace, room, filter): (_, String, _) = event.data().ok()?;
            select(io, namespace, filter)?.join(room);
        }
        "leave" => {
            let (namespace, room, filter): (_, String, _) = event.data().ok()?;
            select(io, namespace, filter)?.leave(room);
        }
        "_disconnect" => {
            let (namespace, close, filter): (_, bool, _) = event.data().ok()?;
            let sockets = select(io, namespace, filter)?;
            if close {
                sockets.disconnect_clients()
            } else {
                sockets.disconnect()
            };
        }
        "emit" => {
            let (namespace, filter, name): (_, _, String) = event.data().ok()?;
            if is_reserved(&name) {
                return None;
            }
            // Behind the name of the command, the namespace and the filter.
            let arguments: Vec<Value> = event.args().to_values().ok()?.split_off(3);
            let sent = Event::from(Args::from_values(arguments));
            select(io, namespace, filter)?.forward(&sent).await.ok()?;
        }
        _ => return None,
    }
    Some(())
}

/// Returns the sockets of a namespace, or those of a room in it.
fn select(io: &Io, namespace: String, filter: Option<String>) -> Option<Broadcast> {
    let sockets = io.find(&namespace)?.broadcast();
    Some(match filter {
        Some(room) => sockets.to(room),
        None => sockets,
    })
}

/// Limit on the sockets that a page is told of when it connects, some kilobyte each.
const MAX_LISTED: usize = 10_000;

/// Limit on the namespaces whose sockets are asked for on other nodes, all at once.
const MAX_ASKED: usize = 1000;

/// Time that other nodes have for their sockets. The commands of a page wait for as long.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
