//! Recovery of clients on any node of a cluster that shares a log.
//!
//! The state of a socket that broke is with the bus, and each node has a copy of the latest entries of the log. A client that
//! comes back waits until both are there: the copy from the entry that it received last, and the state, which only one node
//! gets. What follows is the recovery of a client on its own node, see [`joining`](super::joining).

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use enginewire::{Encoded, Time};
use enginewire_socketio::{
    adapter::{Claim, Kept, Recovery, SocketState},
    cluster::{ReadLimits, Restoration, RestorationStep},
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

    /// Forgets the copy of the log, whose entries may be others now.
    pub(super) fn start_log_anew(&self) {
        self.recovery(Recovery::start_anew);
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
    async fn ready(self, claim: Claim) -> Option<Ready> {
        let Self { namespace, cluster, cell } = &self;
        let config = namespace.options().recovery.as_ref()?;
        let limits = ReadLimits { max_events: config.max_events, max_bytes: config.max_bytes };
        let pid = claim.pid;
        let mut restoration = Restoration::new(cell.now(), claim);
        let mut taken = None;
        loop {
            let now = cell.now();
            match namespace.recovery(|recovery| restoration.next(now, recovery))? {
                RestorationStep::Read(from, _) => {
                    // The read of another client may bring it.
                    let Some(reader) = Reader::turn(namespace, from).await else { continue };
                    let now = cell.now();
                    let step = namespace.recovery(|recovery| restoration.next(now, recovery))?;
                    let RestorationStep::Read(from, until) = step else { continue };
                    let ended = reader.ended();
                    if cluster.read_log(reader, (from, until), limits).is_ok() {
                        ended.await;
                    }
                    restoration.handle_read();
                }
                RestorationStep::Take => {
                    let response = cluster.take_state(namespace, pid, config.max_sessions).await;
                    if let Ok(None) = &response {
                        // Another node has it, or its time is over.
                        namespace.recovery(|recovery| recovery.forget(&pid));
                    }
                    // If the bus does not respond, the socket waits on: nobody may have its state.
                    let state = response.ok().flatten();
                    restoration.handle_state(cell.now(), state.as_deref());
                    taken = state.map(|state| Taken {
                        namespace: Arc::clone(namespace),
                        cluster: Arc::clone(cluster),
                        state: Some(state),
                    });
                }
                RestorationStep::Restore => {
                    return Some(taken.map_or(Ready::Here, Ready::Taken));
                }
                RestorationStep::Refuse => return None,
            }
        }
    }
}

impl Taken {
    /// Makes a socket of this node of the state. `given` is the data that the application has decided on.
    ///
    /// Returns false if there are no data. The state is lost then, as the socket is to nobody.
    pub(super) fn adopt(&mut self, now: Time, given: Option<&SocketData>) -> bool {
        let Self { namespace, state, .. } = self;
        let Some(taken) = state.as_ref() else { return false };
        let is_as_it_was = namespace.recovery(|recovery| recovery.reclaim(&taken.pid, taken.mark));
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
        let Some(state) = recovery.state(&pid, mark) else { return };
        if cluster.keep_state(&self.namespace, state.with_data(data), wakes).is_ok() {
            recovery.mark(&pid, mark);
        }
    }

    /// Returns the data for other nodes that may restore the socket. Calls the application.
    pub(super) fn data_to_keep(&self) -> Option<Payload> {
        self.namespace.log().map(|_| self.shared_data())
    }
}
