//! Carrying out what other nodes ask for.

use alloc::sync::Arc;
use core::time::Duration;

use enginewire::Encoded;

use super::{AnswerId, Asker, ClusterOutput};
use crate::{
    AckId, Event, Room,
    adapter::Target,
    cluster::{
        Broadcast, ClusterEvent, HandshakeInfo, MAX_ACK_TIMEOUT, NodeId, Operation, Response,
        SocketInfo,
    },
    hub::{
        Delivered, Hub, Output, SocketKey,
        logging::{Manner, Place},
    },
    payload::Payload,
};

impl Hub {
    pub(in crate::hub) fn drain_cluster(&mut self) {
        while let Some(event) = self.node.as_mut().and_then(|node| node.cluster.poll_event()) {
            match event {
                ClusterEvent::Operation { from, namespace, operation } => {
                    if operation.is_valid() {
                        self.carry_out(from, namespace, operation);
                    }
                }
                ClusterEvent::Response(request, from, response) => {
                    let output = match response {
                        Response::Clients(_) => continue,
                        Response::Ack(ack) => {
                            let group =
                                self.node.as_ref().and_then(|node| node.groups.get(&request));
                            let Some(&group) = group else { continue };
                            self.outputs.push_back(Output::RemoteAcknowledged(group, ack));
                            continue;
                        }
                        Response::Sockets(sockets) => {
                            ClusterOutput::Sockets(request, from, sockets)
                        }
                        Response::Event(answer) => ClusterOutput::Answer(request, from, answer),
                    };
                    self.outputs.push_back(Output::Cluster(output));
                }
                ClusterEvent::Completed(request, missing) => {
                    match self.node.as_mut().and_then(|node| node.groups.remove(&request)) {
                        Some(group) => self.settle_remote(group, missing),
                        None => {
                            let output = ClusterOutput::Completed(request, missing);
                            self.outputs.push_back(Output::Cluster(output));
                        }
                    }
                }
                ClusterEvent::Appended { append, namespace, entry } => {
                    self.finish_append(append, &namespace, entry);
                }
                ClusterEvent::AppendedLate { append, namespace, entry } => {
                    self.log_late(append, &namespace, entry);
                }
                ClusterEvent::Logged(request, response) => {
                    self.finish_log_request(request, response);
                }
            }
        }
    }

    fn carry_out(&mut self, from: NodeId, namespace: Arc<str>, operation: Operation) {
        match operation {
            Operation::Broadcast(broadcast) => self.deliver_for(from, namespace, broadcast),
            Operation::Join { target, rooms } => {
                self.change_all(&namespace, &target, &rooms, true);
            }
            Operation::Leave { target, rooms } => {
                self.change_all(&namespace, &target, &rooms, false);
            }
            Operation::Disconnect { target, close } => {
                self.disconnect_all(&namespace, &target, close);
            }
            Operation::FetchSockets { target, request } => {
                let keys = self.sockets(&namespace, &target);
                let sockets = keys.into_iter().filter_map(|key| self.socket_info(key)).collect();
                // Without room the deadline of the other node tells.
                let asker = Asker { node: from, namespace, request };
                let _ = self.respond_to(&asker, Response::Sockets(sockets));
            }
            Operation::ServerSideEmit { event, request } => {
                let answer = request.map(|request| {
                    AnswerId(Asker { node: from, namespace: Arc::clone(&namespace), request })
                });
                let event = Event::from(event);
                let output = ClusterOutput::Event(from, namespace, event, answer);
                self.outputs.push_back(Output::Cluster(output));
            }
            // The cluster has handled it.
            Operation::Respond { .. } | Operation::Log(_) => {}
        }
    }

    /// Delivers a broadcast of another node as one of this hub.
    fn deliver_for(&mut self, from: NodeId, namespace: Arc<str>, broadcast: Broadcast) {
        let Broadcast { target, event, volatile, request, timeout, offset } = broadcast;
        let index = self.namespaces.find(&namespace);
        let Some(request) = request else {
            if let Some(index) = index {
                self.deliver_logged(index, target, event, volatile, offset);
            }
            return;
        };
        let asker = Asker { node: from, namespace, request };
        let mut clients = 0;
        if let Some(index) = index
            && let Ok((number, message)) = self.encode_asking(index, &Event::from(event))
        {
            clients = self.deliver_asking(index, &target, number, message, &asker, timeout);
        }
        // Without room the deadline of the other node tells.
        let _ = self.respond_to(&asker, Response::Clients(clients));
    }

    /// Delivers a broadcast that clients are to acknowledge to another node. Returns their number.
    fn deliver_asking(
        &mut self,
        index: usize,
        target: &Target,
        number: AckId,
        message: Encoded,
        asker: &Asker,
        timeout: Option<Duration>,
    ) -> usize {
        let Some(node) = self.node.as_mut() else { return 0 };
        if node.answering >= node.config.max_requests {
            // They acknowledge, and nothing waits for it.
            let manner = Manner { place: Place::Never, ..Manner::default() };
            return self.deliver_message(index, target, message, manner).sockets;
        }
        node.answering += 1;
        let timeout = timeout.unwrap_or(node.config.ack_timeout).min(MAX_ACK_TIMEOUT);
        let deadline = self.now + timeout;
        let group = self.groups.open_for(asker.clone());
        let delivered = self.deliver_acknowledged(index, target, message, number, deadline, group);
        self.settle_group(group);
        delivered.sockets
    }

    pub(super) fn change_rooms(
        &mut self,
        namespace: &str,
        target: &Target,
        rooms: &[Room],
        joins: bool,
    ) -> Delivered {
        let operation = |target| match joins {
            true => Operation::Join { target, rooms: rooms.to_vec() },
            false => Operation::Leave { target, rooms: rooms.to_vec() },
        };
        let names = rooms.iter().map(|room| room.len()).sum();
        let remote = self.tell(namespace, target, names, operation);
        Delivered { sockets: self.change_all(namespace, target, rooms, joins), ..remote }
    }

    fn change_all(
        &mut self,
        namespace: &str,
        target: &Target,
        rooms: &[Room],
        joins: bool,
    ) -> usize {
        let keys = self.sockets(namespace, target);
        for &key in &keys {
            for room in rooms {
                match joins {
                    true => self.join(key, room),
                    false => self.leave(key, room),
                };
            }
        }
        keys.len()
    }

    pub(super) fn disconnect_all(
        &mut self,
        namespace: &str,
        target: &Target,
        close: bool,
    ) -> usize {
        let keys = self.sockets(namespace, target);
        for &key in &keys {
            match close {
                true => self.disconnect_client(self.now, key),
                false => self.disconnect(key),
            }
        }
        keys.len()
    }

    fn socket_info(&self, key: SocketKey) -> Option<SocketInfo> {
        let socket = self.sockets.get(key)?;
        let id = socket.id.clone()?;
        let own = core::iter::once(id.to_room());
        let rooms = own.chain(self.rooms(key).cloned()).collect();
        let handshake = HandshakeInfo::new(&socket.head, socket.auth.as_ref()).to_payload();
        let data = socket.data.as_deref().unwrap_or(Payload::empty_object()).clone();
        Some(SocketInfo { id, rooms, handshake, data })
    }
}
