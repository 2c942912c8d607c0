//! Sockets of all nodes: what they are, and what they are to do.

use std::{fmt, sync::Arc, time::Duration};

use enginewire_socketio::{
    Room, SocketId, Value,
    adapter::Target,
    cluster::{HandshakeInfo, Missing, Operation, Response, SocketInfo, TellError, message_size},
    payload::{DecodeError, Payload},
};
use serde::{Deserialize, Serialize, de::value::UnitDeserializer};

use super::requests::Asked;
use crate::{
    socketio::{
        Delivered,
        broadcast::Broadcast,
        namespace::{Namespace, NamespaceShared},
        observer,
        order::SocketData,
        rooms::Rooms,
        session::caught,
        socket::SocketShared,
    },
    sync::lock,
};

/// Socket of any node, as it was when [`Broadcast::fetch_sockets`] asked for it.
///
/// `io.to(socket.id())` reaches it, wherever it is.
#[derive(Clone)]
pub struct RemoteSocket {
    info: SocketInfo,
}

/// Sockets of all nodes, from [`Broadcast::fetch_sockets`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedSockets {
    /// The sockets, those of this node first.
    pub sockets: Vec<RemoteSocket>,
    /// The nodes that have not responded.
    pub missing: Missing,
    /// Other nodes that were asked, or why none was. 0 without a cluster.
    pub remote: Result<usize, TellError>,
}

impl RemoteSocket {
    pub(super) const fn new(info: SocketInfo) -> Self {
        Self { info }
    }

    /// Returns the id.
    pub const fn id(&self) -> &SocketId {
        &self.info.id
    }

    /// Returns the rooms, that of its own id included.
    pub fn rooms(&self) -> &[Room] {
        &self.info.rooms
    }

    /// Decodes the application's data. See [`Namespace::share_data`].
    ///
    /// # Errors
    ///
    /// It is of another shape. Without `share_data` it is an empty object, as are data that other nodes serialize as
    /// `null`: that decodes as `()` and `None`, too.
    pub fn data<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        let decoded = self.info.data.decode();
        match decoded {
            Err(_) if is_empty_object(&self.info.data) => {
                T::deserialize(UnitDeserializer::<DecodeError>::new()).or(decoded)
            }
            decoded => decoded,
        }
    }

    /// Returns the handshake of the client.
    ///
    /// It is an object with the members that applications of Node.js know. It has all header fields and the query, which may hold secrets.
    pub const fn handshake(&self) -> &Payload {
        &self.info.handshake
    }
}

/// Operations on sockets of all nodes.
impl Broadcast {
    /// Reaches the sockets of this node alone. Other nodes are told nothing.
    pub const fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Returns the sockets of all nodes, with their rooms and data.
    ///
    /// Waits for the other nodes for 5 s, or until the [timeout](Self::timeout). Those that have responded count
    /// whatever the others do. Without a cluster it returns the sockets of this node at once.
    ///
    /// Cancel safe: it changes nothing.
    pub async fn fetch_sockets(self) -> FetchedSockets {
        let mut fetched = FetchedSockets {
            sockets: self.members().iter().map(|member| RemoteSocket::new(member.info())).collect(),
            missing: Missing::default(),
            remote: Ok(0),
        };
        let mut requests = Vec::new();
        for namespace in self.others() {
            let timeout = self.timeout.unwrap_or(TIMEOUT);
            match namespace.ask_for_sockets(&self.target, timeout) {
                Some(Ok(request)) => requests.push(request),
                Some(Err(error)) => fetched.remote = Err(error),
                None => {}
            }
        }
        for asked in requests {
            let (nodes, (sockets, missing)) = (asked.nodes, asked.sockets().await);
            let sockets = sockets.into_iter().map(observer::of_application);
            fetched.sockets.extend(sockets.map(RemoteSocket::new));
            fetched.missing.nodes = fetched.missing.nodes.max(missing.nodes);
            fetched.remote = fetched.remote.map(|most| most.max(nodes));
        }
        fetched
    }

    /// Has all of them join rooms, on all nodes.
    pub fn join(&self, rooms: impl Rooms) -> Delivered {
        let members = self.members();
        members.iter().for_each(|member| member.change_rooms(&rooms, true));
        let (rooms, size) = listed(&rooms);
        let remote = self.tell_all(size, |target| Operation::Join { target, rooms: rooms.clone() });
        delivered(members.len(), remote)
    }

    /// Has all of them leave rooms, on all nodes.
    pub fn leave(&self, rooms: impl Rooms) -> Delivered {
        let members = self.members();
        let (listed, size) = listed(&rooms);
        // Those that are told select by the rooms that these leave.
        let operation = |target| Operation::Leave { target, rooms: listed.clone() };
        let remote = self.tell_all(size, operation);
        members.iter().for_each(|member| member.change_rooms(&rooms, false));
        delivered(members.len(), remote)
    }

    /// Disconnects all of them from the namespace, on all nodes. See
    /// [`SocketRef::disconnect`](crate::socketio::SocketRef::disconnect).
    pub fn disconnect(&self) -> Delivered {
        self.disconnect_all(false)
    }

    /// Disconnects the clients of all of them, on all nodes. See
    /// [`SocketRef::disconnect_client`](crate::socketio::SocketRef::disconnect_client).
    pub fn disconnect_clients(&self) -> Delivered {
        self.disconnect_all(true)
    }

    fn disconnect_all(&self, close: bool) -> Delivered {
        let members = self.members();
        let remote = self.tell_all(0, |target| Operation::Disconnect { target, close });
        members.iter().for_each(|member| member.disconnect_as(close));
        delivered(members.len(), remote)
    }

    /// Returns the namespaces that other nodes have too.
    fn others(&self) -> Vec<Arc<NamespaceShared>> {
        if self.local {
            return Vec::new();
        }
        let reached = self.namespace.reached().into_iter();
        reached.filter(|namespace| namespace.cluster().is_some()).collect()
    }

    fn tell_all(
        &self,
        size: usize,
        operation: impl Fn(Target) -> Operation,
    ) -> Result<usize, TellError> {
        self.others().into_iter().try_fold(0, |most, namespace| {
            let operation = operation(self.target.clone());
            Ok(namespace.tell_operation(&self.target, size, operation)?.max(most))
        })
    }
}

impl<D: Serialize + Send + Sync + 'static> Namespace<D> {
    /// Lets [`Broadcast::fetch_sockets`] have the data of the sockets, on all nodes. Default: it has an empty object.
    ///
    /// A pattern does so for all of its namespaces.
    #[must_use = "it returns the namespace"]
    pub fn share_data(self) -> Self {
        // A second call would set the same.
        let _ = self.shared.side.data.set(|data| Payload::new(data.downcast_ref::<D>()?).ok());
        self
    }
}

impl SocketShared {
    /// Describes the socket for other nodes. Calls the application, which serializes its data.
    pub(in crate::socketio) fn info(&self) -> SocketInfo {
        let adapter = lock(&self.namespace.adapter);
        let rooms = self.member.get().filter(|&&member| adapter.member(member).is_some());
        let rooms = rooms.into_iter().flat_map(|&member| adapter.rooms(member));
        let rooms = std::iter::once(self.id.to_room()).chain(rooms.cloned()).collect();
        drop(adapter);
        let handshake = HandshakeInfo::new(self.handshake.head(), self.auth.as_deref())
            .with_address(self.handshake.peer_addr().ip())
            .with_secure(self.handshake.is_secure());
        let handshake = self.mark.stamp(handshake).to_payload();
        SocketInfo { id: self.id.clone(), rooms, handshake, data: self.shared_data() }
    }

    /// Returns the application's data for other nodes. Calls the application.
    pub(in crate::socketio) fn shared_data(&self) -> Payload {
        let share = self.namespace.host().side.data.get();
        let share = share.or_else(|| self.namespace.side.data.get());
        let data = share.and_then(|share| caught(|| share(&self.data)).flatten());
        data.unwrap_or_else(|| Payload::empty_object().clone())
    }

    /// Describes the socket for other nodes, with what an admin UI shows of its client.
    ///
    /// Its data are never `null`, which would end the process of a node of Node.js that has an admin UI.
    pub(super) fn described(&self) -> SocketInfo {
        let mut info = self.info();
        if info.data.as_json() == Some("null") {
            info.data = Payload::empty_object().clone();
        }
        self.namespace.watch.describe(self, &mut info);
        info
    }
}

impl NamespaceShared {
    /// Asks the other nodes for their sockets of this namespace. `None` without a cluster.
    fn ask_for_sockets(
        &self,
        target: &Target,
        timeout: Duration,
    ) -> Option<Result<Asked, TellError>> {
        let size = message_size(&self.name, target, 0);
        self.request(timeout, |state, deadline| {
            state.cluster.fetch_sockets(deadline, &self.name, target.clone(), size)
        })
    }
}

impl Asked {
    /// Waits for the sockets that were asked for.
    async fn sockets(self) -> (Vec<SocketInfo>, Missing) {
        let (responses, missing) = self.collected.all().await;
        let sockets = responses.into_iter().flat_map(|(_, response)| match response {
            Response::Sockets(sockets) => sockets,
            _ => Vec::new(),
        });
        (sockets.collect(), missing)
    }
}

/// Returns the sockets of other nodes in these namespaces, all of which are asked for at once.
///
/// Without a cluster it returns none at once. Nodes that do not respond in time have none.
#[cfg(feature = "admin")]
pub(in crate::socketio) async fn remote_sockets(
    namespaces: &[Arc<NamespaceShared>],
    timeout: Duration,
) -> Vec<(Arc<str>, SocketInfo)> {
    let ask = |namespace: &Arc<NamespaceShared>| {
        let asked = namespace.ask_for_sockets(&Target::all(), timeout)?.ok()?;
        Some((Arc::clone(&namespace.name), asked))
    };
    let all: Vec<_> = namespaces.iter().filter_map(ask).collect();
    let mut sockets = Vec::new();
    for (name, asked) in all {
        let (of_others, _) = asked.sockets().await;
        sockets.extend(of_others.into_iter().map(|info| (Arc::clone(&name), info)));
    }
    sockets
}

/// Makes a payload of the application's data, if it has the expected type.
pub(super) type ShareHook = fn(&SocketData) -> Option<Payload>;

fn is_empty_object(data: &Payload) -> bool {
    matches!(data.to_value(), Ok(Value::Object(members)) if members.is_empty())
}

/// Returns rooms in a list, and the bytes of their names.
fn listed(rooms: &impl Rooms) -> (Vec<Room>, usize) {
    let (mut list, mut size) = (Vec::new(), 0);
    rooms.each(&mut |room| {
        size += room.len();
        list.push(Room::from(room));
    });
    (list, size)
}

fn delivered(sockets: usize, remote: Result<usize, TellError>) -> Delivered {
    let mut delivered = Delivered::default();
    (delivered.sockets, delivered.remote) = (sockets, remote);
    delivered
}

/// Without the handshake and the data, which may be private.
impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSocket")
            .field("id", &self.info.id)
            .field("rooms", &self.info.rooms)
            .finish_non_exhaustive()
    }
}

/// Time that other nodes have by default, as the reference's.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
