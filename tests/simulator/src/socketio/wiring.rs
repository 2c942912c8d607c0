//! Bytes between the network, the hub and the clients.

use enginewire::{ClientHubAction, Event, Message};
use enginewire_socketio::hub::Hub;

use super::{
    ends::{Net, ServerEnds, is_doubtful},
    world::SocketWorld,
};
use crate::{
    application::EndId,
    log::{Deed, News},
    network::{Happening, WireId},
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
                self.ends.handle_writable(&mut self.hub, now, id);
                self.settle_server();
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
                let (ends, hub, mut net) = self.server();
                ends.handle_lost(hub, &mut net, id);
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
        if self.hub.is_finished() {
            return self.refused(id);
        }
        let Some(owner) = self.owner(id) else { return };
        let (ends, hub, mut net) = self.server();
        if !ends.accept(hub, &mut net, id) {
            return;
        }
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
        loop {
            let (ends, hub, mut net) = self.server();
            if !ends.read(hub, &mut net, id) {
                return;
            }
            self.settle_server();
        }
    }

    /// Does what the hub asks for until it asks for nothing more.
    pub(super) fn settle_server(&mut self) {
        loop {
            let (ends, hub, mut net) = self.server();
            let Some(output) = ends.poll(hub, &mut net, Next::ServerTimer(0)) else { return };
            self.told(output);
        }
    }

    /// The server with its connections, and the network.
    const fn server(&mut self) -> (&mut ServerEnds, &mut Hub, Net<'_>) {
        let Self { hub, ends, network, agenda, log, now, .. } = self;
        (ends, hub, Net { network, agenda, log, now: *now })
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

/// A client whose session is over comes back within this time.
const COMES_BACK: std::time::Duration = std::time::Duration::from_secs(5);
