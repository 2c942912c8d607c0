//! Recovery of clients on any node of a cluster that shares a log.
//!
//! The state of a socket that broke is with the bus, and each node has a copy of the latest entries of the log. A client that
//! comes back waits until both are there: the copy from the entry that it received last, and the state, which only one node
//! gets. What follows is the recovery of a client on its own node, see [`joining`](super::joining).

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use enginewire::{Encoded, Time};
use enginewire_socketio::{
    PrivateId,
    adapter::{Claim, EntryId, Kept, Recovery, SocketState},
    cluster::ReadLimits,
    payload::Payload,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    cluster::ClusterShared,
    namespace::{Namespace, NamespaceShared},
    order::{Order, SocketData},
    reading::Reader,
    session::caught,
    socket::SocketShared,
};
use crate::{cell::SessionCell, trace::trace, waiters::Shareable, wakes::Wakes};

/// Makes ready for a client that comes back. `None` if it is a new client.
pub(super) type Recovering = Pin<Box<dyn Future<Output = Option<Ready>> + Send>>;

/// All that a client needs to be recovered on this node.
pub(super) enum Ready {
    /// Its socket is, or was, on this node alone.
    Here,
    /// The state of its socket, which is here as well if nothing has changed it.
    Taken(Taken),
}

/// State of a socket that was taken from the bus. Dropped, it is given back.
pub(super) struct Taken {
    namespace: Arc<NamespaceShared>,
    cluster: Arc<ClusterShared>,
    state: Option<Box<SocketState<Payload>>>,
}

impl<D: Serialize + DeserializeOwned + Send + Sync + 'static> Namespace<D> {
    /// Lets sockets that come back on another node have their data. Default: they have what `authorize` returns.
    ///
    /// By default such a client is authorized again, also with
    /// [`skip_authorize`](super::RecoveryConfig::skip_authorize). One that comes back on its own node has the data that it
    /// had.
    ///
    /// For nodes that share a log, see [`Bus::has_log`](super::Bus::has_log). The data are serialized when the connection
    /// breaks. A client whose data cannot be deserialized gets a new socket. [`share_data`](Self::share_data) is included.
    /// A pattern does so for all of its namespaces.
    #[must_use = "it returns the namespace"]
    pub fn restore_data(self) -> Self {
        // A second call would set the same.
        let _ = self.shared.side.restore.set(|payload| {
            let data: D = payload.decode().ok()?;
            Some(Arc::new(data))
        });
        self.share_data()
    }
}

/// Makes the application's data of a payload.
pub(crate) type RestoreHook = fn(&Payload) -> Option<SocketData>;

impl NamespaceShared {
    /// Returns whether a client that comes back needs no decision of the application.
    pub(super) fn skips_authorize(&self) -> bool {
        let skips = self.options().recovery.as_ref().is_some_and(|config| config.skip_authorize);
        skips && (self.log().is_none() || !self.is_authorizing() || self.restore_hook().is_some())
    }

    pub(super) fn recovery_window(&self) -> Duration {
        self.options().recovery.as_ref().map_or(Duration::ZERO, |config| config.window)
    }

    /// Makes ready for a client that comes back, if the nodes share a log.
    pub(super) fn prepare(
        self: &Arc<Self>,
        cell: &Arc<SessionCell>,
        claim: Claim,
    ) -> Option<Recovering> {
        let cluster = Arc::clone(self.log()?);
        let log = Log { namespace: Arc::clone(self), cluster, cell: Arc::clone(cell) };
        Some(Box::pin(async move { log.ready(claim).await }))
    }

    fn recovery<T>(&self, f: impl FnOnce(&mut Recovery<SocketData, Encoded>) -> T) -> Option<T> {
        let mut order = self.lock_order();
        order.recovery.as_mut().map(f)
    }

    pub(super) fn restore_hook(&self) -> Option<RestoreHook> {
        let host = self.host().side.restore.get();
        host.or_else(|| self.side.restore.get()).copied()
    }

    /// Makes the data of a socket that was on another node. Calls the application.
    fn restore_data_of(&self, state: &SocketState<Payload>) -> Option<SocketData> {
        let data = match self.restore_hook() {
            Some(restore) => caught(|| restore(&state.data)).flatten(),
            None => (!self.is_authorizing()).then(|| Arc::new(()) as SocketData),
        };
        if data.is_none() {
            trace!(WARN, namespace = self.name(), "the data of a socket cannot be restored");
        }
        data
    }
}

/// The log, as a client needs it that comes back.
struct Log {
    namespace: Arc<NamespaceShared>,
    cluster: Arc<ClusterShared>,
    /// The session of the client, which knows the time.
    cell: Arc<SessionCell>,
}

impl Log {
    async fn ready(self, Claim { pid, offset }: Claim) -> Option<Ready> {
        let max = self.namespace.options().recovery.as_ref()?.max_sessions;
        // Before the state is taken: a client that is refused has not lost it.
        let has_offset = match &offset {
            Some(offset) => self.reach(offset).await,
            None => true,
        };
        if self.is_here(&pid) {
            return Some(Ready::Here);
        }
        if !has_offset {
            return None;
        }
        // If the bus does not respond, the socket waits on: nobody may have its state.
        let state = self.cluster.take_state(&self.namespace, pid, max).await.ok()?;
        let Some(state) = state else {
            // Another node has it, or its time is over.
            self.namespace.recovery(|recovery| recovery.forget(&pid));
            return None;
        };
        let taken = Taken {
            namespace: Arc::clone(&self.namespace),
            cluster: Arc::clone(&self.cluster),
            state: Some(state),
        };
        if let (None, Some(received)) = (offset, taken.state.as_ref()?.received) {
            self.reach(&received.to_string()).await;
        }
        Some(Ready::Taken(taken))
    }

    /// Returns whether a socket is connected here, or waits for its client and no other node knows of it.
    fn is_here(&self, pid: &PrivateId) -> bool {
        let is_here = self
            .namespace
            .recovery(|recovery| recovery.living(pid).is_some() || recovery.is_own(pid));
        is_here == Some(true)
    }

    /// Reads the log until the copy of this node reaches back to an offset. Returns false if it does not.
    async fn reach(&self, offset: &str) -> bool {
        let Self { namespace, cluster, cell } = self;
        let Some(config) = &namespace.options().recovery else { return false };
        let limits = ReadLimits { max_events: config.max_events, max_bytes: config.max_bytes };
        let known = || {
            let known = |recovery: &mut Recovery<_, _>| {
                (recovery.has_offset(offset), recovery.first_entry())
            };
            namespace.recovery(known).unwrap_or_default()
        };
        let reading = &namespace.side.reading;
        let deadline = cell.now() + TIMEOUT;
        while cell.now() < deadline {
            let (is_known, first) = known();
            let from: EntryId = match offset.parse() {
                _ if is_known => return true,
                Ok(from) => from,
                Err(_) => return false,
            };
            let ended = reading.ended();
            let Some(reader) = Reader::new(namespace) else {
                // It may be the same that is read.
                ended.await;
                continue;
            };
            // One behind the first entry has not come yet, or is none of this namespace.
            let until = first.filter(|first| from < *first);
            if cluster.read_log(reader, (from, until), limits).is_ok() {
                ended.await;
            }
            return known().0;
        }
        false
    }
}

impl Taken {
    /// Makes a socket of this node of the state. `given` is the data that the application has decided on.
    ///
    /// Returns false if there are no data. The state is lost then, as the socket is to nobody.
    pub(super) fn adopt(&mut self, now: Time, given: Option<&SocketData>) -> bool {
        let Self { namespace, state, .. } = self;
        let Some(taken) = state.as_ref() else { return false };
        let is_as_it_was =
            namespace.recovery(|recovery| recovery.is_marked(&taken.pid, taken.mark));
        if is_as_it_was == Some(true) {
            // With its data as they are, and all that this node knows of it.
            *state = None;
            return true;
        }
        let data = match given {
            Some(given) => Some(Arc::clone(given)),
            None => namespace.restore_data_of(taken),
        };
        let (Some(taken), Some(data)) = (state.take(), data) else { return false };
        let state = taken.with_data(data);
        namespace.recovery(|recovery| recovery.adopt(now, state)).is_some()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        let mut wakes = Wakes::default();
        // Without room its client gets a new socket.
        let _ = self.cluster.keep_state(&self.namespace, *state, &mut wakes);
    }
}

impl SocketShared {
    /// Keeps the state of a socket whose connection broke, under the lock of the order.
    ///
    /// `data` are for other nodes, if there are any that share the log. Without a bus it waits on this node alone.
    pub(super) fn keep(
        &self,
        order: &mut Order,
        kept: Kept<SocketData>,
        data: Option<Payload>,
        wakes: &mut Wakes,
    ) {
        let (pid, now) = (kept.pid, order.set_now(self.cell.now()));
        let Some(recovery) = &mut order.recovery else { return };
        recovery.keep(now, kept);
        let (Some(cluster), Some(data)) = (self.namespace.log(), data) else { return };
        let mut mark = [0; 8];
        crate::runtime::fill_random(&mut mark);
        let mark = u64::from_le_bytes(mark);
        let Some(state) = recovery.state(now, &pid, mark) else { return };
        if cluster.keep_state(&self.namespace, state.with_data(data), wakes).is_ok() {
            recovery.mark(&pid, mark);
        }
    }

    /// Returns the data for other nodes that may restore the socket. Calls the application.
    pub(super) fn data_to_keep(&self) -> Option<Payload> {
        self.namespace.log().map(|_| self.shared_data())
    }
}

/// Time that a client waits for others that read the log. Reading takes as long at most.
const TIMEOUT: Duration = Duration::from_secs(5);
