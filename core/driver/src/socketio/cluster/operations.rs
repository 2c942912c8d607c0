//! Carrying out what other nodes ask for.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::Time;
use enginewire_socketio::{
    Args,
    adapter::Target,
    cluster::{Broadcast, MAX_ACK_TIMEOUT, NodeId, Operation, Response},
    parser::Outgoing,
};

use super::{
    ClusterShared,
    requests::{Asker, AskerId},
    tell::Tell,
};
use crate::{
    socketio::{
        EmitError, IoShared,
        acks::{Group, OpenGroup},
        namespace::NamespaceShared,
        order::{How, Logging, Publishing},
        outgoing::Body,
        socket::SocketShared,
    },
    sync::lock,
    trace::trace,
};

/// A broadcast of another node that is being delivered.
pub(super) struct Delivering {
    publishing: Publishing,
    /// The node that waits for the number of its recipients.
    asker: Option<AskerId>,
}

/// Operation of another node that was carried out, or begun.
pub(super) enum Carried {
    Delivering(Delivering),
    /// It has concerned so many sockets.
    Done(usize),
}

impl Delivering {
    /// Goes on with the delivery, and tells the node at its end. Returns the number of recipients.
    pub(super) fn poll(&self, cluster: &ClusterShared, cx: &Context<'_>) -> Poll<usize> {
        self.publishing.poll(cx).map(|delivered| {
            if let Some(asker) = &self.asker {
                cluster.respond(asker, Response::Clients(delivered.sockets));
            }
            delivered.sockets
        })
    }
}

impl IoShared {
    /// Carries out an operation of another node.
    pub(super) fn carry_out(
        &self,
        cluster: &Arc<ClusterShared>,
        now: Time,
        from: NodeId,
        namespace: Arc<str>,
        operation: Operation,
    ) -> Carried {
        if !operation.is_valid() {
            trace!(WARN, node = from.0, "an operation of another node is not valid");
            return Carried::Done(0);
        }
        let found = self.of_name(&namespace);
        match (operation, found) {
            (Operation::Broadcast(broadcast), found) => {
                let Broadcast { request, .. } = broadcast;
                let asker = request.map(|request| AskerId { node: from, namespace, request });
                let Some(namespace) = found else {
                    // It waits for a number.
                    asker.iter().for_each(|asker| cluster.respond(asker, Response::Clients(0)));
                    return Carried::Done(0);
                };
                let published = namespace.publish_for(cluster, now, broadcast, asker.as_ref());
                return match published {
                    Ok(publishing) => Carried::Delivering(Delivering { publishing, asker }),
                    Err(_error) => {
                        trace!(WARN, namespace = namespace.name(), error = %_error, "a broadcast of another node is dropped");
                        namespace.counters.cluster_dropped.add(1);
                        asker.iter().for_each(|asker| cluster.respond(asker, Response::Clients(0)));
                        Carried::Done(0)
                    }
                };
            }
            (Operation::FetchSockets { target, request }, found) => {
                let members = found.map(|namespace| namespace.select(&target)).unwrap_or_default();
                self.observer.fetched();
                let sockets = members.iter().map(|member| member.described()).collect();
                let asker = AskerId { node: from, namespace, request };
                cluster.respond(&asker, Response::Sockets(sockets));
                return Carried::Done(members.len());
            }
            (Operation::ServerSideEmit { event, request }, found) => {
                let found = found.or_else(|| self.pattern(&namespace));
                found.iter().for_each(|found| found.receive(cluster, from, event.clone(), request));
            }
            (Operation::Join { target, rooms }, Some(namespace)) => {
                let members = namespace.select(&target);
                members.iter().for_each(|member| member.change_rooms(&rooms, true));
                return Carried::Done(members.len());
            }
            (Operation::Leave { target, rooms }, Some(namespace)) => {
                let members = namespace.select(&target);
                members.iter().for_each(|member| member.change_rooms(&rooms, false));
                return Carried::Done(members.len());
            }
            (Operation::Disconnect { target, close }, Some(namespace)) => {
                let members = namespace.select(&target);
                members.iter().for_each(|member| member.disconnect_as(close));
                return Carried::Done(members.len());
            }
            _ => {}
        }
        Carried::Done(0)
    }
}

impl NamespaceShared {
    /// Returns the sockets of this node that a target selects.
    pub(in crate::socketio) fn select(&self, target: &Target) -> Vec<Arc<SocketShared>> {
        let selection = lock(&self.adapter).select(target);
        selection.iter().map(|(_, member)| Arc::clone(member)).collect()
    }

    /// Publishes a broadcast of another node as one of this.
    fn publish_for(
        self: &Arc<Self>,
        cluster: &Arc<ClusterShared>,
        now: Time,
        broadcast: Broadcast,
        asker: Option<&AskerId>,
    ) -> Result<Publishing, EmitError> {
        let Broadcast { target, event, volatile, timeout, offset, .. } = broadcast;
        let id = asker.map(|_| self.next_ack());
        let body = self.encode_args(&event, id)?;
        // Clients acknowledge in any case. Of too many requests nothing waits for it.
        let asker = asker.and_then(|asker| Asker::new(cluster, asker.clone()));
        let ack = id.zip(asker).map(|(id, asker)| {
            let timeout = timeout.unwrap_or(cluster.config.ack_timeout).min(MAX_ACK_TIMEOUT);
            (id, timeout, OpenGroup::new(&Group::for_node(asker)))
        });
        let logging = match (offset, self.log()) {
            (Some(entry), Some(_)) => {
                // It may be for none of this node's sockets, whose clock is the order's.
                self.lock_order().set_now(now);
                Logging::Entry(entry)
            }
            // In a cluster with a log it is no part of that.
            (None, Some(_)) => Logging::Never,
            (_, None) => Logging::Next,
        };
        self.publish(
            &target,
            body,
            How { volatile, ack, logging, is_remote: true, ..How::default() },
        )
    }

    /// Encodes a broadcast, and says what other nodes are told of it, unless it is `local`.
    pub(in crate::socketio) fn encode_broadcast(
        &self,
        event: &impl Outgoing,
        local: bool,
        how: &mut How,
        group: Option<&Arc<Group>>,
    ) -> Result<Body, EmitError> {
        let id = how.ack.as_ref().map(|(id, ..)| *id);
        if local || self.cluster().is_none() {
            return Ok(self.encode(event, id)?);
        }
        let (body, event): (_, Args) = self.encode_for_all(event, id)?;
        let timeout = how.ack.as_ref().map(|(_, timeout, _)| *timeout);
        let acks = group.zip(timeout).map(|(group, timeout)| (Arc::clone(group), timeout));
        how.tell = Some(Tell { event, acks });
        Ok(body)
    }
}
