//! Bytes between the network, the server and the clients, and what each of them is told.

use std::collections::BTreeMap;

use enginewire::hub::ConnectionId;
use enginewire_socketio::{
    client_hub::{self, ClientOutput},
    hub::{Output, SocketKey},
};

use super::{
    books::{Seat, number_of},
    world::{Client, ClientSabotage, ClientWorld, NAMESPACES},
};
use crate::{
    log::{Deed, Wish},
    network::{Happening, WireId},
    path::Side,
    socketio::wiring::is_doubtful,
    world::{NETWORK_CLASS, Next, TIMERS_LAST, rearm},
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
                if let (Some(&on), Some(hub)) = (self.names.get(&id), &mut self.hub) {
                    hub.handle_writable(now, on);
                    self.settle_server();
                }
            }
            Happening::Writable(id, Side::Client) => {
                let Some(owner) = self.owner(id) else { return };
                if let Some(client) = self.clients.get_mut(&owner)
                    && let Some(&link) = client.names.get(&id)
                {
                    client.hub.handle_writable(now, link);
                    self.settle_client(owner);
                }
            }
            Happening::Lost(id, Side::Server) => {
                if let (Some(on), Some(hub)) = (self.names.remove(&id), &mut self.hub) {
                    self.wires.remove(&on);
                    self.network.forget(id, Side::Server);
                    hub.handle_lost(now, on);
                    self.settle_server();
                }
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
        let Some(hub) = self.hub.as_mut().filter(|hub| !hub.is_finished()) else {
            return self.lose_client(id, true);
        };
        let Some(owner) = self.network.wire(id).map(|wire| wire.life) else { return };
        if !self.network.establish(&mut self.agenda, now, id) {
            return;
        }
        let on = hub.handle_accepted(now);
        self.wires.insert(on, id);
        self.names.insert(id, on);
        self.settle_server();
        if let Some(client) = self.clients.get_mut(&owner)
            && let Some(&link) = client.names.get(&id)
        {
            client.hub.handle_connected(now, link);
            self.settle_client(owner);
        }
    }

    fn lose_client(&mut self, id: WireId, is_refused: bool) {
        let now = self.now;
        let Some(owner) = self.owner(id) else { return };
        let is_doubtful = self.is_doubtful(id);
        self.network.forget(id, Side::Client);
        let Some(client) = self.clients.get_mut(&owner) else { return };
        if let Some(link) = client.names.remove(&id) {
            client.links.remove(&link);
            if is_doubtful && !is_refused {
                client.hub.abort();
            }
            match is_refused {
                true => client.hub.handle_refused(now, link),
                false => client.hub.handle_lost(now, link),
            }
            self.settle_client(owner);
        }
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
        let now = self.now;
        while let (Some(&on), Some(hub)) = (self.names.get(&id), &mut self.hub)
            && hub.is_reading(on)
        {
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Server) {
                let deed = Deed::Reads(id, Side::Server, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                hub.handle_bytes(now, on, &mut read.bytes);
            } else if self.network.read_end(id, Side::Server) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Server));
                hub.handle_eof(now, on);
            } else {
                return;
            }
            self.settle_server();
        }
    }

    /// Does what the server asks for until it asks for nothing more.
    pub(super) fn settle_server(&mut self) {
        let now = self.now;
        while let Some(output) = self.hub.as_mut().and_then(|hub| hub.poll()) {
            match output {
                Output::Write(on) => self.write_server(on),
                Output::Read(on) => {
                    if let Some(&id) = self.wires.get(&on) {
                        let readable = Happening::Readable(id, Side::Server);
                        self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
                    }
                }
                Output::Shutdown(on) => {
                    if let Some(&id) = self.wires.get(&on) {
                        self.network.shut_down(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Close(on) => {
                    if let Some(id) = self.wires.remove(&on) {
                        self.names.remove(&id);
                        self.network.close(&mut self.agenda, now, id, Side::Server);
                    }
                }
                output => self.server_told(output),
            }
        }
        let next = self.hub.as_mut().and_then(|hub| hub.poll_timeout());
        if let Some(at) = rearm(&mut self.armed, next) {
            self.agenda.push(at, TIMERS_LAST, Next::ServerTimer);
        }
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

    fn write_server(&mut self, on: ConnectionId) {
        let Self { hub, wires, network, agenda, log, now, .. } = self;
        log.note(*now, Deed::Server(Wish::Write, on));
        let (Some(&id), Some(hub)) = (wires.get(&on), hub) else {
            panic!("{on:?} is to be written to, which is closed");
        };
        hub.transmit(*now, on, |bytes| {
            let taken = network.write(agenda, *now, id, Side::Server, bytes);
            log.note_data(*now, Deed::Writes(id, Side::Server, taken), &bytes[..taken]);
            if let Some(wire) = network.wire_mut(id) {
                wire.observer.answer(&bytes[..taken]);
            }
            taken
        });
    }
}

/// The clients.
impl ClientWorld {
    fn read_client(&mut self, id: WireId) {
        let now = self.now;
        while let Some(owner) = self.owner(id)
            && let Some(client) = self.clients.get_mut(&owner)
            && let Some(&link) = client.names.get(&id)
        {
            client.reads.remove(&id);
            if !client.hub.is_reading(link) {
                return;
            }
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Client) {
                let deed = Deed::Reads(id, Side::Client, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                client.hub.handle_bytes(now, link, &mut read.bytes);
            } else if self.network.read_end(id, Side::Client) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Client));
                let is_doubtful = self.is_doubtful(id);
                let Some(client) = self.clients.get_mut(&owner) else { return };
                if is_doubtful {
                    client.hub.abort();
                }
                client.hub.handle_eof(now, link);
            } else {
                return;
            }
            self.settle_client(owner);
        }
    }

    /// Does what a client asks for until it asks for nothing more.
    pub(super) fn settle_client(&mut self, owner: u64) {
        let now = self.now;
        while let Some(client) = self.clients.get_mut(&owner)
            && let Some(output) = client.hub.poll()
        {
            if !matches!(output, ClientOutput::Write(_)) {
                self.log.say(now, format!("client {owner}: {output:?}"));
            }
            self.client_told(owner, output);
        }
        let Some(client) = self.clients.get_mut(&owner) else { return };
        for (&id, &link) in &client.names {
            let unread = self.network.wire(id).is_some_and(|wire| wire.has_unread(Side::Client));
            if unread && client.hub.is_reading(link) && client.reads.insert(id) {
                let readable = Happening::Readable(id, Side::Client);
                self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
            }
        }
        if let Some(at) = rearm(&mut client.armed, client.hub.poll_timeout()) {
            self.agenda.push(at, TIMERS_LAST, Next::ClientTimer(owner));
        }
    }

    fn client_told(&mut self, owner: u64, output: ClientOutput) {
        let (now, badness) = (self.now, self.badness);
        let Self { clients, network, agenda, totals, seats, ids, sabotage, .. } = self;
        let Some(client) = clients.get_mut(&owner) else { return };
        let Client { links, names, random, sockets, .. } = client;
        match output {
            ClientOutput::Connect(link) => {
                let path = Self::weather(random, badness);
                let id = network.connect(agenda, now, owner, path);
                links.insert(link, id);
                names.insert(id, link);
            }
            ClientOutput::Write(link) => self.write_client(owner, link),
            ClientOutput::Close(link) => {
                let Some(id) = links.remove(&link) else {
                    panic!("client {owner} closes {link:?}, which is closed");
                };
                names.remove(&id);
                network.close(agenda, now, id, Side::Client);
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

    fn write_client(&mut self, owner: u64, link: client_hub::ConnectionId) {
        let Self { clients, network, agenda, log, now, .. } = self;
        let Some(client) = clients.get_mut(&owner) else { return };
        let Some(&id) = client.links.get(&link) else {
            panic!("client {owner} writes to {link:?}, which is closed");
        };
        client.hub.transmit(*now, link, |bytes| {
            let taken = network.write(agenda, *now, id, Side::Client, bytes);
            log.note_data(*now, Deed::Writes(id, Side::Client, taken), &bytes[..taken]);
            if let Some(wire) = network.wire_mut(id) {
                wire.observer.request(&bytes[..taken]);
            }
            taken
        });
    }
}
