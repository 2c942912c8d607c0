//! Ends of connections: those of a server's hub, and those of a client's, by their names in the network.

use std::collections::{BTreeMap, BTreeSet};

use enginewire::{Time, hub::ConnectionId};
use enginewire_socketio::{
    client_hub::{self, ClientHub, ClientOutput},
    hub::{Hub, Output},
};

use crate::{
    log::{Deed, Log, Wish},
    network::{Happening, Network, Wire, WireId},
    path::{Path, Side},
    schedule::Schedule,
    world::{NETWORK_CLASS, Next, TIMERS_LAST, rearm},
};

/// The network and the clock of a world, lent to an end.
pub(super) struct Net<'a> {
    pub(super) network: &'a mut Network,
    pub(super) agenda: &'a mut Schedule<Next>,
    pub(super) log: &'a mut Log,
    pub(super) now: Time,
}

/// The connections of a server.
#[derive(Default)]
pub(super) struct ServerEnds {
    wires: BTreeMap<ConnectionId, WireId>,
    names: BTreeMap<WireId, ConnectionId>,
    armed: Option<Time>,
}

/// The connections of a client.
#[derive(Default)]
pub(super) struct ClientEnds {
    links: BTreeMap<client_hub::ConnectionId, WireId>,
    names: BTreeMap<WireId, client_hub::ConnectionId>,
    armed: Option<Time>,
    /// Connections for which a read is due.
    reads: BTreeSet<WireId>,
}

impl Net<'_> {
    fn readable(&mut self, id: WireId, side: Side) {
        let readable = Next::Network(Happening::Readable(id, side));
        self.agenda.push(self.now, NETWORK_CLASS, readable);
    }

    /// Takes a part of what `side` has received, or its end as an empty one.
    fn read(&mut self, id: WireId, side: Side) -> Option<Vec<u8>> {
        if let Some(read) = self.network.read(self.agenda, self.now, id, side) {
            let deed = Deed::Reads(id, side, read.bytes.len());
            self.log.note_data(self.now, deed, &read.bytes);
            return Some(read.bytes);
        }
        self.network.read_end(id, side).then(|| {
            self.log.note(self.now, Deed::ReadsEnd(id, side));
            Vec::new()
        })
    }

    fn write(&mut self, id: WireId, side: Side, bytes: &[u8]) -> usize {
        let taken = self.network.write(self.agenda, self.now, id, side, bytes);
        self.log.note_data(self.now, Deed::Writes(id, side, taken), &bytes[..taken]);
        if let Some(wire) = self.network.wire_mut(id) {
            match side {
                Side::Server => wire.observer.answer(&bytes[..taken]),
                Side::Client => wire.observer.request(&bytes[..taken]),
            };
        }
        taken
    }
}

impl ServerEnds {
    /// A connection of a client is there, if it still wants it. Returns whether it does.
    pub(super) fn accept(&mut self, hub: &mut Hub, net: &mut Net<'_>, id: WireId) -> bool {
        let is_there = net.network.establish(net.agenda, net.now, id);
        if is_there {
            let on = hub.handle_accepted(net.now);
            self.wires.insert(on, id);
            self.names.insert(id, on);
        }
        is_there
    }

    pub(super) fn handle_writable(&self, hub: &mut Hub, now: Time, id: WireId) {
        if let Some(&on) = self.names.get(&id) {
            hub.handle_writable(now, on);
        }
    }

    pub(super) fn handle_lost(&mut self, hub: &mut Hub, net: &mut Net<'_>, id: WireId) {
        if let Some(on) = self.names.remove(&id) {
            self.wires.remove(&on);
            net.network.forget(id, Side::Server);
            hub.handle_lost(net.now, on);
        }
    }

    /// Reads a part of what has come. Returns false if there is nothing, or if the hub does not read.
    pub(super) fn read(&self, hub: &mut Hub, net: &mut Net<'_>, id: WireId) -> bool {
        let on = self.names.get(&id).filter(|on| hub.is_reading(**on));
        let Some((&on, mut bytes)) = on.and_then(|on| Some((on, net.read(id, Side::Server)?)))
        else {
            return false;
        };
        match bytes.is_empty() {
            true => hub.handle_eof(net.now, on),
            false => hub.handle_bytes(net.now, on, &mut bytes),
        }
        true
    }

    /// Does what the hub asks for, up to the next output for the application. `timer` is when it has a deadline.
    pub(super) fn poll(&mut self, hub: &mut Hub, net: &mut Net<'_>, timer: Next) -> Option<Output> {
        let now = net.now;
        while let Some(output) = hub.poll() {
            match output {
                Output::Write(on) => {
                    net.log.note(now, Deed::Server(Wish::Write, on));
                    let Some(&id) = self.wires.get(&on) else {
                        panic!("{on:?} is to be written to, which is closed");
                    };
                    hub.transmit(now, on, |bytes| net.write(id, Side::Server, bytes));
                }
                Output::Read(on) => {
                    net.log.note(now, Deed::Server(Wish::Read, on));
                    if let Some(&id) = self.wires.get(&on) {
                        net.readable(id, Side::Server);
                    }
                }
                Output::Shutdown(on) => {
                    net.log.note(now, Deed::Server(Wish::Shutdown, on));
                    if let Some(&id) = self.wires.get(&on) {
                        net.network.shut_down(net.agenda, now, id, Side::Server);
                    }
                }
                Output::Close(on) => {
                    net.log.note(now, Deed::Server(Wish::Close, on));
                    if let Some(id) = self.wires.remove(&on) {
                        self.names.remove(&id);
                        net.network.close(net.agenda, now, id, Side::Server);
                    }
                }
                output => return Some(output),
            }
        }
        if let Some(at) = rearm(&mut self.armed, hub.poll_timeout()) {
            net.agenda.push(at, TIMERS_LAST, timer);
        }
        None
    }

    /// The timer has come up.
    pub(super) const fn disarm(&mut self) {
        self.armed = None;
    }

    /// The server is gone, with all its connections. Returns them.
    pub(super) fn vanish(&mut self, net: &mut Net<'_>) -> Vec<WireId> {
        let Self { wires, .. } = std::mem::take(self);
        let wires: Vec<_> = wires.into_values().collect();
        wires.iter().for_each(|&id| net.network.close(net.agenda, net.now, id, Side::Server));
        wires
    }
}

impl ClientEnds {
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub(super) fn connect(
        &mut self,
        net: &mut Net<'_>,
        link: client_hub::ConnectionId,
        owner: u64,
        path: Path,
    ) -> WireId {
        let id = net.network.connect(net.agenda, net.now, owner, path);
        self.links.insert(link, id);
        self.names.insert(id, link);
        id
    }

    pub(super) fn handle_connected(&self, hub: &mut ClientHub, now: Time, id: WireId) {
        if let Some(&link) = self.names.get(&id) {
            hub.handle_connected(now, link);
        }
    }

    pub(super) fn handle_writable(&self, hub: &mut ClientHub, now: Time, id: WireId) {
        if let Some(&link) = self.names.get(&id) {
            hub.handle_writable(now, link);
        }
    }

    /// The connection could not be opened, or is lost. See [`is_doubtful`] for `is_doubtful`.
    pub(super) fn handle_lost(
        &mut self,
        hub: &mut ClientHub,
        net: &mut Net<'_>,
        id: WireId,
        is_refused: bool,
        is_doubtful: bool,
    ) {
        net.network.forget(id, Side::Client);
        let Some(link) = self.names.remove(&id) else { return };
        self.links.remove(&link);
        if is_doubtful && !is_refused {
            hub.abort();
        }
        match is_refused {
            true => hub.handle_refused(net.now, link),
            false => hub.handle_lost(net.now, link),
        }
    }

    /// Reads a part of what has come. Returns false if there is nothing, or if the hub does not read.
    pub(super) fn read(
        &mut self,
        hub: &mut ClientHub,
        net: &mut Net<'_>,
        id: WireId,
        is_doubtful: bool,
    ) -> bool {
        let Some(&link) = self.names.get(&id) else { return false };
        self.reads.remove(&id);
        if !hub.is_reading(link) {
            return false;
        }
        let Some(mut bytes) = net.read(id, Side::Client) else { return false };
        if bytes.is_empty() {
            if is_doubtful {
                hub.abort();
            }
            hub.handle_eof(net.now, link);
        } else {
            hub.handle_bytes(net.now, link, &mut bytes);
        }
        true
    }

    /// Does what the hub asks for, up to a new connection or the next output for the application.
    pub(super) fn poll(
        &mut self,
        hub: &mut ClientHub,
        net: &mut Net<'_>,
        owner: u64,
    ) -> Option<ClientOutput> {
        while let Some(output) = hub.poll() {
            if !matches!(output, ClientOutput::Write(_)) {
                net.log.say(net.now, format!("client {owner}: {output:?}"));
            }
            match output {
                ClientOutput::Write(link) => {
                    let Some(&id) = self.links.get(&link) else {
                        panic!("client {owner} writes to {link:?}, which is closed");
                    };
                    hub.transmit(net.now, link, |bytes| net.write(id, Side::Client, bytes));
                }
                ClientOutput::Close(link) => {
                    let Some(id) = self.links.remove(&link) else {
                        panic!("client {owner} closes {link:?}, which is closed");
                    };
                    self.names.remove(&id);
                    net.network.close(net.agenda, net.now, id, Side::Client);
                }
                output => return Some(output),
            }
        }
        for (&id, &link) in &self.names {
            let wire = net.network.wire(id);
            let has_unread = wire.is_some_and(|wire| wire.has_unread(Side::Client));
            if has_unread && hub.is_reading(link) && self.reads.insert(id) {
                net.readable(id, Side::Client);
            }
        }
        if let Some(at) = rearm(&mut self.armed, hub.poll_timeout()) {
            net.agenda.push(at, TIMERS_LAST, Next::ClientTimer(owner));
        }
        None
    }

    /// The timer has come up.
    pub(super) const fn disarm(&mut self) {
        self.armed = None;
    }
}

/// Whether a client may send the last request on a connection once more: it takes the end of a kept one for that of a
/// server which has not read it. If it was the network that has failed, the response may be lost, and with it events.
/// The clients here end their session instead, and recover.
pub(super) fn is_doubtful(wire: &Wire) -> bool {
    wire.faulty && wire.observer.requests() > 1
}
