//! Server-side events: from the application of one node to those of the others.

use std::{
    fmt,
    future::poll_fn,
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use enginewire_socketio::{
    Args, AskName, Event, Name,
    adapter::Target,
    cluster::{Missing, NodeId, Operation, RequestId, Response, message_size},
    hub::ServerSideEmitError,
    payload::DecodeError,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ClusterShared,
    fetch::{ShareHook, TIMEOUT},
    requests::AskerId,
};
use crate::{
    backlog::Backlog,
    socketio::{
        namespace::{Namespace, NamespaceShared},
        outgoing::with_encoder,
        reading::Reading,
        recovering::RestoreHook,
    },
    sync::lock,
    trace::trace,
    wakers::WakerKey,
};

/// Part of the cluster that a namespace has.
#[derive(Default)]
pub(crate) struct ClusterSide {
    pub(in crate::socketio) cluster: Option<Arc<ClusterShared>>,
    /// Makes a payload of the data of a socket.
    pub(super) data: OnceLock<ShareHook>,
    /// Makes the data of a socket of a payload.
    pub(in crate::socketio) restore: OnceLock<RestoreHook>,
    pub(in crate::socketio) reading: Reading,
    receivers: Mutex<Vec<Weak<Queue>>>,
}

impl ClusterSide {
    pub(in crate::socketio) fn new(cluster: Option<Arc<ClusterShared>>) -> Self {
        Self { cluster, ..Self::default() }
    }

    fn receivers(&self) -> Vec<Arc<Queue>> {
        let mut receivers = lock(&self.receivers);
        receivers.retain(|receiver| receiver.strong_count() > 0);
        receivers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Wakes the tasks that wait for events, because the server has closed.
    pub(in crate::socketio) fn wake_all(&self) {
        self.receivers().iter().for_each(|queue| queue.events.wake_all());
    }
}

/// Events that wait for one receiver.
struct Queue {
    events: Backlog<ServerEvent>,
    /// Their bytes.
    size: AtomicUsize,
}

/// Receiver of the server-side events of other nodes, from [`Namespace::server_events`].
pub struct ServerEvents {
    namespace: Arc<NamespaceShared>,
    queue: Arc<Queue>,
}

/// Event of the application of another node. Reads as an [`enginewire_socketio::Event`].
pub struct ServerEvent {
    event: Event,
    namespace: Arc<str>,
    from: NodeId,
    asker: Option<(Arc<ClusterShared>, AskerId)>,
}

/// Acknowledgement of a [`ServerEvent`], to be sent once.
///
/// Dropped, it sends nothing: the other node waits for its deadline.
#[must_use = "the other node waits for the acknowledgement"]
pub struct ServerAck {
    asker: Option<(Arc<ClusterShared>, AskerId)>,
}

/// Acknowledgements of a server-side event.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerAnswers<A> {
    /// The acknowledgements, each of one node.
    pub answers: Vec<(NodeId, A)>,
    /// Nodes whose acknowledgements have another shape.
    pub failed: Vec<(NodeId, DecodeError)>,
    /// The nodes that have not acknowledged.
    pub missing: Missing,
}

/// Server-side events.
impl<D> Namespace<D> {
    /// Sends an event to the applications of all other nodes. Returns their number, 0 without a cluster.
    ///
    /// They have it from [`server_events`](Self::server_events). In a namespace that does not exist on a node, and while
    /// nothing receives, it is dropped.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, the name is reserved, or the other nodes are not told.
    pub fn server_side_emit<P: Serialize + ?Sized>(
        &self,
        name: impl Name<P>,
        payload: &P,
    ) -> Result<usize, ServerSideEmitError> {
        let event = self.shared.server_side_event(name.name(), payload)?;
        let Some(cluster) = &self.shared.side.cluster else { return Ok(0) };
        let (name, size) = (&self.shared.name, self.shared.size_of(&event));
        let told = cluster.with(|state| {
            let operation = Operation::ServerSideEmit { event, request: None };
            state.cluster.tell(name, operation, size)?;
            Ok(state.cluster.nodes())
        });
        Ok(told.inspect_err(|&error| self.shared.count_untold(error))?)
    }

    /// Sends an event to the applications of all other nodes, and waits for their acknowledgements.
    ///
    /// They have 5 s. Those that came are kept whatever the other nodes do. Without a cluster there are none.
    ///
    /// # Errors
    ///
    /// As [`server_side_emit`](Self::server_side_emit).
    pub async fn server_side_emit_with_ack<A: DeserializeOwned, P: Serialize + ?Sized>(
        &self,
        name: impl AskName<P, A>,
        payload: &P,
    ) -> Result<ServerAnswers<A>, ServerSideEmitError> {
        let event = self.shared.server_side_event(name.name(), payload)?;
        let (name, size) = (&self.shared.name, self.shared.size_of(&event));
        let asked = self.shared.request(TIMEOUT, |state, deadline| {
            state.cluster.server_side_emit_with_ack(deadline, name, event, size)
        });
        let missing = Missing::default();
        let mut all = ServerAnswers { answers: Vec::new(), failed: Vec::new(), missing };
        let Some(asked) = asked else { return Ok(all) };
        let asked = asked?;
        let (responses, missing) = asked.collected.all().await;
        all.missing = missing;
        for (from, response) in responses {
            let Response::Event(answer) = response else { continue };
            match answer.decode(0) {
                Ok(answer) => all.answers.push((from, answer)),
                Err(error) => all.failed.push((from, error)),
            }
        }
        Ok(all)
    }

    /// Receives the server-side events of other nodes from now on. That of a pattern has those of all its namespaces.
    ///
    /// Several receivers have each event. At most 1024 events of 16 MiB together wait in each; further ones are dropped
    /// and counted in [`Stats::cluster_dropped`](crate::socketio::Stats::cluster_dropped).
    pub fn server_events(&self) -> ServerEvents {
        let queue = Arc::new(Queue { events: Backlog::new(MAX_EVENTS), size: AtomicUsize::new(0) });
        let mut receivers = lock(&self.shared.side.receivers);
        receivers.retain(|receiver| receiver.strong_count() > 0);
        receivers.push(Arc::downgrade(&queue));
        drop(receivers);
        ServerEvents { namespace: Arc::clone(&self.shared), queue }
    }
}

impl NamespaceShared {
    fn server_side_event<P: Serialize + ?Sized>(
        &self,
        name: &str,
        payload: &P,
    ) -> Result<Args, enginewire_socketio::EncodeError> {
        let event = enginewire_socketio::parser::NamedEvent::new(name, payload);
        with_encoder(&self.config().limits, |encoder| encoder.args(self.parser(), &event))
    }

    fn size_of(&self, event: &Args) -> usize {
        message_size(self.name(), &Target::all(), event.payload().size())
    }

    /// Hands an event of another node to the application.
    pub(super) fn receive(
        &self,
        cluster: &Arc<ClusterShared>,
        from: NodeId,
        event: Args,
        request: Option<RequestId>,
    ) {
        let asker = request.map(|request| {
            let id = AskerId { node: from, namespace: Arc::clone(&self.name), request };
            (Arc::clone(cluster), id)
        });
        let mut receivers = self.side.receivers();
        if self.is_child() {
            receivers.extend(self.host().side.receivers());
        }
        let namespace = Arc::clone(&self.name);
        let event = ServerEvent { event: Event::from(event), namespace, from, asker };
        for queue in receivers {
            if !queue.push(event.clone()) {
                trace!(WARN, namespace = self.name(), "a server-side event is dropped");
                self.counters.cluster_dropped.add(1);
            }
        }
    }
}

impl Queue {
    /// Queues an event. Returns false if there is no room.
    fn push(&self, event: ServerEvent) -> bool {
        let size = event.args().payload().size();
        let admit = || {
            let has_room = self.size.load(Ordering::Relaxed).saturating_add(size) <= MAX_SIZE;
            if has_room {
                self.size.fetch_add(size, Ordering::Relaxed);
            }
            has_room
        };
        self.events.push(event, admit).is_ok()
    }
}

impl ServerEvents {
    /// Receives the next event. `None` once the server has closed, and all events have been received.
    ///
    /// Cancel safe: an event is either returned or still there.
    pub async fn recv(&mut self) -> Option<ServerEvent> {
        let mut receiving = Receiving { queue: &self.queue, key: None };
        let event = poll_fn(|cx| {
            let Receiving { queue, key } = &mut receiving;
            queue.events.poll_pop(key, cx, || self.namespace.is_closed())
        });
        let event = event.await?;
        self.queue.size.fetch_sub(event.args().payload().size(), Ordering::Relaxed);
        Some(event)
    }
}

/// A task's wait for an event.
struct Receiving<'a> {
    queue: &'a Queue,
    key: WakerKey,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.queue.events.stop_waiting(self.key);
    }
}

impl ServerEvent {
    /// Returns the name of the namespace in which it was sent. A receiver of a pattern has those of several.
    ///
    /// It is the pattern itself if the event was sent in all of its namespaces.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the node whose application has sent it.
    pub const fn from(&self) -> NodeId {
        self.from
    }

    /// Takes the acknowledgement. The second does nothing, nor does that of an event that expects none.
    ///
    /// If there are several receivers, the first acknowledgement counts.
    pub fn ack(&mut self) -> ServerAck {
        ServerAck { asker: self.asker.take() }
    }
}

impl Clone for ServerEvent {
    fn clone(&self) -> Self {
        Self {
            event: self.event.clone(),
            namespace: Arc::clone(&self.namespace),
            from: self.from,
            asker: self.asker.clone(),
        }
    }
}

impl Deref for ServerEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl ServerAck {
    /// Returns whether the other node expects an acknowledgement.
    pub const fn is_expected(&self) -> bool {
        self.asker.is_some()
    }

    /// Sends the acknowledgement. A tuple is several arguments, `()` none. Does nothing if none is expected.
    ///
    /// # Errors
    ///
    /// The payload cannot be encoded, or the other node is not told.
    pub fn send<P: Serialize + ?Sized>(self, payload: &P) -> Result<(), ServerSideEmitError> {
        let Some((cluster, asker)) = self.asker else { return Ok(()) };
        let answer = Response::Event(Args::ack(payload)?);
        Ok(cluster.with(|state| state.respond(&asker, answer))?)
    }
}

impl fmt::Debug for ServerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvents")
            .field("namespace", &self.namespace.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvent")
            .field("event", &self.event)
            .field("namespace", &self.namespace)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAck")
            .field("is_expected", &self.is_expected())
            .finish_non_exhaustive()
    }
}

/// Events that wait for one receiver.
const MAX_EVENTS: usize = 1024;

/// Their bytes.
const MAX_SIZE: usize = 16 << 20;
