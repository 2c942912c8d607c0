//! The clients of a world.

use enginewire::{ClientConnectionId, ClientHubAction, Event, Time};

use super::{Client, NETWORK_CLASS, Next, World, rearm};
use crate::{
    application::{Application, EndId},
    ledger::Ledger,
    log::Deed,
    network::{Happening, Network, WireId},
    path::Side,
};

impl<A: Application> World<A> {
    /// Does something to the connection of a client.
    pub(super) fn on_link(
        &mut self,
        id: WireId,
        act: impl FnOnce(&mut Client, Time, ClientConnectionId),
    ) {
        let Some(life) = self.network.wire(id).map(|wire| wire.life) else { return };
        if let Some(client) = self.clients.get_mut(&life)
            && let Some(&link) = client.names.get(&id)
        {
            act(client, self.now, link);
            self.settle_client(life);
        }
    }

    /// The same, with a connection that is no more.
    pub(super) fn network_forgets(
        &mut self,
        id: WireId,
        act: impl FnOnce(&mut Client, Time, ClientConnectionId),
    ) {
        let Some(life) = self.network.wire(id).map(|wire| wire.life) else { return };
        note_second_attempt(&self.network, &mut self.ledger, id);
        self.network.forget(id, Side::Client);
        if let Some(client) = self.clients.get_mut(&life)
            && let Some(link) = client.names.remove(&id)
        {
            client.wires.remove(&link);
            act(client, self.now, link);
            self.settle_client(life);
        }
    }

    pub(super) fn read_client(&mut self, id: WireId) {
        let now = self.now;
        while let Some(life) = self.network.wire(id).map(|wire| wire.life)
            && let Some(client) = self.clients.get_mut(&life)
            && let Some(&link) = client.names.get(&id)
            && client.may_read(id, link)
        {
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Client) {
                let deed = Deed::Reads(id, Side::Client, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                self.ledger.note_bytes(now, life, Side::Client, read.content);
                client.hub.handle_bytes(now, link, &mut read.bytes);
            } else if self.network.read_end(id, Side::Client) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Client));
                note_second_attempt(&self.network, &mut self.ledger, id);
                client.hub.handle_eof(now, link);
            } else {
                return;
            }
            self.settle_client(life);
        }
    }

    /// Does what a client asks for until it asks for nothing more.
    pub(super) fn settle_client(&mut self, life: u64) {
        let now = self.now;
        while let Some(client) = self.clients.get_mut(&life) {
            if client.opened.is_none() && client.hub.session().handshake().is_some() {
                client.opened = Some(now);
                self.ledger.note_opened(now, life, Side::Client);
            }
            if let Some(action) = client.hub.poll_action(now, &mut client.random) {
                self.act(life, action);
                continue;
            }
            if !client.hub.session().is_receiving() {
                self.ledger.note_slow(now, life);
            }
            let event = if client.paused && !client.hub.session().is_closed() {
                None
            } else {
                client.hub.poll_event()
            };
            match event {
                None => break,
                Some(Event::Closed(reason)) => {
                    client.over = true;
                    let opened = client.opened;
                    self.over(EndId::Client(life), opened, reason);
                }
                Some(event) => {
                    if event == Event::Opened {
                        let before = std::mem::replace(&mut client.told_open, true);
                        assert!(!before, "life {life} opens twice");
                    }
                    self.tell(EndId::Client(life), event);
                }
            }
        }
        let Some(client) = self.clients.get_mut(&life) else { return };
        self.ledger.check_queue(client.hub.session().queued(), self.largest);
        if !client.hub.session().has_events() {
            self.ledger.note_caught_up(life, Side::Client);
        }
        for (&id, &link) in &client.names {
            let unread = self.network.wire(id).is_some_and(|wire| wire.has_unread(Side::Client));
            if unread && client.hub.is_reading(link) && !client.reads.contains(&id) {
                client.reads.insert(id);
                let readable = Happening::Readable(id, Side::Client);
                self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
            }
        }
        if let Some(at) = rearm(&mut client.armed, client.hub.poll_timeout()) {
            self.agenda.push(at, self.timer_class, Next::ClientTimer(life));
        }
        if client.hub.is_finished() {
            self.ledger.check_told(life);
            assert!(client.wires.is_empty(), "life {life} is finished and has connections");
            assert_eq!(client.hub.poll_timeout(), None, "life {life} is finished and has a timer");
            self.clients.remove(&life);
            self.finished.push(life);
        }
    }

    fn act(&mut self, life: u64, action: ClientHubAction) {
        let Self { clients, network, agenda, log, ledger, now, .. } = self;
        let Some(client) = clients.get_mut(&life) else { return };
        log.note(*now, Deed::of_link(life, action));
        match action {
            ClientHubAction::Connect(link) => {
                let path = (client.weather)(&mut client.random);
                let id = network.connect(agenda, *now, life, path);
                client.wires.insert(link, id);
                client.names.insert(id, link);
            }
            ClientHubAction::Encrypt(link) => panic!("{link:?} is no tunnel"),
            ClientHubAction::Write(link) => {
                let Some(&id) = client.wires.get(&link) else {
                    panic!("life {life} writes to {link:?}, which is closed");
                };
                client.hub.transmit(*now, link, |bytes| {
                    let taken = network.write(agenda, *now, id, Side::Client, bytes);
                    log.note_data(*now, Deed::Writes(id, Side::Client, taken), &bytes[..taken]);
                    if let Some(wire) = network.wire_mut(id) {
                        let requests = wire.observer.request(&bytes[..taken]);
                        ledger.note_requests(*now, life, requests);
                    }
                    taken
                });
            }
            ClientHubAction::Close(link) => {
                let Some(id) = client.wires.remove(&link) else {
                    panic!("life {life} closes {link:?}, which is closed");
                };
                client.names.remove(&id);
                network.close(agenda, *now, id, Side::Client);
            }
        }
        self.note_troubles();
    }
}

/// A connection is at its end for the client. If it was kept, the client sends the request under way once
/// more, as browsers do: it takes the close for that of a server which has not read it. If it was the
/// network that has failed, the server may have, and the response may be lost.
fn note_second_attempt(network: &Network, ledger: &mut Ledger, id: WireId) {
    if let Some(wire) = network.wire(id)
        && wire.faulty
        && wire.observer.requests() > 1
    {
        ledger.note_repeat(wire.life, true);
        ledger.note_repeat(wire.life, false);
    }
}

impl Client {
    fn may_read(&mut self, id: WireId, link: ClientConnectionId) -> bool {
        self.reads.remove(&id);
        self.hub.is_reading(link)
    }
}
