//! The server of a world.

use enginewire::{
    Event, Limits,
    hub::{ConnectionId, Output, SessionId},
};

use super::{NETWORK_CLASS, Next, Seen, World, life_of, rearm};
use crate::{
    application::{Application, EndId},
    log::{Deed, Wish},
    network::{Happening, WireId},
    path::Side,
};

impl<A: Application> World<A> {
    pub(super) fn read_server(&mut self, id: WireId) {
        let now = self.now;
        while let Some(&on) = self.server.names.get(&id)
            && self.server.hub.is_reading(on)
        {
            if let Some(mut read) = self.network.read(&mut self.agenda, now, id, Side::Server) {
                let deed = Deed::Reads(id, Side::Server, read.bytes.len());
                self.log.note_data(now, deed, &read.bytes);
                if let Some(wire) = self.network.wire(id) {
                    self.ledger.note_bytes(now, wire.life, Side::Server, read.content);
                }
                self.server.hub.handle_bytes(now, on, &mut read.bytes);
            } else if self.network.read_end(id, Side::Server) {
                self.log.note(now, Deed::ReadsEnd(id, Side::Server));
                self.server.hub.handle_eof(now, on);
            } else {
                return;
            }
            self.settle_server();
        }
    }

    /// Does what the server asks for until it asks for nothing more.
    pub(super) fn settle_server(&mut self) {
        let now = self.now;
        while let Some(output) = self.server.hub.poll() {
            match output {
                Output::Write(on) => self.write_server(on),
                Output::Read(on) => {
                    self.log.note(now, Deed::Server(Wish::Read, on));
                    if let Some(&id) = self.server.wires.get(&on) {
                        let readable = Happening::Readable(id, Side::Server);
                        self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
                    }
                }
                Output::Shutdown(on) => {
                    self.log.note(now, Deed::Server(Wish::Shutdown, on));
                    if let Some(&id) = self.server.wires.get(&on) {
                        self.network.shut_down(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Close(on) => {
                    self.log.note(now, Deed::Server(Wish::Close, on));
                    if let Some(id) = self.server.wires.remove(&on) {
                        self.server.names.remove(&id);
                        self.network.close(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Ask(ask, on, _) => {
                    self.log.note(now, Deed::Server(Wish::Ask, on));
                    self.server.hub.allow(ask);
                }
                Output::Opened(session, _, head) => {
                    let life = life_of(head.query());
                    let seen = Seen { life, opened: now, paused: false };
                    self.server.sessions.insert(session, seen);
                    self.ledger.note_opened(now, life, Side::Server);
                    self.tell(EndId::Server(life, session), Event::Opened);
                }
                Output::Layer(_) | Output::Request(..) | Output::HandOver(..) => {
                    unreachable!("none is asked for")
                }
                Output::Event(session, event) => self.tell_server(session, event),
            }
        }
        let next = self.server.hub.poll_timeout();
        if let Some(at) = rearm(&mut self.server.armed, next) {
            self.agenda.push(at, self.timer_class, Next::ServerTimer(0));
        }
    }

    fn write_server(&mut self, on: ConnectionId) {
        let Self { server, network, agenda, log, ledger, intruders, now, .. } = self;
        log.note(*now, Deed::Server(Wish::Write, on));
        let Some(&id) = server.wires.get(&on) else {
            panic!("{on:?} is to be written to, which is closed");
        };
        server.hub.transmit(*now, on, |bytes| {
            let taken = network.write(agenda, *now, id, Side::Server, bytes);
            log.note_data(*now, Deed::Writes(id, Side::Server, taken), &bytes[..taken]);
            if let Some(wire) = network.wire_mut(id) {
                let more = wire.observer.answer(&bytes[..taken]);
                if more > 0 && !intruders.contains_key(&id) {
                    ledger.note_answers(wire.life, more);
                }
                let (requests, answers) = (wire.observer.requests(), wire.observer.answers());
                assert!(answers <= requests, "{id:?}: {answers} answers to {requests} requests");
            }
            taken
        });
    }

    fn tell_server(&mut self, session: SessionId, event: Event) {
        let Some(seen) = self.server.sessions.get(&session) else {
            panic!("{session:?} was not opened or is over, and tells {event:?}");
        };
        let (life, opened) = (seen.life, seen.opened);
        let id = EndId::Server(life, session);
        if let Some(session) = self.server.hub.session(session) {
            // A message that alone was too much is not there any more.
            let large = matches!(&event, Event::Message(message)
                if message.len() + Limits::MESSAGE_OVERHEAD >= self.server.max_unread / 2);
            if large || !session.is_receiving() {
                self.ledger.note_slow(self.now, life);
            }
            if !session.has_events() {
                self.ledger.note_caught_up(life, Side::Server);
            }
        }
        if let Event::Closed(reason) = event {
            self.server.sessions.remove(&session);
            self.over(id, Some(opened), reason);
        } else {
            self.tell(id, event);
        }
    }
}
