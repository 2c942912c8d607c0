//! Bytes between the network, the nodes and their clients.

use enginewire_socketio::{
    Update,
    client_hub::{ClientHub, ClientOutput},
    hub::Hub,
};

use super::world::{Client, ClusterWorld, Node};
use crate::{
    log::Deed,
    network::{Happening, WireId},
    path::Side,
    replay::any_path,
    socketio::ends::{ClientEnds, Net, ServerEnds, is_doubtful},
    world::Next,
};

/// The network.
impl ClusterWorld {
    pub(super) fn happen(&mut self, happening: Happening) {
        let now = self.now;
        self.log.note(now, Deed::Happens(happening));
        match happening {
            Happening::Connected(id) => self.established(id),
            Happening::Refused(id) => self.lose_client(id, true),
            Happening::Arrive(id, from) => self.network.arrive(&mut self.agenda, now, id, from),
            Happening::Fault(id, index) => self.network.fail(&mut self.agenda, now, id, index),
            Happening::Repeat(_) => unreachable!("no path here repeats requests"),
            Happening::Readable(id, Side::Server) => {
                let Some(at) = self.home(id) else { return };
                while let Some((ends, hub, mut net)) = self.node(at)
                    && ends.read(hub, &mut net, id)
                {
                    self.settle_node(at);
                }
            }
            Happening::Readable(id, Side::Client) => self.read_client(id),
            Happening::Writable(id, Side::Server) => {
                let Some(at) = self.home(id) else { return };
                if let Some((ends, hub, _)) = self.node(at) {
                    ends.handle_writable(hub, now, id);
                }
                self.settle_node(at);
            }
            Happening::Writable(id, Side::Client) => {
                let Some(owner) = self.owner(id) else { return };
                if let Some((ends, hub, _)) = self.client(owner) {
                    ends.handle_writable(hub, now, id);
                }
                self.settle_client(owner);
            }
            Happening::Lost(id, Side::Server) => {
                let Some(at) = self.home(id) else { return };
                if let Some((ends, hub, mut net)) = self.node(at) {
                    ends.handle_lost(hub, &mut net, id);
                }
                self.settle_node(at);
            }
            Happening::Lost(id, Side::Client) => self.lose_client(id, false),
        }
        // They are those of another world.
        drop(self.network.take_troubles());
    }

    fn owner(&self, id: WireId) -> Option<u64> {
        self.network.wire(id).map(|wire| wire.life)
    }

    /// The place of the node that a connection leads to, while it has the life that it had.
    fn home(&self, id: WireId) -> Option<usize> {
        let (at, life) = self.homes.get(&id)?;
        (self.nodes[*at].life == *life).then_some(*at)
    }

    fn established(&mut self, id: WireId) {
        let now = self.now;
        let Some(owner) = self.owner(id) else { return };
        let Some(at) = self.home(id) else { return self.lose_client(id, true) };
        let Some((ends, hub, mut net)) = self.node(at).filter(|(_, hub, _)| !hub.is_finished())
        else {
            return self.lose_client(id, true);
        };
        if !ends.accept(hub, &mut net, id) {
            return;
        }
        self.settle_node(at);
        if let Some((ends, hub, _)) = self.client(owner) {
            ends.handle_connected(hub, now, id);
        }
        self.settle_client(owner);
    }

    fn lose_client(&mut self, id: WireId, is_refused: bool) {
        let Some(owner) = self.owner(id) else { return };
        let is_doubtful = self.is_doubtful(id);
        if let Some((ends, hub, mut net)) = self.client(owner) {
            ends.handle_lost(hub, &mut net, id, is_refused, is_doubtful);
        }
        self.settle_client(owner);
    }

    /// Whether the last request on a connection may have been read: see there. So it is if its node has crashed, too.
    fn is_doubtful(&self, id: WireId) -> bool {
        let has_crashed = self.home(id).is_none_or(|at| self.nodes[at].hub.is_none());
        let wire = self.network.wire(id);
        wire.is_some_and(|wire| is_doubtful(wire) || (has_crashed && wire.observer.requests() > 1))
    }
}

/// The nodes.
impl ClusterWorld {
    /// Does what a node asks for until it asks for nothing more.
    pub(super) fn settle_node(&mut self, at: usize) {
        let timer = Next::ServerTimer(self.nodes[at].life);
        while let Some((ends, hub, mut net)) = self.node(at)
            && let Some(output) = ends.poll(hub, &mut net, timer)
        {
            self.node_told(at, output);
        }
        self.tell_rooms(at);
        self.collect(at);
    }

    /// A node that is up with its connections, and the network.
    fn node(&mut self, at: usize) -> Option<(&mut ServerEnds, &mut Hub, Net<'_>)> {
        let Self { nodes, network, agenda, log, now, .. } = self;
        let Node { hub, ends, .. } = &mut nodes[at];
        Some((ends, hub.as_mut()?, Net { network, agenda, log, now: *now }))
    }
}

/// The clients.
impl ClusterWorld {
    fn read_client(&mut self, id: WireId) {
        while let Some(owner) = self.owner(id) {
            let is_doubtful = self.is_doubtful(id);
            let Some((ends, hub, mut net)) = self.client(owner) else { return };
            if !ends.read(hub, &mut net, id, is_doubtful) {
                return;
            }
            self.settle_client(owner);
        }
    }

    /// Does what a client asks for until it asks for nothing more.
    pub(super) fn settle_client(&mut self, owner: u64) {
        while let Some((ends, hub, mut net)) = self.client(owner)
            && let Some(output) = ends.poll(hub, &mut net, owner)
        {
            self.client_told(owner, output);
        }
    }

    /// A client with its connections, and the network.
    fn client(&mut self, owner: u64) -> Option<(&mut ClientEnds, &mut ClientHub, Net<'_>)> {
        let Self { clients, network, agenda, log, now, .. } = self;
        let Client { hub, ends, .. } = clients.get_mut(&owner)?;
        Some((ends, hub, Net { network, agenda, log, now: *now }))
    }

    fn client_told(&mut self, owner: u64, output: ClientOutput) {
        let now = self.now;
        let Self { clients, network, agenda, log, homes, nodes, manner, books, has_log, .. } = self;
        let Some(client) = clients.get_mut(&owner) else { return };
        match output {
            ClientOutput::Connect(link) => {
                let Client { hub, ends, random, home, .. } = client;
                // A load balancer keeps a session at one node, and gives a new one to any.
                let has_session = hub.engine().is_some_and(|hub| hub.session().sid().is_some());
                if !has_session {
                    *home = random.size(nodes.len()) - 1;
                }
                let path = any_path(random, manner.badness).without_repeats();
                let id = ends.connect(&mut Net { network, agenda, log, now }, link, owner, path);
                homes.insert(id, (*home, nodes[*home].life));
            }
            ClientOutput::Update(slot, update) => {
                let Some(seat) = client.seats.iter_mut().find(|seat| seat.slot == slot) else {
                    return;
                };
                match update {
                    Update::Connected { id, recovered } => {
                        let before = seat.before.replace(id.to_string());
                        match has_log {
                            true => books.told_restored(&id, before.as_deref(), recovered),
                            false => assert!(!recovered, "nothing is recovered here"),
                        }
                        assert_eq!(seat.id.replace(id.to_string()), None, "connected twice");
                    }
                    Update::Disconnected { .. } => {
                        let Some(id) = seat.id.take() else { panic!("disconnected twice") };
                        // It may come back.
                        if !*has_log {
                            books.lost(&id);
                        }
                    }
                    Update::Event { event, connection } => {
                        // Missed events come before the update that it is back.
                        let before = seat.before.clone().filter(|_| *has_log);
                        let Some(id) = seat.id.clone().or(before) else {
                            panic!("an event comes without a connection")
                        };
                        self.receive(owner, (slot, connection), &id, &event);
                    }
                    Update::Failed(_) | Update::Waiting { .. } => {}
                    other => panic!("a socket is told {other:?}"),
                }
            }
            ClientOutput::Writable(_) => {}
            ClientOutput::Closed { .. } => {
                assert!(client.is_closed && !client.told_closed, "it is not closed");
                client.told_closed = true;
            }
            other => panic!("client {owner} is told {other:?}"),
        }
    }
}
