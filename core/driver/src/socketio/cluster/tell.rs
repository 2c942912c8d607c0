//! Telling other nodes what this one does.

use std::{sync::Arc, time::Duration};

use enginewire_socketio::{
    AckId, Args, EncodeError,
    adapter::Target,
    cluster::{Broadcast, Missing, Operation, RequestId, TellError, message_size},
    parser::Outgoing,
};

use super::{
    ClusterShared, State,
    requests::{Asked, Collected, Request, Waiting},
};
use crate::{
    socketio::{
        acks::{Group, OpenGroup},
        namespace::NamespaceShared,
        outgoing::{Body, with_encoder},
    },
    trace::trace,
    wakes::Wakes,
};

/// A broadcast that other nodes are to be told of.
pub(crate) struct Tell {
    pub(in crate::socketio) event: Args,
    /// The acknowledgements that are awaited, and for how long.
    pub(in crate::socketio) acks: Option<(Arc<Group>, Duration)>,
}

/// The outcome of telling other nodes.
pub(crate) struct Told {
    /// The number of nodes.
    pub(in crate::socketio) remote: Result<usize, TellError>,
    /// The acknowledgements that are awaited.
    pub(in crate::socketio) request: Option<Request>,
}

impl Default for Told {
    fn default() -> Self {
        Self { remote: Ok(0), request: None }
    }
}

impl NamespaceShared {
    /// Returns the cluster, if there is one that has sockets of this namespace.
    pub(in crate::socketio) fn cluster(&self) -> Option<&Arc<ClusterShared>> {
        self.side.cluster.as_ref().filter(|_| !self.is_pattern())
    }

    /// Encodes an event for the sockets of this namespace, and for other nodes.
    pub(in crate::socketio) fn encode_for_all(
        &self,
        event: &impl Outgoing,
        ack: Option<AckId>,
    ) -> Result<(Body, Args), EncodeError> {
        let args =
            with_encoder(&self.config().limits, |encoder| encoder.args(self.parser(), event))?;
        Ok((self.encode_args(&args, ack)?, args))
    }

    /// Encodes an event whose arguments are there for the sockets of this namespace.
    pub(super) fn encode_args(&self, args: &Args, ack: Option<AckId>) -> Result<Body, EncodeError> {
        if ack.is_none() && self.is_recovering() {
            return Ok(Body::Args(args.clone()));
        }
        let message = with_encoder(&self.config().limits, |encoder| {
            encoder.forward(self.parser(), self.name(), ack, args, None)
        });
        message.map(Body::Message)
    }

    /// Tells other nodes of a broadcast, under the lock of the order.
    pub(in crate::socketio) fn tell(
        &self,
        target: &Target,
        volatile: bool,
        tell: Option<Tell>,
        wakes: &mut Wakes,
    ) -> Told {
        let (Some(Tell { event, acks }), Some(cluster)) = (tell, self.cluster()) else {
            return Told::default();
        };
        let size = message_size(self.name(), target, event.payload().size());
        let broadcast = Broadcast {
            target: target.clone(),
            event,
            volatile,
            request: None,
            timeout: acks.as_ref().map(|(_, timeout)| *timeout),
            offset: None,
        };
        let told = cluster.with_wakes(wakes, |state| {
            let request = match acks {
                None => {
                    state.cluster.tell(&self.name, Operation::Broadcast(broadcast), size)?;
                    None
                }
                Some((group, timeout)) => {
                    let deadline = state.now() + timeout;
                    let nodes = state.cluster.nodes();
                    let asked =
                        state.cluster.broadcast_with_ack(deadline, &self.name, broadcast, size);
                    let id = asked.inspect_err(|_| group.miss(Missing { nodes, acks: 0 }))?;
                    let waiting = Waiting::Acks(OpenGroup::new(&group));
                    Some(Request::new(cluster, state, id, waiting))
                }
            };
            Ok((state.cluster.nodes(), request))
        });
        match told {
            Ok((nodes, request)) => Told { remote: Ok(nodes), request },
            Err(error) => {
                // Counted alone: a subscriber of traces must not be called under the lock of the order.
                self.counters.cluster_dropped.add(1);
                Told { remote: Err(error), request: None }
            }
        }
    }

    /// Tells other nodes of an operation. Returns their number.
    pub(in crate::socketio) fn tell_operation(
        &self,
        target: &Target,
        payload: usize,
        operation: Operation,
    ) -> Result<usize, TellError> {
        let Some(cluster) = self.cluster() else { return Ok(0) };
        let size = message_size(self.name(), target, payload);
        let told = cluster.with(|state| {
            state.cluster.tell(&self.name, operation, size)?;
            Ok(state.cluster.nodes())
        });
        told.inspect_err(|&error| self.count_untold(error))
    }

    /// Makes a request. Returns its responses, or why there are none. `None` without a cluster.
    pub(super) fn request(
        &self,
        timeout: Duration,
        make: impl FnOnce(&mut State, enginewire::Time) -> Result<RequestId, TellError>,
    ) -> Option<Result<Asked, TellError>> {
        let cluster = self.side.cluster.as_ref()?;
        let made = cluster.with(|state| {
            let deadline = state.now() + timeout;
            let id = make(state, deadline)?;
            let collected = Arc::new(Collected::default());
            let waiting = Waiting::Responses(Arc::clone(&collected));
            let request = Request::new(cluster, state, id, waiting);
            Ok(Asked { _request: request, collected, nodes: state.cluster.nodes() })
        });
        Some(made.inspect_err(|&error| self.count_untold(error)))
    }

    pub(super) fn count_untold(&self, error: TellError) {
        trace!(WARN, namespace = self.name(), error = %error, "other nodes are not told");
        self.counters.cluster_dropped.add(1);
    }
}

#[cfg(feature = "admin")]
impl crate::socketio::IoShared {
    /// Tells other nodes of an operation in a namespace that this one does not have. Returns whether they are told.
    pub(in crate::socketio) fn tell_elsewhere(
        &self,
        namespace: &Arc<str>,
        operation: Operation,
        payload: usize,
    ) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let size = message_size(namespace, &Target::all(), payload);
        let told = cluster.with(|state| state.cluster.tell(namespace, operation, size));
        if let Err(_error) = &told {
            trace!(WARN, namespace = &**namespace, error = %_error, "other nodes are not told");
        }
        told.is_ok()
    }
}
