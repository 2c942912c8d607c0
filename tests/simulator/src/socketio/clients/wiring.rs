//! Bytes between the network, the server and the clients, and what each of them is told.

use std::collections::BTreeMap;

use enginewire_socketio::{
    client_hub::{ClientHub, ClientOutput},
    hub::{Hub, Output, SocketKey},
};

use super::{
    books::{Seat, number_of},
    world::{Client, ClientSabotage, ClientWorld, NAMESPACES},
};
use crate::{
    log::Deed,
    network::{Happening, WireId},
    path::Side,
    socketio::ends::{ClientEnds, Net, ServerEnds, is_doubtful},
    world::Next,
};

/// The network.
impl ClientWorld {
    pub(super) fn happen(&mut self, happening: Happening) {
        let now = self.now;
        self.log.note(now, Deed::Happens(happening));
        match happening {
            Happening::Connected(id) => self.established(id),
            Happening::Refused(id) => self.lose_client(id, true),
            Happening::Arrive(id, from) => self.network.arrive(&mut self.agenda, now, id, from),
            Happening::Fault(id, index) => self.network.fail(&mut self.agenda, now, id, index),
            Happening::Repeat(_) => unreachable!("no path here repeats requests"),
            Happening::Readable(id, Side::Server) => self.read_server(id),
            Happening::Readable(id, Side::Client) => self.read_client(id),
            Happening::Writable(id, Side::Server) => {
                if let Some((ends, hub, _)) = self.server() {
                    ends.handle_writable(hub, now, id);
                }
                self.settle_server();
            }
            Happening::Writable(id, Side::Client) => {
                let Some(owner) = self.owner(id) else { return };
                if let Some((ends, hub, _)) = self.client(owner) {
                    ends.handle_writable(hub, now, id);
                }
                self.settle_client(owner);
            }
            Happening::Lost(id, Side::Server) => {
                if let Some((ends, hub, mut net)) = self.server() {
                    ends.handle_lost(hub, &mut net, id);
                }
                self.settle_server();
            }
            Happening::Lost(id, Side::Client) => self.lose_client(id, false),
        }
        // They are those of another world.
        drop(self.network.take_troubles());
    }

    fn owner(&self, id: WireId) -> Option<u64> {
        self.network.wire(id).map(|wire| wire.life)
    }

    fn established(&mut self, id: WireId) {
        let now = self.now;
        let Some(owner) = self.owner(id) else { return };
        let Some((ends, hub, mut net)) = self.server().filter(|(_, hub, _)| !hub.is_finished())
        else {
            return self.lose_client(id, true);
        };
        if !ends.accept(hub, &mut net, id) {
            return;
        }
        self.settle_server();
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

    /// Whether a client may send the last request on a connection once more, although it was read: see there. So it is
    /// if its server has vanished, too.
    fn is_doubtful(&self, id: WireId) -> bool {
        let is_vanished = self.vanished.contains(&id);
        self.network
            .wire(id)
            .is_some_and(|wire| is_doubtful(wire) || (is_vanished && wire.observer.requests() > 1))
    }
}

/// The server.
impl ClientWorld {
    fn read_server(&mut self, id: WireId) {
        while let Some((ends, hub, mut net)) = self.server()
            && ends.read(hub, &mut net, id)
        {
            self.settle_server();
        }
    }

    /// Does what the server asks for until it asks for nothing more.
    pub(super) fn settle_server(&mut self) {
        while let Some((ends, hub, mut net)) = self.server()
            && let Some(output) = ends.poll(hub, &mut net, Next::ServerTimer(0))
        {
            self.server_told(output);
        }
    }

    /// The server with its connections, and the network.
    fn server(&mut self) -> Option<(&mut ServerEnds, &mut Hub, Net<'_>)> {
        let Self { hub, ends, network, agenda, log, now, .. } = self;
        Some((ends, hub.as_mut()?, Net { network, agenda, log, now: *now }))
    }

    fn server_told(&mut self, output: Output) {
        let now = self.now;
        let life = self.life;
        let Some(hub) = &mut self.hub else { return };
        match output {
            Output::Connect(key, ..) => {
                let auth: Option<BTreeMap<String, u64>> =
                    hub.auth(key).and_then(|auth| auth.decode().ok());
                let owner = auth.and_then(|auth| auth.get("owner").copied()).unwrap_or_default();
                if !hub.accept(now, key) {
                    return;
                }
                let (id, namespace) = (hub.id(key), hub.namespace(key));
                let namespace = NAMESPACES.iter().position(|name| namespace == Some(name));
                let (Some(id), Some(namespace)) = (id, namespace) else {
                    panic!("{key:?} is nowhere")
                };
                self.ids.insert(id.to_string(), (life, key));
                self.living.insert((life, key));
                self.seats.insert((life, key), Seat::new(owner, namespace));
            }
            Output::Event(key, event) => {
                let number = number_of(&event);
                let times = match self.sabotage {
                    Some(ClientSabotage::Twice) => 2,
                    Some(ClientSabotage::Lost) if number.is_multiple_of(7) => 0,
                    _ => 1,
                };
                if let Some(ack) = event.ack() {
                    // Without room its client is too slow for what it asks for.
                    drop(hub.acknowledge(key, ack, &number));
                }
                (0..times).for_each(|_| self.arrives(key, number));
            }
            Output::Disconnected(key, ..) => {
                self.living.remove(&(life, key));
            }
            Output::Cancelled(_) | Output::Forgotten(_) | Output::Writable(_) => {}
            other => panic!("the server is told {other:?}"),
        }
    }

    fn arrives(&mut self, key: SocketKey, number: u64) {
        let Some(seat) = self.seats.get_mut(&(self.life, key)) else {
            panic!("an event comes for {key:?}, which was not accepted")
        };
        if let Some(client) = self.clients.get_mut(&seat.owner) {
            client.sockets[seat.namespace].1.arrive(seat, number, &mut self.totals);
        }
    }
}

/// The clients.
impl ClientWorld {
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
        let (now, badness) = (self.now, self.badness);
        let Self { clients, network, agenda, log, totals, seats, ids, sabotage, .. } = self;
        let Some(client) = clients.get_mut(&owner) else { return };
        let Client { ends, random, sockets, .. } = client;
        match output {
            ClientOutput::Connect(link) => {
                let path = Self::weather(random, badness);
                ends.connect(&mut Net { network, agenda, log, now }, link, owner, path);
            }
            ClientOutput::Update(socket, update) => {
                let Some((_, account)) = sockets.iter_mut().find(|(slot, _)| *slot == socket)
                else {
                    return;
                };
                let Some(number) = account.told(&update, totals) else { return };
                let key = account.id.as_ref().and_then(|id| ids.get(id));
                let Some(seat) = key.and_then(|key| seats.get_mut(key)) else {
                    panic!("client {owner} has a socket that nobody has accepted")
                };
                for _ in 0..=u8::from(*sabotage == Some(ClientSabotage::Again)) {
                    let expected = seat.owed.pop_front();
                    assert_eq!(expected, Some(number), "twice or out of order");
                }
            }
            ClientOutput::Acknowledged(..) if *sabotage == Some(ClientSabotage::Deaf) => {}
            ClientOutput::Acknowledged(ask, result) => {
                let mut sockets = sockets.iter_mut();
                let Some((_, account)) = sockets.find(|(slot, _)| *slot == ask.socket()) else {
                    return;
                };
                let result = result.map(|args| match args.decode(0) {
                    Ok(number) => number,
                    Err(error) => panic!("{error}"),
                });
                account.acknowledged(now, ask, result, totals);
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
