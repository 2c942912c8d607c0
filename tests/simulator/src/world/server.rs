//! The server of a world.

use enginewire::{
    Event,
    hub::{ConnectionId, Output, SessionId},
};

use super::{NETWORK_CLASS, Next, Seen, World, life_of, rearm};
use crate::{
    application::{Application, EndId},
    network::{Happening, WireId},
    path::Side,
};

impl<A: Application> World<A> {
    pub(super) fn read_server(&mut self, id: WireId) {
        let now = self.now;
        while let Some(&on) = self.server.names.get(&id)
            && self.server.hub.is_reading(on)
        {
            if let Some(mut bytes) = self.network.read(&mut self.agenda, now, id, Side::Server) {
                self.log.data(&bytes);
                if let Some(wire) = self.network.wire(id) {
                    self.ledger.note_bytes(now, wire.life, Side::Server);
                }
                self.server.hub.handle_bytes(now, on, &mut bytes);
            } else if self.network.read_end(id, Side::Server) {
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
                    if let Some(&id) = self.server.wires.get(&on) {
                        let readable = Happening::Readable(id, Side::Server);
                        self.agenda.push(now, NETWORK_CLASS, Next::Network(readable));
                    }
                }
                Output::Shutdown(on) => {
                    if let Some(&id) = self.server.wires.get(&on) {
                        self.network.shut_down(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Close(on) => {
                    if let Some(id) = self.server.wires.remove(&on) {
                        self.server.names.remove(&id);
                        self.say(format_args!("server closes {id:?}"));
                        self.network.close(&mut self.agenda, now, id, Side::Server);
                    }
                }
                Output::Ask(ask, ..) => {
                    self.server.hub.allow(ask);
                }
                Output::Opened(session, _, head) => {
                    let life = life_of(head.query());
                    self.server.sessions.insert(session, Seen { life, opened: now });
                    self.say(format_args!("life {life} opens {session:?}"));
                    self.lend(EndId::Server(life, session), A::handle_opened);
                }
                Output::Event(session, event) => self.tell_server(session, event),
            }
        }
        let next = self.server.hub.poll_timeout();
        if let Some(at) = rearm(&mut self.server.armed, next) {
            self.agenda.push(at, self.timer_class, Next::ServerTimer);
        }
    }

    fn write_server(&mut self, on: ConnectionId) {
        let Self { server, network, agenda, log, now, .. } = self;
        let Some(&id) = server.wires.get(&on) else {
            panic!("{on:?} is to be written to, which is closed");
        };
        server.hub.transmit(*now, on, |bytes| {
            let taken = network.write(agenda, *now, id, Side::Server, bytes);
            log.data(&bytes[..taken]);
            if let Some(wire) = network.wire_mut(id) {
                wire.observer.answer(&bytes[..taken]);
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
        let life = seen.life;
        let id = EndId::Server(life, session);
        if self.server.hub.session(session).is_some_and(|session| !session.is_receiving()) {
            self.ledger.note_slow(self.now, life);
        }
        if let Event::Closed(reason) = event {
            self.server.sessions.remove(&session);
            self.over(id, Side::Server, reason);
        } else {
            self.tell(id, event);
        }
    }
}
