//! The log that the nodes of a cluster share: what this node asks of it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use enginewire::Time;
use enginewire_socketio::{
    Args, PrivateId,
    adapter::{EntryId, SocketState, Target},
    cluster::{
        AppendId, Broadcast, LOG_TIMEOUT, LogResponse, ReadLimits, RequestId, TellError,
        message_size,
    },
    payload::Payload,
};

use super::{ClusterShared, State};
use crate::{
    socketio::{IoShared, namespace::NamespaceShared, reading::Reader},
    sync::lock,
    wakes::{Wakes, register},
};

/// The one that waits for a response of the log.
pub(super) enum LogWaiter {
    Task(Arc<Reply>),
    /// Nobody waits any more for the state of a socket of this namespace. It is given back.
    Nobody(Arc<str>, Duration),
    /// A read of the log, which goes on without the client that it is made for.
    Read(Reader),
}

/// A response of the log, and the task that waits for it.
#[derive(Default)]
pub(super) struct Reply(Mutex<ReplyState>);

#[derive(Default)]
struct ReplyState {
    response: Option<Option<LogResponse>>,
    waker: Option<Waker>,
}

impl Reply {
    pub(super) fn complete(&self, response: Option<LogResponse>) -> Option<Waker> {
        let mut state = lock(&self.0);
        state.response = Some(response);
        state.waker.take()
    }

    /// Waits for the response. `None`: there is none.
    async fn wait(&self) -> Option<LogResponse> {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            match state.response.take() {
                Some(response) => Poll::Ready(response),
                None => {
                    register(&mut state.waker, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A request to the log. Dropped, it is forgotten.
struct Asked {
    namespace: Arc<NamespaceShared>,
    cluster: Arc<ClusterShared>,
    id: RequestId,
    reply: Arc<Reply>,
}

impl Asked {
    fn new(
        namespace: &Arc<NamespaceShared>,
        cluster: &Arc<ClusterShared>,
        make: impl FnOnce(&mut State, Time) -> Result<RequestId, TellError>,
    ) -> Result<Self, TellError> {
        let reply = Arc::new(Reply::default());
        let id = cluster.with(|state| {
            let id = make(state, state.now() + LOG_TIMEOUT)?;
            state.logged.insert(id, LogWaiter::Task(Arc::clone(&reply)));
            Ok(id)
        })?;
        Ok(Self { namespace: Arc::clone(namespace), cluster: Arc::clone(cluster), id, reply })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let lifetime = self.namespace.recovery_window();
        // A state that has come, and that nobody has taken from here.
        let unread = lock(&self.reply.0).response.take();
        self.cluster.with(|state| match state.logged.get_mut(&self.id) {
            Some(waiter) => *waiter = LogWaiter::Nobody(Arc::clone(&self.namespace.name), lifetime),
            None => state.give_back(&self.namespace.name, lifetime, unread.flatten()),
        });
    }
}

impl ClusterShared {
    /// Asks for an event to be logged, under the lock of the order. Returns the number of other nodes, too.
    pub(in crate::socketio) fn append(
        &self,
        namespace: &Arc<NamespaceShared>,
        target: &Target,
        event: Args,
        wakes: &mut Wakes,
    ) -> Result<(AppendId, usize), TellError> {
        let size = message_size(namespace.name(), target, event.payload().size());
        let broadcast = Broadcast::new(target.clone(), event);
        self.with_wakes(wakes, |state| {
            let deadline = state.now() + LOG_TIMEOUT;
            let append = state.cluster.append(deadline, &namespace.name, broadcast, size)?;
            state.appending.insert(append, Arc::clone(namespace));
            Ok((append, state.cluster.nodes()))
        })
    }

    /// Gives the state of a socket to the bus, under the lock of the order.
    pub(in crate::socketio) fn keep_state(
        &self,
        namespace: &NamespaceShared,
        state: SocketState<Payload>,
        wakes: &mut Wakes,
    ) -> Result<(), TellError> {
        let lifetime = namespace.recovery_window();
        self.with_wakes(wakes, |shared| shared.keep_state(&namespace.name, state.into(), lifetime))
    }

    /// Takes the state of a socket from the bus. `None` if there is none.
    ///
    /// Cancel safe: a state that comes later is given back.
    ///
    /// # Errors
    ///
    /// The bus does not respond, or too many requests wait for it. It may have the state.
    pub(in crate::socketio) async fn take_state(
        self: &Arc<Self>,
        namespace: &Arc<NamespaceShared>,
        pid: PrivateId,
        max: usize,
    ) -> Result<Option<Box<SocketState<Payload>>>, TellError> {
        let size = message_size(namespace.name(), &Target::all(), 0);
        let asked = Asked::new(namespace, self, |state, deadline| {
            if state.logged.len() >= max {
                return Err(TellError::Full { queued: state.logged.len(), max });
            }
            state.cluster.take_state(deadline, &namespace.name, pid, size)
        })?;
        match asked.reply.wait().await {
            Some(LogResponse::State(state)) => Ok(state),
            Some(_) => Ok(None),
            None => Err(TellError::Disconnected),
        }
    }

    /// Reads entries of the log, which [`Reader::finish`] then gets. The reader is dropped if the first one is not there.
    ///
    /// # Errors
    ///
    /// The bus is not asked, and the reader is dropped.
    pub(in crate::socketio) fn read_log(
        &self,
        reader: Reader,
        range: (EntryId, Option<EntryId>),
        limits: ReadLimits,
    ) -> Result<(), TellError> {
        let name = Arc::clone(&reader.namespace().name);
        let size = message_size(&name, &Target::all(), 0);
        // Dropped behind the lock if the bus is not asked.
        let mut reader = Some(reader);
        self.with(|state| {
            let deadline = state.now() + LOG_TIMEOUT;
            let id = state.cluster.read_log(deadline, &name, range, limits, size)?;
            let reader = reader.take().map(|reader| LogWaiter::Read(reader.asks(range)));
            state.logged.extend(reader.map(|reader| (id, reader)));
            Ok(())
        })
    }
}

impl IoShared {
    /// Handles that entries of the log were removed before they were read: clients that miss them do not recover.
    pub(super) fn handle_missed(&self, now: Time, cluster: &ClusterShared, entries: u64) {
        cluster.missed.add(usize::try_from(entries).unwrap_or(usize::MAX));
        let namespaces = self.hosts().into_iter().flat_map(|host| host.reached());
        for namespace in namespaces.filter(|namespace| namespace.log().is_some()) {
            let mut order = namespace.lock_order();
            let now = order.set_now(now);
            if let Some(recovery) = &mut order.recovery {
                recovery.interrupt(now);
            }
        }
    }
}

impl ClusterShared {
    /// Returns the number of entries of the log that were removed before they were read.
    pub(in crate::socketio) fn missed(&self) -> u64 {
        self.missed.count()
    }
}

impl State {
    fn keep_state(
        &mut self,
        namespace: &Arc<str>,
        state: Box<SocketState<Payload>>,
        lifetime: Duration,
    ) -> Result<(), TellError> {
        let size = message_size(namespace, &Target::all(), state.size());
        self.cluster.keep_state(namespace, state, lifetime, size)
    }

    /// Gives the state of a socket back to the bus, because nobody waits for it any more.
    pub(super) fn give_back(
        &mut self,
        namespace: &Arc<str>,
        lifetime: Duration,
        response: Option<LogResponse>,
    ) {
        if let Some(LogResponse::State(Some(state))) = response {
            // Without room its client gets a new socket.
            let _ = self.keep_state(namespace, state, lifetime);
        }
    }
}
