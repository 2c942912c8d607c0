//! Bytes between the network, the hub and the clients.

use enginewire::{ClientHubAction, Event, Message, hub::ConnectionId};
use enginewire_socketio::hub::Output;

use super::world::SocketWorld;
use crate::{
    application::EndId,
    log::{Deed, News, Wish},
    network::{Happening, Wire, WireId},
    path::Side,
    world::{NETWORK_CLASS, Next, TIMERS_LAST, rearm},
};

/// The network.
impl SocketWorld {
    pub(super) fn happen(&mut self, happening: Happening) {
        let now = self.now;
        self.log.note(now, Deed::Happens(happening));
        match happening {
            Happening::Connected(id) => self.established(id),
            Happening::Refused(id) => self.refused(id),
            Happening::Arrive(id, from) => self.network.arrive(&mut self.agenda, now, id, from),
            Happening::Fault(id, index) => self.network.fail(&mut self.agenda, now, id, index),
            Happening::Repeat(_) => unreachable!("no path here repeats requests"),
            Happening::Readable(id, Side::Server) => self.read_server(id),
            Happening::Readable(id, Side::Client) => self.read_client(id),
            Happening::Writable(id, Side::Server) => {
                if let Some(&on) = self.names.get(&id) {
                    self.hub.handle_writable(now, on);
                    self.settle_server();
                }
            }
            Happening::Writable(id, Side::Client) => {
                let Some(owner) = self.owner(id) else { return };
                if let Some(person) = self.persons.get_mut(&owner)
                    && let (Some(hub), Some(&link)) = (&mut person.hub, person.names.get(&id))
                {
                    hub.handle_writable(now, link);
                    self.settle_client(owner);
                }
            }
            Happening::Lost(id, Side::Server) => {
                if let Some(on) = self.names.remove(&id) {
                    self.wires.remove(&on);
                    self.network.forget(id, Side::Server);
                    self.hub.handle_lost(now, on);
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
        if self.hub.is_finished() {
            return self.refused(id);
        }
        let Some(owner) = self.owner(id) else { return };
        if !self.network.establish(&mut self.agenda, now, id) {
            return;
        }
        let on = self.hub.handle_accepted(now);
        self.wires.insert(on, id);
        self.names.insert(id, on);
        self.settle_server();
        if let Some(person) = self.persons.get_mut(&owner)
            && let (Some(hub), Some(&link)) = (&mut person.hub, person.names.get(&id))
        {
            hub.handle_connected(now, link);
            self.settle_client(owner);
        }
    }

    fn refused(&mut self, id: WireId) {
        self.lose_client(id, true);
    }

    fn lose_client(&mut self, id: WireId, is_refused: bool) {
        let now = self.now;
        let Some(owner) = self.owner(id) else { return };
        let is_doubtful = self.network.wire(id).is_some_and(is_doubtful);
        self.network.forget(id, Side::Client);
        let Some(person) = self.persons.get_mut(&owner) else { return };
        if let (Some(hub), Some(link)) = (&mut person.hub, person.names.remove(&id)) {
            person.links.remove(&link);
            if is_doubtful {
                hub.abort();
            }
            match is_refused {
                true => hub.handle_refused(now, link),
                false => hub.handle_lost(now, link),
            }
            self.settle_client(owner);
        }
    }
}

/// The server.
impl SocketWorld {
    fn read_server(&mut self, id: WireId) {
        let now = self.now;
        while let Some(&on) = self.names.get(&id)
            && self.hub.is_reading(on)
        {
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Server) {
                let deed = Deed::Reads(id, Side::Server, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                self.hub.handle_bytes(now, on, &mut read.bytes);
            } else if self.network.read_end(id, Side::Server) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Server));
                self.hub.handle_eof(now, on);
            } else {
                return;
            }
            self.settle_server();
        }
    }

    /// Does what the hub asks for until it asks for nothing more.
    pub(super) fn settle_server(&mut self) {
        let now = self.now;
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Write(on) => self.write_server(on),
                Output::Read(on) => {
                    self.log.note(now, Deed::Server(Wish::Read, on));
                    if let Some(&id) = self.wires.get(&on) {
                        let readable = Happening::Readable(id, Side::Server);
                        self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
                    }
                }
                Output::Shutdown(on) => {
                    self.log.note(now, Deed::Server(Wish::Shutdown, on));
                    if let Some(&id) = self.wires.get(&on) {
                        self.network.shut_down(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Close(on) => {
                    self.log.note(now, Deed::Server(Wish::Close, on));
                    if let Some(id) = self.wires.remove(&on) {
                        self.names.remove(&id);
                        self.network.close(&mut self.agenda, now, id, Side::Server);
                    }
                }
                output => self.told(output),
            }
        }
        let next = self.hub.poll_timeout();
        if let Some(at) = rearm(&mut self.armed, next) {
            self.agenda.push(at, TIMERS_LAST, Next::ServerTimer);
        }
    }

    fn write_server(&mut self, on: ConnectionId) {
        let Self { hub, wires, network, agenda, log, now, .. } = self;
        log.note(*now, Deed::Server(Wish::Write, on));
        let Some(&id) = wires.get(&on) else {
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
impl SocketWorld {
    fn read_client(&mut self, id: WireId) {
        let now = self.now;
        while let Some(owner) = self.owner(id)
            && let Some(person) = self.persons.get_mut(&owner)
            && let (Some(hub), Some(&link)) = (&mut person.hub, person.names.get(&id))
        {
            person.reads.remove(&id);
            if !hub.is_reading(link) {
                return;
            }
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Client) {
                let deed = Deed::Reads(id, Side::Client, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                hub.handle_bytes(now, link, &mut read.bytes);
            } else if self.network.read_end(id, Side::Client) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Client));
                if self.network.wire(id).is_some_and(is_doubtful) {
                    hub.abort();
                }
                hub.handle_eof(now, link);
            } else {
                return;
            }
            self.settle_client(owner);
        }
    }

    /// Does what a client asks for until it asks for nothing more.
    pub(super) fn settle_client(&mut self, owner: u64) {
        let now = self.now;
        while let Some(person) = self.persons.get_mut(&owner)
            && let Some(hub) = &mut person.hub
        {
            if let Some(action) = hub.poll_action(now, &mut person.random) {
                self.act(owner, action);
                continue;
            }
            let is_taking = !person.is_paused || hub.session().is_closed();
            let Some(event) = is_taking.then(|| hub.poll_event()).flatten() else { break };
            match event {
                Event::Opened => {
                    person.is_open = true;
                    person.connect();
                }
                Event::Message(Message::Text(text)) => {
                    let deed = Deed::Told(EndId::Client(owner), News::Text, text.len());
                    self.log.note_data(now, deed, text.as_str().as_bytes());
                    person.hears(&mut self.books, &text);
                }
                Event::Message(other) => panic!("a client gets {other:?}"),
                Event::Closed(_) => person.lost(),
                _ => {}
            }
        }
        let Some(person) = self.persons.get_mut(&owner) else { return };
        let Some(hub) = &person.hub else { return };
        for (&id, &link) in &person.names {
            let unread = self.network.wire(id).is_some_and(|wire| wire.has_unread(Side::Client));
            if unread && hub.is_reading(link) && person.reads.insert(id) {
                let readable = Happening::Readable(id, Side::Client);
                self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
            }
        }
        if let Some(at) = rearm(&mut person.armed, hub.poll_timeout()) {
            self.agenda.push(at, TIMERS_LAST, Next::ClientTimer(owner));
        }
        if hub.is_finished() {
            assert!(person.links.is_empty(), "client {owner} is finished and has connections");
            (person.hub, person.armed, person.is_paused) = (None, None, false);
            if !person.has_gone {
                let wait = person.random.shorter(COMES_BACK);
                self.agenda.push(now + wait, NETWORK_CLASS, Next::Wake(EndId::Client(owner)));
            }
        }
    }

    fn act(&mut self, owner: u64, action: ClientHubAction) {
        let Self { persons, network, agenda, log, now, .. } = self;
        let Some(person) = persons.get_mut(&owner) else { return };
        log.note(*now, Deed::of_link(owner, action));
        match action {
            ClientHubAction::Connect(link) => {
                let path = (person.weather)(&mut person.random);
                let id = network.connect(agenda, *now, owner, path);
                person.links.insert(link, id);
                person.names.insert(id, link);
            }
            ClientHubAction::Encrypt(link) => panic!("{link:?} is no tunnel"),
            ClientHubAction::Write(link) => {
                let (Some(&id), Some(hub)) = (person.links.get(&link), &mut person.hub) else {
                    panic!("client {owner} writes to {link:?}, which is closed");
                };
                hub.transmit(*now, link, |bytes| {
                    let taken = network.write(agenda, *now, id, Side::Client, bytes);
                    log.note_data(*now, Deed::Writes(id, Side::Client, taken), &bytes[..taken]);
                    if let Some(wire) = network.wire_mut(id) {
                        wire.observer.request(&bytes[..taken]);
                    }
                    taken
                });
            }
            ClientHubAction::Close(link) => {
                let Some(id) = person.links.remove(&link) else {
                    panic!("client {owner} closes {link:?}, which is closed");
                };
                person.names.remove(&id);
                network.close(agenda, *now, id, Side::Client);
            }
        }
    }
}

/// Whether a client may send the last request on a connection once more: it takes the end of a kept one for that of a
/// server which has not read it. If it was the network that has failed, the response may be lost, and with it events.
/// The clients here end their session instead, and recover.
pub(super) fn is_doubtful(wire: &Wire) -> bool {
    wire.faulty && wire.observer.requests() > 1
}

/// A client whose session is over comes back within this time.
const COMES_BACK: std::time::Duration = std::time::Duration::from_secs(5);
